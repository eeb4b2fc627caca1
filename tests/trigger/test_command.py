"""`lifeboat retrain`: a person asks the trigger."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import patch

import pytest

from lifeboat.cli.main import main
from lifeboat.config.settings import PREFIX
from tests.ports import free_port
from tests.trigger.world import World

Retrain = Callable[..., tuple[int, str, str]]


@pytest.fixture
def retrain(world: World, capsys: pytest.CaptureFixture[str]) -> Iterator[Retrain]:
    """Calls the verb in the world's home; gives exit code, output and errors."""
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        os.environ[f"{PREFIX}HOME"] = str(world.home)

        def call(*flags: str) -> tuple[int, str, str]:
            return main(["retrain", *flags]), *capsys.readouterr()

        yield call


def test_the_trigger_decides_and_the_command_says_so(world: World, retrain: Retrain) -> None:
    with world.trigger(cooldown_seconds=3600) as trigger:
        code, said, errors = retrain("--reason", "new\ndata")
        run = trigger.run_is("succeeded")
        assert (code, said, errors) == (0, f"started {run['id']}, see {run['place']}\n", "")
        assert (run["source"], run["reason"]) == ("person", "new data")
        code, _, errors = retrain()
        assert code == 1
        assert errors.startswith("lifeboat: no run started: the last run started less than 3600 s ago; wait ")
        assert errors.endswith("; --now does without the cool-down\n")
        assert retrain("--now")[0] == 0
        trigger.run_is("succeeded")
        wrong = world.folder / "wrong"
        wrong.write_text("another-token")
        code, _, errors = retrain("--token-file", str(wrong))
        assert (code, errors) == (1, "lifeboat: no run started: missing or wrong token\n")
        world.command.unlink()
        assert "is not there" in retrain("--now")[2]
    assert len(world.calls) == 2


def test_a_port_that_somebody_has_is_refused_with_who_has_it(world: World) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        command = [
            sys.executable,
            "-m",
            "lifeboat.cli.main",
            "trigger",
            "--home",
            str(world.home),
            "--port",
            str(port),
        ]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert done.stderr.startswith(f"lifeboat: cannot listen on 127.0.0.1 port {port}: Address already in use, ")
    assert f", it is taken by process {os.getpid()} (" in done.stderr
    assert done.stderr.endswith("; choose another with --port (or LIFEBOAT_TRIGGER_PORT)\n")


def test_without_a_trigger_the_sentence_says_what_to_do(retrain: Retrain, tmp_path: Path) -> None:
    code, said, errors = retrain()
    assert (code, said) == (1, "")
    assert "start it with `lifeboat trigger`" in errors
    token = tmp_path / "token"
    token.write_text("t")
    url = f"http://127.0.0.1:{free_port()}"
    gone = f"lifeboat: no trigger answers at {url}: Connection refused\n"
    assert retrain("--url", url, "--token-file", str(token)) == (1, "", gone)
    assert "is no http or https URL" in retrain("--url", "trigger:9020", "--token-file", str(token))[2]
