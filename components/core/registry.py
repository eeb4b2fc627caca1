"""The model registry: MLflow for people and history, a content-addressed store for the bundles that are served.

The alias `challenger` names the version judged last, `champion` the one that serves, `previous` the one before it.
"""

from __future__ import annotations

import fcntl
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import mlflow
import onnx
import sqlalchemy.exc
from mlflow.entities.model_registry import ModelVersion
from mlflow.exceptions import MlflowException

from components.core.bundle import FILES, MANIFEST, Bundle, open_bundle
from components.core.errors import BundleError, RegistryError, first_line
from components.core.gates import Verdict
from components.core.settings import Settings
from components.core.storage import DirectoryStorage, open_storage

SQLITE = "sqlite:///"
CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
# Characters of a tag at most; of a run's tag MLflow takes 8,000.
TAG = 4000


@dataclass(frozen=True)
class Version:
    """A model version.

    Args:
        name: of the model, which is the use case's.
        version: its number, as text.
        digest: of its bundle.
        run_id: the MLflow run that made it.
    """

    name: str
    version: str
    digest: str
    run_id: str


class Registry:
    """Versions, aliases and bundles. Every method raises RegistryError or StorageError with one sentence."""

    def __init__(self, settings: Settings) -> None:
        self.tracking = settings.tracking
        self._shown = settings.shown_tracking
        self._home = settings.home_path
        self._store = open_storage(settings.bundle_store, settings.s3)
        with self._errors():
            if self.tracking.startswith(SQLITE):
                Path(self.tracking.removeprefix(SQLITE)).parent.mkdir(parents=True, exist_ok=True)
            mlflow.set_tracking_uri(self.tracking)
            self._client = mlflow.MlflowClient(self.tracking)

    def aliased(self, name: str, alias: str) -> Version | None:
        """The version an alias names, or None."""
        with self._errors():
            try:
                return _version(self._client.get_model_version_by_alias(name, alias))
            except MlflowException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise

    def find(self, name: str, digest: str) -> Version | None:
        """The version of a bundle, or None."""
        with self._errors():
            query = f"name = '{name}' and tags.bundle_digest = '{digest}'"
            found = self._client.search_model_versions(query, max_results=1)
        return _version(found[0]) if found else None

    def register(
        self,
        bundle: Bundle,
        verdict: Verdict,
        metrics: Mapping[str, float],
        reports: Path,
        *,
        reason: str = "",
    ) -> Version:
        """Logs a judged bundle as a run and gives its version, which becomes the challenger.

        The same bundle judged again is a new run, but keeps its version.

        Args:
            bundle: goes to the store and into the run.
            verdict: tags the version.
            metrics: of the run.
            reports: a directory of files for the run, such as the model card.
            reason: why the run was started.
        """
        self._publish(bundle)
        tags = {**_tags(bundle), "reason": reason, "gate": _outcome(verdict)}
        with self._errors():
            mlflow.set_experiment(experiment_id=self._experiment(bundle.usecase))
            with mlflow.start_run(run_name=f"{bundle.usecase} {bundle.digest[:12]}", tags=tags) as run:
                mlflow.log_params(_parameters(bundle))
                mlflow.log_metrics(dict(metrics))
                mlflow.log_artifacts(str(bundle.directory), "bundle")
                mlflow.log_artifacts(str(reports), "reports")
                found = self.find(bundle.usecase, bundle.digest) or self._create_version(bundle, run.info.run_id)
            self._client.set_model_version_tag(found.name, found.version, "gate", _outcome(verdict))
            self._client.set_registered_model_alias(found.name, CHALLENGER, found.version)
        return found

    def promote(self, version: Version, *, expected: str | None) -> None:
        """Makes a version the champion, if the champion still is the expected one.

        MLflow has no compare-and-set. On SQLite promotions take turns by a lock file, so that of two exactly one wins.
        On a tracking server the alias is read again at the end: who finds another version there lost. What stays open
        is the moment between one promotion's last reading and the writing of another that had checked before.

        Args:
            version: to promote.
            expected: digest of the champion the version was judged against, None for none.

        Raises:
            RegistryError: someone else moved the alias meanwhile.
        """
        with self._turn():
            self._promote(version, expected)

    def _promote(self, version: Version, expected: str | None) -> None:
        champion = self.aliased(version.name, CHAMPION)
        actual = champion.digest if champion else None
        if actual != expected:
            raise RegistryError(
                f"the champion of {version.name} is {_short(actual)} by now, this model was judged against "
                f"{_short(expected)}: run the pipeline again"
            )
        with self._errors():
            if champion and champion.version != version.version:
                self._client.set_registered_model_alias(version.name, PREVIOUS, champion.version)
            self._client.set_registered_model_alias(version.name, CHAMPION, version.version)
        now = self.aliased(version.name, CHAMPION)
        if now is None or now.version != version.version:
            raise RegistryError(
                f"version {version.version} of {version.name} was promoted, and at once replaced by "
                f"{f'version {now.version}' if now else 'none'}: run the pipeline again"
            )

    def keep_rollout(self, version: Version, outcome: str, page: str) -> None:
        """Keeps how a rollout of a version went.

        Args:
            version: has the last rollout's outcome as its tag `rollout`.
            outcome: `passed`, or `failed: ` and why.
            page: its course as HTML; an artifact of the version's run, `rollouts/` and the moment in UTC.
        """
        with self._errors():
            self._client.set_model_version_tag(version.name, version.version, "rollout", outcome[:TAG])
            self._client.log_text(version.run_id, page, f"rollouts/{datetime.now(UTC):%Y%m%dT%H%M%S%f}Z.html")

    def bundle(self, version: Version) -> Bundle:
        """The verified bundle of a version, from the store (or this machine's copy of it).

        Raises:
            BundleError: what the store holds was altered; a copy that was is fetched again.
        """
        prefix = f"bundles/{version.name}/{version.digest}"
        if isinstance(self._store, DirectoryStorage):
            return _open_as(self._store.root / prefix, version)
        cached = self._home / "cache" / version.digest
        try:
            return _open_as(cached, version)
        except (BundleError, RegistryError):  # not here yet, or not what it was
            self._fetch(prefix, version, cached)
        return _open_as(cached, version)

    def _fetch(self, prefix: str, version: Version, target: Path) -> None:
        """Downloads a bundle beside the target, which it becomes once every byte is checked."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".download-") as folder:
            new = Path(folder) / version.digest
            for name in (*FILES, MANIFEST):
                self._store.download(f"{prefix}/{name}", new / name)
            _open_as(new, version)
            shutil.rmtree(target, ignore_errors=True)
            with suppress(OSError):  # another process was faster; what it put there is checked like ours
                new.replace(target)

    def place(self, version: Version) -> str:
        """Where people find the version."""
        return f"{self._shown} · models:/{version.name}/{version.version}"

    def _publish(self, bundle: Bundle) -> None:
        prefix = f"bundles/{bundle.usecase}/{bundle.digest}"
        # The address is the content's: what is there need not be written again, which a store may not even allow.
        there = set(self._store.keys(f"{prefix}/"))
        # The manifest comes last: a bundle without one is no bundle, so nobody takes half of it.
        for name in (*FILES, MANIFEST):
            if f"{prefix}/{name}" not in there:
                self._store.upload(bundle.directory / name, f"{prefix}/{name}")

    def _experiment(self, name: str) -> str:
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = str(self._home / "mlflow") if self.tracking.startswith("sqlite:") else None
        return str(self._client.create_experiment(name, artifact_location=place))

    def _create_version(self, bundle: Bundle, run_id: str) -> Version:
        requirements = [f"onnxruntime=={bundle.manifest['versions']['onnxruntime']}"]
        model = mlflow.onnx.log_model(
            onnx.load_from_string(bundle.model),
            name="model",
            registered_model_name=bundle.usecase,
            pip_requirements=requirements,
        )
        number = str(model.registered_model_version)
        for key, value in _tags(bundle).items():
            self._client.set_model_version_tag(bundle.usecase, number, key, value)
        return Version(bundle.usecase, number, bundle.digest, run_id)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """Holds the lock file beside a SQLite database; the system lets it go with the process, however that ends."""
        if not self.tracking.startswith(SQLITE):
            yield
            return
        with self._errors():
            file = Path(f"{self.tracking.removeprefix(SQLITE)}.lock").open("a")  # noqa: SIM115  # closed below
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (MlflowException, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
            raise RegistryError(f"the model registry {self._shown} cannot be used: {_reason(error)}") from error


def _open_as(directory: Path, version: Version) -> Bundle:
    bundle = open_bundle(directory)
    if bundle.digest != version.digest:
        raise RegistryError(f"{directory} holds bundle {bundle.digest}, version {version.version} is {version.digest}")
    return bundle


def _reason(error: Exception) -> str:
    text = str(error)
    if "database is locked" in text:
        return "another process holds its database locked"
    if "failed with exception" in text:
        # 'API request to URL failed with exception HTTPConnectionPool(…): … (Caused by …("…: Connection refused"))'
        return f"it does not answer: {text.splitlines()[0].rpartition(': ')[2].strip(' )')}".replace('"', "")
    return first_line(error)


def _version(found: ModelVersion) -> Version:
    return Version(found.name, str(found.version), found.tags.get("bundle_digest", ""), found.run_id or "")


def _tags(bundle: Bundle) -> dict[str, str]:
    lineage = bundle.manifest["lineage"]
    return {
        "bundle_digest": bundle.digest,
        "data_digest": str(lineage["data"]["digest"]),
        "code_commit": str(lineage["code"]),
        "usecase": bundle.usecase,
    }


def _parameters(bundle: Bundle) -> dict[str, Any]:
    training, lineage = bundle.manifest["training"], bundle.manifest["lineage"]
    calibration = json.dumps(training["calibration"])
    return {
        "candidate": training["candidate"],
        "calibration": calibration,
        "seed": lineage["seed"],
        **training["parameters"],
    }


def _outcome(verdict: Verdict) -> str:
    return "passed" if verdict.passed else f"failed: {'; '.join(verdict.reasons)}"[:TAG]


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
