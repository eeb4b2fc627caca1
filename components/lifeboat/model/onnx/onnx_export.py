"""From a fitted model to one ONNX graph over raw columns.

The graph has an input per schema column, in its name, [rows, 1] (string, float32, or float64 where the column is wide),
and one output, as the task names it, float32 [rows, width]. All operators are standard ones, which any ONNX server can
run, but for the tokenizer of words.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper, numpy_helper
from skl2onnx import convert_sklearn
from skl2onnx.common.data_types import FloatTensorType, StringTensorType
from sklearn.base import is_classifier
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import Pipeline

from lifeboat.config.errors import first_line
from lifeboat.model.onnx.graph import INSIDE, restore_names, simplify
from lifeboat.model.onnx.nodes import OPSETS, observing, parts
from lifeboat.model.onnx.onnx_converters import register_converters
from lifeboat.model.onnx.precision import carry_doubles, refuse_rounding
from lifeboat.tasks.calibration import ANSWER, SOURCE
from lifeboat.tasks.learning import Fitted
from lifeboat.usecase.schema import Schema

__all__ = ["OPSETS", "export_onnx", "register_converters"]

PRODUCER = "lifeboat"
# Rows from which the precision of each step is seen.
_SEEN = 20
# Patterns of a word, and what says the same to RE2, whose \\w and \\b are of ASCII.
_WORDS = {r"(?u)\b\w\w+\b": r"[\p{L}\p{N}_]{2,}", r"(?u)\b\w+\b": r"[\p{L}\p{N}_]+"}


def export_onnx(model: Fitted, schema: Schema, X: Any) -> bytes:
    """Converts a fitted model and gives the serialised graph.

    Args:
        model: features, estimator and calibration.
        schema: gives the inputs.
        X: raw rows as the model takes them, a data frame; from a few of them the precision of each step is seen.

    Raises:
        ValueError, TypeError, RuntimeError, NameError, KeyError, IndexError, AttributeError: a step has no ONNX form.
        UseCaseError: a wide column would be rounded on its way.
    """
    register_converters()
    plain = model.pipeline
    # A pipeline answers as its last step does.
    last = plain[-1][-1] if isinstance(plain[-1], Pipeline) else plain[-1]
    probable = {id(plain[-1]): {"zipmap": False}} if is_classifier(last) else {}
    with observing(plain, X.iloc[:_SEEN]):
        graph = convert_sklearn(
            plain,
            name=PRODUCER,
            initial_types=[(column.name, _tensor_type(column.is_number)) for column in schema.columns],
            options={**probable, **_text_options(plain)},
            target_opset=OPSETS,
        )
    restore_names(graph.graph, schema)
    _append_calibration(graph.graph, model)
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


def _append_calibration(graph: Any, fitted: Fitted) -> None:
    """Leaves one output, the answer, in the task's name for it."""
    source = next(output.name for output in graph.output if fitted.learning.is_answer(output.name))
    task, part = fitted.learning.task, fitted.calibration.graph()
    known: dict[str, str] = {SOURCE: source, ANSWER: task.output}

    def name(inside: str) -> str:
        return known.get(inside, f"{INSIDE}calibration_{inside}")

    for kind, inputs, output, attributes in part.nodes:
        node = helper.make_node(
            kind, list(map(name, inputs)), [name(output)], name=f"calibration_{output}", **attributes
        )
        graph.node.append(node)
    graph.initializer.extend(numpy_helper.from_array(value, name=name(key)) for key, value in part.constants.items())
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(task.output, TensorProto.FLOAT, [None, task.width]))
