"""ONNX forms of scikit-learn's trees and forests that answer a null as scikit-learn does.

skl2onnx sends every null to the right. scikit-learn sends it where the training rows without a value went, and where
there were none to the side with more training rows; which one stands in each node.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.model.onnx.nodes import Nodes

_LEAF = -1


def rounded_down(exact: NDArray[np.float64]) -> NDArray[np.float32]:
    """Thresholds as float32: for a float32 x, x <= t holds exactly where x <= t rounded down does."""
    nearest = exact.astype(np.float32)
    return np.where(nearest > exact, np.nextafter(nearest, np.float32(-np.inf)), nearest)


def trees(nodes: Nodes) -> None:
    """The mean over trees of the class shares in the leaf that a row comes to."""
    labels, probabilities = (item.full_name for item in nodes.operator.outputs[:2])
    _add_ensemble(
        nodes,
        "TreeEnsembleClassifier",
        [labels, probabilities],
        _class_leaves,
        classlabels_int64s=[int(label) for label in nodes.model.classes_],
    )


def regression_trees(nodes: Nodes) -> None:
    """The mean over trees of the value in the leaf that a row comes to."""
    _add_ensemble(nodes, "TreeEnsembleRegressor", [nodes.result], _value_leaves, n_targets=1)


def _add_ensemble(
    nodes: Nodes, kind: str, outputs: list[str], leaves_of: Callable[[Any, int, int], dict[str, list[Any]]], **more: Any
) -> None:
    model = nodes.model
    members = [member.tree_ for member in np.ravel(getattr(model, "estimators_", [model]))]
    attributes: dict[str, list[Any]] = {}
    for number, tree in enumerate(members):
        for name, values in {**_branches(tree, number), **leaves_of(tree, number, len(members))}.items():
            attributes.setdefault(name, []).extend(values)
    nodes.container.add_node(
        kind,
        [nodes.source],
        outputs,
        op_domain="ai.onnx.ml",
        op_version=1,
        name=nodes.scope.get_unique_operator_name(kind),
        post_transform="NONE",
        **more,
        **attributes,
    )


def _branches(tree: Any, number: int) -> dict[str, list[Any]]:
    """The nodes of one tree as attributes."""
    total = tree.node_count
    leaf = tree.children_left == _LEAF
    # `missing_go_to_left` of a leaf means nothing.
    left = np.where(leaf, 0, tree.missing_go_to_left).astype(int)
    return {
        "nodes_treeids": [number] * total,
        "nodes_nodeids": list(range(total)),
        "nodes_featureids": np.where(leaf, 0, tree.feature).tolist(),
        "nodes_modes": np.where(leaf, "LEAF", "BRANCH_LEQ").tolist(),
        "nodes_values": np.where(leaf, 0, rounded_down(tree.threshold)).astype(float).tolist(),
        "nodes_truenodeids": np.where(leaf, 0, tree.children_left).tolist(),
        "nodes_falsenodeids": np.where(leaf, 0, tree.children_right).tolist(),
        "nodes_missing_value_tracks_true": left.tolist(),
        "nodes_hitrates": [1.0] * total,
    }


def _class_leaves(tree: Any, number: int, count: int) -> dict[str, list[Any]]:
    leaves = np.flatnonzero(tree.children_left == _LEAF)
    shares = tree.value[leaves, 0, :]
    shares = shares / shares.sum(axis=1, keepdims=True) / count
    classes = shares.shape[1]
    return {
        "class_treeids": [number] * (len(leaves) * classes),
        "class_nodeids": np.repeat(leaves, classes).tolist(),
        "class_ids": list(range(classes)) * len(leaves),
        "class_weights": shares.ravel().tolist(),
    }


def _value_leaves(tree: Any, number: int, count: int) -> dict[str, list[Any]]:
    leaves = np.flatnonzero(tree.children_left == _LEAF)
    return {
        "target_treeids": [number] * len(leaves),
        "target_nodeids": leaves.tolist(),
        "target_ids": [0] * len(leaves),
        "target_weights": (tree.value[leaves, 0, 0] / count).tolist(),
    }


def float_thresholds(model: Any) -> Any:
    """Rounds the thresholds of histogram gradient boosting down to 32-bit floats, in a copy.

    skl2onnx rounds to the nearest instead, which sends x to the other side where t lies between x and its next float.
    """
    copy = deepcopy(model)
    for tree in (tree for iteration in copy._predictors for tree in iteration):
        tree.nodes["num_threshold"] = rounded_down(tree.nodes["num_threshold"])
    return copy
