"""Every form in which events come, and what becomes of those that are of no use."""

from __future__ import annotations

import json
import struct
import time
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest

from lifeboat.detector.counters import read_counters
from lifeboat.detector.database import Database
from lifeboat.detector.ingest.bundles import Bundles
from lifeboat.detector.ingest.cloudevents import LIMITS, Post
from lifeboat.detector.ingest.processor import Processor
from lifeboat.detector.settings import DetectorSettings
from tests.detector.conftest import Shop
from tests.detector.world import (
    BATCH,
    STRUCTURED,
    Detector,
    binary,
    detector,
    event,
    people,
    prediction,
    predictions,
    request_of,
    response_of,
    score,
)
from tests.server.world import call

ROWS = people(3, seed=5)


def rows_in_window(report: dict[str, Any]) -> int:
    return sum(one["rows"] for one in report["models"])


def v2_request(rows: list[dict[str, Any]]) -> dict[str, Any]:
    kinds = {"name": "BYTES", "port": "BYTES", "age": "FP64", "class": "INT64", "alone": "BOOL"}
    return {
        "inputs": [
            {"name": name, "datatype": kind, "shape": [len(rows)], "data": [row[name] for row in rows]}
            for name, kind in kinds.items()
        ]
    }


def v2_response(rows: list[dict[str, Any]], digest: str) -> dict[str, Any]:
    data = [value for row in rows for value in (1 - score(row), score(row))]
    output = {"name": "probabilities", "datatype": "FP32", "shape": [len(rows), 2], "data": data}
    return {"model_name": "tiny", "model_version": "1", "parameters": {"bundle_digest": digest}, "outputs": [output]}


def test_batches_structured_and_binary_events_count_alike(shop: Shop, running: Detector) -> None:
    running.post(prediction(shop.digest, ROWS[:1]))
    for one in prediction(shop.digest, ROWS[1:2]):
        answer = call(running.url + "/events", json.dumps(one).encode(), content_type=STRUCTURED)
        assert (answer.status, answer.json) == (200, {"accepted": 1})
    for one in prediction(shop.digest, ROWS[2:]):
        body, headers = binary(one)
        assert call(running.url, body, **headers).status == 200
    found = running.counted(6)
    # The executor names no version: that of the answer's tags is the same one.
    assert [(one["model"], one["version"], one["rows"]) for one in found["models"]] == [("tiny", "1", 3)]
    assert found["events"]["refused"] == {}


def test_all_forms_of_a_request_are_read(shop: Shop, running: Detector) -> None:
    names = list(ROWS[0])
    flat = [row[name] for row in ROWS for name in names]
    requests = [
        {"data": {"names": names, "tensor": {"shape": [3, len(names)], "values": flat}}},
        {"jsonData": ROWS},
        {"data": {"ndarray": [list(row.values()) for row in ROWS]}},
    ]
    events = []
    for number, content in enumerate(requests):
        events.append(event("request", f"p{number}", content))
        events.append(event("response", f"p{number}", response_of(ROWS, shop.digest, "")))
    form = f"json={quote(json.dumps(request_of(ROWS)))}".encode()
    attributes = {"datacontenttype": "application/x-www-form-urlencoded", "data_base64": b64encode(form).decode()}
    as_form = event("request", "form", None) | attributes
    del as_form["data"]
    values = [value for row in ROWS for value in (1 - score(row), score(row))]
    tensor = response_of(ROWS, shop.digest, "")
    tensor["data"] = {"names": ["died", "survived"], "tensor": {"shape": [3, 2], "values": values}}
    running.post([*events, as_form, event("response", "form", tensor)])
    found = running.counted(8)
    assert (rows_in_window(found), found["events"]["refused"]) == (12, {})


def test_the_open_inference_protocol_is_read_in_json_and_in_binary(shop: Shop, running: Detector) -> None:
    running.post([
        event("request", "a", v2_request(ROWS)), event("response", "a", v2_response(ROWS, shop.digest)),
        *_as_binary(shop.digest),
    ])  # fmt: skip
    found = running.counted(4)
    assert (rows_in_window(found), found["events"]["refused"]) == (6, {})


