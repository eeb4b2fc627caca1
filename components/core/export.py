"""From a fitted scikit-learn pipeline to one ONNX graph over raw columns.

The graph has an input per schema column, in its name, [rows, 1] (string or float32), and one output, `probabilities`,
float32 [rows, 2]. Standard operators only: any ONNX server can run it.
"""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn, update_registered_converter
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.pipeline import Pipeline

from components.core.bundle import OUTPUT
from components.core.calibration import CLIP, Calibrated
from components.core.schema import Schema
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
PRODUCER = "lifeboat"
# Starts the name of every tensor but inputs and output, so that a column may have any name.
INSIDE = "inside/"


def export_onnx(model: Any, schema: Schema) -> bytes:
    """Converts a fitted `Pipeline(features, classifier)` and gives the serialised graph.

    Args:
        model: a fitted pipeline; the classifier may be `Calibrated`.
        schema: gives the inputs.
    """
    register_converters()
    calibrated = model[-1] if isinstance(model[-1], Calibrated) else None
    classifier = _float_thresholds(calibrated.estimator if calibrated else model[-1])
    plain = Pipeline([*model.steps[:-1], ("classifier", classifier)])
    graph = convert_sklearn(
        plain,
        name=PRODUCER,
        initial_types=[(column.name, _tensor_type(column.is_number)) for column in schema.columns],
        options={id(classifier): {"zipmap": False}},
        target_opset=OPSETS,
    )
    _restore_names(graph.graph, schema)
    _keep_probabilities(graph.graph, calibrated)
    # The version of the converter stands in the manifest; here it would change the digest twice.
    graph.producer_name, graph.producer_version, graph.doc_string = PRODUCER, "", ""
    # The converter keeps the domains in a set, whose order differs from process to process.
    domains = sorted((item.domain, item.version) for item in graph.opset_import)
    del graph.opset_import[:]
    graph.opset_import.extend(helper.make_opsetid(*item) for item in domains)
    onnx.checker.check_model(graph, full_check=True)
    return bytes(graph.SerializeToString(deterministic=True))


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


def _tensor_type(is_number: bool) -> Any:
    return FloatTensorType([None, 1]) if is_number else StringTensorType([None, 1])


def _float_thresholds(classifier: Any) -> Any:
    """Rounds the thresholds of histogram gradient boosting down to 32-bit floats, in a copy.

    For a float32 x, x <= t holds exactly where x <= t rounded down does. skl2onnx rounds to the nearest instead, which
    sends x to the other side where t lies between x and its next float.
    """
    last = classifier[-1] if isinstance(classifier, Pipeline) else classifier
    if not hasattr(last, "_predictors"):
        return classifier
    copy = deepcopy(classifier)
    last = copy[-1] if isinstance(copy, Pipeline) else copy
    for tree in (tree for iteration in last._predictors for tree in iteration):
        exact = tree.nodes["num_threshold"]
        nearest = exact.astype(np.float32)
        down = np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)
        tree.nodes["num_threshold"] = down
    return copy


def _keep_probabilities(graph: Any, calibrated: Calibrated | None) -> None:
    """Leaves one output, named OUTPUT, calibrated if asked."""
    source = next(output.name for output in graph.output if "prob" in output.name)
    if calibrated:
        nodes, constants = _sigmoid_nodes(source, calibrated.slope, calibrated.intercept)
    else:
        nodes, constants = [helper.make_node("Identity", [source], [OUTPUT], name="output")], []
    graph.node.extend(nodes)
    graph.initializer.extend(constants)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None, 2]))
    _drop_unused(graph)


def _restore_names(graph: Any, schema: Schema) -> None:
    """Gives each input its column's name, of which skl2onnx made an identifier; all else makes room for it."""
    names = {entry.name: column.name for entry, column in zip(graph.input, schema.columns, strict=True)}

    def rename(name: str) -> str:
        return names.get(name, f"{INSIDE}{name}" if name else "")

    for node in graph.node:
        node.input[:], node.output[:] = map(rename, node.input), map(rename, node.output)
    for entry in (*graph.initializer, *graph.input, *graph.output):
        entry.name = rename(entry.name)
    del graph.value_info[:]


