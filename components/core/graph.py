"""Rewriting the graph that skl2onnx made: names, precision, and nodes that do nothing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from components.core.bundle import OUTPUT
from components.core.errors import UseCaseError
from components.core.schema import Schema

# Starts the name of every tensor but inputs and output, so that a column may have any name.
INSIDE = "inside/"
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


def simplify(model: Any, schema: Schema) -> None:
    """Hands wide columns on as float64, and drops what the answer does not need.

    Args:
        model: the `ModelProto`, whose only output is OUTPUT; changed in place.
        schema: of its inputs, which have their names already.

    Raises:
        UseCaseError: a wide column is rounded to float32 before anything made it exact.
    """
    graph = model.graph
    _drop_unused(graph)
    _take_columns_directly(graph, schema)
    wide = [column.name for column in schema.columns if column.is_wide]
    if wide or any(_casts_to(node) == TensorProto.DOUBLE for node in graph.node):
        _carry_doubles(model, wide)
    _drop_idle(model)
    _drop_unused(graph)
    _refuse_rounding(graph, wide)


def restore_names(graph: Any, schema: Schema) -> None:
    """Gives each input its column's name, of which skl2onnx made an identifier; all else makes room for it."""
    names = {entry.name: column.name for entry, column in zip(graph.input, schema.columns, strict=True)}

    def rename(name: str) -> str:
        return names.get(name, f"{INSIDE}{name}" if name else "")

    _rename_inside(graph, rename)
    for entry in (*graph.initializer, *graph.input, *graph.output):
        entry.name = rename(entry.name)
    del graph.value_info[:]


def _rename_inside(graph: Any, rename: Any) -> None:
    """Also in the bodies of loops, which may read what stands outside."""
    for node in graph.node:
        node.input[:], node.output[:] = map(rename, node.input), map(rename, node.output)
        for body in _bodies(node):
            _rename_inside(body, rename)
            for entry in (*body.initializer, *body.input, *body.output, *body.value_info):
                entry.name = rename(entry.name)


def _bodies(node: Any) -> list[Any]:
    return [item.g for item in node.attribute if item.type == onnx.AttributeProto.GRAPH]


def _reads(node: Any) -> set[str]:
    """Every name that a node reads, also from inside its bodies."""
    names = set(node.input)
    for body in _bodies(node):
        for inner in body.node:
            names |= _reads(inner)
        names |= {entry.name for entry in body.output}
    return names


def _take_columns_directly(graph: Any, schema: Schema) -> None:
    """A column gathered from inputs that were put side by side is that input: the fewer nodes, the faster a row."""
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    merged = {
        node.output[0]: node.input
        for node in graph.node
        if node.op_type == "Concat" and set(node.input) <= set(schema.names)
    }
    direct = {}
    for node in graph.node:
        if node.op_type == "Gather" and node.input[0] in merged and node.input[1] in constants:
            places = constants[node.input[1]]
            # One of several columns, not several of them.
            if places.shape == (1,):
                direct[node.output[0]] = merged[node.input[0]][int(places[0])]
    _replace(graph, direct)


def _replace(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for body in _bodies(node):
            _replace(body, names)
            for entry in body.output:
                entry.name = names.get(entry.name, entry.name)


def _casts_to(node: Any) -> int | None:
    return int(node.attribute[0].i) if node.op_type == "Cast" else None


def _types(model: Any) -> dict[str, int]:
    """Element type of each tensor, as far as ONNX infers it."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {entry.name: entry.type.tensor_type.elem_type for entry in (*graph.input, *graph.value_info, *graph.output)}
    return types | {item.name: item.data_type for item in graph.initializer}


def _carry_doubles(model: Any, wide: list[str]) -> None:
    """Keeps in float64 what one step gives in float64 and the next one takes in float64, as scikit-learn does.

    Each float32 tensor that was rounded from a float64 has that as its twin. What only moves values moves the twin as
    well, and a cast to float64 of a tensor with a twin is the twin.
    """
    graph = model.graph
    types = _types(model)
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
        kind = _casts_to(node)
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


def _drop_idle(model: Any) -> None:
    """Takes out casts of a tensor to its own type and what only gives a tensor another name."""
    graph, types = model.graph, _types(model)
    same: dict[str, str] = {}
    outputs = {entry.name for entry in graph.output}
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        idle = node.op_type == "Identity" or _casts_to(node) == types.get(node.input[0] if node.input else "", -1)
        if idle and node.output[0] not in outputs:
            same[node.output[0]] = node.input[0]
    _replace(graph, same)


def _drop_unused(graph: Any) -> None:
    """Removes the nodes that the output does not need, such as those of the predicted label."""
    needed, kept = {OUTPUT}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= _reads(node)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    constants = [item for item in graph.initializer if item.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(constants)


def _refuse_rounding(graph: Any, wide: list[str]) -> None:
    """Raises where a wide column's own value is rounded to float32 and then used for more than a test for null."""
    exact = {name: {name} for name in wide}
    rounded: dict[str, set[str]] = {}
    for node in graph.node:
        places = _VALUES.get(node.op_type, range(len(node.input)))
        raw, lost = (_union(held, (node.input[place] for place in places)) for held in (exact, rounded))
        moves = node.op_type in _MOVES or node.op_type == "Where"
        if lost and not moves and node.op_type != "IsNaN":
            raise UseCaseError(
                f"column {', '.join(sorted(lost))} has integers beyond 2^24, which {node.op_type} would take rounded "
                "to 32 bits; make it exact first, by Shift(origin), StandardScaler(), KBinsDiscretizer() or so"
            )
        if raw and _casts_to(node) == TensorProto.FLOAT:
            rounded[node.output[0]] = raw
        elif raw and (moves or _casts_to(node) == TensorProto.DOUBLE):
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
            needed |= _reads(node)
            if wanted and node.op_type in _INEXACT and not _is_exact_sum(node, constants):
                return False
    return True


def _is_exact_sum(node: Any, constants: dict[str, Any]) -> bool:
    """A product of flags and small whole numbers has no digits to lose."""
    if node.op_type != "MatMul" or node.input[1] not in constants:
        return False
    weights = numpy_helper.to_array(constants[node.input[1]])
    return bool((weights == np.floor(weights)).all() and np.abs(weights).sum() < _EXACT_SUMS)