def _as_binary(digest: str) -> list[dict[str, Any]]:
    """Request and response with their numbers behind the JSON, and no header that says where it ends."""
    request = v2_request(ROWS)
    del request["inputs"][2]["data"]
    ages = b"".join(struct.pack("<d", float("nan") if row["age"] is None else row["age"]) for row in ROWS)
    request["inputs"][2]["parameters"] = {"binary_data_size": len(ages)}
    response = v2_response(ROWS, digest)
    scores = b"".join(struct.pack("<f", value) for value in response["outputs"][0].pop("data"))
    response["outputs"][0]["parameters"] = {"binary_data_size": len(scores)}
    bodies = {
        "request": json.dumps(request).encode() + b"  " + ages,
        "response": json.dumps(response).encode() + scores,
    }
    events = []
    for kind, body in bodies.items():
        one = event(kind, "b", None) | {"data_base64": b64encode(body).decode()}
        del one["data"]
        events.append(one | {"datacontenttype": "application/octet-stream"})
    return events


def test_what_is_no_cloudevent_is_refused_with_its_reason_and_counted(running: Detector) -> None:
    whole = event("request", "p", {})
    wrong: list[tuple[bytes, dict[str, str], str]] = [
        (b"{}", {}, "no CloudEvent"),
        (b"[1", {"content_type": BATCH}, "not JSON"),
        (b"{}", {"content_type": BATCH}, "is a list"),
        (json.dumps([7, 8]).encode(), {"content_type": BATCH}, "event 1 of the batch"),
        (json.dumps([whole] * 1001).encode(), {"content_type": BATCH}, "1001 events, the limit is 1000"),
        (b"[" * 200_000, {"content_type": BATCH}, "more than 50000 lists or objects"),
        (json.dumps(whole | {"id": ""}).encode(), {"content_type": STRUCTURED}, "id: is not a string"),
        (json.dumps(whole | {"specversion": "9"}).encode(), {"content_type": STRUCTURED}, "specversion"),
        (b"{}", {"ce_id": "1", "ce_source": "s"}, "header ce-type"),
    ]
    for body, headers, reason in wrong:
        answer = call(running.url, body, **headers)
        assert answer.status == 400
        assert reason in answer.info
    found = running.until(lambda report: report["events"]["refused"].get("envelope") == len(wrong))
    assert found["events"]["accepted"] == 0


@pytest.mark.parametrize(("name", "limit"), sorted(LIMITS.items()))
def test_every_name_has_a_limit_of_its_own(shop: Shop, running: Detector, name: str, limit: int) -> None:
    """In each form; in a batch the event that is wrong is left out, and the others are taken."""
    fits = event("request", "p", {}) | {name: "x" * limit}
    long = fits | {"id": str(uuid4()), name: "x" * (limit + 1)}
    for number, one in enumerate((fits, long)):
        answer = call(running.url, json.dumps(one).encode(), content_type=STRUCTURED)
        assert answer.status == (200, 400)[number]
    body, headers = binary(long)
    content_type = {"content_type": "x" * (limit + 1)} if name == "datacontenttype" else {f"ce_{name}": long[name]}
    refused = call(running.url, body, **headers | {"ce_specversion": "1.0"} | content_type)
    for refusal, where in ((answer, ""), (refused, "header ce-")):
        assert refusal.status == 400
        assert refusal.info.startswith(f"{where}{name}: ")
        assert str(limit) in refusal.info
    batch = [*prediction(shop.digest, ROWS), long]
    answer = call(running.url, json.dumps(batch).encode(), content_type=BATCH)
    assert (answer.status, answer.json["accepted"], answer.json["refused"]) == (200, 2, 1)
    assert answer.json["reason"].startswith(f"event 3 of the batch: {name}: ")
    found = running.counted(3)
    assert (rows_in_window(found), found["events"]["refused"]) == (3, {"envelope": 3})


def test_names_in_an_answer_have_the_limits_of_the_events(shop: Shop, running: Detector) -> None:
    """The executor names no version: that of the answer's tags is meant, which anybody can make as long as a book."""
    request, response = prediction(shop.digest, ROWS)
    del request["modelversion"], response["modelversion"]
    response["data"]["meta"]["tags"]["model_version"] = "v" * 129
    running.post([request, response])
    found = running.until(lambda report: report["events"]["refused"])
    assert (found["events"]["refused"], found["models"]) == ({"unknown model": 1}, [])
    assert len(call(running.url + "/metrics").body) < 10_000


def test_a_large_batch_is_refused_and_a_large_binary_event_is_taken(running: Detector) -> None:
    batch = json.dumps([event("request", "p", "x" * 1024 * 1024)]).encode()
    answer = call(running.url, batch, content_type=BATCH)
    assert answer.status == 413
    assert "send a larger event as a binary one" in answer.info
    body, headers = binary(event("request", "p", "x" * 1024 * 1024))
    assert call(running.url, body, **headers).status == 200
    assert running.counted(1)["events"]["refused"] == {"large": 1}


