"""A full disk and a broken file leave the detector up, saying so; with room it goes on, and nothing acknowledged is
lost."""

from __future__ import annotations

import json
import resource
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.detector.conftest import Shop
from tests.detector.world import BATCH, Detector, command, detector, people, prediction, predictions
from tests.server.test_promtool import check
from tests.server.world import ROOT, call


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """A file system of a few megabytes; skips where none may be mounted."""
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"no file system can be mounted: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Takes all the room that is left."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    return path


def until(url: str, status: int, seconds: float = 30.0) -> str:
    """What a URL answers as soon as it does with this status."""
    deadline = time.monotonic() + seconds
    while (answer := call(url)).status != status:
        assert time.monotonic() < deadline, answer.body
        time.sleep(0.05)
    return answer.body.decode()


def post_until_refused(process: Detector, digest: str) -> int:
    """Posts till one is answered 503; gives the number of those that were acknowledged."""
    for number in range(2000):
        answer = call(process.url, json.dumps(predictions(digest, people(10))).encode(), content_type=BATCH)
        if answer.status != 200:
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
            assert "cannot be written" in answer.info
            return number
    raise AssertionError("it was never refused")


def check_says_so(process: Detector, acknowledged: int) -> None:
    assert "cannot be written" in until(process.url + "/ready", 503)
    assert call(process.url + "/live").status == 200
    assert process.metrics()["lifeboat_drift_storage_up"] == 0
    found = process.report()
    assert "cannot be written" in found["problems"][0]
    assert sum(one["rows"] for one in found["models"]) <= 10 * acknowledged


def check_goes_on(process: Detector, digest: str, acknowledged: int) -> None:
    until(process.url + "/ready", 200)
    process.post(predictions(digest, people(10)))
    assert process.settled()["models"][0]["rows"] == 10 * (acknowledged + 1)
    assert process.metrics()["lifeboat_drift_storage_up"] == 1


def test_a_full_disk_is_said_and_waited_for(shop: Shop, tmp_path: Path) -> None:
    # The log is elsewhere: a full disk has no room for it.
    with (
        small_disk(tmp_path / "disk") as disk,
        detector(shop.store, disk / "drift.db", log=tmp_path / "log") as process,
    ):
        process.post(predictions(shop.digest, people(10)))
        process.settled()
        filler = fill(disk)
        acknowledged = 1 + post_until_refused(process, shop.digest)
        check_says_so(process, acknowledged)
        filler.unlink()
        check_goes_on(process, shop.digest, acknowledged)
        assert process.stop() == 0


def test_writes_that_fail_are_said_and_waited_for(shop: Shop, tmp_path: Path) -> None:
    """A limit of the size of files stands for a full disk where none can be mounted: writes beyond it fail."""
    with detector(shop.store, tmp_path / "drift.db") as process:
        process.post(predictions(shop.digest, people(10)))
        process.settled()
        _, hard = resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (100_000, hard))
        acknowledged = 1 + post_until_refused(process, shop.digest)
        check_says_so(process, acknowledged)
        check(process.url)
        resource.prlimit(process.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
        check_goes_on(process, shop.digest, acknowledged)


def test_a_disk_that_is_full_at_the_start_is_waited_for(shop: Shop, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk, (tmp_path / "log").open("wb") as log:
        filler = fill(disk)
        process = subprocess.Popen(command(shop.store, disk / "drift.db"), cwd=ROOT, stderr=log)
        try:
            url = f"http://127.0.0.1:{_port_of(process.pid)}"
            assert "drift.db" in until(url + "/ready", 503)
            assert call(url + "/live").status == 200
            assert b"lifeboat_drift_storage_up 0.0" in call(url + "/metrics").body
            check(url)
            body = json.dumps(prediction(shop.digest, people(1))).encode()
            answer = call(url, body, content_type=BATCH)
            assert (answer.status, answer.headers["retry-after"]) == (503, "5")
            filler.unlink()
            until(url + "/ready", 200)
            assert call(url, body, content_type=BATCH).status == 200
        finally:
            process.kill()
            process.wait()


def _port_of(pid: int) -> int:
    """The port on which a process listens."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        inodes = set()
        for path in Path(f"/proc/{pid}/fd").iterdir():
            try:
                inodes.add(str(path.readlink()))
            except FileNotFoundError:
                continue  # closed meanwhile
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            words = line.split()
            if words[3] == "0A" and f"socket:[{words[9]}]" in inodes:
                return int(words[1].rpartition(":")[2], 16)
        time.sleep(0.02)
    raise AssertionError("it does not listen")


def test_a_file_that_is_no_database_is_put_aside(shop: Shop, tmp_path: Path) -> None:
    database = tmp_path / "drift.db"
    database.write_bytes(b"something else" * 1000)
    with detector(shop.store, database) as process:
        check_begun_anew(process, shop.digest, b"something else" * 1000)
        assert process.stop() == 0
    # The next start has nothing to put aside, and still says what was.
    with detector(shop.store, database) as process:
        assert process.metrics()["lifeboat_drift_broken_databases"] == 1
        assert process.settled()["models"][0]["rows"] == 3


def test_a_damaged_database_is_put_aside(shop: Shop, tmp_path: Path) -> None:
    database = tmp_path / "drift.db"
    with detector(shop.store, database) as process:
        process.post(predictions(shop.digest, people(200)))
        process.settled()
        assert process.stop() == 0
    content = bytearray(database.read_bytes())
    for start in range(3 * 4096, len(content), 4096):
        content[start : start + 4096] = b"\xa5" * 4096
    database.write_bytes(content)
    with detector(shop.store, database) as process:
        check_begun_anew(process, shop.digest, bytes(content))


def check_begun_anew(process: Detector, digest: str, before: bytes) -> None:
    [kept] = [path for path in process.database.parent.glob("drift.db.broken-*") if path.suffix not in ("-wal", "-shm")]
    found_before = kept.read_bytes()
    assert len(found_before) == len(before)
    assert found_before[4096:] == before[4096:]  # opening it counts up in its head
    assert kept.name in process.log.read_text()
    assert process.metrics()["lifeboat_drift_broken_databases"] == 1
    assert call(process.url + "/ready").status == 200
    found = process.report()
    assert (found["models"], found["storage"]) == ([], {"up": True, "broken": 1})
    assert kept.name in found["problems"][0]
    process.post(predictions(digest, people(3)))
    assert process.settled()["models"][0]["rows"] == 3


def test_a_database_of_a_newer_format_is_left_alone(shop: Shop, tmp_path: Path) -> None:
    database = tmp_path / "drift.db"
    with sqlite3.connect(database) as connection:
        connection.execute("PRAGMA user_version = 99")
    done = subprocess.run(command(shop.store, database), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "has format 99, this detector has format" in done.stderr
    assert not list(tmp_path.glob("*.broken-*"))
