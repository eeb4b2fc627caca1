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
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.pipeline import Pipeline

from components.core.bundle import OUTPUT
from components.core.calibration import CLIP, Calibrated
from components.core.converters import OPSETS, register_converters
from components.core.schema import Schema

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
    _take_columns_directly(graph.graph, schema)
    _keep_probabilities(graph.graph, calibrated)
    # The version of the converter stands in the manifest; here it would change the digest twice.
    graph.producer_name, graph.producer_version, graph.doc_string = PRODUCER, "", ""
    # The converter keeps the domains in a set, whose order differs from process to process.
    domains = sorted((item.domain, item.version) for item in graph.opset_import)
    del graph.opset_import[:]
    graph.opset_import.extend(helper.make_opsetid(*item) for item in domains)
    onnx.checker.check_model(graph, full_check=True)
    return bytes(graph.SerializeToString(deterministic=True))


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


def _take_columns_directly(graph: Any, schema: Schema) -> None:
    """A column gathered from inputs that were put side by side is that input: the fewer nodes, the faster a row."""
    constants = {item.name: numpy_helper.to_array(item) for item in graph.initializer}
    merged = {
        node.output[0]: node.input
        for node in graph.node
        if node.op_type == "Concat" and set(node.input) <= set(schema.names)
    }
    direct = {
        node.output[0]: merged[node.input[0]][int(constants[node.input[1]].item())]
        for node in graph.node
        if node.op_type == "Gather" and node.input[0] in merged
    }
    for node in graph.node:
        node.input[:] = [direct.get(name, name) for name in node.input]


def _drop_unused(graph: Any) -> None:
    """Removes the nodes that the output does not need, such as those of the predicted label."""
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
