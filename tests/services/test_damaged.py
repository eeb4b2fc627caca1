"""State that is damaged, or cannot be written: each verb says in one sentence what is wrong, and `stop` still stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.detector.test_broken_disk import fill, small_disk
from tests.services.kept import MODEL, Kept, eventually, tell
from tests.services.test_keeper import kept, laptop
from tests.slow import first_of

__all__ = ["kept", "laptop"]


def ended(laptop: Kept, said: str) -> bool:
    """Whether `stop` said so of everything, and it is true."""
    words = ("stopped the keeper\n", f"stopped {MODEL}\n", "stopped the drift detector\n")
    assert all(word in said for word in words), said
    return laptop.nothing_runs()


@pytest.mark.parametrize("content", first_of(["{}", '{"socket": null}']))
def test_a_server_whose_state_is_damaged_is_said_and_stopped_and_comes_back(kept: Kept, content: str) -> None:
    path = kept.state / "supervisor.json"
    path.write_text(content)
    sentence = f"{path} is damaged and does not say where its supervisor is; lifeboat stop ends that"
    assert sentence in kept.lifeboat("status")
    assert sentence in kept.lifeboat("serve", "--detach", code=1)
    assert ended(kept, kept.lifeboat("stop"))
    kept.lifeboat("serve", "--detach")
    assert kept.serves()


def test_a_damaged_state_of_a_server_that_was_killed_is_none(kept: Kept) -> None:
    kept.reboot()
    (kept.state / "supervisor.json").write_text("[]")
    assert "ended by itself; lifeboat serve brings version 1 back" in kept.lifeboat("status")
    kept.lifeboat("serve", "--detach")
    assert kept.serves()


def test_a_damaged_record_of_what_is_deployed_is_named_and_ends_no_keeper(kept: Kept) -> None:
    whole = kept.deployed.bundle
    tell(kept.state, bundle=None)
    os.kill(kept.detector(), signal.SIGKILL)
    eventually(lambda: kept.restarts() == {"the drift detector": 1})
    sentence = f"{kept.state}/deployed.json cannot be read: its bundle is null; lifeboat run writes it anew"
    said = kept.lifeboat("stop", code=1)
    assert sentence in said
    assert ended(kept, said)
    assert f"{MODEL}                 cannot be told: {sentence}" in kept.lifeboat("status")
    assert kept.lifeboat("serve", "--detach", code=1) == f"lifeboat: {sentence}\n"
    tell(kept.state, bundle=whole)


@pytest.mark.parametrize("content", first_of(["{", '{"pid": 1, "foreground": 2}']))
def test_a_keeper_whose_state_is_damaged_is_said_and_hinders_nothing(kept: Kept, content: str) -> None:
    path = kept.home / "keeper" / "state.json"
    path.write_text(content)
    status = kept.lifeboat("status")
    assert f"keeper               cannot be told: {path} cannot be read: " in status
    assert f"version 1 (bundle {kept.deployed.digest[:12]}) at {kept.url}, ready" in status
    assert ended(kept, kept.lifeboat("stop"))
    kept.lifeboat("serve", "--detach")
    assert kept.keeper.is_running()


@pytest.mark.parametrize("content", first_of([None, "-1"]))
def test_processes_are_found_without_the_files_that_say_which_they_are(kept: Kept, content: str | None) -> None:
    for service in ("keeper", "detector"):
        path = kept.home / service / "pid"
        path.unlink()
        if content is not None:
            path.write_text(content)
    assert f"drift detector       at {kept.detector_url}/, ready" in kept.lifeboat("status")
    assert ended(kept, kept.lifeboat("stop"))
    assert kept.lifeboat("stop") == "nothing to stop\n"


@pytest.mark.parametrize("content", first_of(["[]", '{"use case ship": {"port": "x"}}']))
def test_damaged_ports_are_said_and_hinder_no_stop(kept: Kept, content: str) -> None:
    path = kept.home / "ports.json"
    path.write_text(content)
    assert f"{path} cannot be read: " in kept.lifeboat("status")
    assert ended(kept, kept.lifeboat("stop"))


@pytest.mark.slow
def test_a_detector_on_a_disk_that_is_full_before_it_starts(laptop: Kept) -> None:
    laptop.lifeboat("stop")
    with small_disk(laptop.home / "detector") as folder:
        fill(folder)
        sentence = f"it cannot be started: {folder}/pid cannot be written: No space left on device"
        assert f"the drift detector | {sentence}\n" in laptop.lifeboat("serve", "--detach", code=1)
        eventually(lambda: f"the drift detector {sentence.removeprefix('it ')}" in laptop.lifeboat("status"))
        laptop.lifeboat("stop")
        assert laptop.nothing_runs()


@pytest.mark.slow
def test_a_detector_whose_disk_fills_up_says_so_in_the_status(laptop: Kept) -> None:
    laptop.lifeboat("stop")
    with small_disk(laptop.home / "detector") as folder:
        laptop.lifeboat("serve", "--detach")
        fill(folder)
        laptop.predict(1)
        reason = "but it is not ready: events.db cannot be written: database or disk is full; process"
        eventually(lambda: reason in laptop.lifeboat("status"))
        assert ended(laptop, laptop.lifeboat("stop"))


@pytest.mark.slow
def test_a_directory_in_the_place_of_the_detectors_database_is_one_sentence(laptop: Kept) -> None:
    laptop.lifeboat("stop")
    database = laptop.home / "detector" / "events.db"
    database.mkdir(parents=True)
    sentence = f"the drift detector ended at its start: database {database} cannot be used: it is a directory"
    assert f"the drift detector | it cannot be started: {sentence}\n" in laptop.lifeboat("serve", "--detach", code=1)
    eventually(lambda: f"the drift detector cannot be started: {sentence}\n" in laptop.lifeboat("status"))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """As a file system that failed; skips where none may be mounted."""
    for options in ("bind", "remount,ro,bind"):
        mounted = subprocess.run(
            ["mount", "-o", options, str(folder), str(folder)], capture_output=True, text=True, check=False
        )
        if mounted.returncode:
            pytest.skip(f"no file system can be mounted: {mounted.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_stop_in_a_home_that_cannot_be_written_stops_and_says_what_is_not_on_record(kept: Kept) -> None:
    with read_only(kept.home):
        said = kept.lifeboat("stop", code=1)
        assert "Traceback" not in said
        for line in (
            f"the keeper is to stay stopped, but {kept.home}/keeper/pid cannot be removed",
            f"that {MODEL} is stopped is not on record: {kept.state}/rollout.lock cannot be written",
            f"lifeboat: the drift detector is to stay stopped, but {kept.home}/detector/pid cannot be removed",
        ):
            assert f"{line}: Read-only file system\n" in said
        assert f"stopped {MODEL}\n" in said
        assert kept.nothing_runs()
        assert json.loads((kept.state / "deployed.json").read_text())["wanted"]
