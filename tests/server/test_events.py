"""Predictions as CloudEvents: complete, batched, and never in the way of a prediction."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from tests.server.receiver import Receiver, wait_for, wait_for_predictions
from tests.server.test_v2 import tensors
from tests.server.world import ROW, ROW_VALUES, call, ndarray, server


def counted(url: str, result: str) -> int:
    lines = call(url + "/metrics").body.decode().splitlines()
    start = f'lifeboat_events_total{{result="{result}"}}'
    return next(int(line.split()[-1]) for line in lines if line.startswith(start))


def test_predictions_and_feedback_arrive_with_the_attributes_of_seldons_logger(
    bundle: Path, receiver: Receiver
) -> None:
    env = {"SELDON_DEPLOYMENT_ID": "ship", "PREDICTOR_ID": "main"}
    with server(bundle, "--events-url", receiver.url, "--model-version", "3", env=env) as running:
        message = ndarray(ROW_VALUES)
        answer = call(running.url + "/predict", message, seldon_puid="p1")
        call(running.url + "/predict", message, seldon_puid="p2", seldon_skip_logging="true")
        call(running.url + "/predict", ndarray([1]), seldon_puid="p3")
        call(running.url + "/send-feedback", {"truth": {"data": {"ndarray": [1]}}}, seldon_puid="p1")
        [event] = wait_for(receiver, 1)
        [prediction] = wait_for_predictions(receiver, 1)
        assert counted(running.url, "sent") == 2
    assert (event["type"], event["requestid"]) == ("io.seldon.serving.feedback", "p1")
    assert (prediction["event"]["type"], prediction["id"]) == ("io.lifeboat.predictions", "p1")
    assert prediction["inputs"] == {name: [value] for name, value in ROW.items()}
    assert prediction["outputs"] == {"probabilities": answer.json["data"]["ndarray"][0]}
    assert prediction["parameters"]["bundle_digest"] == answer.json["meta"]["tags"]["bundle_digest"]
    assert abs(prediction["time"] - time.time()) < 60
    assert event["id"] != prediction["event"]["id"]
    for head in (event, prediction["event"]):
        assert head["specversion"] == "1.0"
        names = ("modelid", "modelversion", "inferenceservicename", "namespace", "endpoint")
        assert [head[name] for name in names] == ["tiny", "3", "ship", "default", "main"]


def test_how_a_client_calls_its_request_stands_beside_our_puid(bundle: Path, receiver: Receiver) -> None:
    with server(bundle, "--events-url", receiver.url) as running:
        infer = f"{running.url}/v2/models/tiny/infer"
        answers = [
            call(running.url + "/predict", {**ndarray(ROW_VALUES), "meta": {"puid": "order 12"}}),
            call(infer, {"inputs": tensors(), "id": "order 13"}),
            call(infer, {"inputs": tensors(), "id": "x" * 257}),
            call(running.url + "/predict", ndarray(ROW_VALUES)),
        ]
        asked = wait_for_predictions(receiver, 4)
    assert [one["id"] for one in asked] == [answer.headers["seldon-puid"] for answer in answers]
    assert [one["client_id"] for one in asked] == ["order 12", "order 13", "", ""]


def test_predictions_of_many_connections_leave_together_and_each_with_its_own_rows(
    bundle: Path, receiver: Receiver
) -> None:
    ages = [20.0 + number for number in range(60)]

    def ask(age: float) -> Any:
        rows = [[*ROW_VALUES[:2], age + row, *ROW_VALUES[3:]] for row in range(int(age) % 3 + 1)]
        return call(running.url + "/predict", ndarray(*rows), seldon_puid=f"p{age}").json["data"]["ndarray"]

    with server(bundle, "--events-url", receiver.url) as running, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(ask, ages))
        found = {one["id"]: one for one in wait_for_predictions(receiver, 60)}
    assert len(found) == 60
    for age, answer in zip(ages, answers, strict=True):
        one = found[f"p{age}"]
        assert one["inputs"]["age"] == [age + row for row in range(int(age) % 3 + 1)]
        assert one["outputs"]["probabilities"] == [number for row in answer for number in row]
    assert len({one["event"]["id"] for one in found.values()}) < 60


def test_keys_that_a_request_gives_are_told_and_those_that_none_gives_are_not(bundle: Path, receiver: Receiver) -> None:
    with server(bundle, "--events-url", receiver.url) as running:
        row = {**ROW, "id": 7}
        call(running.url + "/predict", {"jsonData": [row, ROW]})
        [with_key] = wait_for_predictions(receiver, 1)
        call(running.url + "/predict", {"jsonData": [ROW]})
        _, without = wait_for_predictions(receiver, 2)
    assert with_key["inputs"]["id"] == [7, None]
    assert without["inputs"].keys() == ROW.keys()


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
def test_the_probabilities_are_told_whatever_outputs_were_asked_for(
    bundle: Path, receiver: Receiver, binary: bool
) -> None:
    label = [{"name": "label", "parameters": {"binary_data": binary}}]
    with server(bundle, "--events-url", receiver.url) as running:
        infer = f"{running.url}/v2/models/tiny/infer"
        call(infer, {"inputs": tensors(), "outputs": label})
        call(infer, {"inputs": tensors()})
        some, all_ = wait_for_predictions(receiver, 2)
    assert some["outputs"].keys() == {"probabilities"}
    assert some["outputs"] == all_["outputs"]
    assert some["inputs"] == all_["inputs"]


@pytest.mark.parametrize("word", ["true", "On", "1"])
def test_what_a_client_wants_unlogged_is_not_sent_in_any_word_of_seldons(
    bundle: Path, receiver: Receiver, word: str
) -> None:
    with server(bundle, "--events-url", receiver.url) as running:
        feedback = {"truth": {"data": {"ndarray": [1]}}}
        for puid, said in (("p1", word), ("p2", "false")):
            call(running.url + "/predict", ndarray(ROW_VALUES), seldon_puid=puid, seldon_skip_logging=said)
            call(running.url + "/send-feedback", feedback, seldon_puid=puid, seldon_skip_logging=said)
        assert [event["requestid"] for event in wait_for(receiver, 1)] == ["p2"]
        assert [one["id"] for one in wait_for_predictions(receiver, 1)] == ["p2"]


def test_events_are_sent_again_until_they_are_taken_and_keep_their_id(bundle: Path, receiver: Receiver) -> None:
    receiver.refusals = [503, 429]
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/predict", ndarray(ROW_VALUES))
        assert len(wait_for_predictions(receiver, 1)) == 1
        assert counted(running.url, "dropped") == 0
    assert len(receiver.asked) == 3
    assert len(set(receiver.asked)) == 1


@pytest.mark.parametrize("status", [404, 405])
def test_events_wait_where_another_program_answers(bundle: Path, receiver: Receiver, status: int) -> None:
    receiver.refusals = [status]
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/predict", ndarray(ROW_VALUES))
        assert len(wait_for_predictions(receiver, 1)) == 1
        assert counted(running.url, "dropped") == 0


def test_a_prediction_that_is_refused_costs_the_others_of_its_event_nothing(bundle: Path, receiver: Receiver) -> None:
    # While the first waits to be sent again the others come: then all three are refused, and the first of them.
    receiver.refusals = [503, 202, 413, 413]
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/predict", ndarray(ROW_VALUES), seldon_puid="alone")
        time.sleep(0.2)
        for puid in ("first", "second", "third"):
            call(running.url + "/predict", ndarray(ROW_VALUES), seldon_puid=puid)
        found = wait_for_predictions(receiver, 3)
        assert counted(running.url, "dropped") == 1
    assert [one["id"] for one in found] == ["alone", "second", "third"]


def test_events_that_are_refused_for_good_are_dropped_and_counted(bundle: Path, receiver: Receiver) -> None:
    receiver.refusals = [400, 400]
    feedback = {"truth": {"data": {"ndarray": [1]}}}
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/predict", ndarray(ROW_VALUES))
        call(running.url + "/send-feedback", feedback)
        time.sleep(0.6)
        call(running.url + "/predict", ndarray(ROW_VALUES))
        assert len(wait_for_predictions(receiver, 1)) == 1
        assert counted(running.url, "dropped") == 2
    assert receiver.events == []


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
        assert counted(running.url, "dropped") >= 150


def test_events_of_the_last_predictions_are_sent_before_the_end(bundle: Path, receiver: Receiver) -> None:
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/predict", ndarray(ROW_VALUES))
        assert running.stop() == 0
    assert len(receiver.predictions) == 1


def test_a_request_in_a_query_and_binary_data_are_told_alike(bundle: Path, receiver: Receiver) -> None:
    inputs: list[dict[str, Any]] = [{"name": "name", "datatype": "BYTES", "shape": [1], "data": ["Ann"]}]
    inputs.append({"name": "class", "datatype": "INT64", "shape": [1], "parameters": {"binary_data_size": 8}})
    text = json.dumps({"inputs": inputs}).encode()
    with server(bundle, "--events-url", receiver.url) as running:
        assert call(f"{running.url}/predict?json={quote(json.dumps(ndarray(ROW_VALUES)))}").status == 200
        binary = text + (3).to_bytes(8, "little")
        length = str(len(text))
        url = running.url + "/v2/models/tiny/infer"
        assert call(url, binary, inference_header_content_length=length).status == 200
        first, second = wait_for_predictions(receiver, 2)
    assert first["inputs"] == {name: [value] for name, value in ROW.items()}
    assert second["inputs"] == {"name": ["Ann"], "port": [""], "age": [None], "class": [3], "alone": [None]}
