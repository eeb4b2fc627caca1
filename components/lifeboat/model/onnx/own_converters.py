"""The ONNX forms of the transformers in `lifeboat.usecase.transformers`, and their output shapes."""

from __future__ import annotations

from typing import Any

import numpy as np
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

from lifeboat.model.onnx.nodes import OPSETS, Nodes
from lifeboat.usecase.transformers import RegexFlags

# Shapes: skl2onnx asks for the type of each output before it converts.


def same_shape(operator: Any) -> None:
    operator.outputs[0].type = FloatTensorType([None, operator.raw_operator.n_features_in_])


def single_shape(operator: Any) -> None:
    operator.outputs[0].type = FloatTensorType([None, 1])


def flags_shape(operator: Any) -> None:
    transformer = operator.raw_operator
    flags = transformer.patterns if isinstance(transformer, RegexFlags) else transformer.categories
    operator.outputs[0].type = FloatTensorType([None, len(flags)])


def text_shape(operator: Any) -> None:
    operator.outputs[0].type = StringTensorType([None, 1])


# Converters: each takes the operator's input, adds nodes, and ends in the operator's output.


def shift(nodes: Nodes) -> None:
    nodes.finish(nodes.add("Sub", nodes.cast(nodes.source, np.float64), nodes.constant(np.float64(nodes.model.origin))))


def floats(nodes: Nodes) -> None:
    nodes.add("Identity", nodes.source, output=nodes.result)


def missing(nodes: Nodes) -> None:
    missing = (
        nodes.add("Equal", nodes.source, nodes.constant([""])) if nodes.is_text else nodes.add("IsNaN", nodes.source)
    )
    nodes.finish(missing)


def row_sum(nodes: Nodes) -> None:
    positions = range(nodes.model.n_features_in_)
    nodes.add("Identity", _add_columns(nodes, positions, nodes.model.offset), output=nodes.result)


def quotient(nodes: Nodes) -> None:
    positions = range(1, nodes.model.n_features_in_)
    divisor = _add_columns(nodes, positions, nodes.model.offset)
    nodes.add("Div", nodes.column(0), divisor, output=nodes.result)


def _add_columns(nodes: Nodes, positions: range, offset: float) -> str:
    total = nodes.constant(np.asarray([[offset]], dtype=np.float32))
    for position in positions:
        total = nodes.add("Add", total, nodes.column(position))
    return total


def text_between(nodes: Nodes) -> None:
    transformer = nodes.model
    # One more row, both delimiters, sees to it that there are two pieces to choose from in any batch.
    sentinel = nodes.constant([[transformer.start + transformer.stop]])
    texts = nodes.add("Concat", nodes.source, sentinel, axis=0)
    rest = _piece(nodes, texts, transformer.start, 1)
    found = _piece(nodes, rest, transformer.stop, 0)
    first, last = nodes.constant(np.asarray([0])), nodes.constant(np.asarray([-1]))
    nodes.add("Slice", found, first, last, output=nodes.result)


def _piece(nodes: Nodes, texts: str, delimiter: str, position: int) -> str:
    """The text before (0) or after (1) the first delimiter, "" if there is none, as `str.partition` has it."""
    pieces = nodes.scope.get_unique_variable_name(f"{nodes.prefix}_pieces")
    counts = nodes.scope.get_unique_variable_name(f"{nodes.prefix}_counts")
    nodes.container.add_node(
        "StringSplit",
        [texts],
        [pieces, counts],
        op_domain="",
        op_version=OPSETS[""],
        name=nodes.scope.get_unique_operator_name(f"{nodes.prefix}_split"),
        delimiter=delimiter,
        maxsplit=1,
    )
    return nodes.add("Gather", pieces, nodes.constant(np.asarray(position)), axis=2)


def regex_flags(nodes: Nodes) -> None:
    matches = [nodes.add("RegexFullMatch", nodes.source, pattern=pattern) for pattern in nodes.model.patterns.values()]
    nodes.finish(nodes.join(matches))


def category_flags(nodes: Nodes) -> None:
    equal = nodes.add("Equal", nodes.source, nodes.constant(list(nodes.model.categories)))
    nodes.finish(equal)
