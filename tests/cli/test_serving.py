"""`predict`, `status` and `stop`: without a server, with a real one, and with what a killed one left."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeboat.cli.predict import _flags_row
from lifeboat.config.errors import DataError
from lifeboat.config.settings import Settings
from lifeboat.supervisor.control import Control, ensure_supervisor
from lifeboat.supervisor.state import STATE_FILE
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from tests.cli.conftest import Lifeboat
from tests.ports import free_port
from tests.server.world import ROW, expected, make_bundle

MODULE = "tests.cli.tiny"
FLAGS = ("name=Ann", "port=C", "age=22.5", "class=3", "alone=true")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture
def control(home: Path) -> Iterator[Control]:
    """A supervisor where the program looks for it, with nothing promoted; ended afterwards, however the test ends."""
    state = Settings(home=str(home)).serving_state("tiny")
    ports = {"port": free_port(), "metrics_port": free_port()}
    control = ensure_supervisor(state, "127.0.0.1", ports, sys.executable, {"drain_idle_seconds": "0.1"})
    with control:
        pid = control.status().pid
        yield control
    if alive(pid):
        os.kill(pid, signal.SIGTERM)
        wait_for_end(pid)


@pytest.fixture
def served(control: Control, bundle: Path) -> Control:
    control.start(bundle, "tiny", "3")
    control.promote()
    return control


def alive(pid: int) -> bool:
    """Whether it runs; one that ended is reaped, as it may be a child of this process."""
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        return Path(f"/proc/{pid}").exists()


def wait_for_end(pid: int) -> None:
    deadline = time.monotonic() + 10
    while alive(pid):
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.02)


def predict(lifeboat: Lifeboat, *arguments: str) -> dict[str, object]:
    said = lifeboat("predict", "--usecase", MODULE, *arguments)
    assert (said.code, said.errors) == (0, ""), said
    answer: dict[str, object] = json.loads(said.output)
    return answer


def test_predict_asks_a_server_elsewhere(lifeboat: Lifeboat, served: Control, home: Path) -> None:
    url = served.status().url
    said = lifeboat("predict", "--home", str(home / "other"), "--usecase", MODULE, "--url", url, *FLAGS)
    assert json.loads(said.output)["survived"] == pytest.approx(expected(22.5, port="C"))


def test_predict_asks_the_live_server_by_flags_json_and_standard_input(
    lifeboat: Lifeboat, served: Control, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = pytest.approx(expected(22.5, port="C"))
    by_flags = predict(lifeboat, *FLAGS)
    assert by_flags["survived"] == wanted
    assert by_flags["died"] == pytest.approx(1 - expected(22.5, port="C"))
    assert by_flags["model_version"] == "3"
    assert predict(lifeboat, "--json", json.dumps(ROW)) == by_flags
    monkeypatch.setattr(sys, "stdin", io.StringIO(json.dumps(ROW)))
    assert predict(lifeboat, "--json", "-") == by_flags
    # A column left out or left empty is a null; a key is checked and kept out.
    assert predict(lifeboat, "name=Zoë, née O'Hara", "class=1", "alone=", "id=7")["survived"] == pytest.approx(0.5)


def test_a_columns_name_may_hold_an_equals_sign() -> None:
    columns = (Column("a", "string"), Column("a=b", "float"), Column("a=b=c", "string"))
    schema = Schema(columns, BinaryLabel("y", ("0", "1")))
    assert _flags_row(["a=x", "a=b=2", "a=b=c=d=e"], schema) == {"a": "x", "a=b": 2, "a=b=c": "d=e"}
    with pytest.raises(DataError, match="given twice"):
        _flags_row(["a=x", "a=y"], schema)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("agee=3",), "column agee: unknown; the columns are name, port, age, class, alone"),
        (("Age",), "'Age' is not COLUMN=VALUE; the columns are name, port, age, class, alone"),
        (("name=Ann",), "column class: missing, and it may not be null"),
        ((), "column name: missing, and it may not be null"),
        (("name=", "class=3"), "column name: "),
        (("name=Ann", "class=third"), "column class: "),
        (("name=Ann", "class=4"), "column class: 4 is none of 1, 2, 3"),
        (("name=Ann", "class=--3"), "column class: "),
        (("name=Ann", "class=2.5"), "column class: "),
        (("name=Ann", "class=3", "age=121"), "column age: 121"),
        (("name=Ann", "class=3", "age=nan"), "column age: "),
        (("name=Ann", "class=3", "age=old"), "column age: "),
        (("name=Ann", "class=3", "alone=maybe"), "column alone: "),
        (("name=Ann", "class=3", "name=Bob"), "column name: given twice"),
        (("name=Ann", "--json", "{}"), "give the row as COLUMN=VALUE or as --json, not both"),
        (("--json", "{"), "--json is not JSON: "),
        (("--json", ""), "--json is not JSON: "),
        (("--json", "[1]"), "--json is not an object of column names and values"),
        (("--json", "[" * 100_000), "--json is not JSON: "),
        (("--json", '{"name": "Ann", "class": "3"}'), "column class: "),
        (("--json", '{"name": 7, "class": 3}'), "column name: "),
    ],
)
def test_a_row_that_breaks_the_schema_is_refused_before_anything_is_asked(
    lifeboat: Lifeboat, arguments: tuple[str, ...], sentence: str
) -> None:
    assert lifeboat("predict", "--usecase", MODULE, *arguments).sentence.startswith(sentence)


NO_SERVER = f"no model server of tiny runs; start it with: lifeboat run --usecase {MODULE}"


def test_predict_without_a_server_names_the_command_that_starts_one(lifeboat: Lifeboat, home: Path) -> None:
    assert lifeboat("predict", "--usecase", MODULE, *FLAGS).sentence == NO_SERVER
    assert not home.exists()


def test_predict_before_anything_is_promoted_says_the_same(lifeboat: Lifeboat, control: Control) -> None:
    assert control.status().serving is None
    assert lifeboat("predict", "--usecase", MODULE, *FLAGS).sentence == NO_SERVER


def test_nothing_served_is_no_failure(lifeboat: Lifeboat, home: Path) -> None:
    said = lifeboat("status")
    assert (said.code, said.errors) == (0, "")
    assert "Nothing was ever served from here. Start with: lifeboat run" in said.output
    assert f"state {home}\nregistry sqlite:///{home}/mlflow.db\n" in said.output
    assert f"There is no {home} yet: the first run makes it\n" in said.output
    assert lifeboat("stop").output == f"nothing to stop: there is no {home}\n"
    assert not home.exists()


def test_status_and_stop_of_a_running_server(lifeboat: Lifeboat, served: Control) -> None:
    found = served.status()
    assert found.serving
    bundle = found.serving.digest[:12]
    shown = f"version 3 (bundle {bundle}) at {found.url}, ready, process {found.serving.pid}, restarts 0"
    assert lifeboat("status").output.splitlines()[0].split(maxsplit=1) == ["tiny", shown]
    assert lifeboat("stop", "--usecase", "titanic").output == "nothing to stop\n"
    assert alive(found.pid)
    assert lifeboat("stop").output == "stopped tiny\n"
    for pid in filter(None, (found.pid, found.serving.pid)):
        wait_for_end(pid)
    assert "stopped" in lifeboat("status").output
    assert lifeboat("stop").output == "nothing to stop\n"


def test_status_of_a_supervisor_with_nothing_promoted(lifeboat: Lifeboat, control: Control) -> None:
    assert f"nothing promoted at {control.status().url}\n" in lifeboat("status").output


def test_what_a_killed_supervisor_left_counts_as_stopped(lifeboat: Lifeboat, control: Control, home: Path) -> None:
    pid = control.status().pid
    os.kill(pid, signal.SIGKILL)
    wait_for_end(pid)
    assert (home / "serving" / "tiny" / STATE_FILE).exists()
    assert "stopped" in lifeboat("status").output
    assert lifeboat("stop").output == "nothing to stop\n"
    assert lifeboat("predict", "--usecase", MODULE, *FLAGS).sentence == NO_SERVER
