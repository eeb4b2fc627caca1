"""The model registry: MLflow for people and history, a content-addressed store for the bundles that are served.

The alias `challenger` names the version judged last, `champion` the one that serves, `previous` the one that a rollback
brings back. A version is a bundle with the verdict it was registered by: a bundle that was refused and passes later has
two versions, so that the run behind a version says of the gate what the version says. MLflow is imported on first use,
which takes seconds.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from lifeboat.config.errors import RegistryError
from lifeboat.config.settings import Settings
from lifeboat.model.bundle import Bundle
from lifeboat.registry import mlflow_run
from lifeboat.registry.bundle_store import BundleStore
from lifeboat.registry.mlflow_client import Connection
from lifeboat.registry.versions import BECAUSE, BY, PROMOTED, WITHDRAWN, Overview, Version, file_stamp, stamp
from lifeboat.usecase.gates import Verdict

CHAMPION, CHALLENGER, PREVIOUS = "champion", "challenger", "previous"
_JUDGED = "this model was judged against {}: run the pipeline again"
_BEGUN = "it was {} when this began: see lifeboat status, and try again"


class Registry:
    """Versions, aliases and bundles. Every method raises RegistryError or StorageError with one sentence."""

    def __init__(self, settings: Settings) -> None:
        self.tracking = settings.tracking
        self._home = settings.home_path
        self._mlflow = Connection(settings.tracking, settings.shown_tracking)
        self._bundles = BundleStore(settings)

    def aliased(self, name: str, alias: str) -> Version | None:
        """The version an alias names, or None."""
        with self._mlflow.errors():
            found = _present(lambda: self._mlflow.client.get_model_version_by_alias(name, alias))
        return _version(found) if found else None

    def get(self, name: str, alias: str = CHAMPION, *, usecase: str = "") -> Version:
        """As `aliased`, for who can do nothing without it.

        Args:
            name: of the model.
            alias: of the version.
            usecase: how whoever asks calls the use case; its name unless given.

        Raises:
            RegistryError: there is none.
        """
        version = self.aliased(name, alias)
        if version is None:
            raise RegistryError(f"{name} has no {alias}; make one with: lifeboat run --usecase {usecase or name}")
        return version

    def numbered(self, name: str, number: str) -> Version:
        """A version by its number; raises RegistryError where there is none."""
        known = self.overview(name).versions
        found = next((one for one in known if int(one.version) == int(number)), None)
        if found is None:
            there = f"its versions are 1 to {known[0].version}" if known else "it has none"
            raise RegistryError(f"{name} has no version {number}: {there}")
        return found

    def find(self, name: str, digest: str) -> Version | None:
        """The version of a bundle, or None; of two the one that passed its gate."""
        found = self._search(f"name = '{name}' and tags.bundle_digest = '{digest}'")
        return max(found, key=lambda one: (one.passed, int(one.version)), default=None)

    def overview(self, name: str) -> Overview:
        """All versions and what the aliases name; empty for an unknown model. Two requests; it makes no database."""
        if self._mlflow.is_new:
            return Overview()
        with self._mlflow.errors():
            model = _present(lambda: self._mlflow.client.get_registered_model(name))
        if model is None:
            return Overview()
        versions = {one.version: one for one in self._search(f"name = '{name}'")}
        aliases = {alias: versions.get(str(number)) for alias, number in model.aliases.items()}
        newest_first = sorted(versions.values(), key=lambda one: int(one.version), reverse=True)
        return Overview(tuple(newest_first), *(aliases.get(alias) for alias in (CHAMPION, PREVIOUS, CHALLENGER)))

    def register(
        self,
        bundle: Bundle,
        verdict: Verdict,
        metrics: Mapping[str, float],
        reports: Path,
        *,
        reason: str = "",
        data: Sequence[mlflow_run.LoggedData] = (),
        naming_version: Callable[[Version], Mapping[str, str]] = lambda _: {},
    ) -> Version:
        """Logs an evaluation as a run of its own and gives the bundle's version, which becomes the challenger.

        A bundle judged again keeps its version, unless only the new verdict lets it pass: a version never changes what
        it says of the gate, and its run is the one that said so.

        Args:
            bundle: goes to the store and, with a new version, into MLflow's model.
            verdict: tags the run and a new version.
            metrics: of the run, on the held-out rows.
            reports: a directory of files for the run, such as the model card.
            reason: why the run was started.
            data: the tables that were used.
            naming_version: gives those reports anew that are to name the version: file name to text.
        """
        self._bundles.publish(bundle)
        evaluated = mlflow_run.Evaluated(bundle, verdict, metrics, reports, reason, data)
        # Of two runs that register the same bundle at once, the second finds the version of the first.
        with self._mlflow.turn("register"), self._mlflow.errors():
            found = self.find(bundle.usecase, bundle.digest)
            experiment = self._experiment(bundle)
            if found is None or (verdict.passed and not found.passed):
                run_id, model_id = mlflow_run.log_with_model(self._mlflow.client, experiment, evaluated)
                found = self._create_version(evaluated, run_id, model_id)
            else:
                run_id = mlflow_run.log(self._mlflow.client, experiment, evaluated)
            for name, text in naming_version(found).items():
                self._mlflow.client.log_text(run_id, text, f"reports/{name}")
            self._mlflow.client.set_registered_model_alias(found.name, CHALLENGER, found.version)
        return found

    def promote(self, version: Version, *, expected: str | None, record: Mapping[str, str] | None = None) -> None:
        """Makes a version the champion, if the champion still is the expected one.

        MLflow has no compare-and-set. On SQLite promotions take turns by a lock file, so that of two exactly one wins.
        On a tracking server the alias is read again at the end: who finds another version there lost. What stays open
        is the moment between one promotion's last reading and the writing of another that had checked before.

        Args:
            version: to promote.
            expected: digest of the champion the version was judged against, None for none.
            record: tags of the version and its run that say why and by whom, if not by its gate.

        Raises:
            RegistryError: someone else moved the alias meanwhile.
        """
        with self._mlflow.turn("lock"):
            champion = self._expect(version, expected, _BEGUN if record else _JUDGED)
            if champion is None or champion.version != version.version:
                self._tag(version, {PROMOTED: stamp(), **(record or {})}, on_run=bool(record))
                self._untag(version, (WITHDRAWN,) if record else (WITHDRAWN, BECAUSE, BY))
                if champion:
                    self._point(version.name, PREVIOUS, champion)
            self._crown(version)

    def go_back(self, version: Version, *, expected: str) -> None:
        """Makes an earlier champion the champion again; those after it are marked, so that no rollback goes there.

        Args:
            version: to bring back.
            expected: digest of the present champion.

        Raises:
            RegistryError: someone else moved the alias meanwhile.
        """
        with self._mlflow.turn("lock"):
            self._expect(version, expected, _BEGUN)
            known = self.overview(version.name)
            for later in known.after(version):
                self._tag(later, {WITHDRAWN: stamp()})
            self._untag(version, (WITHDRAWN,))
            self._crown(version)
            earlier = next(iter(known.before(version)), None)
            if earlier or known.previous:
                self._point(version.name, PREVIOUS, earlier)

    def keep_rollout(self, version: Version, outcome: str, page: str) -> None:
        """Keeps how a rollout of a version went.

        Args:
            version: has the last rollout's outcome as its tag `rollout`.
            outcome: `passed`, or `failed: ` and why.
            page: its course as HTML; an artifact of the version's run, `rollouts/` and the moment in UTC.
        """
        self._tag(version, {"rollout": outcome[: mlflow_run.TAG]})
        with self._mlflow.errors():
            self._mlflow.client.log_text(version.run_id, page, f"rollouts/{file_stamp()}.html")

    def revise_report(self, version: Version, name: str, revise: Callable[[str], str]) -> None:
        """Changes a text among a version's reports, where it is there; what it was is kept beside it.

        Args:
            version: whose run has the report.
            name: such as model-card.html; the old one becomes model-card.MOMENT.html.
            revise: gives the new text.
        """
        stem, _, ending = name.rpartition(".")
        with self._mlflow.errors(), tempfile.TemporaryDirectory() as folder:
            names = [item.path for item in self._mlflow.client.list_artifacts(version.run_id, "reports")]
            if f"reports/{name}" in names:
                file = Path(self._mlflow.client.download_artifacts(version.run_id, f"reports/{name}", folder))
                old = file.read_text(encoding="utf-8")
                self._mlflow.client.log_text(version.run_id, old, f"reports/{stem}.{file_stamp()}.{ending}")
                self._mlflow.client.log_text(version.run_id, revise(old), f"reports/{name}")

    def bundle(self, version: Version) -> Bundle:
        """The verified bundle of a version, from the store (or this machine's copy of it).

        Raises:
            BundleError: what the store holds was altered; a copy that was is fetched again.
        """
        return self._bundles.get(version.name, version.digest)

    def place(self, version: Version) -> str:
        """Where people find the version."""
        return f"{self._mlflow.shown} · models:/{version.name}/{version.version}"

    def _experiment(self, bundle: Bundle) -> str:
        name, shown = bundle.usecase, bundle.task.metric(bundle.task.headline[0])
        found = self._mlflow.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        place = str(self._home / "mlflow") if self._mlflow.is_local else None
        # What MLflow's pages show first.
        primary = {"name": shown.name, "greaterIsBetter": str(shown.higher_is_better)}
        tags = {f"mlflow.experiment.primaryMetric.{name}": value for name, value in primary.items()}
        return str(self._mlflow.client.create_experiment(name, artifact_location=place, tags=tags))

    def _create_version(self, evaluated: mlflow_run.Evaluated, run_id: str, model_id: str) -> Version:
        from mlflow.exceptions import MlflowException

        client, name, tags = self._mlflow.client, evaluated.bundle.usecase, evaluated.version_tags
        try:
            client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
        made = client.create_model_version(
            name, f"models:/{model_id}", run_id, tags=tags, await_creation_for=0, model_id=model_id
        )
        # By this tag MLflow's pages lead from the run and its model to the version.
        link = json.dumps([{"name": name, "version": str(made.version)}])
        client.set_logged_model_tags(model_id, {"mlflow.modelVersions": link})
        return Version(name, str(made.version), evaluated.bundle.digest, run_id, tags)

    def _search(self, query: str) -> list[Version]:
        found: list[Version] = []
        token: str | None = ""
        with self._mlflow.errors():
            while token is not None:
                page = self._mlflow.client.search_model_versions(query, max_results=1000, page_token=token or None)
                found += map(_version, page)
                token = page.token or None
        return found

    def _expect(self, version: Version, expected: str | None, why: str) -> Version | None:
        """The champion, if it is the expected one."""
        champion = self.aliased(version.name, CHAMPION)
        actual = champion.digest if champion else None
        if actual != expected:
            was = why.format(_short(expected))
            raise RegistryError(f"the champion of {version.name} is {_short(actual)} by now, {was}")
        return champion

    def _crown(self, version: Version) -> None:
        """Moves the champion's alias, and sees that it stays."""
        self._point(version.name, CHAMPION, version)
        now = self.aliased(version.name, CHAMPION)
        if now is None or now.version != version.version:
            raise RegistryError(
                f"version {version.version} of {version.name} was promoted, and at once replaced by "
                f"{f'version {now.version}' if now else 'none'}: run the pipeline again"
            )

    def _point(self, name: str, alias: str, version: Version | None) -> None:
        with self._mlflow.errors():
            if version is None:
                self._mlflow.client.delete_registered_model_alias(name, alias)
            else:
                self._mlflow.client.set_registered_model_alias(name, alias, version.version)

    def _tag(self, version: Version, tags: Mapping[str, str], *, on_run: bool = False) -> None:
        from mlflow.entities import RunTag

        with self._mlflow.errors():
            for name, value in tags.items():
                self._mlflow.client.set_model_version_tag(version.name, version.version, name, value)
            if on_run:
                self._mlflow.client.log_batch(version.run_id, tags=[RunTag(*item) for item in tags.items()])

    def _untag(self, version: Version, names: Sequence[str]) -> None:
        with self._mlflow.errors():
            for name in version.tags.keys() & names:
                self._mlflow.client.delete_model_version_tag(version.name, version.version, name)


def _present(read: Callable[[], Any]) -> Any:
    """What is read; None where MLflow does not know it."""
    from mlflow.exceptions import MlflowException

    try:
        return read()
    except MlflowException as error:
        if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
            return None
        raise


def _version(found: Any) -> Version:
    tags = dict(found.tags)
    return Version(found.name, str(found.version), tags.get("bundle_digest", ""), found.run_id or "", tags)


def _short(digest: str | None) -> str:
    return digest[:12] if digest else "none"
