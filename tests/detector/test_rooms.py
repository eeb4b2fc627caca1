"""What anybody can invent (digests, versions) has a room of its own, and takes nothing from what is known."""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.detector.conftest import Shop
from tests.detector.world import BATCH, Detector, add_bundle, detector, people, prediction, predictions, truth
from tests.server.world import call

ROW = [{**people(1)[0], "age": 30.0}]
UNKNOWN = "no room for unknown models"


def invented(number: int) -> list[dict[str, Any]]:
    """Predictions of as many bundles that there are none of."""
    return [one for _ in range(number) for one in prediction(uuid4().hex * 2, ROW)]


@contextmanager
def attack(process: Detector, events: Iterator[list[dict[str, Any]]]) -> Iterator[None]:
    """Posts as fast as it is answered for as long as the block lasts; a 503 is no reason to stop."""
    ending = threading.Event()

    def run() -> None:
        for batch in events:
            if ending.is_set():
                return
            call(process.url, json.dumps(batch).encode(), content_type=BATCH)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(60)


@pytest.mark.slow
def test_known_predictions_do_not_wait_behind_60_000_events_of_unknown_bundles(shop: Shop, tmp_path: Path) -> None:
    flags = ("--max-held", "1000", "--max-waiting", "100000")
    with detector(shop.store, tmp_path / "drift.db", *flags) as process:
        process.post(predictions(shop.digest, ROW))
        process.settled()
        for _ in range(60):
            process.post(invented(500))
        began = time.monotonic()
        process.post(predictions(shop.digest, people(5)))
        process.until(lambda report: report["models"][0]["rows"] == 6)
        assert time.monotonic() - began < 30, "it was 31 minutes"
        found = process.until(lambda report: "bundles that are not here" in " ".join(report["problems"]))
        assert found["events"]["held"] <= 1000
        assert found["events"]["refused"][UNKNOWN] >= 29_000
        assert len(process.log.read_bytes()) < 10_000
        # A bundle that comes now is fetched although thousands are asked for that never will be.
        other = add_bundle(shop.store, window=33, minimum=5)
        process.post(predictions(other, people(3)))
        process.until(lambda report: [one["rows"] for one in report["models"] if one["digest"] == other] == [3])
        assert _count(process, "SELECT count(*) FROM held") <= 1000


def test_a_full_room_shuts_nobody_out_and_its_bytes_are_bounded(shop: Shop, tmp_path: Path) -> None:
    flags = ("--max-waiting", "20", "--max-held-bytes", "50000")
    with detector(shop.store, tmp_path / "drift.db", *flags) as process:
        for _ in range(20):
            process.post(invented(10))
            process.until(lambda report: report["events"]["waiting"] == 0)
        assert process.report()["events"]["refused"][UNKNOWN] > 100
        assert 0 < _count(process, "SELECT sum(length(first) + length(second)) FROM held") <= 50_000
        process.post(predictions(shop.digest, people(3)))
        assert process.until(lambda report: report["models"])["models"][0]["rows"] == 3


def test_the_bundle_that_holds_most_gives_up_its_oldest(shop: Shop, tmp_path: Path) -> None:
    """The store is empty at first; then the few of one bundle are all there, and the newest of the other, in order."""
    store = tmp_path / "store"
    store.mkdir()
    other = add_bundle(shop.store, window=44, minimum=5)
    with detector(store, tmp_path / "drift.db", "--max-held", "20") as process:
        process.post(predictions(shop.digest, people(4)))
        for number in range(30):
            process.post(prediction(other, ROW, f"p{number}"))
        process.until(lambda report: report["events"]["waiting"] == 0 and report["events"]["refused"].get(UNKNOWN))
        process.post([truth("p29", 1), truth("p0", 1)])
        (store / "bundles").symlink_to(shop.store / "bundles")
        found = process.settled()
        rows = {one["digest"]: one["rows"] for one in found["models"]}
        assert rows[shop.digest] == 4
        assert rows[other] == 30 - found["events"]["refused"][UNKNOWN] == 10
        with sqlite3.connect(process.database) as connection:
            query = "SELECT name FROM names WHERE name GLOB 'p*' ORDER BY prediction, first"
            assert [name for (name,) in connection.execute(query)] == [f"p{number}" for number in range(20, 30)]
        process.until(lambda report: report["feedback"]["joined"] == 1)
        assert found["problems"] == []


