"""A real executor, real model server and real detector. TEST_SELDON_EXECUTOR names the executor's binary."""

from __future__ import annotations

import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.detector.world import Detector, add_bundle, detector, people, request_of
from tests.server.executor.record import record
from tests.server.executor.scenes import NAMES, SCENES, Part, Scene, recorded
from tests.server.executor.world import BINARY, VERSION, Executor, executor
from tests.server.world import ROW, ROW_VALUES, Running, call, ndarray, server

pytestmark = pytest.mark.skipif(not BINARY, reason="TEST_SELDON_EXECUTOR names no executor of Seldon's")
PREDICT = "/api/v1.0/predictions"
# Another one each time.
OWN = ("Ce-Id", "Ce-Requestid", "Ce-Time", "Seldon-Puid")


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store")
    return store / "bundles" / "tiny" / add_bundle(store)


@pytest.fixture
def drift(bundle: Path, tmp_path: Path) -> Iterator[Detector]:
    flags = ("--export-seconds", "0.2", "--join-seconds", "2")
    with detector(bundle.parents[2], tmp_path / "drift.db", *flags) as process:
        yield process


@pytest.fixture
def serving(bundle: Path) -> Iterator[Running]:
    with server(bundle, "--model-version", VERSION) as process:
        yield process


@pytest.fixture
def between(serving: Running, drift: Detector) -> Iterator[Executor]:
    with executor(serving.port, drift.url) as process:
        yield process


def test_what_is_recorded_is_what_it_does(tmp_path: Path) -> None:
    done = record(tmp_path)
    known = [*recorded("seldon"), *recorded("v2")]
    assert [_without_ids(scene) for scene in done] == [_without_ids(scene) for scene in known]
    assert len(done) == len(SCENES)


@pytest.mark.parametrize("scene", SCENES, ids=lambda scene: f"{scene.protocol}: {scene.name}")
def test_an_answer_through_it_is_the_one_without_it(scene: Scene, bundle: Path) -> None:
    asked = scene.client
    directly = (
        asked.path.removesuffix("/tiny").replace("/status", "/health/status") if scene.protocol == "seldon" else ""
    )
    with server(bundle, "--model-version", VERSION) as serving, executor(serving.port, "", scene.protocol) as between:
        one = _call(serving.url + (directly or asked.path), asked)
        other = _call(between.url + asked.path, asked)
    assert one[0] == other[0]
    if scene.name.startswith("binary"):  # the executor takes it for JSON and breaks it
        assert one[1] != other[1]
    else:
        assert _without_puid(one[1]) == _without_puid(other[1])


def test_predictions_through_it_are_counted_once_and_truth_becomes_rows(between: Executor, drift: Detector) -> None:
    rows = [{**row, "id": number} for number, row in enumerate(people(60), start=1)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda row: call(between.url + PREDICT, request_of([row])), rows))
    assert {answer.status for answer in answers} == {200}
    assert call(between.url + PREDICT, request_of(rows)).status == 200
    for answer in answers[:10]:
        truth = {"response": answer.json, "truth": {"data": {"ndarray": [[1]]}}}
        assert call(between.url + "/api/v1.0/feedback", truth).status == 200
    # In the header it is the event's own id, too.
    puid = answers[10].headers["seldon-puid"]
    assert (
        call(between.url + "/api/v1.0/feedback", {"truth": {"data": {"ndarray": [0]}}}, seldon_puid=puid).status == 200
    )
    found = drift.until(lambda report: report["feedback"]["exported"] == 11)
    assert [(one["model"], one["version"], one["rows"]) for one in found["models"]] == [("tiny", VERSION, 120)]
    assert found["events"]["accepted"] == 2 * 61 + 11
    assert (found["events"]["duplicates"], found["events"]["refused"]) == (0, {})


def test_both_sending_would_count_double(bundle: Path, drift: Detector) -> None:
    """Why no overlay may have both: `tests/infra/kustomize/test_executor.py`."""
    with server(bundle, "--events-url", drift.url) as serving, executor(serving.port, drift.url) as between:
        assert call(between.url + PREDICT, ndarray(ROW_VALUES)).status == 200
        # Two of the executor's, and the server's, which holds the prediction whole.
        found = drift.until(lambda report: report["events"]["accepted"] == 3)
    assert sum(one["rows"] for one in found["models"]) == 2


