"""Predictions as CloudEvents: complete, batched, and never in the way of a prediction."""

from __future__ import annotations

import json
import time
from base64 import b64decode
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.server.receiver import Receiver, wait_for
from tests.server.test_v2 import tensors
from tests.server.world import ROW_VALUES, call, ndarray, server


def counted(url: str, result: str) -> int:
    lines = call(url + "/metrics").body.decode().splitlines()
    start = f'lifeboat_events_total{{result="{result}"}}'
    return next(int(line.split()[-1]) for line in lines if line.startswith(start))


def test_request_response_and_feedback_arrive_with_the_attributes_of_seldons_logger(
    bundle: Path, receiver: Receiver
) -> None:
    env = {"SELDON_DEPLOYMENT_ID": "ship", "PREDICTOR_ID": "main"}
    with server(bundle, "--events-url", receiver.url, "--model-version", "3", env=env) as running:
        message = ndarray(ROW_VALUES)
        answer = call(running.url + "/predict", message, seldon_puid="p1")
        call(running.url + "/predict", message, seldon_puid="p2", seldon_skip_logging="true")
        call(running.url + "/predict", ndarray([1]), seldon_puid="p3")
        call(running.url + "/send-feedback", {"truth": {"data": {"ndarray": [1]}}}, seldon_puid="p1")
        events = wait_for(receiver, 3)
        assert [(event["type"], event["requestid"]) for event in events] == [
            ("io.seldon.serving.inference.request", "p1"),
            ("io.seldon.serving.inference.response", "p1"),
            ("io.seldon.serving.feedback", "p1"),
        ]
        assert events[0]["data"] == message
        assert events[1]["data"] == answer.json
        assert len({event["id"] for event in events}) == 3
        for event in events:
            assert event["specversion"] == "1.0"
            names = ("modelid", "modelversion", "inferenceservicename", "namespace", "endpoint")
            assert [event[name] for name in names] == ["tiny", "3", "ship", "default", "main"]
        assert counted(running.url, "sent") == 3


def test_how_a_client_calls_its_request_stands_beside_our_puid(bundle: Path, receiver: Receiver) -> None:
    with server(bundle, "--events-url", receiver.url) as running:
        infer = f"{running.url}/v2/models/tiny/infer"
        answers = [
            call(running.url + "/predict", {**ndarray(ROW_VALUES), "meta": {"puid": "order 12"}}),
            call(infer, {"inputs": tensors(), "id": "order 13"}),
            call(infer, {"inputs": tensors(), "id": "x" * 257}),
            call(running.url + "/predict", ndarray(ROW_VALUES)),
        ]
        asked = wait_for(receiver, 8)[::2]
    assert [event["requestid"] for event in asked] == [answer.headers["seldon-puid"] for answer in answers]
    assert [event.get("clientid") for event in asked] == ["order 12", "order 13", None, None]


@pytest.mark.parametrize(
    ("said", "source"),
    [(None, "anonymous"), ("bank.example", "bank.example"), ("", "anonymous"), ("x" * 256, "unreadable")],
)
def test_the_source_of_a_truth_is_whom_the_mesh_has_verified_where_a_setting_says_so(
    bundle: Path, receiver: Receiver, said: str | None, source: str
) -> None:
    headers = {} if said is None else {"x_subject": said}
    feedback = {"truth": {"data": {"ndarray": [1]}}}
    with server(bundle, "--events-url", receiver.url, "--subject-header", "X-Subject") as running:
        call(running.url + "/send-feedback", feedback, **headers)
        assert [event["authid"] for event in wait_for(receiver, 1)] == [source]
    receiver.events.clear()
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/send-feedback", feedback, **headers)
        assert [event["authid"] for event in wait_for(receiver, 1)] == ["anonymous"]


@pytest.mark.parametrize("binary", [True, False])
def test_the_probabilities_are_in_the_event_whatever_outputs_were_asked_for(
    bundle: Path, receiver: Receiver, binary: bool
) -> None:
    label = [{"name": "label", "parameters": {"binary_data": binary}}]
    with server(bundle, "--events-url", receiver.url) as running:
        infer = f"{running.url}/v2/models/tiny/infer"
        call(infer, {"inputs": tensors(), "outputs": label})
        call(infer, {"inputs": tensors()})
        _, some, _, all_ = wait_for(receiver, 4)
    outputs = [{one["name"]: one["data"] for one in event["data"]["outputs"]} for event in (some, all_)]
    assert outputs[0] == {"probabilities": outputs[1]["probabilities"]}
    assert some["data"]["parameters"] == all_["data"]["parameters"]


