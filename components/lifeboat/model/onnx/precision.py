"""In which precision values go through a graph: float64 from step to step, what is rounded, and what is exact."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lifeboat.config.errors import UseCaseError
from lifeboat.model.onnx.graph import INSIDE, casts_to, reads, types_of

# What hands values on as they are, in either precision.
_MOVES = {
    "ArrayFeatureExtractor", "Concat", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Squeeze", "Transpose",
    "Unsqueeze",
}  # fmt: skip
# Places of the inputs that hold values; the others say which and where.
_VALUES = {"Where": (1, 2)}
# A result of these may differ from scikit-learn's in the last digits.
_INEXACT = {
    "Atan", "Cos", "Exp", "Gemm", "LinearClassifier", "LinearRegressor", "Log", "MatMul", "Normalizer", "Pow",
    "ReduceL2", "ReduceMean", "ReduceSumSquare", "SVMClassifier", "Scaler", "Sigmoid", "Sin", "Softmax", "Tan", "Tanh",
    "TfIdfVectorizer", "TreeEnsembleRegressor",
}  # fmt: skip
_EXACT_SUMS = 2**24
# What decides by a threshold, and what decides between sums that may be nearly equal.
_DECISIONS = {
    "Ceil", "Floor", "Greater", "GreaterOrEqual", "Less", "Round", "Sign", "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
}  # fmt: skip
_CLOSE_CALLS = {"ArgMax", "ArgMin", "SVMClassifier", "Scan", "TopK"}


def carry_doubles(model: Any, wide: list[str]) -> None:
    """Keeps in float64 what one step gives in float64 and the next one takes in float64, as scikit-learn does.

    Each float32 tensor that was rounded from a float64 has that as its twin. What only moves values moves the twin as
    well, and a cast to float64 of a tensor with a twin is the twin.

    Args:
        model: the `ModelProto`; changed in place.
        wide: inputs that are float64.
    """
    graph = model.graph
    if not wide and not any(casts_to(node) == TensorProto.DOUBLE for node in graph.node):
        return
    types = types_of(model)
    twins: dict[str, str] = {}
    names: dict[str, str] = {}
    nodes = []
    for name in wide:
        entry = next(item for item in graph.input if item.name == name)
        entry.type.tensor_type.elem_type = TensorProto.DOUBLE
        rounded = f"{INSIDE}rounded/{name}"
        nodes.append(helper.make_node("Cast", [name], [rounded], name=rounded, to=TensorProto.FLOAT))
        twins[rounded], names[name] = name, rounded
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        nodes.append(node)
        kind = casts_to(node)
        if kind == TensorProto.FLOAT and types.get(node.input[0]) == TensorProto.DOUBLE:
            twins[node.output[0]] = node.input[0]
        elif kind == TensorProto.DOUBLE and node.input[0] in twins:
            names[node.output[0]] = twins[node.input[0]]
        elif node.op_type in _MOVES and twins.keys() & set(node.input):
            nodes += _twin(node, twins)
    del graph.node[:]
    graph.node.extend(nodes)


def _twin(node: Any, twins: dict[str, str]) -> list[Any]:
    """The same move in float64, with casts of what has no twin."""
    made, inputs = [], list(node.input)
    moved = range(len(inputs)) if node.op_type == "Concat" else range(1)
    for place in moved:
        name = inputs[place]
        inputs[place] = twins.get(name, f"{node.output[0]}/double/{place}")
        if name not in twins:
            made.append(helper.make_node("Cast", [name], [inputs[place]], name=inputs[place], to=TensorProto.DOUBLE))
    twin = onnx.NodeProto()
    twin.CopyFrom(node)
    twin.name = twins[node.output[0]] = f"{node.output[0]}/double"
    twin.input[:], twin.output[:] = inputs, [twin.name]
    return [*made, twin]


def refuse_rounding(graph: Any, wide: list[str]) -> None:
    """Raises where a wide column's own value is rounded to float32 and then used for more than a test for null."""
    exact = {name: {name} for name in wide}
    rounded: dict[str, set[str]] = {}
    for node in graph.node:
        places = _VALUES.get(node.op_type, range(len(node.input)))
        raw, lost = (_union(held, (node.input[place] for place in places)) for held in (exact, rounded))
        moves = node.op_type in _MOVES or node.op_type == "Where"
        if lost and not moves and node.op_type != "IsNaN":
            raise UseCaseError(
                f"column {', '.join(sorted(lost))} has numbers beyond 24 bits, which {node.op_type} would take rounded "
                "to 32 bits; make it exact first, by Shift(origin), StandardScaler(), KBinsDiscretizer() or so"
            )
        if raw and casts_to(node) == TensorProto.FLOAT:
            rounded[node.output[0]] = raw
        elif raw and (moves or casts_to(node) == TensorProto.DOUBLE):
            exact[node.output[0]] = raw
        if lost and moves:
            rounded[node.output[0]] = lost


def _union(held: dict[str, set[str]], names: Iterable[str]) -> set[str]:
    return set().union(*(held.get(name, set()) for name in names))


def is_exact(graph: Any) -> bool:
    """Whether all that decides between two answers gets what scikit-learn computes, bit for bit."""
    if any(node.op_type in _CLOSE_CALLS for node in graph.node):
        return False
    constants = {item.name: item for item in graph.initializer}
    needed: set[str] = set()
    for node in reversed(graph.node):
        if needed & set(node.output) or node.op_type in _DECISIONS:
            wanted = bool(needed & set(node.output))
            needed |= reads(node)
            if wanted and node.op_type in _INEXACT and not _is_exact_sum(node, constants):
                return False
    return True


def _is_exact_sum(node: Any, constants: dict[str, Any]) -> bool:
    """A product of flags and small whole numbers has no digits to lose."""
    if node.op_type != "MatMul" or node.input[1] not in constants:
        return False
    weights = numpy_helper.to_array(constants[node.input[1]])
    return bool((weights == np.floor(weights)).all() and np.abs(weights).sum() < _EXACT_SUMS)
