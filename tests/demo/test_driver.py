"""The whole circle with everything real: model server, detector, trigger, pipeline, and Prometheus where installed."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeboat.config.settings import PREFIX, Settings
from lifeboat.registry.registry import CHAMPION, PREVIOUS, Registry

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-m", "lifeboat.cli.main", "loop", "--home"]
INSTALLED = all(map(shutil.which, ("prometheus", "prometheus-alertmanager")))


@pytest.fixture
def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)} | {"COLUMNS": "200"}


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """State of the test's own; whatever happens, nothing may live on in it."""
    yield tmp_path / "home"
    assert living_in(tmp_path) == []


def living_in(folder: Path) -> list[str]:
    """Command lines of processes that work in a folder, or were told of it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            place = str((process / "cwd").readlink())
        except OSError:  # it ended meanwhile, or is another user's
            continue
        if str(folder) in words or place.startswith(str(folder)):
            found.append(words)
    return found


# How much more is right with the new model: of a number what lies in its interval, which the old one's held before.
@pytest.mark.slow
@pytest.mark.parametrize(("usecase", "gain"), [("titanic", 10), ("flights", 0)])
def test_the_circle_closes_by_itself(home: Path, environment: dict[str, str], usecase: str, gain: int) -> None:
    command = [*COMMAND, str(home), "--usecase", usecase, "--patience", "400"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200)
    said = done.stdout
    assert done.returncode == 0, said + done.stderr
    watched = "watched by prometheus and prometheus-alertmanager" if INSTALLED else "watched by an embedded evaluator"
    order = [watched, "normal traffic", "no drift", "the world changes", "drift of ", "alarm for version 1 is on",
             "LifeboatDrift fires", "the trigger starts a run", "the run has succeeded: deployed", "version 2 answers",
             "LifeboatDrift is over"]  # fmt: skip
    place = 0
    for words in order:
        place = said.find(words, place)
        assert place >= 0, (words, said)
    # Where the run ends late, its model's first window is full before anybody has said that it answers.
    assert said.index("the trigger starts a run") < said.index("version 2, window 1") < place, said
    assert re.search(r"^ +0  of them failed$", said, re.MULTILINE)
    old, new = (int(found) for found in re.findall(r"(\d+)%  after it, the (?:old|new) model", said))
    assert new > old + gain
    [circle] = (home / "loops").iterdir()
    assert "The closed loop" in (circle / "loop.html").read_text()
    registry = Registry(Settings(home=str(circle)))
    champion, previous = registry.aliased(usecase, CHAMPION), registry.aliased(usecase, PREVIOUS)
    assert champion is not None
    assert previous is not None
    assert (champion.version, previous.version) == ("2", "1")
    assert registry.bundle(champion).manifest["lineage"]["data"]["labelled"] > 400


@pytest.mark.slow
def test_an_interrupted_circle_ends_everything_it_started(home: Path, environment: dict[str, str]) -> None:
    process = subprocess.Popen(
        [*COMMAND, str(home)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + 60
    while not any("lifeboat.detector" in words for words in living_in(home)):
        assert time.monotonic() < deadline
        assert process.poll() is None, process.communicate()
        time.sleep(0.1)
    time.sleep(2)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert errors.strip() == "lifeboat: interrupted; what served before still serves"
