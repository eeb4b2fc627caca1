"""Rewriting the graph that skl2onnx made: names, and nodes that do nothing."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper

from lifeboat.usecase.schema import Schema

# Starts the name of every tensor but inputs and output, so that a column may have any name.
INSIDE = "inside/"


def simplify(model: Any, schema: Schema) -> None:
    """Drops what the answer does not need, what is there twice and what does nothing: each node costs a row 0.7 µs.

    Args:
        model: the `ModelProto`, with one output; changed in place.
        schema: of its inputs, which have their names already.
    """
    graph = model.graph
    _drop_unused(graph)
    _take_columns_directly(graph, schema)
    _drop_idle(model)
    _share_equal(graph)
    _drop_unused(graph)


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


def reads(node: Any) -> set[str]:
    """Every name that a node reads, also from inside its bodies."""
    names = set(node.input)
    for body in _bodies(node):
        for inner in body.node:
            names |= reads(inner)
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
    replace_inputs(graph, direct)


def replace_inputs(graph: Any, names: dict[str, str]) -> None:
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        for body in _bodies(node):
            replace_inputs(body, names)
            for entry in body.output:
                entry.name = names.get(entry.name, entry.name)


def casts_to(node: Any) -> int | None:
    return int(node.attribute[0].i) if node.op_type == "Cast" else None


def types_of(model: Any) -> dict[str, int]:
    """Element type of each tensor, as far as ONNX infers it."""
    graph = model.graph
    # Of an Imputer it infers nothing; `imputer_converters` makes those of float32 only.
    made = [node.output[0] for node in graph.node if node.op_type == "Imputer"]
    graph.value_info.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in made)
    found = onnx.shape_inference.infer_shapes(model).graph
    del graph.value_info[:]
    types = {entry.name: entry.type.tensor_type.elem_type for entry in (*found.input, *found.value_info, *found.output)}
    return types | {item.name: item.data_type for item in found.initializer}


def _drop_idle(model: Any) -> None:
    """Takes out casts of a tensor to its own type and what only gives a tensor another name."""
    graph, types = model.graph, types_of(model)
    answer = graph.output[0].name
    same: dict[str, str] = {}
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        idle = node.op_type == "Identity" or casts_to(node) == types.get(node.input[0] if node.input else "", -1)
        if idle and node.output[0] != answer:
            same[node.output[0]] = node.input[0]
    last = graph.node[-1]
    made = {name for node in graph.node for name in node.output}
    if last.op_type == "Identity" and last.output[0] == answer and last.input[0] in made:
        source = last.input[0]
        del graph.node[-1]
        same = {name: answer if held == source else held for name, held in same.items()} | {source: answer}
        for node in graph.node:
            node.output[:] = [answer if name == source else name for name in node.output]
    replace_inputs(graph, same)


def _share_equal(graph: Any) -> None:
    """Of nodes that make the same of the same, such as two features of one sum, the first one serves all."""
    made: dict[tuple[Any, ...], Any] = {}
    same: dict[str, str] = {}
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        attributes = tuple(sorted(item.SerializeToString(deterministic=True) for item in node.attribute))
        first = made.setdefault((node.op_type, node.domain, tuple(node.input), attributes), node)
        if first is not node and graph.output[0].name not in node.output and len(first.output) == len(node.output):
            same |= dict(zip(node.output, first.output, strict=True))
    replace_inputs(graph, same)


def _drop_unused(graph: Any) -> None:
    """Removes the nodes that the output does not need, such as those of the predicted label."""
    needed, kept = {graph.output[0].name}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= reads(node)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    constants = [item for item in graph.initializer if item.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(constants)
