"""The Open Inference Protocol's datatypes, and what it lets a client ask for beside its rows."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any

import numpy as np
import pytest

from tests.server.test_v2 import INFER, tensors
from tests.server.world import Answer, Running, call, expected

INTEGERS = ["UINT8", "UINT16", "UINT32", "UINT64", "INT8", "INT16", "INT32", "INT64"]
FLOATS = ["FP16", "FP32", "FP64"]


def numpy_type(datatype: str) -> np.dtype[Any]:
    if datatype == "BOOL":
        return np.dtype(bool)
    return np.dtype(datatype.replace("FP", "float").lower()).newbyteorder("<")


def infer(running: Running, inputs: list[dict[str, Any]], **members: Any) -> Answer:
    return call(running.url + INFER, {"inputs": inputs, **members})


def infer_binary(running: Running, name: str, datatype: str, content: bytes) -> Answer:
    """Two rows, one column of which is binary data."""
    size = {"binary_data_size": len(content)}
    text = json.dumps({"inputs": tensors(**{name: {"datatype": datatype, "data": None, "parameters": size}})}).encode()
    return call(running.url + INFER, text + content, inference_header_content_length=str(len(text)))


def survived(answer: Answer) -> list[float]:
    assert answer.status == 200, answer.body
    return [float(value) for value in answer.json["outputs"][0]["data"][1::2]]


def refusal(answer: Answer) -> str:
    assert answer.status == 400
    return str(answer.json["error"])


@pytest.mark.parametrize("datatype", [*INTEGERS, *FLOATS])
def test_every_datatype_fills_a_column_of_floats_in_json_and_in_binary(running: Running, datatype: str) -> None:
    ages = np.array([22, 40], numpy_type(datatype))
    wanted = [expected(22, port="C"), expected(40)]
    assert survived(infer(running, tensors(age={"datatype": datatype, "data": [22, 40]}))) == pytest.approx(wanted)
    assert survived(infer_binary(running, "age", datatype, ages.tobytes())) == pytest.approx(wanted)


@pytest.mark.parametrize("datatype", [*INTEGERS, *FLOATS, "BOOL"])
def test_every_datatype_fills_a_column_of_integers_or_truth_values_by_the_schemas_rules(
    running: Running, datatype: str
) -> None:
    column = "alone" if datatype == "BOOL" else "class"
    values = np.array([1, 1], numpy_type(datatype))
    for answer in (
        infer(running, tensors(**{column: {"datatype": datatype, "data": values.tolist()}})),
        infer_binary(running, column, datatype, values.tobytes()),
    ):
        assert survived(answer) == pytest.approx([expected(22.5, port="C"), expected(None)])


@pytest.mark.parametrize(
    ("datatype", "value", "sentence"),
    [
        ("INT8", 300, "input age, row 2: 300 is no INT8, which is -128 to 127"),
        ("UINT8", -1, "input age, row 2: -1 is no UINT8, which is 0 to 255"),
        ("INT32", 1.5, "input age, row 2: 1.5 is no INT32"),
        ("INT64", 2**63, "is no INT64, which is -9223372036854775808 to 9223372036854775807"),
        ("UINT64", 1e20, "is no UINT64, which is 0 to 18446744073709551615"),
        ("FP16", 65505, "input age, row 2: 65505 is no FP16, which is -65504.0 to 65504.0"),
        ("FP32", 3.5e38, "is no FP32"),
        ("FP64", "30", 'input age, row 2: "30" is no FP64'),
        ("INT64", True, "input age, row 2: true is no INT64"),
        ("BOOL", 2, "input age, row 2: 2 is no BOOL"),
        ("BYTES", 30, "input age, row 2: 30 is no BYTES"),
        ("BYTES", "30", 'row 2, column age: "30" is not a float'),
        ("BF16", 30, 'input age: the datatype "BF16" is none of BOOL, UINT8'),
    ],
)
def test_a_value_outside_its_datatype_is_refused_with_row_value_and_limit(
    running: Running, datatype: str, value: Any, sentence: str
) -> None:
    data = [None if datatype != "BF16" else 1, value]
    assert sentence in refusal(infer(running, tensors(age={"datatype": datatype, "data": data})))


def test_a_whole_number_may_be_written_with_a_point_and_a_truth_value_as_0_or_1(running: Running) -> None:
    inputs = tensors(age={"datatype": "INT8", "data": [22.0, 40]}, alone={"data": [1, 0]})
    assert survived(infer(running, inputs)) == pytest.approx([expected(22, port="C"), expected(40)])


@pytest.mark.parametrize("datatype", FLOATS)
def test_nan_in_a_tensor_of_floats_is_a_null(running: Running, datatype: str) -> None:
    ages = np.array([22.5, np.nan], numpy_type(datatype))
    wanted = [expected(22.5, port="C"), expected(None)]
    assert survived(infer_binary(running, "age", datatype, ages.tobytes())) == pytest.approx(wanted)
    assert "row 2, column class: is null" in refusal(infer_binary(running, "class", datatype, (ages * 0 + 1).tobytes()))


def test_a_number_above_the_signed_64_bits_is_exact(running: Running) -> None:
    for number in (2**63 + 1, 2**64 - 1):
        key = {"name": "id", "datatype": "UINT64", "shape": [2], "data": [1, number]}
        sentence = f"row 2, column id: {number} is outside 1 to"
        assert sentence in refusal(infer(running, [*tensors(), key]))
        binary = np.array([number, number], "<u8").tobytes()
        assert f"row 1, column age: {number} is outside 0 to 120" in refusal(
            infer_binary(running, "age", "UINT64", binary)
        )


def encoded(*texts: str) -> list[str]:
    return [b64encode(text.encode()).decode() for text in texts]


def test_base64_is_decoded_in_json_and_in_binary(running: Running) -> None:
    base64 = {"content_type": "base64"}
    port = encoded("C", "")
    inputs = tensors(
        port={"data": [port[0], None], "parameters": base64}, name={"data": encoded("Ann", "Zoë"), "parameters": base64}
    )
    wanted = [expected(22.5, port="C"), expected(None)]
    assert survived(infer(running, inputs)) == pytest.approx(wanted)
    content = b"".join(len(text).to_bytes(4, "little") + text.encode() for text in port)
    inputs = tensors(port={"data": None, "parameters": {**base64, "binary_data_size": len(content)}})
    text = json.dumps({"inputs": inputs}).encode()
    answer = call(running.url + INFER, text + content, inference_header_content_length=str(len(text)))
    assert survived(answer) == pytest.approx(wanted)


@pytest.mark.parametrize("value", ["Q", "not base64", b64encode(b"\xff").decode(), "Zoë"])
def test_what_is_no_base64_of_a_text_is_a_400(running: Running, value: str) -> None:
    inputs = tensors(port={"data": [None, value], "parameters": {"content_type": "base64"}})
    assert "is not the base64 of a UTF-8 text" in refusal(infer(running, inputs))
    assert "input port, row 2" in refusal(infer(running, inputs))


def test_what_changes_no_answer_may_be_asked_for(running: Running) -> None:
    inputs = tensors(age={"parameters": {"content_type": "np"}}, name={"parameters": {"content_type": "datetime"}})
    parameters = {"content_type": "pd", "priority": 1, "timeout": 10, "sequence_id": 7, "sequence_start": True}
    answer = infer(running, inputs, parameters={**parameters, "sequence_end": True, "binary_data_output": False})
    assert survived(answer) == pytest.approx([expected(22.5, port="C"), expected(None)])


SHARED = ["shared_memory_region", "shared_memory_offset", "shared_memory_byte_size"]


def of_input(name: str, **parameters: Any) -> dict[str, Any]:
    return {"inputs": tensors(**{name: {"parameters": parameters}})}


def of_request(**members: Any) -> dict[str, Any]:
    return {"inputs": tensors(), **members}


def of_output(**parameters: Any) -> dict[str, Any]:
    return of_request(outputs=[{"name": "label", "parameters": parameters}])


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        (
            of_input("name", content_type="pd"),
            'input name: the content_type "pd" is not supported, only np, str, base64, datetime',
        ),
        (of_input("name", content_type=1), "input name: the content_type 1 is not supported"),
        (
            of_input("age", content_type="base64"),
            'input age: the content_type "base64" is one of BYTES, the datatype is',
        ),
        *((of_input("age", **{name: 0}), f"input age: the parameter {name} is not supported") for name in SHARED),
        (of_request(inputs=tensors(age={"parameters": [1]})), "input age: parameters is not an object"),
        (
            of_request(inputs=tensors(age={"content_type": "str"})),
            "input age: the member content_type is not supported",
        ),
        (of_request(parameters={"content_type": "csv"}), 'content_type "csv" is not supported, only pd, np, str'),
        (of_request(parameters={"content_type": ["pd"]}), 'content_type ["pd"] is not supported, only pd, np, str'),
        (of_request(parameters={"threshold": 0.3}), "the request: the parameter threshold is not supported"),
        (of_request(parameters={"binary_data_output": 1}), "the request: binary_data_output is 1, not true or false"),
        (of_request(output=[]), "the request: the member output is not supported"),
        (of_request(outputs=[{"name": "label"}, {"name": "label"}]), "output label: asked for twice"),
        (of_request(outputs=[{"name": "label", "classification": 1}]), "output label: the member classification is"),
        *(
            (of_output(**{name: 1}), f"output label: the parameter {name} is not")
            for name in ("classification", *SHARED)
        ),
        (of_output(binary_data="yes"), 'output label: binary_data is "yes", not true or false'),
    ],
)
def test_what_is_asked_for_and_not_done_is_refused_by_name(running: Running, message: Any, sentence: str) -> None:
    assert sentence in refusal(call(running.url + INFER, message))


def test_data_in_json_and_in_binary_for_one_input_is_refused(running: Running) -> None:
    text = json.dumps({"inputs": tensors(age={"parameters": {"binary_data_size": 8}})}).encode()
    answer = call(running.url + INFER, text + bytes(8), inference_header_content_length=str(len(text)))
    assert "input age: data and binary_data_size are both given" in refusal(answer)
