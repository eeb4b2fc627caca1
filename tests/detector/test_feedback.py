"""Truths in each of their meanings, the live figures, and the labelled rows that come of them."""

from __future__ import annotations

import math
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lifeboat.data.labelled.labelled_rows import read_labelled
from lifeboat.model.calibration_error import calibration_error
from lifeboat.registry.storage import DirectoryStorage
from lifeboat.usecase.schema import Schema
from tests.detector.conftest import Shop
from tests.detector.world import Detector, add_bundle, detector, event, people, prediction, predictions, score, truth
from tests.server.world import TINY

ROWS = [{**row, "id": number} for number, row in enumerate(people(6, seed=7), start=1)]


def counts(report: dict[str, Any], *names: str) -> tuple[int, ...]:
    return tuple(report["feedback"][name] for name in names or ("joined", "waiting", "duplicate", "unknown"))


def labelled(store: Path, schema: Schema = TINY) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = read_labelled(DirectoryStorage(store), "tiny", schema).to_pylist()
    return rows


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def test_a_truth_joins_its_prediction_row_by_row_and_becomes_labelled_rows(store: Path, tmp_path: Path) -> None:
    digest = add_bundle(store)
    with detector(store, tmp_path / "drift.db", "--export-seconds", "0.2") as process:
        process.post([*prediction(digest, ROWS, "p1"), truth("p1", 1, 0, "survived", "died", 1, 0)])
        found = process.until(lambda report: report["feedback"]["exported"] == 6)
        assert counts(found) == (6, 0, 0, 0)
        assert process.metrics()["lifeboat_labelled_rows_total"] == 6
    rows = labelled(store)
    assert [row["fate"] for row in rows] == [1, 0, 1, 0, 1, 0]
    for number, (row, sent) in enumerate(zip(rows, ROWS, strict=True)):
        assert (row["__puid"], row["__row"], row["__version"], row["id"]) == ("p1", number, "1", number + 1)
        assert row["__score"] == pytest.approx(score(sent))
        assert (row["name"], row["port"], row["class"]) == (sent["name"], sent["port"] or "", sent["class"])
        assert math.isnan(row["age"]) if sent["age"] is None else row["age"] == pytest.approx(sent["age"])
        assert row["__labelled_at"] >= row["__predicted_at"] > 1e9


def test_live_figures_are_those_of_the_rows_with_truth(shop: Shop, running: Detector) -> None:
    rows = people(60, seed=3)
    truths = [number % 2 for number in range(60)]
    running.post([*prediction(shop.digest, rows, "p"), truth("p", *truths)])
    live = running.until(lambda report: report["models"] and report["models"][0]["live"]["rows"] == 60)["models"][0]
    scores = [score(row) for row in rows]
    right = sum((value > 0.5) == bool(true) for value, true in zip(scores, truths, strict=True)) / 60
    given = [value if true else 1 - value for value, true in zip(scores, truths, strict=True)]
    assert live["live"]["accuracy"] == pytest.approx(right)
    assert live["live"]["log_loss"] == pytest.approx(-sum(map(math.log, given)) / 60, rel=1e-4)
    assert live["live"]["calibration_error"] == pytest.approx(_calibration_error(scores, truths), abs=1e-6)
    assert live["live"]["bound"] == 0.7
    assert [point["rows"] for point in live["history"]] == [60]
    metrics = running.metrics()
    for name in ("accuracy", "log_loss", "calibration_error", "rows"):
        assert metrics[f'lifeboat_live_{name}{{model="tiny",version="1"}}'] == pytest.approx(live["live"][name])
    assert metrics['lifeboat_live_accuracy_bound{model="tiny",version="1"}'] == 0.7