@pytest.mark.parametrize("word", ["true", "On", "1"])
def test_what_a_client_wants_unlogged_is_not_sent_in_any_word_of_seldons(
    bundle: Path, receiver: Receiver, word: str
) -> None:
    with server(bundle, "--events-url", receiver.url) as running:
        feedback = {"truth": {"data": {"ndarray": [1]}}}
        for puid, said in (("p1", word), ("p2", "false")):
            call(running.url + "/predict", ndarray(ROW_VALUES), seldon_puid=puid, seldon_skip_logging=said)
            call(running.url + "/send-feedback", feedback, seldon_puid=puid, seldon_skip_logging=said)
        assert [event["requestid"] for event in wait_for(receiver, 3)] == ["p2"] * 3


def test_events_are_sent_again_until_they_are_taken_and_keep_their_id(bundle: Path, receiver: Receiver) -> None:
    receiver.refusals = [503, 429]
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/predict", ndarray(ROW_VALUES))
        assert len(wait_for(receiver, 2)) == 2
        assert counted(running.url, "dropped") == 0


@pytest.mark.parametrize("status", [404, 405])
def test_events_wait_where_another_program_answers(bundle: Path, receiver: Receiver, status: int) -> None:
    receiver.refusals = [status]
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/predict", ndarray(ROW_VALUES))
        assert len(wait_for(receiver, 2)) == 2
        assert counted(running.url, "dropped") == 0


def test_an_event_that_is_refused_costs_the_others_of_its_batch_nothing(bundle: Path, receiver: Receiver) -> None:
    receiver.refusals = [413, 413]  # both of them, then the first of the two
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/predict", ndarray(ROW_VALUES))
        (event,) = wait_for(receiver, 1)
        assert event["type"].endswith("response")
        assert counted(running.url, "dropped") == 1


def test_events_that_are_refused_for_good_are_dropped_and_counted(bundle: Path, receiver: Receiver) -> None:
    receiver.refusals = [400, 400, 400]
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/predict", ndarray(ROW_VALUES))
        time.sleep(0.6)
        call(running.url + "/predict", ndarray(ROW_VALUES))
        assert len(wait_for(receiver, 2)) == 2
        assert counted(running.url, "dropped") == 2


@pytest.mark.parametrize("down", [True, False])
def test_a_receiver_that_is_down_or_slow_costs_a_prediction_nothing(
    bundle: Path, receiver: Receiver, down: bool
) -> None:
    receiver.delay = 1.0
    url = "http://127.0.0.1:9/" if down else receiver.url
    with server(bundle, "--events-url", url, "--events-buffer", "20") as running:
        slowest = 0.0
        for _ in range(200):
            start = time.perf_counter()
            assert call(running.url + "/predict", ndarray(ROW_VALUES)).status == 200
            slowest = max(slowest, time.perf_counter() - start)
        assert slowest < 0.5
        assert counted(running.url, "dropped") >= 300


def test_events_of_the_last_predictions_are_sent_before_the_end(bundle: Path, receiver: Receiver) -> None:
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/predict", ndarray(ROW_VALUES))
        assert running.stop() == 0
    assert len(receiver.events) == 2


def test_a_query_and_binary_data_do_not_spoil_a_batch(bundle: Path, receiver: Receiver) -> None:
    inputs: list[dict[str, Any]] = [{"name": "name", "datatype": "BYTES", "shape": [1], "data": ["Ann"]}]
    inputs.append({"name": "class", "datatype": "INT64", "shape": [1], "parameters": {"binary_data_size": 8}})
    text = json.dumps({"inputs": inputs}).encode()
    with server(bundle, "--events-url", receiver.url) as running:
        assert call(f"{running.url}/predict?json={quote(json.dumps(ndarray(ROW_VALUES)))}").status == 200
        binary = text + (3).to_bytes(8, "little")
        length = str(len(text))
        url = running.url + "/v2/models/tiny/infer"
        assert call(url, binary, inference_header_content_length=length).status == 200
        requests = wait_for(receiver, 4)[::2]
    assert b64decode(requests[0]["data_base64"]).startswith(b"json=")
    assert b64decode(requests[1]["data_base64"]) == binary
