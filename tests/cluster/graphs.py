"""Models that answer the golden row as the tiny one does, and go wrong on others."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from tests.server.world import graph


def failing(bias: float, from_age: int = 60) -> bytes:
    """Looks the age up in a table that ends too early: from that age on the server answers 500."""
    model = onnx.load_from_string(graph(bias=bias))
    table = numpy_helper.from_array(np.zeros(from_age, np.float32), "table")
    model.graph.initializer.append(table)
    look = [
        helper.make_node("Where", ["unknown", "zero", "age"], ["known"]),
        helper.make_node("Cast", ["known"], ["whole"], to=TensorProto.INT64),
        helper.make_node("Gather", ["table", "whole"], ["looked_up"]),
    ]
    return _with(model, look, "looked_up")


def slow(bias: float, size: int = 800, times: int = 6) -> bytes:
    """Multiplies large matrices for each request, to no effect: some tens of milliseconds on a core."""
    model = onnx.load_from_string(graph(bias=bias))
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((size, size), np.float32), "big"))
    shape = numpy_helper.from_array(np.array([size, size], np.int64), "shape")
    model.graph.initializer.append(shape)
    start = [
        helper.make_node("Cast", ["unknown"], ["unsure"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMax", ["unsure"], ["any"], keepdims=0),
        helper.make_node("Expand", ["any", "shape"], ["m0"]),
    ]
    steps = [helper.make_node("MatMul", [f"m{index}", "big"], [f"m{index + 1}"]) for index in range(times)]
    end = [helper.make_node("ReduceMax", [f"m{times}"], ["nothing"], keepdims=0)]
    return _with(model, [*start, *steps, *end], "nothing")


def _with(model: onnx.ModelProto, nodes: list[onnx.NodeProto], extra: str) -> bytes:
    """The same graph with something of value zero added to its score."""
    every = list(model.graph.node)
    at = next(index for index, node in enumerate(every) if "score" in node.output)
    every[at].output[0] = "plain"
    added = helper.make_node("Add", ["plain", extra], ["score"])
    del model.graph.node[:]
    model.graph.node.extend([*every[: at + 1], *nodes, added, *every[at + 1 :]])
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
