"""Many predictions in one event, as the model server sends them: counted, kept, judged, found again, and refused."""

from __future__ import annotations

import json
import math
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from lifeboat.data.labelled.labelled_rows import read_labelled
from lifeboat.registry.storage import DirectoryStorage
from tests.detector.conftest import Shop
from tests.detector.world import Detector, add_bundle, detector, people, prediction, together, truth
from tests.server.world import TINY, call

ASKED = {f"p{number}": people(number % 3 + 1, seed=number) for number in range(8)}
ROWS = sum(map(len, ASKED.values()))


def post(process: Detector, content: tuple[bytes, dict[str, str]], status: int = 200) -> Any:
    answer = call(process.url, content[0], **content[1])
    assert answer.status == status, answer.body
    return answer.json


def test_each_counts_once_and_its_rows_are_in_windows(shop: Shop, running: Detector) -> None:
    event = together(shop.digest, ASKED)
    assert post(running, event) == {"accepted": 8}
    post(running, event)
    found = running.until(lambda report: report["events"]["duplicates"] == 8)
    assert found["events"]["accepted"] == 8
    assert running.metrics()['lifeboat_drift_events_total{type="prediction"}'] == 8
    model = running.settled()["models"][0]
    assert (model["model"], model["version"], model["digest"], model["rows"]) == ("tiny", "1", shop.digest, ROWS)
    assert model["window"]["rows"] == ROWS - 10


def test_a_truth_finds_its_row_among_those_of_others_and_by_every_name(tmp_path: Path) -> None:
    store = tmp_path / "store"
    digest = add_bundle(store)
    aliases = {"client_id": [f"order {number}" for number in range(8)]}
    event = together(digest, ASKED)
    content = json.loads(event[0])
    content["predictions"] |= aliases
    with detector(store, tmp_path / "drift.db", "--export-seconds", "0.2") as process:
        process.post([truth("p2", 0, 1, 0)])  # before its prediction
        post(process, (json.dumps(content).encode(), event[1]))
        process.post([truth("p1", 1, 0), truth("order 5", 1, 1, 0), truth("p0", 1, 1)])
        found = process.until(lambda report: report["feedback"]["exported"] == 9)
        assert found["feedback"]["joined"] == 9
        assert found["feedback"]["unknown"] == 1, "p0 has one row"
    told = {
        (row["__puid"], row["__row"]): (row["fate"], row["age"])
        for row in read_labelled(DirectoryStorage(store), "tiny", TINY).to_pylist()
    }
    for puid, values in (("p2", (0, 1, 0)), ("p1", (1, 0)), ("p5", (1, 1, 0)), ("p0", (1,))):
        for place, value in enumerate(values):
            fate, age = told[puid, place]
            assert fate == value
            asked = ASKED[puid][place]["age"]
            assert age == pytest.approx(math.nan if asked is None else asked, nan_ok=True)


def test_predictions_of_both_kinds_of_events_and_of_several_versions_keep_apart(shop: Shop, running: Detector) -> None:
    post(running, together(shop.digest, ASKED))
    post(running, together(shop.digest, ASKED, version="2"))
    running.post(prediction(shop.digest, people(4), "alone"))
    post(running, together(shop.digest, {"p0": people(1)}))  # a name that is taken
    found = running.settled()
    rows = {one["version"]: one["rows"] for one in found["models"]}
    assert rows == {"1": ROWS + 5, "2": ROWS}
    running.post([truth("p0", 1), truth("alone", 1, 0, 1, 0), truth("p1", 1, 0)])
    after = running.until(lambda report: report["feedback"]["joined"] == 8)
    assert after["feedback"]["ambiguous"] == 1


def test_they_wait_for_their_bundle_and_survive_a_kill(shop: Shop, tmp_path: Path) -> None:
    store = tmp_path / "store"
    store.mkdir()
    with detector(store, tmp_path / "drift.db") as first:
        post(first, together(shop.digest, ASKED))
        first.until(lambda report: report["events"]["held"] == 8)
        first.kill()
    with detector(store, tmp_path / "drift.db") as second:
        assert second.report()["events"]["held"] == 8
        (store / "bundles").symlink_to(shop.store / "bundles")
        second.until(lambda report: report["models"] and report["models"][0]["rows"] == ROWS)
        assert second.settled()["events"]["refused"] == {}


def test_what_waits_for_a_bundle_that_never_comes_is_given_up_as_many_predictions(shop: Shop, tmp_path: Path) -> None:
    with detector(shop.store, tmp_path / "drift.db", "--bundle-seconds", "0.2") as process:
        post(process, together("0" * 64, ASKED))
        process.until(lambda report: report["events"]["refused"] == {"unknown model": 8})


@pytest.mark.parametrize("number", ["", "0", "-1", "1001", "8.0", "٨", "9" * 5000])
def test_an_event_that_does_not_say_how_many_it_holds_is_none(shop: Shop, running: Detector, number: str) -> None:
    body, headers = together(shop.digest, ASKED)
    said = post(running, (body, {**headers, "ce_predictions": number.encode().decode("latin-1")}), 400)
    assert "ce-predictions: is not a number of predictions from 1 to 1000" in said["status"]["info"]


