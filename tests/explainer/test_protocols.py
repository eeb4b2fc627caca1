"""The reasons of answers by every protocol: the same numbers, which are those of the model in this process."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pandas as pd
import pytest
from google.protobuf.json_format import MessageToDict

from lifeboat.api import Model, load
from lifeboat.server.protocols.tensor import read_values
from lifeboat.server.rpc.messages import INFERENCE, message
from tests.detector.world import people
from tests.explainer.world import RunningExplainer
from tests.ports import free_port
from tests.server.receiver import Receiver, wait_for_predictions
from tests.server.rpc.stub import Stub, add_input, seldon_message
from tests.server.world import ROW, Running, call, ndarray, server

ROWS = people(5, seed=4)
NAMES = list(ROW)


@pytest.fixture(scope="module")
def expected(bundle: Path) -> pd.DataFrame:
    model: Model = load(bundle)
    found = model.explain(pd.DataFrame(ROWS).astype({"age": float}), ["probability_died", "probability_survived"])
    return found.set_index(["row", "column", "output"])


@pytest.fixture(scope="module")
def both(running: RunningExplainer, bundle: Path) -> Iterator[tuple[Running, grpc.Channel]]:
    port = free_port()
    with (
        server(bundle, "--explainer-url", running.url, "--grpc-port", str(port)) as started,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield started, channel


def seldon(*rows: dict[str, Any], **tags: Any) -> dict[str, Any]:
    asked = ndarray(*([row[name] for name in NAMES] for row in rows), names=NAMES)
    return {**asked, **({"meta": {"tags": tags}} if tags else {})}


def inference(rows: list[dict[str, Any]], **parameters: Any) -> dict[str, Any]:
    kinds = {"name": "BYTES", "port": "BYTES", "age": "FP32", "class": "INT64", "alone": "BOOL"}
    inputs = [
        {"name": name, "datatype": kind, "shape": [len(rows), 1], "data": [row[name] for row in rows]}
        for name, kind in kinds.items()
    ]
    return {"inputs": inputs, "parameters": parameters}


def check(said: dict[str, Any], expected: pd.DataFrame) -> None:
    """The numbers of an explanation against those of the model in this process, and that they add up."""
    contributions = np.asarray(said["contributions"])
    for row in range(len(contributions)):
        for player, column in enumerate(said["columns"]):
            for place, output in enumerate(said["outputs"]):
                line = expected.loc[row, column, f"probability_{output}"]
                assert contributions[row, player, place] == pytest.approx(line["contribution"], abs=1e-12)
                assert said["base"][place] == pytest.approx(line["base"], abs=1e-12)
    total = np.asarray(said["base"]) + contributions.sum(axis=1)
    assert total == pytest.approx(np.asarray(said["answers"]), abs=1e-6)


def tensors(outputs: dict[str, Any]) -> dict[str, Any]:
    """The outputs of an explanation by the names that Seldon's has."""
    parts = ("columns", "outputs", "answers", "base", "contributions")
    return {part: outputs[f"explanation_{part}"] for part in parts}


@pytest.mark.parametrize("path", ["/api/v1.0/explain", "/explain", "/api/v1.0/predictions"])
def test_seldons_answer_has_the_reasons_in_a_tag(served: Running, expected: pd.DataFrame, path: str) -> None:
    tags = {"explain": True, "mine": 1} if path.endswith("predictions") else {"mine": 1}
    answer = call(served.url + path, seldon(*ROWS, **tags))
    assert answer.status == 200, answer.body
    said = answer.json["meta"]["tags"]["explanation"]
    check(said, expected)
    assert said["outputs"] == ["survived"]
    assert "errors" not in said
    assert said["background"] == 100
    assert answer.survived == pytest.approx([row[0] for row in said["answers"]], abs=1e-7)
    assert answer.json["meta"]["tags"]["mine"] == 1
    assert answer.headers["seldon-puid"] == answer.json["meta"]["puid"]


def test_the_numbers_to_explain_can_be_named(served: Running, expected: pd.DataFrame) -> None:
    for asked in ("died", ["died"], ["survived", "died"], ["probability_survived", "died"]):
        said = call(served.url + "/explain", seldon(*ROWS, explain=asked)).json["meta"]["tags"]["explanation"]
        names = [asked] if isinstance(asked, str) else asked
        assert said["outputs"] == [name.removeprefix("probability_") for name in names]
        check(said, expected)


def test_no_reasons_unless_they_are_asked_for(served: Running) -> None:
    for asked in (seldon(ROW), seldon(ROW, explain=False)):
        answer = call(served.url + "/predict", asked)
        assert answer.status == 200
        assert "explanation" not in answer.json["meta"]["tags"]
    answer = call(served.url + "/v2/models/tiny/infer", inference([ROW], explain=False))
    assert [output["name"] for output in answer.json["outputs"]] == ["probabilities", "label"]


