"""The Open Inference Protocol, through a client of somebody else and by hand."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from tritonclient import http as httpclient

from tests.server.world import Running, call, expected

COLUMNS: dict[str, tuple[str, list[Any]]] = {
    "name": ("BYTES", ["Ann", "Bo"]),
    "port": ("BYTES", ["C", ""]),
    "age": ("FP32", [22.5, float("nan")]),
    "class": ("INT64", [3, 1]),
    "alone": ("BOOL", [True, False]),
}
SURVIVED = [expected(22.5, port="C"), expected(None)]
INFER = "/v2/models/tiny/infer"


def tensors(**changed: Any) -> list[dict[str, Any]]:
    """The inputs of two rows; a member given as None is left out."""
    inputs = {
        name: {"name": name, "datatype": kind, "shape": [2], "data": [None if v != v else v for v in values]}
        for name, (kind, values) in COLUMNS.items()
    }
    merged = [{**entry, **changed.get(name, {})} for name, entry in inputs.items()]
    return [{member: value for member, value in entry.items() if value is not None} for entry in merged]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("version", ["", "3"])
@pytest.mark.parametrize("shape", [[2], [2, 1]])
def test_tritonclient_infers_with_json_and_with_binary_tensors(
    running: Running, binary: bool, version: str, shape: list[int]
) -> None:
    kinds = {"BYTES": np.object_, "FP32": np.float32, "INT64": np.int64, "BOOL": np.bool_}
    inputs = []
    for name, (kind, values) in COLUMNS.items():
        tensor = httpclient.InferInput(name, shape, kind)
        if kind == "FP32" and not binary:
            values = [22.5, 30.0]
        tensor.set_data_from_numpy(np.array(values, kinds[kind]).reshape(shape), binary_data=binary)
        inputs.append(tensor)
    outputs = [httpclient.InferRequestedOutput(name, binary_data=binary) for name in ("probabilities", "label")]
    with httpclient.InferenceServerClient(f"127.0.0.1:{running.port}") as client:
        answer = client.infer("tiny", inputs, version, outputs, request_id="r1")
        probabilities, label = answer.as_numpy("probabilities"), answer.as_numpy("label")
    assert probabilities[:, 1] == pytest.approx([SURVIVED[0], SURVIVED[1] if binary else 0.3])
    # The second is exactly one half: a tie goes to the first class.
    assert [str(value, "utf8") if isinstance(value, bytes) else value for value in label] == ["died", "died"]
    assert answer.get_response()["id"] == "r1"


def test_tritonclient_finds_the_server_and_the_model(running: Running) -> None:
    with httpclient.InferenceServerClient(f"127.0.0.1:{running.port}") as client:
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready("tiny")
        assert client.is_model_ready("tiny", "3")
        assert client.get_server_metadata()["extensions"] == ["binary_tensor_data"]
        metadata = client.get_model_metadata("tiny")
        assert {entry["name"]: entry["datatype"] for entry in metadata["inputs"]} == {
            name: kind for name, (kind, _) in COLUMNS.items()
        }
        assert not client.is_model_ready("other")
        assert not client.is_model_ready("tiny", "4")


def test_json_is_answered_with_every_output_unless_some_are_asked_for(running: Running) -> None:
    answer = call(running.url + INFER, {"id": "7", "inputs": tensors()})
    assert answer.status == 200
    document = answer.json
    assert (document["id"], document["model_name"], document["model_version"]) == ("7", "tiny", "3")
    outputs = {output["name"]: output for output in document["outputs"]}
    assert outputs["probabilities"]["shape"] == [2, 2]
    assert outputs["probabilities"]["data"][1::2] == pytest.approx(SURVIVED)
    assert outputs["label"]["data"] == ["died", "died"]
    document = call(running.url + INFER, {"inputs": tensors(), "outputs": [{"name": "label"}]}).json
    assert [output["name"] for output in document["outputs"]] == ["label"]


@pytest.mark.parametrize("name", ["order 12", "Grüße", "a\r\nb: c", "x" * 256, "x" * 100_000, "a/b?c=%20"])
def test_an_id_is_any_text_and_comes_back(running: Running, name: str) -> None:
    answer = call(running.url + INFER, {"id": name, "inputs": tensors()})
    assert answer.status == 200
    assert answer.json["id"] == name


def test_an_id_is_made_where_the_request_has_none(running: Running) -> None:
    answers = [call(running.url + INFER, {"inputs": tensors(), **more}) for more in ({}, {"id": ""}, {"id": None})]
    ids = [answer.json["id"] for answer in answers]
    assert ids == [answer.headers["seldon-puid"] for answer in answers]
    assert len(set(ids)) == 3


@pytest.mark.parametrize("name", [12, ["a"]])
def test_an_id_that_is_no_text_is_refused_by_that_name(running: Running, name: object) -> None:
    answer = call(running.url + INFER, {"id": name, "inputs": tensors()})
    assert answer.status == 400
    assert answer.json["error"].startswith("id is not a string")


def test_the_label_is_the_likelier_class(running: Running) -> None:
    ages = {"age": {"data": [50.5, 49.5]}, "port": {"data": ["", ""]}}
    document = call(running.url + INFER, {"inputs": tensors(**ages), "outputs": [{"name": "label"}]}).json
    assert document["outputs"][0]["data"] == ["survived", "died"]


def test_nullable_columns_may_be_left_out_and_data_may_be_nested(running: Running) -> None:
    inputs = [entry for entry in tensors() if entry["name"] in ("name", "class")]
    inputs[0] = {**inputs[0], "shape": [2, 1], "data": [["Ann"], ["Bo"]]}
    document = call(running.url + INFER, {"inputs": inputs}).json
    assert document["outputs"][0]["data"][1::2] == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({}, "inputs is not a list of tensors"),
        ({"inputs": []}, "inputs is not a list of tensors"),
        ({"inputs": [1]}, "an input is not an object with a name"),
        ({"inputs": tensors(age={"datatype": "FP8"})}, 'input age: the datatype "FP8" is none of BOOL, UINT8'),
        ({"inputs": tensors(age={"shape": [3]})}, "input age: data holds 2 values, its shape asks for 3"),
        ({"inputs": tensors(age={"shape": [1, 2]})}, "input age: it is [rows, 2], beside inputs that are columns"),
        ({"inputs": tensors(age={"shape": "2"})}, "input age: the shape is neither"),
        ({"inputs": tensors(age={"shape": [1], "data": [1.0]})}, "input age: 1 rows, the first input has 2"),
        (
            {"inputs": tensors(age={"data": [[1, 2], [3, 4]]})},
            "input age: data is nested but not 1 value a row",
        ),
        ({"inputs": tensors(age={"data": 1})}, "input age: data is not a list"),
        ({"inputs": tensors(age={"data": [1.0, 121]})}, "row 2, column age: 121 is outside 0 to 120"),
        ({"inputs": tensors(age={"name": "agee"})}, "column agee: unknown"),
        ({"inputs": tensors(age={"name": "name"})}, "input name: given twice"),
        ({"inputs": tensors()[:2]}, "column class: missing, and it may not be null"),
        ({"inputs": tensors(), "outputs": [{"name": "logits"}]}, "the names are probabilities, label"),
        ({"inputs": tensors(), "outputs": 1}, "outputs is not a list"),
        ({"inputs": tensors(), "parameters": 1}, "parameters is not an object"),
        ({"inputs": tensors(), "id": 1}, "id is not a string"),
        (
            {"inputs": tensors(age={"data": None, "parameters": {"binary_data_size": 8}})},
            "input age: binary_data_size is not",
        ),
        ({"inputs": tensors(name={"shape": [0], "data": []})}, "rows"),
    ],
)
def test_a_bad_request_is_answered_with_what_is_wrong(running: Running, message: Any, sentence: str) -> None:
    answer = call(running.url + INFER, message)
    assert answer.status == 400
    assert sentence in answer.json["error"]


@pytest.mark.parametrize(
    ("size", "content", "sentence"),
    [
        (8, b"\0\0\0\0", "binary_data_size is not a number of bytes that were sent"),
        (4, b"\0\0\0\0", "4 bytes were sent, its shape asks for 8"),
        (8, b"\0" * 9, "9 bytes of binary data were sent, the inputs take 8"),
    ],
)
def test_bad_binary_data_is_answered_with_what_is_wrong(
    running: Running, size: int, content: bytes, sentence: str
) -> None:
    inputs = tensors(age={"data": None, "parameters": {"binary_data_size": size}})
    text = json.dumps({"inputs": inputs}).encode()
    headers = {"inference_header_content_length": str(len(text)), "content_type": "application/octet-stream"}
    answer = call(running.url + INFER, text + content, **headers)
    assert answer.status == 400
    assert sentence in answer.json["error"]


@pytest.mark.parametrize(
    "content", [b"\x05\0\0\0Ann", b"\x03\0\0\0Ann", b"\x03\0\0\0Ann\xff\xff\xff\xff", b"\1\0\0\0\xff"]
)
def test_bad_strings_in_binary_data_are_a_400(running: Running, content: bytes) -> None:
    inputs = tensors(name={"data": None, "parameters": {"binary_data_size": len(content)}})
    text = json.dumps({"inputs": inputs}).encode()
    answer = call(running.url + INFER, text + content, inference_header_content_length=str(len(text)))
    assert answer.status == 400
    for length in ("x", "-1", "999999999999999999999999"):
        assert call(running.url + INFER, text, inference_header_content_length=length).status == 400


def test_another_model_or_version_is_a_404_in_the_protocols_words(running: Running) -> None:
    for path in ("/v2/models/other/infer", "/v2/models/tiny/versions/4/infer"):
        answer = call(running.url + path, {"inputs": tensors()})
        assert answer.status == 404
        assert "there is nothing at" in answer.json["error"]
    assert call(running.url + INFER, method="GET").status == 405
    assert call(running.url + INFER, b"<a/>", content_type="text/xml").status == 415
    assert call(running.url + INFER, b"x", content_encoding="br").status == 415