def member(name: str, **values: Any) -> dict[str, Any]:
    right = json.loads(together("0" * 64, ASKED)[0])["predictions"]
    return {"predictions": {**right, name: values["value"]}}


BROKEN: dict[str, dict[str, Any]] = {
    "no predictions": {"predictions": None},
    "ids that are numbers": member("id", value=[1] * 8),
    "fewer ids than rows": member("id", value=["a"]),
    "an empty id": member("id", value=["", *list(ASKED)[1:]]),
    "rows that are none": member("rows", value=[0] * 8),
    "negative rows": member("rows", value=[-1, *[2] * 7]),
    "rows beyond the columns": member("rows", value=[2] * 8),
    "rows that are true": member("rows", value=[True] * 8),
    "a time that is a text": member("time", value=["now"] * 8),
    "aliases for some": member("client_id", value=["a"]),
    "no inputs": {"inputs": None},
    "inputs of nothing": {"inputs": []},
    "inputs by number": {"inputs": [1, 2]},
    "an input without name": {"inputs": [{"data": [1] * ROWS}]},
    "no outputs": {"outputs": []},
    "outputs by number": {"outputs": [1]},
    "too few answers": {"outputs": [{"name": "probabilities", "data": [0.5, 0.5]}]},
    "answers that are texts": {"outputs": [{"name": "probabilities", "data": ["x"] * 2 * ROWS}]},
    "no digest": {"parameters": {}},
}


@pytest.mark.parametrize("changed", BROKEN.values(), ids=BROKEN)
def test_what_is_broken_is_counted_as_refused_and_costs_the_next_one_nothing(
    shop: Shop, running: Detector, changed: dict[str, Any]
) -> None:
    post(running, together(shop.digest, ASKED, **changed))
    post(running, together(shop.digest, {"fine": people(2)}))
    found = running.until(lambda report: report["models"] and report["models"][0]["rows"] == 2)
    assert sum(found["events"]["refused"].values()) == 8
    assert not found["events"]["refused"].keys() & {"internal error", "envelope"}


def test_rows_off_the_schema_and_times_of_another_age_say_so(shop: Shop, running: Detector) -> None:
    old = [{**row, "age": 500.0} for row in people(1)]
    post(running, together(shop.digest, {"old": old}))
    post(
        running, together(shop.digest, {"early": people(1)}, predictions={"id": ["early"], "time": [1.0], "rows": [1]})
    )
    late = {"id": ["late"], "time": [time.time() + 1e6], "rows": [1]}
    post(running, together(shop.digest, {"late": people(1)}, predictions=late))
    running.until(lambda report: report["events"]["refused"] == {"schema": 1, "too old": 1, "too new": 1})


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b"\xff\xfe", b"[" * 30_000])
def test_no_json_is_refused(running: Detector, shop: Shop, body: bytes) -> None:
    _, headers = together(shop.digest, ASKED)
    post(running, (body, headers))
    running.until(lambda report: report["events"]["refused"] == {"payload": 8})


def test_they_are_kept_together_and_given_up_together(shop: Shop, tmp_path: Path) -> None:
    with detector(shop.store, tmp_path / "drift.db", "--retention-rows", "20") as process:
        for start in range(0, 200, 20):
            post(process, together(shop.digest, {f"q{one}": people(1, seed=one) for one in range(start, start + 20)}))
            process.settled()
        with sqlite3.connect(process.database) as connection:
            most = connection.execute("SELECT max(rows) FROM predictions").fetchone()[0]
        assert most == 20
        process.until(lambda _: named(process) <= 40)
        process.post([truth("q0", 1)])
        process.until(lambda report: report["feedback"]["late"] == 1)


def named(process: Detector) -> int:
    with sqlite3.connect(process.database) as connection:
        return int(connection.execute("SELECT count(*) FROM names").fetchone()[0])


def test_beyond_the_stated_rate_windows_are_skipped_and_their_rows_wait_for_their_truth(
    shop: Shop, tmp_path: Path
) -> None:
    with detector(shop.store, tmp_path / "drift.db", "--judge-rate", "0.001") as process:
        for start in range(0, 1500, 500):
            post(process, together(shop.digest, {f"q{one}": people(1, seed=1) for one in range(start, start + 500)}))
        found = process.until(
            lambda report: report["models"] and report["models"][0]["judgements"]["judged"] == 100, 120
        )
        model = found["models"][0]
        assert model["rows"] == 1500
        assert model["judgements"] == {"judged": 100, "failed": 0, "skipped": 50}
        assert process.metrics()['lifeboat_drift_windows_total{model="tiny",result="skipped",version="1"}'] == 50
        process.post([truth("q1499", 1)])
        process.until(lambda report: report["feedback"]["joined"] == 1)
