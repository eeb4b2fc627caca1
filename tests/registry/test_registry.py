"""Versions and aliases in a real MLflow on SQLite."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import mlflow
import pytest

from lifeboat.config.errors import RegistryError
from lifeboat.config.settings import LIBRARIES, Settings
from lifeboat.registry.registry import CHALLENGER, CHAMPION, Registry
from lifeboat.registry.versions import Version
from tests.ports import free_port
from tests.registry.world import ROOT, aliases, make_bundle, race, register


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


def test_the_same_bundle_keeps_its_version_and_what_that_says_of_the_gate(registry: Registry, tmp_path: Path) -> None:
    """A champion is judged again, byte for byte the same, and refused for being the champion."""
    bundle, other = make_bundle(tmp_path / "bundle"), make_bundle(tmp_path / "other", 0.1)
    first, second, again = (
        register(registry, bundle),
        register(registry, other),
        register(registry, bundle, passed=False),
    )
    assert (first.version, second.version, again.version) == ("1", "2", "1")
    assert registry.aliased("tiny", CHALLENGER) == first == registry.find("tiny", bundle.digest)
    assert gate_of(registry, "1") == "passed"
    assert registry.numbered("tiny", "02") == second
    with pytest.raises(RegistryError, match="tiny has no version 3: its versions are 1 to 2"):
        registry.numbered("tiny", "3")


def test_a_bundle_that_runs_register_at_once_has_one_version(settings: Settings, tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    assert Registry(settings).find("tiny", bundle.digest) is None  # MLflow is loaded before there are threads
    with ThreadPoolExecutor() as pool:
        found = list(pool.map(lambda _: register(Registry(settings), bundle), range(3)))
    assert [version.version for version in found] == ["1", "1", "1"]
    assert len(Registry(settings).overview("tiny").versions) == 1


def test_a_bundle_that_was_refused_and_passes_later_has_a_version_whose_run_passed(
    registry: Registry, tmp_path: Path
) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    refused = [register(registry, bundle, passed=False) for _ in range(2)]
    passed = [register(registry, bundle, passed=True), register(registry, bundle, passed=False)]
    assert [version.version for version in (*refused, *passed)] == ["1", "1", "2", "2"]
    assert registry.find("tiny", bundle.digest) == registry.aliased("tiny", CHALLENGER) == passed[0]
    assert gate_of(registry, "1") == "failed: roc_auc: 0.7000, asked: at least 0.8"
    assert gate_of(registry, "2") == "passed"


def gate_of(registry: Registry, number: str) -> str:
    """What a version says of the gate, which its run says as well."""
    client = mlflow.MlflowClient(registry.tracking)
    version = client.get_model_version("tiny", number)
    assert client.get_run(version.run_id).data.tags["gate"] == version.tags["gate"]
    return str(version.tags["gate"])


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
    client = registry._mlflow.client
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


@pytest.mark.slow
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
        Registry(Settings(home=str(tmp_path / "file" / "home"))).aliased("tiny", CHAMPION)


def test_what_mlflow_is_told_by_the_environment_is_what_it_reads() -> None:
    """A variable that it does not know, or no longer, would change nothing, and nobody would see."""
    told = [name for name in LIBRARIES if name.startswith("MLFLOW_")]
    assert told
    assert [name for name in told if not hasattr(mlflow.environment_variables, name)] == []


STARTS = """
import sys
from lifeboat.registry.registry import Registry
from lifeboat.config.settings import read_settings
registry = Registry(read_settings())
print("mlflow" in sys.modules, flush=True)
sys.stdin.readline()
print(registry.aliased("tiny", "champion"))
"""


@pytest.mark.slow
def test_of_processes_that_open_a_new_home_at_once_each_finds_a_whole_database(tmp_path: Path) -> None:
    """Both find none and would make the same tables; until then nobody has imported MLflow."""
    environment = {**os.environ, **Settings(home=str(tmp_path / "home")).environment()}
    started = [
        subprocess.Popen(
            [sys.executable, "-c", STARTS], cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )
        for _ in range(3)
    ]  # fmt: skip
    for process in started:
        assert process.stdin
        assert process.stdout
        assert process.stdout.readline() == "False\n"
        process.stdin.write("go\n")
        process.stdin.flush()
    said = [process.communicate(timeout=120) for process in started]
    assert [output for output, _ in said] == ["None\n"] * 3, said