def test_what_is_held_survives_a_kill_with_its_limits(shop: Shop, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with detector(store, tmp_path / "drift.db") as first:
        first.post(predictions(shop.digest, people(8)))
        first.until(lambda report: report["events"]["held"] == 8)
        first.kill()
    with detector(store, tmp_path / "drift.db", "--max-held", "10") as second:
        second.until(lambda report: report["events"]["held"] == 5)
        (store / "bundles").symlink_to(shop.store / "bundles")
        assert second.settled()["models"][0]["rows"] == 5


def names(digest: str, rows: int) -> Iterator[list[dict[str, Any]]]:
    """Events of the real bundle under ever new names of versions."""
    while True:
        batch = []
        for _ in range(200 // rows):
            batch += prediction(digest, people(rows), modelversion=uuid4().hex)
        yield batch


def of_version(report: dict[str, Any], version: str) -> dict[str, Any]:
    return next((one for one in report["models"] if one["version"] == version), {"rows": 0, "windows": []})


@pytest.mark.slow
def test_invented_names_shut_no_version_out_and_cost_none_its_windows(shop: Shop, tmp_path: Path) -> None:
    """A version with windows and one that begins during the attack, slowly: the names are of its own bundle."""
    flags = ("--max-versions", "5", "--max-newcomers", "2000")
    with detector(shop.store, tmp_path / "drift.db", *flags) as process:
        process.post([*prediction(shop.digest, people(20), "old"), truth("old", *[1] * 20)])
        before = process.until(lambda report: _judged(report, "1") == 2 and report["feedback"]["joined"] == 20)
        with attack(process, names(shop.digest, 1)):
            process.until(lambda report: report["events"]["refused"].get("too many versions", 0) > 1000)
            sent = 0
            while _judged(after := process.report(), "2") < 2:
                process.post(prediction(shop.digest, ROW, modelversion="2"))
                sent += 1
                assert sent < 1000, "it never came in"
        assert after["events"]["refused"]["too many versions"] > 2000
        assert of_version(after, "1")["windows"] == of_version(before, "1")["windows"]
        assert of_version(after, "1")["live"]["rows"] == 20
        assert len(after["models"]) == 5
        assert 'lifeboat_drift_window_rows{model="tiny",version="2"}' in process.metrics()
        assert len(call(process.url + "/metrics").body) < 50_000
        found = process.settled()
        known = _count(process, "SELECT count(*) FROM versions")
        assert known <= 2000 + 5
        assert _count(process, "SELECT count(*) FROM predictions") <= known + sent
        # Names of forgotten predictions go with them.
        named = "SELECT count(*) FROM names"
        assert _count(process, named) == _count(process, f"{named} JOIN predictions p ON p.id = prediction")
        assert of_version(found, "2")["rows"] == sent, "none of its rows was lost"


def test_of_versions_with_windows_those_of_the_most_named_bundle_give_way(shop: Shop, tmp_path: Path) -> None:
    """Each invented name brings a whole window; versions of other bundles, and one with more rows, stay."""
    other = add_bundle(shop.store, window=12, minimum=5)
    with detector(shop.store, tmp_path / "drift.db", "--max-versions", "6") as process:
        process.post(prediction(other, people(12), modelversion="quiet"))
        process.post(prediction(shop.digest, people(40), modelversion="busy"))
        process.until(lambda report: _judged(report, "busy") == 4 and _judged(report, "quiet") == 1)
        for _ in range(10):
            process.post(next(names(shop.digest, 10)))
            process.post(prediction(shop.digest, people(10), modelversion="busy"))
        found = process.settled()
        assert of_version(found, "quiet")["rows"] == 12
        assert of_version(found, "busy")["rows"] == 140
        assert len(found["models"]) == 6
        process.post(prediction(shop.digest, people(10), modelversion="genuine"))
        process.until(lambda report: _judged(report, "genuine") == 1)


def _judged(report: dict[str, Any], version: str) -> int:
    return sum(window["state"] == "judged" for window in of_version(report, version)["windows"])


def _count(process: Detector, query: str) -> int:
    with sqlite3.connect(process.database) as connection:
        return int(connection.execute(query).fetchone()[0])