def _calibration_error(scores: list[float], truths: list[int]) -> float:
    """The definition: in each tenth of the rows by score the distance of mean score and share of class 1."""
    ranked = sorted(zip(scores, truths, strict=True))
    starts = sorted(
        {next(i for i, (s, _) in enumerate(ranked) if s == ranked[len(ranked) * n // 10][0]) for n in range(10)}
    )
    error = 0.0
    for start, end in zip(starts, [*starts[1:], len(ranked)], strict=True):
        inside = ranked[start:end]
        error += abs(sum(s for s, _ in inside) - sum(t for _, t in inside)) / len(ranked)
    return error


def test_the_calibration_error_of_known_cases() -> None:

    assert calibration_error(np.array([0.25] * 4), np.array([1.0, 0, 0, 0])) == 0
    assert calibration_error(np.array([1.0, 1.0]), np.array([0.0, 0.0])) == 1
    assert calibration_error(np.array([0.15, 0.85]), np.array([0.0, 1.0])) == pytest.approx(0.15)


def test_only_the_newest_rows_count(shop: Shop, tmp_path: Path) -> None:
    row = [{**ROWS[0], "age": 90.0, "port": "Q"}]
    with detector(shop.store, tmp_path / "drift.db", "--live-rows", "10") as process:
        for number in range(30):
            process.post([*prediction(shop.digest, row, f"p{number}"), truth(f"p{number}", int(number >= 20))])
        found = process.until(lambda report: report["feedback"]["joined"] == 30 and report["models"][0]["history"])
        found = process.until(lambda report: report["models"][0]["live"]["accuracy"] == 1)
        assert found["models"][0]["live"]["rows"] == 10


def test_a_truth_before_its_prediction_waits_for_it_also_over_a_restart(shop: Shop, tmp_path: Path) -> None:
    with detector(shop.store, tmp_path / "drift.db") as first:
        first.post(prediction(shop.digest, ROWS[:1], "other"))
        first.post([truth("p", 1, 0)])
        assert counts(first.until(lambda report: report["feedback"]["waiting"])) == (0, 2, 0, 0)
        first.kill()
    with detector(shop.store, tmp_path / "drift.db") as second:
        second.post(prediction(shop.digest, ROWS[:2], "p"))
        assert counts(second.until(lambda report: report["feedback"]["joined"])) == (2, 0, 0, 0)
        assert second.metrics()['lifeboat_feedback_rows_total{result="waiting"}'] == 2


def test_a_truth_before_any_prediction_of_its_model_waits_too(shop: Shop, running: Detector) -> None:
    running.post([truth("p", 1)])
    running.until(lambda report: report["events"]["accepted"] == 1)
    running.post(prediction(shop.digest, ROWS[:1], "p"))
    running.until(lambda report: counts(report) == (1, 0, 0, 0))


def test_the_same_truth_again_changes_nothing_and_another_one_corrects(store: Path, tmp_path: Path) -> None:
    digest = add_bundle(store)
    row = [{**ROWS[0], "age": 90.0, "port": "Q"}]
    with detector(store, tmp_path / "drift.db", "--export-seconds", "0.2", "--live-rows", "10") as process:
        process.post([*prediction(digest, row, "p"), truth("p", 1)])
        process.until(lambda report: report["feedback"]["exported"] == 1)
        process.until(lambda report: report["models"][0]["live"]["accuracy"] == 1)
        process.post([truth("p", 1)])
        found = process.until(lambda report: report["feedback"]["duplicate"] == 1)
        assert (found["feedback"]["exported"], found["models"][0]["live"]["rows"]) == (1, 1)
        process.post([truth("p", 0)])
        found = process.until(lambda report: report["feedback"]["exported"] == 2)
        assert counts(found, "joined", "duplicate", "contradictory") == (1, 1, 1)
        process.until(lambda report: report["models"][0]["live"]["accuracy"] == 0)
        assert process.report()["models"][0]["live"]["rows"] == 1
    assert [row["fate"] for row in labelled(store)] == [0]
    assert len(list(store.glob("labelled/tiny/*/*.parquet"))) == 2


@pytest.mark.slow
def test_a_truth_whose_prediction_never_comes_is_unknown_and_one_that_was_given_up_is_late(
    shop: Shop, tmp_path: Path
) -> None:
    flags = ("--late-seconds", "1", "--retention-rows", "10")
    with detector(shop.store, tmp_path / "drift.db", *flags) as process:
        process.post(prediction(shop.digest, people(10), "old"))
        process.settled()  # those of a pass are kept, and go, together
        process.post(prediction(shop.digest, people(20), "new"))
        process.post([truth("never", 1)])
        process.until(lambda report: counts(report, "unknown") == (1,))
        process.until(lambda _: _predictions(process) == 1, 30)
        process.post([truth("old", 1), truth("new", 0)])
        process.until(lambda report: counts(report, "joined", "waiting", "late", "unknown") == (1, 0, 1, 1))


def _predictions(process: Detector) -> int:

    with sqlite3.connect(process.database) as connection:
        return int(connection.execute("SELECT count(*) FROM predictions").fetchone()[0])


def test_more_truths_than_rows_are_unknown(shop: Shop, running: Detector) -> None:
    running.post([*prediction(shop.digest, ROWS[:2], "p"), truth("p", 1, 0, 1)])
    running.until(lambda report: counts(report) == (2, 0, 0, 1))


def test_truth_by_entity_goes_to_its_newest_prediction(store: Path, tmp_path: Path) -> None:
    digest = add_bundle(store)
    by_json = {"truth": {"jsonData": [{"id": 1, "fate": 1}, {"id": 3, "fate": 0}]}}
    by_request = {
        "request": {"data": {"names": ["id"], "ndarray": [[2], [99]]}},
        "truth": {"data": {"ndarray": [1, 1]}},
    }
    with detector(store, tmp_path / "drift.db", "--export-seconds", "0.2") as process:
        process.post(prediction(digest, ROWS[:3], "first"))
        process.post(prediction(digest, ROWS[:1], "second"))
        process.post([event("feedback", "f1", by_json), event("feedback", "f2", by_request)])
        found = process.until(lambda report: report["feedback"]["exported"] == 3)
        assert counts(found) == (3, 1, 0, 0)
    found_rows = {(row["__puid"], row["__row"]): row["fate"] for row in labelled(store)}
    assert found_rows == {("second", 0): 1, ("first", 1): 1, ("first", 2): 0}


def test_the_puid_of_the_response_is_meant_before_that_of_the_event(shop: Shop, running: Detector) -> None:
    feedback = {"response": {"meta": {"puid": "p"}}, "truth": {"data": {"ndarray": [1]}}}
    running.post([*prediction(shop.digest, ROWS[:1], "p"), event("feedback", "f", feedback)])
    running.until(lambda report: counts(report) == (1, 0, 0, 0))


def test_feedback_through_another_version_finds_the_one_that_predicted(shop: Shop, running: Detector) -> None:
    running.post(prediction(shop.digest, ROWS[:1], "p", modelversion="1"))
    running.post(prediction(shop.digest, ROWS[:1], "q", modelversion="2"))
    running.post([truth("p", 1, modelversion="2")])
    found = running.until(lambda report: counts(report) == (1, 0, 0, 0))
    assert [one["live"]["rows"] for one in found["models"]] in ([1, 0], [0, 0])
    running.until(lambda report: [one["live"]["rows"] for one in report["models"]] == [1, 0])


def test_what_is_no_truth_is_counted(shop: Shop, running: Detector) -> None:
    running.post(predictions(shop.digest, ROWS[:1]))
    running.post([truth("p", "alive"), event("feedback", "p", [1]), event("feedback", "p", {"reward": 1.0})])
    found = running.counted(5)
    assert found["events"]["refused"] == {"truth": 1, "payload": 1}


def test_labelled_rows_wait_for_a_store_that_fails(store: Path, tmp_path: Path) -> None:
    digest = add_bundle(store)
    (store / "labelled").write_text("in the way")
    with detector(store, tmp_path / "drift.db", "--export-seconds", "0.2") as process:
        process.post([*prediction(digest, ROWS[:1], "p"), truth("p", 1)])
        process.until(lambda _: "labelled rows wait" in process.log.read_text())
        assert process.report()["feedback"]["exported"] == 0
        (store / "labelled").unlink()
        process.until(lambda report: report["feedback"]["exported"] == 1)
    assert [row["fate"] for row in labelled(store)] == [1]
