"""What the payload logger of Seldon's executor 1.17.1 sent, sent again: `tests/server/executor/recorded.json`."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.detector.conftest import Shop
from tests.detector.world import Detector, detector
from tests.server.executor import rpc
from tests.server.executor.scenes import Part, Scene, recorded
from tests.server.world import call

# The logger's ten workers keep no order.
ORDERS: dict[str, Callable[[list[Part]], list[Part]]] = {
    "as it happened": lambda events: events,
    "backwards": lambda events: events[::-1],
}
SOON = ("--join-seconds", "1", "--export-seconds", "0.2")


def replay(process: Detector, digest: str, events: list[Part], ago: float = 0.0) -> None:
    """Sends events as they were, but for their time."""
    moment = datetime.fromtimestamp(time.time() - ago, UTC)
    for event in events:
        stamp = f"{moment:%Y-%m-%dT%H:%M:%S.%f}{event.headers['Ce-Time'][-4:]}"
        headers = {**event.headers, "Ce-Time": stamp}
        del headers["Host"]
        body = event.about(digest).body.encode("latin-1")
        content_type = headers.pop("Content-Type")
        assert call(process.url, body, content_type=content_type, **headers).status == event.status


def events_of(scenes: list[Scene]) -> list[Part]:
    return [event for scene in scenes for event in scene.events]


@pytest.mark.parametrize("order", ORDERS)
def test_predictions_count_once_and_truth_finds_them(shop: Shop, tmp_path: Path, order: str) -> None:
    events = ORDERS[order](events_of(recorded("seldon")))
    with detector(shop.store, tmp_path / "drift.db", *SOON) as process:
        replay(process, shop.digest, events)
        found = process.until(lambda report: report["events"]["refused"].get("no response") == 2)
        found = process.until(lambda report: report["feedback"]["exported"] == 3)
    (model,) = found["models"]
    assert (model["model"], model["version"], model["digest"]) == ("tiny", "7", shop.digest)
    # One row, two of a tensor and two of objects, a form's, one with a puid in meta, and the corrected one.
    assert model["rows"] == 8
    # Refused requests are no predictions: nobody answered them.
    assert found["events"]["refused"] == {"no response": 2, "truth": 1}
    assert (found["events"]["accepted"], found["events"]["duplicates"]) == (len(events), 0)
    truths = [found["feedback"][name] for name in ("joined", "unknown", "late", "contradictory", "duplicate")]
    assert truths == [3, 0, 0, 0, 0]


def test_a_corrected_request_is_the_one_that_its_response_belongs_to(shop: Shop, running: Detector) -> None:
    chosen = [one for one in recorded("seldon") if one.client.headers.get("Seldon-Puid") == "again"]
    assert [one.client.status for one in chosen] == [400, 200]
    replay(running, shop.digest, events_of(chosen))
    assert running.settled()["models"][0]["rows"] == 1
    with sqlite3.connect(running.database) as connection:
        columns = connection.execute("SELECT columns FROM predictions").fetchone()[0]
    assert b"22.5" in columns
    assert b"300" not in columns


def test_predictions_of_the_open_inference_protocol_count_too(shop: Shop, tmp_path: Path) -> None:
    with detector(shop.store, tmp_path / "drift.db", *SOON) as process:
        replay(process, shop.digest, events_of(recorded("v2")))
        found = process.until(lambda report: report["events"]["refused"])
    (model,) = found["models"]
    assert (model["model"], model["version"], model["rows"]) == ("tiny", "7", 5)
    assert found["events"]["refused"] == {"no response": 1}


@pytest.mark.parametrize(("protocol", "rows"), [("seldon", 5), ("v2", 4)])
@pytest.mark.parametrize("order", ORDERS)
def test_predictions_over_grpc_come_as_messages(
    shop: Shop, tmp_path: Path, protocol: str, rows: int, order: str
) -> None:
    calls = [one for one in rpc.recorded() if one.protocol == protocol]
    refused = sum(one.code != "OK" for one in calls)
    with detector(shop.store, tmp_path / "drift.db", *SOON) as process:
        replay(process, shop.digest, ORDERS[order]([event for one in calls for event in one.about(shop.digest)]))
        found = process.until(lambda report: report["events"]["refused"].get("no response") == refused)
        with sqlite3.connect(process.database) as connection:
            [[columns]] = connection.execute("SELECT columns FROM predictions ORDER BY id LIMIT 1").fetchall()
    (model,) = found["models"]
    assert (model["model"], model["version"], model["digest"], model["rows"]) == ("tiny", "7", shop.digest, rows)
    assert found["events"]["refused"] == {"no response": refused}
    assert b"Ann" in columns


@pytest.mark.parametrize(
    ("kind", "protocol", "body"),
    [
        ("request", "seldon", b"\xff\xff"),
        ("response", "v2", b"{}"),
        ("request", "tensorflow", b""),
        # A tensor of TensorFlow's, two raw contents of no input, and a text that is no UTF-8.
        ("request", "seldon", b"\x1a\x02\x22\x00"),
        ("request", "v2", b"\x3a\x00\x3a\x00"),
        ("request", "v2", b"\x2a\x12\x0a\x01a\x12\x05BYTES\x1a\x01\x01\x2a\x03\x42\x01\xff"),
    ],
)
def test_what_is_no_message_is_counted_as_a_broken_payload(
    running: Detector, kind: str, protocol: str, body: bytes
) -> None:
    envelope = {
        "ce_specversion": "1.0", "ce_id": "1", "ce_source": "x", "ce_type": f"io.seldon.serving.inference.{kind}",
        "ce_requestid": "p", "ce_modelid": "tiny", "ce_protocol": protocol, "content_type": "application/protobuf",
    }  # fmt: skip
    other = {**envelope, "ce_id": "2", "ce_type": f"io.seldon.serving.inference.{_other(kind)}"}
    answer = b'{"data":{"ndarray":[[0.5,0.5]]},"meta":{"tags":{"bundle_digest":"x","model_version":"1"}}}'
    assert call(running.url, body, **envelope).status == 200
    assert call(running.url, answer, **{**other, "content_type": "application/json"}).status == 200
    running.until(lambda report: report["events"]["refused"].get("payload") and report["events"]["accepted"] == 2)


def _other(kind: str) -> str:
    return "response" if kind == "request" else "request"


def test_the_same_events_again_change_nothing(shop: Shop, running: Detector) -> None:
    events = events_of(recorded("v2")[:2])
    for _ in range(2):
        replay(running, shop.digest, events)
    running.until(lambda report: report["events"]["duplicates"] == len(events))
    assert [one["rows"] for one in running.settled()["models"]] == [3]


def test_the_time_of_an_event_is_read_to_the_nanosecond(shop: Shop, running: Detector) -> None:
    replay(running, shop.digest, events_of(recorded("seldon")[:1]), ago=3600.0)
    assert running.settled()["models"][0]["rows"] == 1
    with sqlite3.connect(running.database) as connection:
        made, received = connection.execute("SELECT requests ->> '$.times[0]', received FROM predictions").fetchone()
    assert received - made == pytest.approx(3600, abs=30)


def test_the_executor_logs_a_request_that_is_refused_but_no_answer_to_it() -> None:
    kinds: dict[int, set[Any]] = {}
    for scene in [*recorded("seldon"), *recorded("v2")]:
        if scene.client.method == "POST" and "feedback" not in scene.client.path and "logged" not in scene.name:
            kinds.setdefault(scene.client.status, set()).add(tuple(one.headers["Ce-Type"][28:] for one in scene.events))
    assert kinds == {200: {("request", "response")}, 400: {("request",)}}