def test_bytes_that_wait_are_bounded(shop: Shop, tmp_path: Path) -> None:
    with detector(shop.store, tmp_path / "drift.db", "--max-waiting-bytes", "1000") as process:
        body, headers = binary(event("request", "p", "x" * 1000))
        answer = call(process.url, body, **headers)
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        process.post([])
        assert process.until(lambda report: report["events"]["refused"])["events"]["refused"] == {"overload": 1}


def test_halves_are_bounded_in_number_and_in_bytes(shop: Shop, tmp_path: Path) -> None:
    for flags, kept in ((("--max-halves", "20"), 20), (("--max-halves-bytes", "30000"), 50)):
        with detector(shop.store, tmp_path / flags[0] / "drift.db", *flags) as process:
            process.post([event("request", f"p{number}", "x" * 600) for number in range(100)])
            refused = process.until(lambda report: report["events"]["refused"])["events"]["refused"]
            assert 100 - kept <= refused["no response"] < 100
            process.post([event("response", "p99", {}), event("response", "p0", {})])
            # The newest is there still: its answer is joined, and found to be none.
            process.until(lambda report: report["events"]["refused"].get("no prediction") == 1)


def test_events_of_no_use_are_counted_by_reason(shop: Shop, running: Detector) -> None:
    def answered(puid: str, request: Any, response: Any = None, **attributes: Any) -> list[dict[str, Any]]:
        answer = response_of(ROWS[:1], shop.digest, puid) if response is None else response
        return [event("request", puid, request, **attributes), event("response", puid, answer, **attributes)]

    row = request_of(ROWS[:1])
    off_schema = request_of([ROWS[0] | {"class": 9}])
    foreign = response_of(ROWS[:1], "0" * 64, "u") | {"meta": {}}
    running.post([
        *answered("a", off_schema), *answered("b", {"strData": "x"}), *answered("c", request_of(ROWS)),
        *answered("d", row, foreign), *answered("e", row, {"status": {"code": -1}}), *answered("", row),
        *answered("f", row, old=True), *answered("g", row, {"data": {"ndarray": [[0.5, 0.5]]}}),
        *answered("i", row, time="9999-12-31T23:59:59Z"),
        *answered("h", row, {"data": {"ndarray": [[0.5, 0.5]]}, "meta": ["no object"]}),
    ])  # fmt: skip
    expected = {
        "schema": 1,
        "payload": 2,
        "unknown model": 3,
        "no prediction": 1,
        "no request id": 2,
        "too old": 2,
        "too new": 2,
    }
    found = running.counted(20)
    assert found["events"]["refused"] == expected
    assert found["models"] == []
    # What a passenger is called stands in no log.
    assert not any(name in running.log.read_text() for name in ("Ann", "Bartholomew"))


def test_an_answer_of_another_form_costs_the_others_of_its_batch_nothing(shop: Shop, running: Detector) -> None:
    """A meta that is no object, and a request that is nested deeper than it can be written again."""
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    request, response = prediction(shop.digest, ROWS[:1], "a")
    response["data"]["meta"] = "x"
    wrong = [
        request, response, event("request", "b", {"inputs": deep}),
        event("response", "b", v2_response(ROWS[:1], shop.digest)),
        event("request", "c", {"data": {"tensor": {"shape": deep, "values": []}}}),
    ]  # fmt: skip
    running.post([*wrong, *prediction(shop.digest, ROWS)])
    running.post([event("request", "alone", {"jsonData": deep})])  # it would have to be kept
    found = running.counted(8)
    assert (rows_in_window(found), found["events"]["refused"]) == (3, {"unknown model": 1, "payload": 3})
    assert '"error"' not in running.log.read_text()


