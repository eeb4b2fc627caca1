"""A model of numbers: one tensor [n, k] for all columns, as MLServer's clients send it, over HTTP and gRPC."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tritonclient import http as triton

from lifeboat.model.bundle import GOLDEN, MODEL, REFERENCE, SCHEMA, write_bundle
from lifeboat.server.rpc.messages import INFERENCE, message
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from tests.ports import free_port
from tests.server.rpc.stub import Stub
from tests.server.world import Running, call, server

SCHEMA_OF = Schema(
    columns=(
        Column("share", "float", nullable=True, minimum=0, maximum=1, example=0.25),
        Column("count", "integer", minimum=0, maximum=10, example=3),
        Column("flag", "boolean", example=True),
    ),
    label=BinaryLabel("fate", ("no", "yes")),
)
ROWS = [[0.25, 3, True], [0.5, 4, False], [None, 0, True]]
# yes = share / 2 + count / 100 + flag / 10, where an unknown share is 0.
YES = [0.255, 0.29, 0.1]
URL = "/v2/models/numbers/infer"


def graph() -> bytes:
    columns = [column.name for column in SCHEMA_OF.columns]
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in columns]
    constants = {"zero": 0.0, "one": 1.0, "w0": 0.5, "w1": 0.01, "w2": 0.1}
    nodes = [
        helper.make_node("IsNaN", ["share"], ["unknown"]),
        helper.make_node("Where", ["unknown", "zero", "share"], ["known"]),
        helper.make_node("Mul", ["known", "w0"], ["a"]), helper.make_node("Mul", ["count", "w1"], ["b"]),
        helper.make_node("Mul", ["flag", "w2"], ["c"]), helper.make_node("Sum", ["a", "b", "c"], ["yes"]),
        helper.make_node("Sub", ["one", "yes"], ["no"]),
        helper.make_node("Concat", ["no", "yes"], ["probabilities"], axis=1),
    ]  # fmt: skip
    weights = [numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()]
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])
    made = helper.make_graph(nodes, "numbers", inputs, [output], weights)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def numbers(port: int) -> Iterator[Running]:
    golden = [{"row": dict(zip(SCHEMA_OF.names, ROWS[0], strict=True)), "probabilities": [1 - YES[0], YES[0]]}]
    files = {
        MODEL: graph(), SCHEMA: SCHEMA_OF.to_json().encode(), REFERENCE: b"", GOLDEN: json.dumps(golden).encode()
    }  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        write_bundle(Path(folder) / "bundle", files, {"usecase": "numbers"})
        with server(Path(folder) / "bundle", "--grpc-port", str(port)) as running:
            yield running


def matrix(**changes: Any) -> dict[str, Any]:
    data = [float(value or 0) for row in ROWS for value in row]
    return {"inputs": [{"name": "input-0", "datatype": "FP64", "shape": [3, 3], "data": data, **changes}]}


def yes(document: dict[str, Any]) -> list[float]:
    found: list[float] = document["outputs"][0]["data"][1::2]
    return found


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("content_type", [None, "np"])
def test_one_tensor_holds_all_columns_in_the_schemas_order(
    numbers: Running, nested: bool, content_type: str | None
) -> None:
    floats = [[0.0 if value is False else 1.0 if value is True else value for value in row] for row in ROWS]
    data = floats if nested else [value for row in floats for value in row]
    body = matrix(data=data)
    if content_type:
        body["parameters"] = {"content_type": content_type}
    assert yes(call(numbers.url + URL, body).json) == pytest.approx(YES)


def test_tritons_client_sends_it_as_binary_data(numbers: Running) -> None:
    array = np.array([[np.nan if value is None else value for value in row] for row in ROWS], np.float32)
    given = triton.InferInput("x", array.shape, "FP32")
    given.set_data_from_numpy(array)
    with triton.InferenceServerClient(f"127.0.0.1:{numbers.port}") as client:
        for algorithm in (None, "gzip", "deflate"):
            found = client.infer(
                "numbers", [given], request_compression_algorithm=algorithm, response_compression_algorithm="gzip"
            )
            assert found.as_numpy("probabilities")[:, 1] == pytest.approx(YES)


def test_over_grpc_in_contents_and_raw(numbers: Running, port: int) -> None:
    array = np.array([[np.nan if value is None else value for value in row] for row in ROWS])
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        for is_raw in (False, True):
            request: Any = message("inference.ModelInferRequest")(model_name="numbers")
            tensor = request.inputs.add(name="x", datatype="FP64", shape=array.shape)
            if is_raw:
                request.raw_input_contents.append(array.tobytes())
            else:
                tensor.contents.fp64_contents.extend(array.reshape(-1))
            answer = Stub(channel, INFERENCE)("ModelInfer", request)
            found = (
                np.frombuffer(answer.raw_output_contents[0], np.float32)
                if is_raw
                else np.array(answer.outputs[0].contents.fp32_contents)
            )
            assert found[1::2] == pytest.approx(YES)
    assert numbers.process.poll() is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (matrix(shape=[3, 4], data=[0.0] * 12), "it is [rows, 4], the model has 3 columns: share, count, flag"),
        (matrix(shape=[3, 3], data=[0.0] * 8), "data holds 8 values, its shape asks for 9"),
        (matrix(shape=[9, 1], data=[0.0] * 9), "column input-0: unknown"),
        (matrix(data=[[0.0] * 3, [0.0] * 2, [0.0] * 3]), "data is nested but not 3 values a row"),
        (matrix(shape=[0, 3], data=[]), "the inputs hold 0 rows"),
        (matrix(shape=[1, 3, 1], data=[0.0] * 3), "the shape is neither"),
        (matrix(data=[0.5, 3, 1, 0.5, 11, 1, 0.5, 3, 1]), "row 2, column count: 11 is outside 0 to 10"),
        (matrix(datatype="UINT8", data=[0, 3, 1, 0, 300, 1, 0, 3, 1]), "row 2: 300 is no UINT8"),
        (matrix(datatype="BYTES", data=["1"] * 9), "row 1, column share"),
        ({"inputs": matrix()["inputs"] * 2}, "it is [rows, 3], beside inputs that are columns"),
    ],
)
def test_what_is_wrong_with_it_is_named(numbers: Running, body: dict[str, Any], sentence: str) -> None:
    found = call(numbers.url + URL, body)
    assert (found.status, sentence in found.json["error"]) == (400, True), found.body


def test_a_model_with_texts_takes_no_such_tensor(running: Running) -> None:
    found = call(running.url + "/v2/models/tiny/infer", matrix(shape=[1, 5], data=[1.0] * 5))
    assert found.status == 400
    assert "but not all of the model's columns are numbers" in found.json["error"]
