"""The ONNX forms of the transformers in `core.transformers`, for skl2onnx."""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto
from skl2onnx import update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, StringTensorType

from components.core.transformers import (
    CategoryFlags,
    Floats32,
    MissingFlag,
    Quotient,
    RegexFlags,
    RowSum,
    TextBetween,
)

# RegexFullMatch and StringSplit came with opset 20; TreeEnsemble* of ai.onnx.ml 3 is what ONNX Runtime has optimised.
OPSETS = {"": 20, "ai.onnx.ml": 3}


def register_converters() -> None:
    """Tells skl2onnx about the transformers of `core.transformers`; calling it again changes nothing."""
    table = {
        CategoryFlags: (_flags_shape, _convert_category_flags),
        Floats32: (_same_shape, _convert_floats),
        MissingFlag: (_same_shape, _convert_missing),
        Quotient: (_single_shape, _convert_quotient),
        RegexFlags: (_flags_shape, _convert_regex_flags),
        RowSum: (_single_shape, _convert_row_sum),
        TextBetween: (_text_shape, _convert_text_between),
    }
    for transformer, (shape, convert) in table.items():
        update_registered_converter(transformer, f"Lifeboat{transformer.__name__}", shape, convert, overwrite=True)


# Shapes: skl2onnx asks for the type of each output before it converts.


def _same_shape(operator: Any) -> None:
    operator.outputs[0].type = FloatTensorType([None, operator.raw_operator.n_features_in_])


def _single_shape(operator: Any) -> None:
    operator.outputs[0].type = FloatTensorType([None, 1])


def _flags_shape(operator: Any) -> None:
    transformer = operator.raw_operator
    flags = transformer.patterns if isinstance(transformer, RegexFlags) else transformer.categories
    operator.outputs[0].type = FloatTensorType([None, len(flags)])


def _text_shape(operator: Any) -> None:
    operator.outputs[0].type = StringTensorType([None, 1])


# Converters: each takes the operator's input, adds nodes, and ends in the operator's output.


class _Nodes:
    """Adds nodes one after the other, naming what they make."""

    def __init__(self, scope: Any, operator: Any, container: Any) -> None:
        self.scope, self.container = scope, container
        self.prefix = type(operator.raw_operator).__name__
        self.source = _joined(self, [item.full_name for item in operator.inputs])
        self.result = operator.outputs[0].full_name

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        name = output or self.scope.get_unique_variable_name(f"{self.prefix}_{kind}")
        node = self.scope.get_unique_operator_name(f"{self.prefix}_{kind}")
        self.container.add_node(
            kind, list(inputs), [name], op_domain="", op_version=OPSETS[""], name=node, **attributes
        )
        return name

    def constant(self, values: Any) -> str:
        array = np.asarray(values)
        kind = {"f": TensorProto.FLOAT, "i": TensorProto.INT64}.get(array.dtype.kind, TensorProto.STRING)
        name = self.scope.get_unique_variable_name(f"{self.prefix}_constant")
        flat = [item.encode() if isinstance(item, str) else item for item in array.ravel().tolist()]
        self.container.add_initializer(name, kind, list(array.shape), flat)
        return str(name)

    def column(self, position: int) -> str:
        return self.add("Gather", self.source, self.constant([position]), axis=1)


def _joined(nodes: _Nodes, names: list[str]) -> str:
    return names[0] if len(names) == 1 else nodes.add("Concat", *names, axis=1)


def _convert_floats(scope: Any, operator: Any, container: Any) -> None:
    nodes = _Nodes(scope, operator, container)
    nodes.add("Identity", nodes.source, output=nodes.result)


def _convert_missing(scope: Any, operator: Any, container: Any) -> None:
    nodes = _Nodes(scope, operator, container)
    if isinstance(operator.inputs[0].type, StringTensorType):
        missing = nodes.add("Equal", nodes.source, nodes.constant([""]))
    else:
        missing = nodes.add("IsNaN", nodes.source)
    nodes.add("Cast", missing, output=nodes.result, to=TensorProto.FLOAT)


def _convert_row_sum(scope: Any, operator: Any, container: Any) -> None:
    nodes = _Nodes(scope, operator, container)
    positions = range(operator.raw_operator.n_features_in_)
    nodes.add("Identity", _add_columns(nodes, positions, operator.raw_operator.offset), output=nodes.result)


def _convert_quotient(scope: Any, operator: Any, container: Any) -> None:
    nodes = _Nodes(scope, operator, container)
    positions = range(1, operator.raw_operator.n_features_in_)
    divisor = _add_columns(nodes, positions, operator.raw_operator.offset)
    nodes.add("Div", nodes.column(0), divisor, output=nodes.result)


def _add_columns(nodes: _Nodes, positions: range, offset: float) -> str:
    total = nodes.constant(np.asarray([[offset]], dtype=np.float32))
    for position in positions:
        total = nodes.add("Add", total, nodes.column(position))
    return total


def _convert_text_between(scope: Any, operator: Any, container: Any) -> None:
    nodes, transformer = _Nodes(scope, operator, container), operator.raw_operator
    # One more row, both delimiters, sees to it that there are two pieces to choose from in any batch.
    sentinel = nodes.constant([[transformer.start + transformer.stop]])
    texts = nodes.add("Concat", nodes.source, sentinel, axis=0)
    rest = _piece(nodes, texts, transformer.start, 1)
    found = _piece(nodes, rest, transformer.stop, 0)
    first, last = nodes.constant(np.asarray([0])), nodes.constant(np.asarray([-1]))
    nodes.add("Slice", found, first, last, output=nodes.result)


def _piece(nodes: _Nodes, texts: str, delimiter: str, position: int) -> str:
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


def _convert_regex_flags(scope: Any, operator: Any, container: Any) -> None:
    nodes = _Nodes(scope, operator, container)
    matches = [
        nodes.add("RegexFullMatch", nodes.source, pattern=pattern)
        for pattern in operator.raw_operator.patterns.values()
    ]
    nodes.add("Cast", _joined(nodes, matches), output=nodes.result, to=TensorProto.FLOAT)


def _convert_category_flags(scope: Any, operator: Any, container: Any) -> None:
    nodes = _Nodes(scope, operator, container)
    equal = nodes.add("Equal", nodes.source, nodes.constant(list(operator.raw_operator.categories)))
    nodes.add("Cast", equal, output=nodes.result, to=TensorProto.FLOAT)
