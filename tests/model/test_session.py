"""A session runs many inputs without looking each up among all others."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from lifeboat.config.errors import BundleError
from lifeboat.model.session import open_session


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
