"""Versions and aliases in a real MLflow on SQLite."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import mlflow
import numpy as np
import onnxruntime
import pytest

from components.core.errors import RegistryError
from components.core.registry import CHALLENGER, CHAMPION, PREVIOUS, Registry, Version
from components.core.settings import Settings
from components.deploy import step
from tests.ports import free_port
from tests.serving.world import TINY

from .world import METRICS, make_bundle, race, register


@pytest.fixture
def registry(settings: Settings, request: pytest.FixtureRequest) -> Registry:
    """The registry of this test's home, opened after `versions` has filled it."""
    if "versions" in request.fixturenames:
        request.getfixturevalue("versions")
    return Registry(settings)


@pytest.fixture(scope="module")
def three(empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Version]]:
    """A home with three versions of three bundles, to be copied."""
    folder = tmp_path_factory.mktemp("three")
    (folder / "home").mkdir()
    shutil.copy(empty_registry, folder / "home" / "mlflow.db")
    registry = Registry(Settings(home=str(folder / "home")))
    return folder / "home", [register(registry, make_bundle(folder / f"{bias}", bias / 100)) for bias in range(3)]


@pytest.fixture
def versions(three: tuple[Path, list[Version]], settings: Settings) -> list[Version]:
    """Versions 1 to 3, registered in this test's home."""
    home, registered = three
    shutil.copytree(home, settings.home_path, dirs_exist_ok=True)
    return registered


def aliases(registry: Registry) -> tuple[str | None, ...]:
    """Version numbers of the champion and the previous one."""
    found = [registry.aliased("tiny", alias) for alias in (CHAMPION, PREVIOUS)]
    return tuple(version.version if version else None for version in found)


def test_an_unknown_model_or_alias_or_digest_is_none(registry: Registry, tmp_path: Path) -> None:
    assert registry.aliased("tiny", CHAMPION) is None
    assert registry.find("tiny", "0" * 64) is None
    version = register(registry, make_bundle(tmp_path / "bundle"))
    assert registry.aliased("tiny", CHAMPION) is None
    assert registry.find("tiny", "0" * 64) is None
    assert registry.find("other", version.digest) is None