def test_an_overload_passes_through(bundle: Path) -> None:
    with (
        server(bundle, "--max-pending", "1") as serving,
        executor(serving.port) as between,
        ThreadPoolExecutor(16) as pool,
    ):
        answers = list(pool.map(lambda _: call(between.url + PREDICT, ndarray(ROW_VALUES)), range(600)))
    found = Counter(answer.status for answer in answers)
    assert set(found) == {200, 503}
    refused = next(answer for answer in answers if answer.status == 503)
    assert refused.info == "1 requests are waiting, which is the limit"
    # Of the server's own headers only the content type of a 200 gets through.
    assert "retry-after" not in refused.headers
    assert refused.headers["content-type"].startswith("text/plain")


@pytest.mark.parametrize("full", [False, True])
def test_it_is_not_ready_while_the_server_drains(bundle: Path, full: bool) -> None:
    with server(bundle) as serving, executor(serving.port, full=full) as between:
        assert call(between.url + "/ready").status == 200
        with socket.create_connection(("127.0.0.1", serving.port)) as half:
            half.sendall(b"POST /predict HTTP/1.1\r\ncontent-length: 10\r\n\r\n12345")
            time.sleep(0.2)
            serving.process.terminate()
            _until(lambda: call(between.url + "/ready").status == 503)
            assert serving.process.poll() is None
        serving.process.wait(10)
        assert call(between.url + "/ready").status == 503
        lost = call(between.url + PREDICT, ndarray(ROW_VALUES))
        assert (lost.status, lost.json["status"]["status"]) == (500, "FAILURE")


def test_a_request_that_it_has_when_it_is_told_to_stop_is_answered(serving: Running) -> None:
    body = json.dumps(ndarray(ROW_VALUES, names=list(ROW))).encode()
    with executor(serving.port) as between, socket.create_connection(("127.0.0.1", between.port)) as client:
        head = ["host: x", "content-type: application/json", f"content-length: {len(body)}", "", ""]
        client.sendall("\r\n".join([f"POST {PREDICT} HTTP/1.1", *head]).encode() + body[:20])
        time.sleep(0.3)
        between.process.terminate()
        time.sleep(0.3)
        client.sendall(body[20:])
        assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert between.process.wait(10) == 0


def test_binary_tensors_do_not_get_through(serving: Running) -> None:
    inputs: list[dict[str, Any]] = [
        {"name": name, "datatype": kind, "shape": [1], "data": [value]}
        for name, kind, value in zip(NAMES, ("BYTES", "BYTES", "FP64", "INT64", "BOOL"), ROW_VALUES, strict=True)
    ]
    inputs[2] = {"name": "age", "datatype": "FP32", "shape": [1], "parameters": {"binary_data_size": 4}}
    text = json.dumps({"inputs": inputs}).encode()
    headers = {"content_type": "application/octet-stream", "inference_header_content_length": str(len(text))}
    body = text + struct.pack("<f", 22.5)
    with executor(serving.port, protocol="v2") as between:
        assert call(serving.url + "/v2/models/tiny/infer", body, **headers).status == 200
        assert call(between.url + "/v2/models/tiny/infer", body, **headers).status == 500


def _call(url: str, part: Part) -> tuple[int, bytes]:
    headers = {name.lower().replace("-", "_"): value for name, value in part.headers.items()}
    answer = call(url, part.body.encode("latin-1") or None, method=part.method, **headers)
    return answer.status, answer.body


def _without_puid(body: bytes) -> Any:
    document = json.loads(body)
    if type(document.get("meta")) is dict:
        document["meta"].pop("puid", None)
    document.pop("id", None)  # its own, where neither the client nor the executor named the request
    return document


def _without_ids(scene: Scene) -> Scene:
    """A scene as any other run of it has it."""
    puid = scene.model[0].headers["Seldon-Puid"]

    def clean(part: Part) -> Part:
        headers = {name: value for name, value in part.headers.items() if name not in OWN}
        return replace(part, headers=headers, body=part.body.replace(puid, ""), answer=part.answer.replace(puid, ""))

    parts = [tuple(clean(part) for part in found) for found in (scene.model, scene.events)]
    return replace(scene, client=clean(scene.client), model=parts[0], events=parts[1])


def _until(holds: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)