def test_an_event_that_breaks_what_nobody_thought_of_is_lost_alone(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lifeboat.detector.ingest.processor.read_answer", lambda _: 1 / 0)
    settings = DetectorSettings(store=str(shop.store), database=str(tmp_path / "drift.db"))
    database = Database(settings.database)
    processor, connection = Processor(settings, Bundles(settings, lambda: None)), database.connect()
    processor.load(connection)
    lone = event("request", "other", {})
    body = json.dumps([*prediction(shop.digest, ROWS), lone]).encode()
    processor.take(Post("batch", 3, b"", body), time.time(), time.time())
    with database.writing(connection):
        processor.flush(connection)
    counters = read_counters(connection)
    assert (counters["events:request"], counters["events:response"], counters["refused:internal error"]) == (2, 1, 1)
    assert [key for (key,) in connection.execute("SELECT puid FROM halves")] == ["other"]
    connection.close()
    database.close()


def test_an_event_that_comes_again_counts_once_also_after_a_restart(shop: Shop, tmp_path: Path) -> None:
    events = prediction(shop.digest, ROWS)
    with detector(shop.store, tmp_path / "drift.db") as first:
        first.post(events)
        first.post(events)
        first.until(lambda report: report["events"]["duplicates"] == 2)
        assert first.settled()["models"][0]["rows"] == 3
        assert first.stop() == 0
    with detector(shop.store, tmp_path / "drift.db") as second:
        second.post(events)
        found = second.until(lambda report: report["events"]["duplicates"] == 4)
        assert (found["events"]["accepted"], found["models"][0]["rows"]) == (2, 3)


def test_the_ids_remembered_are_bounded(shop: Shop, tmp_path: Path) -> None:
    first, *others = (prediction(shop.digest, ROWS[:1]) for _ in range(12))
    with detector(shop.store, tmp_path / "drift.db", "--max-ids", "10") as process:
        for events in (first, *others, first):
            process.post(events)
            process.settled()
        assert process.report()["models"][0]["rows"] == 13


def test_the_response_may_come_first_and_in_another_post(shop: Shop, running: Detector) -> None:
    request, response = prediction(shop.digest, ROWS)
    running.post([response])
    assert running.counted(1)["models"] == []
    running.post([request])
    assert running.until(lambda report: report["models"])["models"][0]["rows"] == 3


def test_halves_survive_a_restart_and_are_dropped_after_a_time(shop: Shop, tmp_path: Path) -> None:
    (one, answer), (lone, _), (_, alone) = (prediction(shop.digest, ROWS) for _ in range(3))
    with detector(shop.store, tmp_path / "drift.db") as first:
        first.post([one, lone, alone])
        first.settled()
        first.kill()
    with detector(shop.store, tmp_path / "drift.db") as second:
        second.post([answer])
        assert second.until(lambda report: report["models"])["models"][0]["rows"] == 3
        assert second.report()["events"]["refused"] == {}
    with detector(shop.store, tmp_path / "drift.db", "--join-seconds", "0.5") as third:
        lost = {"no response": 1, "no request": 1}
        assert third.until(lambda report: report["events"]["refused"] == lost)["models"][0]["rows"] == 3


def test_a_bundle_that_never_comes_makes_its_events_unknown(tmp_path: Path, shop: Shop) -> None:
    with detector(tmp_path / "nothing", tmp_path / "drift.db", "--bundle-seconds", "1") as process:
        process.post(predictions(shop.digest, people(3)))
        assert process.until(lambda report: report["events"]["refused"] == {"unknown model": 3})["models"] == []


def test_an_altered_bundle_is_refused(tmp_path: Path, shop: Shop) -> None:
    folder = tmp_path / "store" / "bundles" / "tiny" / shop.digest
    folder.mkdir(parents=True)
    for path in (shop.store / "bundles" / "tiny" / shop.digest).iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    (folder / "schema.json").write_bytes((folder / "schema.json").read_bytes() + b" ")
    with detector(tmp_path / "store", tmp_path / "drift.db") as process:
        process.post(predictions(shop.digest, people(3)))
        found = process.until(lambda report: report["events"]["refused"] == {"altered bundle": 3})
        assert "was altered" in found["problems"][0]


def test_too_large_a_body_is_refused_and_counted(shop: Shop, tmp_path: Path) -> None:
    with detector(shop.store, tmp_path / "drift.db", "--max-body", "1000") as process:
        assert call(process.url, b"x" * 2000, content_type=BATCH).status == 413
        process.until(lambda report: report["events"]["refused"] == {"large": 1})


@pytest.mark.parametrize("path", ["/", "/drift", "/metrics", "/live", "/ready", "/health/ping"])
def test_everything_is_there_to_read(running: Detector, path: str) -> None:
    assert call(running.url + path).status == 200


def test_the_page_may_load_nothing_from_elsewhere(running: Detector) -> None:
    answer = call(running.url + "/")
    assert answer.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in answer.headers["content-security-policy"]