def test_the_first_bundle_becomes_version_1_and_challenger(registry: Registry, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    version = register(registry, bundle)
    assert (version.name, version.version, version.digest) == ("tiny", "1", bundle.digest)
    assert registry.aliased("tiny", CHALLENGER) == registry.find("tiny", bundle.digest) == version


def test_the_same_bundle_keeps_its_version_but_is_a_new_run(registry: Registry, tmp_path: Path) -> None:
    bundle, other = make_bundle(tmp_path / "bundle"), make_bundle(tmp_path / "other", 0.1)
    first, second, again = register(registry, bundle), register(registry, other), register(registry, bundle)
    assert (first.version, second.version, again.version) == ("1", "2", "1")
    assert registry.aliased("tiny", CHALLENGER) == first
    experiment = mlflow.get_experiment_by_name("tiny")
    assert len(mlflow.search_runs([experiment.experiment_id])) == 3


def test_a_run_holds_parameters_metrics_bundle_reports_and_tags(registry: Registry, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    version = register(registry, bundle, reason="drift in Age")
    client = mlflow.MlflowClient(registry.tracking)
    run = client.get_run(version.run_id)
    assert run.info.status == "FINISHED"
    assert run.data.metrics == METRICS
    assert run.data.params == {"candidate": "linear", "calibration": '{"kind": "none"}', "seed": "7", "C": "0.3"}
    expected = {
        "bundle_digest": bundle.digest,
        "data_digest": "d" * 64,
        "code_commit": "c" * 40,
        "usecase": "tiny",
        "gate": "passed",
    }
    assert expected.items() <= run.data.tags.items()
    assert run.data.tags["reason"] == "drift in Age"
    assert client.get_model_version("tiny", "1").tags == expected
    logged = {item.path for folder in ("bundle", "reports") for item in client.list_artifacts(version.run_id, folder)}
    assert logged == {f"bundle/{path.name}" for path in bundle.directory.iterdir()} | {"reports/model-card.md"}


def test_a_version_that_failed_its_gate_says_why(registry: Registry, tmp_path: Path) -> None:
    register(registry, make_bundle(tmp_path / "bundle"), passed=False)
    tags = mlflow.MlflowClient(registry.tracking).get_model_version("tiny", "1").tags
    assert tags["gate"] == "failed: roc_auc: 0.7000, asked: at least 0.8"


def test_mlflow_loads_the_champion_and_it_gives_the_bundles_probabilities(registry: Registry, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle", 0.05)
    registry.promote(register(registry, bundle), expected=None)
    model = mlflow.onnx.load_model("models:/tiny@champion")
    session = onnxruntime.InferenceSession(model.SerializeToString())
    [golden] = bundle.golden
    row = {
        column.name: np.array([[golden["row"][column.name]]], np.float32 if column.is_number else object)
        for column in TINY.columns
    }
    wanted = {item.name for item in session.get_inputs()}
    [[answer]] = session.run(None, {name: value for name, value in row.items() if name in wanted})
    assert answer.tolist() == pytest.approx(golden["probabilities"], abs=1e-6)


def test_a_promotion_moves_champion_and_previous(registry: Registry, versions: list[Version]) -> None:
    first, second, third = versions
    registry.promote(first, expected=None)
    assert aliases(registry) == ("1", None)
    registry.promote(second, expected=first.digest)
    assert aliases(registry) == ("2", "1")
    registry.promote(third, expected=second.digest)
    assert aliases(registry) == ("3", "2")


def test_the_champion_promoted_again_keeps_the_previous_one(registry: Registry, versions: list[Version]) -> None:
    first, second, _ = versions
    registry.promote(first, expected=None)
    registry.promote(second, expected=first.digest)
    registry.promote(second, expected=second.digest)
    assert aliases(registry) == ("2", "1")


def test_an_unexpected_champion_is_refused_naming_both(registry: Registry, versions: list[Version]) -> None:
    first, second, third = versions
    registry.promote(first, expected=None)
    with pytest.raises(RegistryError) as caught:
        registry.promote(third, expected=second.digest)
    assert str(caught.value) == (
        f"the champion of tiny is {first.digest[:12]} by now, this model was judged against {second.digest[:12]}: "
        "run the pipeline again"
    )
    with pytest.raises(RegistryError, match=f"is {first.digest[:12]} by now, this model was judged against none"):
        registry.promote(third, expected=None)
    assert aliases(registry) == ("1", None)


class Target:
    """A place to serve that notes the order of things."""

    def __init__(self, registry: Registry) -> None:
        self.registry, self.seen = registry, list[Any]()

    def roll_out(self, bundle: Any, version: Version, commit: Any, say: Any) -> str:
        self.seen.append((version.version, bundle.digest, aliases(self.registry)))
        commit()
        say("done")
        return "http://there"


def test_a_rollback_ships_the_previous_version_and_then_moves_the_alias(
    registry: Registry, versions: list[Version]
) -> None:
    first, second, _ = versions
    registry.promote(first, expected=None)
    target = Target(registry)
    with pytest.raises(RegistryError, match="tiny has no previous champion to go back to"):
        step.rollback("tiny", registry, target)
    registry.promote(second, expected=first.digest)
    assert step.rollback("tiny", registry, target).version == "1"
    assert target.seen == [("1", first.digest, ("2", "1"))]
    assert aliases(registry) == ("1", "2")
    assert step.rollback("tiny", registry, target).version == "2"
    assert aliases(registry) == ("2", "1")


def test_of_two_processes_that_promote_at_once_exactly_one_wins(
    registry: Registry, versions: list[Version], settings: Settings
) -> None:
    said = race(settings, *versions[:2])
    assert said.count("won") == 1, said
    winner = said.index("won")
    assert said[1 - winner].startswith(f"the champion of tiny is {versions[winner].digest[:12]} by now")
    assert aliases(registry) == (versions[winner].version, None)


def test_a_promotion_that_is_overtaken_on_a_tracking_server_says_so(
    registry: Registry, versions: list[Version], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = registry._client
    move = client.set_registered_model_alias

    def overtaken(name: str, alias: str, version: str) -> None:
        move(name, alias, version)
        move(name, alias, "2")

    monkeypatch.setattr(client, "set_registered_model_alias", overtaken)
    with pytest.raises(RegistryError, match="version 1 of tiny was promoted, and at once replaced by version 2"):
        registry.promote(versions[0], expected=None)


LOCKER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.readline()
"""


def test_a_database_locked_by_another_process_is_said_in_seconds(settings: Settings) -> None:
    database = str(settings.home_path / "mlflow.db")
    with subprocess.Popen(
        [sys.executable, "-c", LOCKER, database], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as locker:
        assert locker.stdout
        assert locker.stdout.readline() == b"locked\n"
        start = time.monotonic()
        with pytest.raises(RegistryError) as caught:
            Registry(settings).aliased("tiny", CHAMPION)
        took = time.monotonic() - start
        locker.communicate(b"\n")
    assert str(caught.value) == (
        f"the model registry sqlite:///{database} cannot be used: another process holds its database locked"
    )
    assert took < 15
    assert Registry(settings).aliased("tiny", CHAMPION) is None


def test_an_unreachable_tracking_server_is_said_in_seconds(tmp_path: Path) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    start = time.monotonic()
    with pytest.raises(RegistryError) as caught:
        Registry(Settings(home=str(tmp_path), tracking_uri=url)).aliased("tiny", CHAMPION)
    assert str(caught.value) == (
        f"the model registry {url} cannot be used: it does not answer: [Errno 111] Connection refused"
    )
    assert time.monotonic() - start < 10


def test_a_tracking_servers_password_is_in_no_message(tmp_path: Path) -> None:
    port = free_port()
    settings = Settings(home=str(tmp_path), tracking_uri=f"http://ann:secret@127.0.0.1:{port}")
    registry = Registry(settings)
    with pytest.raises(RegistryError) as caught:
        registry.aliased("tiny", CHAMPION)
    assert f"http://ann:***@127.0.0.1:{port} cannot be used" in str(caught.value)
    assert "secret" not in str(caught.value) + repr(settings) + registry.place(Version("tiny", "1", "", ""))


def test_a_home_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RegistryError, match=r"cannot be used: .*Not a directory"):
        Registry(Settings(home=str(tmp_path / "file" / "home")))
