"""From a fitted scikit-learn pipeline to one ONNX graph over raw columns.

The graph has an input per schema column, in its name, [rows, 1] (string, float32, or float64 where the column is wide),
and one output, `probabilities`, float32 [rows, 2]. All operators are standard ones, which any ONNX server can run, but
for the tokenizer of words.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import Pipeline

from lifeboat.config.errors import first_line
from lifeboat.model.bundle import OUTPUT
from lifeboat.model.calibration import CLIP, Calibrated
from lifeboat.model.onnx.graph import INSIDE, restore_names, simplify
from lifeboat.model.onnx.nodes import OPSETS, observing, parts
from lifeboat.model.onnx.onnx_converters import register_converters
from lifeboat.model.onnx.precision import carry_doubles, refuse_rounding
from lifeboat.usecase.schema import Schema

__all__ = ["OPSETS", "export_onnx", "register_converters"]

PRODUCER = "lifeboat"
# Rows from which the precision of each step is seen.
_SEEN = 20
# Patterns of a word, and what says the same to RE2, whose \\w and \\b are of ASCII.
_WORDS = {r"(?u)\b\w\w+\b": r"[\p{L}\p{N}_]{2,}", r"(?u)\b\w+\b": r"[\p{L}\p{N}_]+"}


def export_onnx(model: Any, schema: Schema, X: Any) -> bytes:
    """Converts a fitted `Pipeline(features, classifier)` and gives the serialised graph.

    Args:
        model: a fitted pipeline; the classifier may be `Calibrated`.
        schema: gives the inputs.
        X: raw rows as the model takes them, a data frame; from a few of them the precision of each step is seen.

    Raises:
        ValueError, TypeError, RuntimeError, NameError, KeyError, IndexError, AttributeError: a step has no ONNX form.
        UseCaseError: a wide column would be rounded on its way.
    """
    register_converters()
    calibrated = model[-1] if isinstance(model[-1], Calibrated) else None
    classifier = calibrated.estimator if calibrated else model[-1]
    plain = Pipeline([*model.steps[:-1], ("classifier", classifier)])
    with observing(plain, X.iloc[:_SEEN]):
        graph = convert_sklearn(
            plain,
            name=PRODUCER,
            initial_types=[(column.name, _tensor_type(column.is_number)) for column in schema.columns],
            options={id(classifier): {"zipmap": False}, **_text_options(plain)},
            target_opset=OPSETS,
        )
    restore_names(graph.graph, schema)
    _keep_probabilities(graph.graph, calibrated)
    simplify(graph, schema)
    wide = [column.name for column in schema.columns if column.is_wide]
    carry_doubles(graph, wide)
    simplify(graph, schema)
    refuse_rounding(graph.graph, wide)
    # The version of the converter stands in the manifest; here it would change the digest twice.
    graph.producer_name, graph.producer_version, graph.doc_string = PRODUCER, "", ""
    # The converter keeps the domains in a set, whose order differs from process to process.
    domains = sorted((item.domain, item.version) for item in graph.opset_import)
    del graph.opset_import[:]
    graph.opset_import.extend(helper.make_opsetid(*item) for item in domains)
    try:
        onnx.checker.check_model(graph, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise RuntimeError(f"the graph is not valid ONNX: {first_line(error)}") from error
    return bytes(graph.SerializeToString(deterministic=True))


def _tensor_type(is_number: bool) -> Any:
    return FloatTensorType([None, 1]) if is_number else StringTensorType([None, 1])


def _text_options(model: Any) -> dict[int, dict[str, str]]:
    """How vectorizers of text cut words, and the one locale that every machine has."""
    found = (part for part in parts(model) if isinstance(part, CountVectorizer))
    return {id(part): {"locale": "C", "tokenexp": _word(part)} for part in found}


def _word(vectorizer: Any) -> str:
    """The pattern of a word for RE2."""
    if vectorizer.analyzer != "word":
        return "."
    pattern = vectorizer.token_pattern
    if pattern not in _WORDS:
        raise NotImplementedError(f"token_pattern={pattern!r} has no ONNX form; {', '.join(_WORDS)} have")
    return _WORDS[pattern]


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
