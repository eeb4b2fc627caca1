"""ONNX forms of classifiers, imputers and selectors that skl2onnx converts otherwise than scikit-learn, or not."""

from __future__ import annotations

from typing import Any

import numpy as np
from skl2onnx._supported_operators import sklearn_operator_name_map
from skl2onnx.common.data_types import FloatTensorType, Int64TensorType

from lifeboat.model.onnx.nodes import Nodes


def selection(nodes: Nodes) -> None:
    """The columns that a selector kept.

    Raises:
        NotImplementedError: it kept none.
    """
    kept = np.flatnonzero(nodes.model.get_support())
    if not len(kept):
        raise NotImplementedError("it selects no column at all")
    nodes.add("Identity", nodes.columns(kept), output=nodes.result)


def linear_discriminant(nodes: Nodes) -> None:
    """The sigmoid of the linear score for two classes, the softmax of the scores for more."""
    model = nodes.model
    score = nodes.add("Add", _product(nodes, nodes.source, model.coef_.T), nodes.constant(np.float32(model.intercept_)))
    (classify_scores if len(model.classes_) > 2 else classify_score)(nodes, score)


def dummy(nodes: Nodes) -> None:
    """The shares of the classes among the training rows, whatever the row.

    Raises:
        NotImplementedError: the strategy draws at random.
    """
    model = nodes.model
    if model.strategy not in ("prior", "most_frequent", "constant"):
        raise NotImplementedError(f"strategy={model.strategy!r} answers at random")
    shares = model.predict_proba(np.zeros((1, 1)))[0]
    column = nodes.column(0)
    same = nodes.cast(nodes.add("Or", nodes.add("Equal", column, column), nodes.add("IsNaN", column)), np.float32)
    classify(nodes, nodes.add("Mul", same, nodes.constant(np.float32(shares).reshape(1, -1))))


def voting(nodes: Nodes) -> None:
    """The weighted mean of the members' probabilities.

    Raises:
        NotImplementedError: the vote counts classes, which gives no probability.
    """
    model = nodes.model
    if model.voting != "soft":
        raise NotImplementedError(f"voting={model.voting!r} gives no probability; set voting='soft'")
    weights = model._weights_not_none or [1.0] * len(model.estimators_)
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    scaled = [
        nodes.add("Mul", _inner(nodes, member), nodes.constant(np.float32(share)))
        for member, share in zip(model.estimators_, shares, strict=True)
    ]
    classify(nodes, nodes.add("Sum", *scaled))


def inner_classifier(nodes: Nodes) -> None:
    """What the fitted classifier inside answers."""
    classify(nodes, _inner(nodes, nodes.model.estimator_))


def _inner(nodes: Nodes, classifier: Any) -> str:
    """Has skl2onnx convert a classifier on the same input; gives the name of its probabilities."""
    alias = sklearn_operator_name_map.get(type(classifier))
    if alias is None:
        raise NotImplementedError(f"{type(classifier).__name__} has no ONNX form")
    operator = nodes.scope.declare_local_operator(alias, classifier)
    operator.inputs = nodes.operator.inputs
    label = nodes.scope.declare_local_variable("label", Int64TensorType())
    probabilities = nodes.scope.declare_local_variable("inner", FloatTensorType())
    operator.outputs.append(label)
    operator.outputs.append(probabilities)
    return str(probabilities.full_name)


def classify(nodes: Nodes, probabilities: str) -> None:
    """Makes these, float32 [n, k], the classifier's output."""
    label, output = (item.full_name for item in nodes.operator.outputs[:2])
    nodes.add("Identity", probabilities, output=output)
    # The label is dropped later: the decision is not the graph's.
    nodes.add("ArgMax", probabilities, output=label, axis=1, keepdims=0)


def classify_score(nodes: Nodes, score: str) -> None:
    """Makes the sigmoid of this, float32 [n, 1], the probability of the second of two classes."""
    positive = nodes.add("Sigmoid", score)
    classify(nodes, nodes.join([nodes.add("Sub", nodes.constant(np.float32(1)), positive), positive]))


def classify_scores(nodes: Nodes, scores: str) -> None:
    """Makes the softmax of these, float32 [n, k], the probabilities of the classes."""
    classify(nodes, nodes.add("Softmax", scores, axis=1))


def _product(nodes: Nodes, matrix: str, weights: Any) -> str:
    return nodes.add("MatMul", matrix, nodes.constant(np.asarray(weights, np.float32)))