def _drop_unused(graph: Any) -> None:
    """Removes the nodes that only made the predicted label."""
    needed, kept = {OUTPUT}, []
    for node in reversed(graph.node):
        if needed & set(node.output):
            needed |= set(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    constants = [item for item in graph.initializer if item.name in needed]
    del graph.initializer[:]
    graph.initializer.extend(constants)


def _sigmoid_nodes(source: str, slope: float, intercept: float) -> tuple[list[Any], list[Any]]:
    """`Calibrated.predict_proba` as nodes.

    The odds come from both classes' probabilities, since 1 - p has few digits left where a 32-bit p is close to 1.
    """

    def constant(name: str, value: Any, kind: type[np.generic] = np.float32) -> Any:
        return numpy_helper.from_array(np.asarray(value, dtype=kind), name=f"{INSIDE}platt_{name}")

    constants = [
        constant("one", 1),
        constant("first", [0], np.int64),
        constant("second", [1], np.int64),
        constant("low", CLIP),
        constant("high", np.float32(1) - CLIP),
        constant("slope", slope),
        constant("intercept", intercept),
    ]
    steps = [
        ("Clip", [source, "platt_low", "platt_high"], "platt_clipped", {}),
        ("Log", ["platt_clipped"], "platt_logs", {}),
        ("Gather", ["platt_logs", "platt_first"], "platt_log_q", {"axis": 1}),
        ("Gather", ["platt_logs", "platt_second"], "platt_log_p", {"axis": 1}),
        ("Sub", ["platt_log_p", "platt_log_q"], "platt_log_odds", {}),
        ("Mul", ["platt_slope", "platt_log_odds"], "platt_scaled", {}),
        ("Add", ["platt_scaled", "platt_intercept"], "platt_shifted", {}),
        ("Sigmoid", ["platt_shifted"], "platt_positive", {}),
        ("Sub", ["platt_one", "platt_positive"], "platt_negative", {}),
        ("Concat", ["platt_negative", "platt_positive"], OUTPUT, {"axis": 1}),
    ]
    inside = {name: f"{INSIDE}{name}" for _, inputs, output, _ in steps for name in (*inputs, output)}
    inside |= {source: source, OUTPUT: OUTPUT}
    nodes = [
        helper.make_node(kind, [inside[name] for name in inputs], [inside[output]], name=output, **attributes)
        for kind, inputs, output, attributes in steps
    ]
    return nodes, constants


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

    def add(self, kind: str, *inputs: str, output: str | None = None, domain: str = "", **attributes: Any) -> str:
        name = output or self.scope.get_unique_variable_name(f"{self.prefix}_{kind}")
        version = OPSETS[domain]
        node = self.scope.get_unique_operator_name(f"{self.prefix}_{kind}")
        self.container.add_node(
            kind, list(inputs), [name], op_domain=domain, op_version=version, name=node, **attributes
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
    flat = nodes.add("Reshape", nodes.source, nodes.constant(np.asarray([-1])))
    rest = _piece(nodes, flat, transformer.start, 1)
    found = _piece(nodes, rest, transformer.stop, 0)
    nodes.add("Reshape", found, nodes.constant(np.asarray([-1, 1])), output=nodes.result)


def _piece(nodes: _Nodes, texts: str, delimiter: str, position: int) -> str:
    """The text before (0) or after (1) the first delimiter, "" if there is none, as `str.partition` has it."""
    # One more row, the bare delimiter, sees to it that there are two columns of pieces to choose from in any batch.
    padded = nodes.add("Concat", texts, nodes.constant([delimiter]), axis=0)
    pieces = nodes.scope.get_unique_variable_name(f"{nodes.prefix}_pieces")
    counts = nodes.scope.get_unique_variable_name(f"{nodes.prefix}_counts")
    nodes.container.add_node(
        "StringSplit",
        [padded],
        [pieces, counts],
        op_domain="",
        op_version=OPSETS[""],
        name=nodes.scope.get_unique_operator_name(f"{nodes.prefix}_split"),
        delimiter=delimiter,
        maxsplit=1,
    )
    chosen = nodes.add("Gather", pieces, nodes.constant(np.asarray(position)), axis=1)
    return nodes.add("Slice", chosen, nodes.constant(np.asarray([0])), nodes.constant(np.asarray([-1])))


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