def test_the_open_inference_protocol_has_them_as_outputs(served: Running, expected: pd.DataFrame) -> None:
    answer = call(served.url + "/v2/models/tiny/infer", inference(ROWS, explain=["died", "survived"]))
    assert answer.status == 200, answer.body
    found = {output["name"]: output for output in answer.json["outputs"]}
    shaped = {
        name: np.reshape(output["data"], output["shape"]) if output["datatype"] == "FP64" else output["data"]
        for name, output in found.items()
    }
    check(tensors(shaped), expected)
    assert np.reshape(found["probabilities"]["data"], (-1, 2)) == pytest.approx(shaped["explanation_answers"], abs=1e-7)
    assert answer.json["parameters"]["explanation_background"] == 100


def test_and_as_binary_data(served: Running, expected: pd.DataFrame) -> None:
    answer = call(served.url + "/v2/models/tiny/infer", inference(ROWS, explain=True, binary_data_output=True))
    length = int(answer.headers["inference-header-content-length"])
    document, place, found = json.loads(answer.body[:length]), length, dict[str, Any]()
    for output in document["outputs"]:
        size = output["parameters"]["binary_data_size"]
        blob = answer.body[place : place + size]
        place += size
        if output["datatype"] == "FP64":
            found[output["name"]] = np.frombuffer(blob, "<f8").reshape(output["shape"])
        elif output["name"].startswith("explanation"):
            found[output["name"]] = read_values(output["name"], "BYTES", output["shape"], blob, None).values
    assert place == len(answer.body)
    check(tensors(found), expected)


@pytest.mark.parametrize("is_raw", [False, True])
def test_inference_over_grpc_has_them_as_outputs(
    both: tuple[Running, grpc.Channel], expected: pd.DataFrame, is_raw: bool
) -> None:
    request = message("inference.ModelInferRequest")(model_name="tiny")
    request.parameters["explain"].bool_param = True
    for name, datatype in (("name", "BYTES"), ("port", "BYTES"), ("age", "FP32"), ("class", "INT64")):
        values = [row[name] for row in ROWS]
        if not is_raw:
            add_input(request, name, datatype, [len(ROWS)], values)
            continue
        request.inputs.add(name=name, datatype=datatype, shape=[len(ROWS)])
        texts = [(value or "").encode() for value in values] if datatype == "BYTES" else []
        numbers = np.array([np.nan if value is None else value for value in values if not texts], float)
        packed = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
        request.raw_input_contents.append(packed or numbers.astype("<i8" if name == "class" else "<f4").tobytes())
    response = Stub(both[1], INFERENCE)("ModelInfer", request)
    found = dict[str, Any]()
    for place, output in enumerate(response.outputs):
        if output.datatype == "FP64":
            raw = np.frombuffer(response.raw_output_contents[place], "<f8") if is_raw else output.contents.fp64_contents
            found[output.name] = np.reshape(raw, list(output.shape))
        elif output.name.startswith("explanation"):
            raw = response.raw_output_contents[place] if is_raw else list(output.contents.bytes_contents)
            found[output.name] = list(read_values(output.name, "BYTES", list(output.shape), raw, None).values)
    # The rows are without `alone`, which may be null and on which the model does not depend.
    check(tensors(found), expected)
    assert response.parameters["explanation_background"].int64_param == 100


def test_seldons_message_over_grpc_has_them_in_a_tag(
    both: tuple[Running, grpc.Channel], expected: pd.DataFrame
) -> None:
    stub = Stub(both[1], "seldon.protos.Seldon")
    answer = stub("Predict", seldon_message(seldon(*ROWS, explain=["survived", "died"])))
    check(MessageToDict(answer.meta)["tags"]["explanation"], expected)
    counted = call(f"http://127.0.0.1:{both[0].metrics_port}/metrics").body.decode()
    assert 'lifeboat_request_seconds_count{protocol="explain",status="200"} 3' in counted
    assert 'protocol="grpc-' not in counted


def test_a_prediction_with_reasons_is_an_event_and_a_question_for_reasons_is_none(
    running: RunningExplainer, bundle: Path, receiver: Receiver
) -> None:
    with server(bundle, "--explainer-url", running.url, "--events-url", receiver.url) as started:
        assert call(started.url + "/api/v1.0/explain", seldon(ROW, explain=True)).status == 200
        assert call(started.url + "/predict", seldon(ROWS[0], explain=True)).status == 200
        assert call(started.url + "/v2/models/tiny/infer", inference([ROWS[1]], explain=True)).status == 200
        assert started.stop() == 0
    told = wait_for_predictions(receiver, 2)
    assert [one["inputs"]["name"] for one in told] == [[ROWS[0]["name"]], [ROWS[1]["name"]]]
    assert {name for one in told for name in one["outputs"]} == {"probabilities"}


@pytest.mark.parametrize("asked", [3, [], [1], {"a": 1}, ["nobody"], "nobody"])
def test_what_is_no_name_of_a_number_is_refused(served: Running, asked: Any) -> None:
    answers = [
        call(served.url + "/predict", seldon(ROW, explain=asked)),
        call(served.url + "/v2/models/tiny/infer", inference([ROW], explain=asked)),
    ]
    for answer in answers:
        assert answer.status == 400
        assert b"explain" in answer.body or b"there are died, survived" in answer.body
