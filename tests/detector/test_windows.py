"""Windows close by rows, by time and not below their minimum; each is judged, whatever happens to the judge."""

from __future__ import annotations

import http.server
import json
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.detector.conftest import Shop
from tests.detector.world import Detector, add_bundle, detector, people, prediction, predictions

YOUNG, OLD = [{**row, "age": 30.0} for row in people(10)], [{**row, "age": 80.0} for row in people(10)]


def judged(report: dict[str, Any]) -> list[dict[str, Any]]:
    windows = report["models"][0]["windows"] if report["models"] else []
    return [window for window in windows if window["state"] != "waiting"]


def test_a_window_closes_at_its_rows_exactly_and_a_request_spans_several(shop: Shop, running: Detector) -> None:
    running.post(prediction(shop.digest, people(7)))
    running.post(prediction(shop.digest, people(26, seed=1)))
    found = running.until(lambda report: len(judged(report)) == 3)
    model = found["models"][0]
    assert [(window["number"], window["rows"]) for window in model["windows"]] == [(1, 10), (2, 10), (3, 10)]
    assert (model["rows"], model["window"]["rows"], model["window"]["of"]) == (33, 3, 10)


def test_the_judge_sees_each_row_once_in_its_window(shop: Shop, running: Detector) -> None:
    """The quick judge's distance is the mean age: it tells which rows a window held."""
    ages = [float(number) for number in range(40)]
    rows = [{**row, "age": age} for row, age in zip(people(40), ages, strict=True)]
    for start, end in ((0, 7), (7, 8), (8, 33), (33, 40)):
        running.post(prediction(shop.digest, rows[start:end]))
        running.settled()
    running.until(lambda report: len(judged(report)) == 4)
    means = _distances(running)
    assert means == [4.5, 14.5, 24.5, 34.5]


def _distances(process: Detector) -> list[float]:
    with sqlite3.connect(process.database) as connection:
        rows = connection.execute("SELECT verdict FROM windows ORDER BY number").fetchall()
    return [json.loads(verdict)["features"][0]["distance"] for (verdict,) in rows]


def test_a_window_closes_after_its_time_with_its_minimum_and_waits_below(tmp_path: Path) -> None:
    digest = add_bundle(tmp_path / "store", window=100, minimum=5, seconds=1.0)
    with detector(tmp_path / "store", tmp_path / "drift.db") as process:
        process.post(predictions(digest, people(4)))
        time.sleep(2)
        found = process.report()["models"][0]
        assert (found["window"]["rows"], found["windows"]) == (4, [])
        assert found["window"]["closes"] == pytest.approx(found["window"]["opened"] + 1)
        process.post(predictions(digest, people(1)))
        found = process.until(lambda report: len(judged(report)) == 1)["models"][0]
        assert found["windows"][0]["rows"] == 5
        assert found["window"] == {"rows": 0, "of": 100, "opened": None, "closes": None}


def test_an_alarm_needs_several_drifted_windows_the_latest_included(shop: Shop, running: Detector) -> None:
    for rows in (OLD, YOUNG, OLD, OLD, YOUNG):
        running.post(predictions(shop.digest, rows))
        running.settled()
    found = running.until(lambda report: len(judged(report)) == 5)["models"][0]
    assert [window["drift"] for window in found["windows"]] == [True, False, True, True, False]
    assert [window["alarm"] for window in found["windows"]] == [False, False, True, True, False]
    assert (found["alarm"], found["latest"]["number"]) == (False, 5)


def test_versions_have_windows_of_their_own(shop: Shop, running: Detector) -> None:
    for version in ("1", "2"):
        running.post(predictions(shop.digest, people(6), modelversion=version))
    found = running.until(lambda report: len(report["models"]) == 2)
    assert [(one["version"], one["rows"], one["windows"]) for one in found["models"]] == [("1", 6, []), ("2", 6, [])]


def test_another_bundle_under_the_same_version_begins_anew(shop: Shop, running: Detector) -> None:
    other = add_bundle(shop.store, window=20, minimum=5)
    for digest in (shop.digest, other):
        running.post(predictions(digest, people(6)))
        running.settled()
    found = running.report()["models"]
    assert [(one["digest"], one["rows"], one["active"]) for one in found] == [(shop.digest, 6, False), (other, 6, True)]
    assert running.metrics()['lifeboat_drift_window_rows{model="tiny",version="1"}'] == 6


