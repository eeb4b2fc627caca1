"""Worlds to deploy in: a registry, bundles, and a target. What every target must do is in `contract.py`."""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pytest

from lifeboat.config.settings import NO_DETECTOR, Settings
from lifeboat.deploy.local import LocalTarget
from lifeboat.deploy.probe import ask
from lifeboat.deploy.step import Deployment, Target, deploy
from lifeboat.model.bundle import GOLDEN, MODEL, REFERENCE, SCHEMA, Bundle, open_bundle, write_bundle
from lifeboat.registry.registry import CHAMPION, Registry
from lifeboat.supervisor.control import find_supervisor
from lifeboat.usecase.gates import Criterion, Verdict
from tests.ports import free_port
from tests.server.world import ROW, TINY, expected, graph

MANIFEST = {
    "usecase": "tiny",
    "versions": {"onnxruntime": "1.32.0"},
    "lineage": {"data": {"digest": "d"}, "code": "c", "seed": 0},
    "training": {"candidate": "made by hand", "parameters": {}, "calibration": None},
}


@dataclass
class World:
    """One registry and one target; what serves there is the subclass's to know."""

    folder: Path
    settings: Settings
    registry: Registry
    target: Target

    def bundle(self, bias: float, *, golden_off_by: float = 0.0, model: bytes | None = None) -> Bundle:
        """A model that answers 0.01 for each year of age, plus the bias; or another graph that answers ROW the same."""
        survived = expected(22.5, bias, "C") + golden_off_by
        files = {
            MODEL: model or graph(bias=bias),
            SCHEMA: TINY.to_json().encode(),
            REFERENCE: b"",
            GOLDEN: json.dumps([{"row": ROW, "probabilities": [1 - survived, survived]}]).encode(),
        }
        directory = self.folder / f"bundle-{bias}-{golden_off_by}{'-other' if model else ''}"
        write_bundle(directory, files, MANIFEST)
        return open_bundle(directory)

    def judged(self, bundle: Bundle, *, passed: bool = True, champion: str | None = None) -> Path:
        """Registers the bundle and writes its verdict."""
        criterion = Criterion("roc_auc at least 0.8", 0.9 if passed else 0.7, 0.8, passed, "as asked")
        verdict = Verdict(bundle.digest, champion, passed, (criterion,))
        reports = self.folder / "reports"
        reports.mkdir(exist_ok=True)
        self.registry.register(bundle, verdict, {"roc_auc": 0.9}, reports)
        path = self.folder / f"verdict-{bundle.digest[:8]}.json"
        path.write_text(verdict.to_json())
        return path

    def deploy(self, bundle: Bundle, verdict: Path, say: Callable[[str], None] = lambda _: None) -> Deployment:
        return deploy(bundle.directory, verdict, self.registry, self.target, say)

    def ship(self, bias: float) -> Bundle:
        """Makes, judges and deploys a model."""
        bundle = self.bundle(bias)
        self.deploy(bundle, self.judged(bundle, champion=self.champion))
        return bundle

    @property
    def champion(self) -> str | None:
        version = self.registry.aliased("tiny", CHAMPION)
        return version.digest if version else None

    def rollouts(self, version: str) -> tuple[str, list[list[str]]]:
        """What the registry knows of a version's rollouts: how the last one ended, and the notes of each."""
        found = mlflow.MlflowClient(self.registry.tracking).get_model_version("tiny", version)
        return found.tags["rollout"], [
            [html.unescape(note) for note in re.findall("<td>([^<]*)</td></tr>", page.partition("Its course")[2])]
            for page in self.rollout_pages(version)
        ]

    def rollout_pages(self, version: str) -> list[str]:
        """The page of each of a version's rollouts."""
        client = mlflow.MlflowClient(self.registry.tracking)
        found = client.get_model_version("tiny", version)
        files = client.list_artifacts(found.run_id, "rollouts")
        return [mlflow.artifacts.load_text(f"runs:/{found.run_id}/{file.path}") for file in files]

    @property
    def url(self) -> str:
        """Where clients ask."""
        raise NotImplementedError

    @property
    def serving(self) -> str | None:
        """Digest that the public port answers with, None if nobody serves."""
        raise NotImplementedError

    @property
    def candidates_running(self) -> bool:
        """Whether anything runs beside what serves."""
        raise NotImplementedError


class LocalWorld(World):
    """One laptop."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def serving(self) -> str | None:
        control = find_supervisor(self.settings.serving_state("tiny"))
        if control is None:
            return None
        with control:
            status = control.status()
        return str(ask(status.url, [ROW])[1]["bundle_digest"]) if status.serving else None

    @property
    def candidates_running(self) -> bool:
        control = find_supervisor(self.settings.serving_state("tiny"))
        if control is None:
            return False
        with control:
            return control.status().candidate is not None


@pytest.fixture
def world(tmp_path: Path, empty_registry: Path) -> Iterator[LocalWorld]:
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(empty_registry, home / "mlflow.db")
    ports = {name: free_port() for name in ("port", "metrics_port", "grpc_port")}
    settings = Settings(home=str(home), detector_python=NO_DETECTOR, **ports)
    yield LocalWorld(tmp_path, settings, Registry(settings), LocalTarget(settings))
    control = find_supervisor(settings.serving_state("tiny"))
    if control is not None:
        with control:
            control.stop()
