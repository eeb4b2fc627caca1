"""The registry on MLflow's server as its manifest starts it: PostgreSQL behind it, its files on SeaweedFS."""

from __future__ import annotations

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import mlflow
import pandas as pd
import pytest

from lifeboat.config.errors import RegistryError
from lifeboat.config.settings import NO_DETECTOR, Settings
from lifeboat.deploy import step
from lifeboat.registry.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry
from tests.pipeline.laptop import Laptop
from tests.registry.world import Target, aliases, make_bundle, race, register
from tests.server.world import ROW, call, expected
from tests.stores import postgres, tracking
from tests.stores.weed import ROOT, Weed
from tests.usecases import breast_cancer

BUCKET = "mlflow"


@dataclass(frozen=True)
class Platform:
    """MLflow's servers, as many as the manifest's replicas, and the address of their one database."""

    urls: list[str]
    database: str


@pytest.fixture(scope="module")
def platform(server: Weed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    lacking = postgres.missing()
    lacking += [] if tracking.PROGRAM.exists() else [tracking.MISSING]
    if lacking:
        pytest.skip(f"not installed: {', '.join(lacking)}")
    folder = tmp_path_factory.mktemp("mlflow")
    server.endpoint().client.make_bucket(BUCKET)
    with postgres.running() as database, ExitStack() as stack:
        chosen = tracking.variables(database, server.endpoint(), BUCKET)
        servers = [tracking.running(folder / str(number), chosen) for number in range(tracking.replicas())]
        # All at once on an empty database, as the pods of the first installation start.
        with ThreadPoolExecutor() as pool:
            urls = list(pool.map(stack.enter_context, servers))
        yield Platform(urls, database)


@pytest.fixture
def settings(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A machine without anything of its own; another model in each test."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")  # MLflow sets it
    return Settings(home=str(tmp_path / "home"), tracking_uri=platform.urls[0])


def test_the_secret_names_a_driver_that_the_image_has() -> None:
    """SQLAlchemy 2.1 takes `postgresql://` for another driver than before: psycopg, which the group lacks."""
    written = re.findall(r"uri=\"?(postgresql[^:]*)://", (ROOT / "terraform" / "platform.sh").read_text())
    assert written == [postgres.SCHEME]


def test_versions_and_aliases_are_one_for_all_replicas(
    server: Weed, platform: Platform, settings: Settings, tmp_path: Path
) -> None:
    registry = Registry(settings)
    versions = [register(registry, make_bundle(tmp_path / f"{bias}", bias / 100)) for bias in range(2)]
    assert [version.version for version in versions] == ["1", "2"]
    registry.promote(versions[0], expected=None)
    registry.promote(versions[1], expected=versions[0].digest)
    with pytest.raises(RegistryError, match="by now, this model was judged against none"):
        registry.promote(versions[0], expected=None)
    assert aliases(registry) == ("2", "1")
    target = Target(registry)
    assert step.rollback("tiny", registry, target, lambda _: None).version == "1"
    assert target.seen == [("1", versions[0].digest, ("2", "1"))]
    stored = server.endpoint().storage(BUCKET).keys()
    assert len([key for key in stored if f"/{versions[0].run_id}/artifacts/rollouts/" in key]) == 1
    for url in platform.urls:
        other = Registry(Settings(home=str(tmp_path / "other"), tracking_uri=url))
        found = [other.aliased("tiny", alias) for alias in (CHAMPION, PREVIOUS, CHALLENGER)]
        assert [version.version if version else None for version in found] == ["1", None, "2"]
        assert [version.withdrawn for version in other.overview("tiny").versions] == [True, False]
        assert other.find("tiny", versions[1].digest) == versions[1]
    rows = postgres.query(platform.database, "SELECT alias, version FROM registered_model_aliases ORDER BY alias")
    assert rows.splitlines() == ["challenger|2", "champion|1"]


def test_a_runs_files_and_a_versions_model_are_in_the_bucket(server: Weed, settings: Settings, tmp_path: Path) -> None:
    version = register(Registry(settings), make_bundle(tmp_path / "bundle", 0.5))
    stored = server.endpoint().storage(BUCKET).keys()
    assert [key for key in stored if key.endswith(f"/{version.run_id}/artifacts/reports/model-card.md")], stored
    mlflow.set_tracking_uri(settings.tracking)
    model = mlflow.pyfunc.load_model(f"models:/tiny@{CHALLENGER}")
    assert model.predict(pd.DataFrame([ROW]))["survived"].tolist() == pytest.approx([expected(22.5, 0.5, "C")])
    names = ("artifacts/bundle/model.onnx", "artifacts/bundle/bundle.json", "model.py", "MLmodel")
    for name in names:
        assert [key for key in stored if key.endswith(f"/{model.metadata.model_id}/artifacts/{name}")], (name, stored)


def test_of_two_processes_that_promote_at_once_one_wins_or_is_told(settings: Settings, tmp_path: Path) -> None:
    """There is no lock on a tracking server (on Kubernetes the rollout's lease is one): the loser must not be sure."""
    registry = Registry(settings)
    versions = [register(registry, make_bundle(tmp_path / f"{bias}", bias / 100)) for bias in (3, 4)]
    champion = registry.aliased("tiny", CHAMPION)
    if champion:
        registry._mlflow.client.delete_registered_model_alias("tiny", CHAMPION)
    said = race(settings, *versions)
    now = registry.aliased("tiny", CHAMPION)
    assert now in versions
    assert said[versions.index(now)] == "won", said
    loser = said[1 - versions.index(now)]
    assert loser == "won" or "by now, this model" in loser or "at once replaced" in loser, said


def test_a_server_keeps_to_the_memory_it_asks_for(platform: Platform) -> None:
    """With the processes that wait for jobs, seven of which come half a minute later, it was beyond its limit."""
    asked = tracking.container()["resources"]["requests"]["memory"]
    assert asked.endswith("Mi")
    for url in platform.urls:
        found = tracking.processes(url)
        assert not [line for line in found if "mlflow.server.jobs" in line], found
        assert 100 < sum(found.values()) / 2**20 < int(asked[:-2]), found


def test_a_name_the_server_is_not_called_by_is_refused(platform: Platform) -> None:
    assert (
        call(f"{platform.urls[0]}/api/2.0/mlflow/experiments/search?max_results=1", Host="evil.example").status == 403
    )
    for host in ("mlflow.mlflow.svc.cluster.local:5000", "mlflow.mlflow:5000"):
        assert call(f"{platform.urls[0]}/api/2.0/mlflow/experiments/search?max_results=1", Host=host).status == 200


@pytest.fixture(scope="module")
def laptop(platform: Platform, server: Weed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laptop]:
    """A machine whose registry is the server and whose bundles are in a bucket."""
    server.endpoint().client.make_bucket("lifeboat")
    made = Laptop(tmp_path_factory.mktemp("home"))
    made.environment |= {f"LIFEBOAT_{name}": text for name, text in server.endpoint().settings().items()}
    made.environment |= {
        "LIFEBOAT_TRACKING_URI": platform.urls[0], "LIFEBOAT_STORE": "s3://lifeboat",
        "LIFEBOAT_DETECTOR_PYTHON": NO_DETECTOR,
    }  # fmt: skip
    yield made
    made.lifeboat("stop")


def test_a_run_registers_and_serves_and_the_next_one_finds_its_champion(laptop: Laptop, tmp_path: Path) -> None:
    data = str(breast_cancer.write_data(tmp_path / "masses.parquet"))
    words = ("run", "--usecase", "tests.usecases.breast_cancer", "--data", data)
    assert "Deployed breast-cancer version 1" in laptop.lifeboat(*words, "--require-deploy")
    assert "it is the champion: the same bundle digest" in laptop.lifeboat(*words)
    registry = Registry(Settings(home=str(tmp_path / "home"), tracking_uri=laptop.environment["LIFEBOAT_TRACKING_URI"]))
    champion = registry.aliased("breast-cancer", CHAMPION)
    assert champion
    assert champion == registry.aliased("breast-cancer", CHALLENGER)
    assert champion.version == "1"