def test_verdicts_and_waiting_windows_survive_a_kill(shop: Shop, tmp_path: Path) -> None:
    with detector(shop.store, tmp_path / "drift.db") as first:
        first.post(predictions(shop.digest, OLD))
        before = first.until(lambda report: len(judged(report)) == 1)["models"][0]
        first.post(predictions(shop.digest, [*OLD, *YOUNG[:3]]))
        first.kill()
    with detector(shop.store, tmp_path / "drift.db") as second:
        after = second.until(lambda report: len(judged(report)) == 2 and report["models"][0]["rows"] == 23)["models"][0]
        assert after["windows"][0] == before["windows"][0]
        assert after["windows"][1]["alarm"]


@pytest.mark.slow
def test_a_judge_that_is_killed_is_started_again_and_the_window_judged(shop: Shop, running: Detector) -> None:
    running.post(predictions(shop.digest, [{**row, "age": 113.0} for row in YOUNG]))
    found = running.until(lambda report: report["judge"]["state"] == "failed")
    assert "ended with 9" in found["judge"]["reason"]
    assert running.metrics()["lifeboat_drift_judge_up"] == 0
    running.post(predictions(shop.digest, YOUNG))
    found = running.until(lambda report: len(judged(report)) == 2)
    first, second = found["models"][0]["windows"]
    assert (first["state"], second["state"]) == ("failed", "judged")
    assert "died 5 times" in first["reason"]
    assert found["judge"] == {"state": "ready", "reason": ""}
    metrics = running.metrics()
    assert metrics["lifeboat_drift_judge_up"] == 1
    assert metrics['lifeboat_drift_windows_total{model="tiny",result="failed",version="1"}'] == 1


def test_a_window_that_cannot_be_judged_says_why(shop: Shop, running: Detector) -> None:
    running.post(predictions(shop.digest, [{**row, "age": 114.0} for row in YOUNG]))
    found = running.until(judged)["models"][0]
    assert (found["windows"][0]["state"], found["windows"][0]["reason"]) == ("failed", "ValueError: no verdict on 114")


def test_only_versions_that_answer_are_in_the_metrics(shop: Shop, tmp_path: Path) -> None:
    with detector(shop.store, tmp_path / "drift.db", "--active-seconds", "1") as process:
        process.post(predictions(shop.digest, YOUNG))
        name = 'lifeboat_drift_alarm{model="tiny",version="1"}'
        process.until(lambda _: name in process.metrics())
        found = process.until(lambda report: not report["models"][0]["active"])
        assert found["models"][0]["rows"] == 10
        assert not any('version="1"' in line for line in process.metrics())


class Receiver(http.server.ThreadingHTTPServer):
    """Takes verdicts, after some refusals."""

    def __init__(self, refusals: int) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: list[dict[str, Any]] = []
        self.refusals = refusals


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.refusals -= 1
        status = 503 if self.server.refusals >= 0 else 200
        if status == 200:
            assert self.headers["content-type"] == "application/cloudevents+json"
            self.server.events.append(json.loads(body))
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def test_each_verdict_is_posted_as_seldons_detector_does(shop: Shop, tmp_path: Path) -> None:
    with Receiver(refusals=2) as receiver:
        threading.Thread(target=receiver.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{receiver.server_address[1]}/"
        with detector(shop.store, tmp_path / "drift.db", "--reply-url", url) as process:
            process.post(predictions(shop.digest, [*OLD, *YOUNG]))
            process.until(lambda _: len(receiver.events) == 2)
        receiver.shutdown()
    first, second = receiver.events
    assert first["type"] == "io.seldon.serving.inference.drift"
    assert first["data"]["data"]["is_drift"] == {"age": 1}
    assert first["data"]["data"]["p_val"] == {"age": 0.001}
    assert first["data"]["meta"]["window"] == 1
    assert (second["data"]["data"]["drift"], second["modelid"]) == (0, "tiny")
    assert first["id"] != second["id"]
