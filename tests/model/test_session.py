"""A session is held against the schema, and runs many inputs without looking each up among all others."""

from __future__ import annotations

import re

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from lifeboat.config.errors import BundleError
from lifeboat.model.session import open_graph, open_session
from lifeboat.tasks.binary.task import BinaryTask
from lifeboat.usecase.schema import BinaryLabel, Column, Schema

OUTPUT = BinaryTask.output


def graph(inputs: int) -> bytes:
    names = [f"column {number}" for number in range(inputs)]
    nodes = [helper.make_node("Concat", names, ["all"], axis=1), helper.make_node("ReduceSum", ["all"], ["sum"])]
    given = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in names]
    wanted = [helper.make_tensor_value_info("sum", TensorProto.FLOAT, None)]
    model = helper.make_model(
        helper.make_graph(nodes, "sum", given, wanted), opset_imports=[helper.make_opsetid("", 20)], ir_version=9
    )
    return bytes(model.SerializeToString())


class Counted(str):
    """A name that counts how often it is compared."""

    compared = 0
    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        Counted.compared += 1
        return str.__eq__(self, other)


def test_a_runs_work_does_not_grow_with_the_square_of_the_inputs() -> None:
    session = open_session(graph(300))
    feed = {Counted(f"column {number}"): np.ones((1, 1), np.float32) for number in range(300)}
    Counted.compared = 0
    assert session.run(["sum"], feed)[0] == 300
    assert Counted.compared < 3_000


def test_an_input_that_is_missing_is_an_error_all_the_same() -> None:
    session = open_session(graph(3))
    with pytest.raises((ValueError, ort_errors.InvalidArgument, ort_errors.Fail, RuntimeError)):
        session.run(["sum"], {"column 0": np.ones((1, 1), np.float32)})


def test_what_is_no_graph_is_refused_in_one_sentence() -> None:
    with pytest.raises(BundleError, match="^the model cannot be loaded: [^\n]+$"):
        open_session(b"no graph")


PAIR = Schema((Column("age", "float"), Column("sex", "string")), BinaryLabel("y", ("no", "yes")))
TYPES = {"age": TensorProto.FLOAT, "sex": TensorProto.STRING}


def probabilities(output: str = OUTPUT, width: int = 2, **types: int) -> bytes:
    """A graph with inputs of these types and one output; it uses none of the inputs but the first number."""
    given = [helper.make_tensor_value_info(name, kind, [None, 1]) for name, kind in types.items()]
    number = next(name for name, kind in types.items() if kind != TensorProto.STRING)
    nodes = [
        helper.make_node("Cast", [number], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Concat", ["float"] * width, [output], axis=1),
    ]
    wanted = [helper.make_tensor_value_info(output, TensorProto.FLOAT, [None, width])]
    model = helper.make_model(
        helper.make_graph(nodes, "any", given, wanted), opset_imports=[helper.make_opsetid("", 20)], ir_version=9
    )
    return bytes(model.SerializeToString())


def test_a_graph_that_takes_the_schemas_columns_is_taken_though_it_uses_one_alone() -> None:
    session = open_graph(probabilities(**TYPES), PAIR)
    feed = {"age": np.ones((3, 1), np.float32), "sex": np.array([["a"]] * 3, dtype=object)}
    assert session.run([OUTPUT], feed)[0].shape == (3, 2)


@pytest.mark.parametrize(
    ("graph", "words"),
    [
        (probabilities(age=TensorProto.FLOAT), "has sex as no such input, the schema as tensor(string)"),
        (
            probabilities(**TYPES, zone=TensorProto.FLOAT),
            "has zone as tensor(float), the schema as no such column",
        ),
        (
            probabilities(**TYPES | {"age": TensorProto.DOUBLE}),
            "has age as tensor(double), the schema as tensor(float)",
        ),
        (probabilities(**TYPES, output="label"), "gives {'label': ('tensor(float)', [2])}, not probabilities as"),
        (probabilities(**TYPES, width=3), "gives {'probabilities': ('tensor(float)', [3])}, not probabilities as"),
    ],
)
def test_a_graph_of_another_schema_or_output_is_refused_with_the_difference(graph: bytes, words: str) -> None:
    with pytest.raises(BundleError, match=f"^the model {re.escape(words)}"):
        open_graph(graph, PAIR)
