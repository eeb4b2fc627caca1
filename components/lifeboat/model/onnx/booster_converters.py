"""ONNX forms of LightGBM's, XGBoost's and CatBoost's models, from what these libraries write of their trees.

LightGBM keeps its thresholds as float64 and asks `x <= t`; XGBoost as float32 and asks `x < t`; CatBoost as float32 and
asks `x > t`. The first two say in each node where a null goes, CatBoost for each column. A form is registered where the
library was imported, which a model of it implies.
"""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.model.onnx.model_converters import classify_score, classify_scores
from lifeboat.model.onnx.nodes import Nodes
from lifeboat.model.onnx.tree_converters import rounded_down

# Whatever is no larger is a zero to LightGBM; and what it takes for infinity.
_ZERO, _INFINITY = float(np.float32(1e-35)), 1e300
_LARGEST = float(np.finfo(np.float32).max)
# Objectives by what makes an answer of the sum of the leaves.
_SIGMOID, _SOFTMAX, _EXPONENTIAL, _SUM = "Sigmoid", "Softmax", "Exp", ""
_LIGHTGBM = {
    "binary": _SIGMOID, "multiclass": _SOFTMAX, "poisson": _EXPONENTIAL, "gamma": _EXPONENTIAL,
    "tweedie": _EXPONENTIAL,
    **dict.fromkeys(("regression", "regression_l1", "huber", "fair", "quantile", "mape"), _SUM),
}  # fmt: skip
_XGBOOST = {
    "binary:logistic": _SIGMOID, "multi:softprob": _SOFTMAX, "count:poisson": _EXPONENTIAL, "reg:gamma": _EXPONENTIAL,
    "reg:tweedie": _EXPONENTIAL,
    **dict.fromkeys(
        ("reg:squarederror", "reg:absoluteerror", "reg:pseudohubererror", "reg:quantileerror"), _SUM
    ),
}  # fmt: skip
_CATBOOST = {
    "Logloss": _SIGMOID, "MultiClass": _SOFTMAX,
    **dict.fromkeys(("Poisson", "Tweedie", "LogLinQuantile"), _EXPONENTIAL),
    **dict.fromkeys(("RMSE", "MAE", "Quantile", "MAPE", "Huber", "LogCosh", "Expectile", "Lq"), _SUM),
}  # fmt: skip


@dataclass
class _Trees:
    """The nodes of an ensemble, as attributes of ONNX's.

    Args:
        mode: of every branch.
        width: sums of a row.
        base: what each sum begins with.
    """

    mode: str
    width: int
    base: list[float]
    attributes: dict[str, list[Any]] = field(default_factory=dict)

    def branch(
        self, tree: int, node: int, feature: int, threshold: float, children: tuple[int, int], null: bool
    ) -> None:
        """A node, whose first child is that of a row for which the comparison holds, and that of a null if `null`."""
        self._node(tree, node, feature, self.mode, threshold, children, null)

    def leaf(self, tree: int, node: int, targets: Iterable[int], values: Iterable[float]) -> None:
        """A leaf, whose values count for these of the sums."""
        self._node(tree, node, 0, "LEAF", 0.0, (0, 0), False)
        for target, value in zip(targets, values, strict=True):
            self._add(target_treeids=tree, target_nodeids=node, target_ids=target, target_weights=value)

    def _node(
        self, tree: int, node: int, feature: int, mode: str, threshold: float, children: tuple[int, int], null: bool
    ) -> None:
        self._add(
            nodes_treeids=tree, nodes_nodeids=node, nodes_featureids=feature, nodes_modes=mode,
            nodes_values=threshold, nodes_truenodeids=children[0], nodes_falsenodeids=children[1],
            nodes_missing_value_tracks_true=int(null), nodes_hitrates=1.0,
        )  # fmt: skip

    def _add(self, **values: Any) -> None:
        for name, value in values.items():
            self.attributes.setdefault(name, []).append(value)


def lightgbm(nodes: Nodes) -> None:
    """Of LGBMClassifier and LGBMRegressor.

    Raises:
        NotImplementedError: splits by categories, linear trees, zeros as nulls, or an objective of another kind.
    """
    model = nodes.model.booster_.dump_model()
    objective = model.get("objective", "none").split()
    width = model["num_tree_per_iteration"]
    trees = _Trees("BRANCH_LEQ", width, [0.0] * width)
    for number, tree in enumerate(model["tree_info"]):
        _add_lightgbm(trees, number, tree["tree_structure"])
    # A random forest of it answers with the mean of its trees.
    if model["average_output"]:
        weights, rounds = trees.attributes["target_weights"], len(model["tree_info"]) // width
        trees.attributes["target_weights"] = [value / rounds for value in weights]
    scale = next((float(word.partition(":")[2]) for word in objective if word.startswith("sigmoid:")), 1.0)
    if "sqrt" in objective:
        raise NotImplementedError("reg_sqrt=True has no ONNX form")
    _answer(nodes, trees, _link(_LIGHTGBM, objective[0]), scale)


def _add_lightgbm(trees: _Trees, number: int, root: dict[str, Any]) -> None:
    target = number % trees.width
    # Preorder: a node's number is its place.
    waiting, places = [root], {id(root): 0}
    while waiting:
        node = waiting.pop()
        place = places[id(node)]
        if "leaf_value" in node:
            if "leaf_coeff" in node:
                raise NotImplementedError("linear_tree=True has no ONNX form")
            trees.leaf(number, place, [target], [node["leaf_value"]])
            continue
        if node["decision_type"] != "<=":
            raise NotImplementedError("splits by categories have no ONNX form: give it categories as numbers")
        if node["missing_type"] == "Zero":
            raise NotImplementedError("zero_as_missing=True has no ONNX form")
        children = node["left_child"], node["right_child"]
        for child in children:
            places[id(child)] = len(places)
        threshold = _as_asked(node["threshold"])
        # Where training saw no null, one is a zero.
        null = node["default_left"] if node["missing_type"] == "NaN" else node["threshold"] >= 0
        both = places[id(children[0])], places[id(children[1])]
        trees.branch(number, place, node["split_feature"], threshold, both, null)
        waiting.extend(reversed(children))


def _as_asked(exact: float) -> float:
    """A threshold as float32: LightGBM first makes a zero of what is as small as one, and 1e300 of infinity."""
    if 0 <= exact < _ZERO:
        return _ZERO
    if -_ZERO <= exact < 0:
        return float(np.nextafter(np.float32(-_ZERO), np.float32(-1)))
    if exact >= _INFINITY:
        return math.inf
    return float(rounded_down(np.array(np.clip(exact, -_LARGEST, _LARGEST))))


def xgboost(nodes: Nodes) -> None:
    """Of XGBClassifier and XGBRegressor.

    Raises:
        NotImplementedError: no trees, splits by categories, several targets, or an objective of another kind.
    """
    booster = nodes.model.get_booster()
    learner = json.loads(bytes(booster.save_raw("json")))["learner"]
    kind, parameters = learner["gradient_booster"]["name"], learner["learner_model_param"]
    if kind != "gbtree":
        raise NotImplementedError(f"booster={kind!r} has no ONNX form")
    if int(parameters["num_target"]) > 1:
        raise NotImplementedError("several targets have no ONNX form")
    objective = learner["objective"]["name"]
    link, width = _link(_XGBOOST, objective), max(1, int(parameters["num_class"]))
    base = [_margin(link, value) for value in _numbers(parameters["base_score"])]
    trees = _Trees("BRANCH_LT", width, base * width if len(base) == 1 else base)
    made = learner["gradient_booster"]["model"]
    for number, (tree, target) in enumerate(_used(nodes.model, made)):
        _add_xgboost(trees, number, target, tree)
    _answer(nodes, trees, link, 1.0)


def _used(model: Any, made: dict[str, Any]) -> Iterator[tuple[dict[str, Any], int]]:
    """The trees that it answers by: of a training that stopped early those up to the best round."""
    rounds = made["iteration_indptr"]
    best = getattr(model, "best_iteration", None) if getattr(model, "early_stopping_rounds", None) else None
    last = rounds[-1] if best is None else rounds[best + 1]
    yield from zip(made["trees"][:last], made["tree_info"][:last], strict=True)


def _add_xgboost(trees: _Trees, number: int, target: int, tree: dict[str, Any]) -> None:
    if any(tree["split_type"]):
        raise NotImplementedError("splits by categories have no ONNX form: give it categories as numbers")
    nodes = zip(
        tree["split_indices"], tree["split_conditions"], tree["left_children"], tree["right_children"],
        tree["default_left"], strict=True,
    )  # fmt: skip
    for place, (feature, value, left, right, null) in enumerate(nodes):
        if left == -1:
            trees.leaf(number, place, [target], [value])
        else:
            trees.branch(number, place, feature, value, (left, right), bool(null))


def catboost(nodes: Nodes) -> None:
    """Of CatBoostClassifier and CatBoostRegressor.

    Raises:
        NotImplementedError: splits by categories or texts, or an objective of another kind.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "model.json"
        nodes.model.save_model(str(file), format="json")
        model = json.loads(file.read_text())
    objective = model["model_info"]["params"]["loss_function"]["type"]
    scale, bias = model["scale_and_bias"]
    trees = _Trees("BRANCH_GT", len(bias), bias)
    columns = {column["feature_index"]: column for column in model["features_info"]["float_features"]}
    for number, tree in enumerate(model.get("oblivious_trees", ())):
        leaves = np.reshape(tree["leaf_values"], (-1, trees.width)) * scale
        _add_catboost(trees, number, _level(tree["splits"], leaves), columns)
    for number, tree in enumerate(model.get("trees", ())):
        _add_catboost(trees, number, _branch(tree, scale), columns)
    _answer(nodes, trees, _link(_CATBOOST, objective), 1.0)


# A leaf of CatBoost's, of one value for each sum; or a split, the side where it does not hold, and where it does.
_Leaf = NDArray[np.float64]
_CatBoost = _Leaf | tuple[dict[str, Any], "_CatBoost", "_CatBoost"]


def _level(splits: list[dict[str, Any]], leaves: _Leaf) -> _CatBoost:
    """Of a tree that asks one question a level: the answers are the bits of a leaf's number, the least one first."""
    if not splits:
        return np.asarray(leaves[0])
    return splits[0], _level(splits[1:], leaves[::2]), _level(splits[1:], leaves[1::2])


def _branch(node: dict[str, Any], scale: float) -> _CatBoost:
    """Of a tree whose nodes ask as they like."""
    if "value" in node:
        return np.atleast_1d(node["value"]) * scale
    return node["split"], _branch(node["left"], scale), _branch(node["right"], scale)


def _add_catboost(trees: _Trees, number: int, root: _CatBoost, columns: dict[int, dict[str, Any]]) -> None:
    waiting, count = [(root, 0)], 1
    while waiting:
        node, place = waiting.pop()
        if isinstance(node, np.ndarray):
            trees.leaf(number, place, range(trees.width), node.tolist())
            continue
        split, failing, holding = node
        if split["split_type"] != "FloatFeature":
            raise NotImplementedError("splits by categories have no ONNX form: give it categories as numbers")
        column = columns[split["float_feature_index"]]
        # Where training saw no null, one is asked as any number, and nothing holds of it.
        null = column["nan_value_treatment"] == "AsTrue"
        trees.branch(number, place, column["flat_feature_index"], split["border"], (count, count + 1), null)
        waiting += [(holding, count), (failing, count + 1)]
        count += 2


def _numbers(text: str) -> list[float]:
    """`5E-1`, or since 3.1 `[5E-1]`, one for each class."""
    return [float(word) for word in text.strip("[]").split(",")]


def _margin(link: str, score: float) -> float:
    """What the sum of the leaves begins with, of the answer that is begun with."""
    if link == _SIGMOID:
        return math.log(score / (1 - score))
    return math.log(score) if link == _EXPONENTIAL else score


def _link(known: dict[str, str], objective: str) -> str:
    if objective not in known:
        raise NotImplementedError(f"objective {objective!r} has no ONNX form; there are {', '.join(known)}")
    return known[objective]


def _answer(nodes: Nodes, trees: _Trees, link: str, scale: float) -> None:
    """The ensemble's sums, and what makes an answer of them."""
    is_classifier = link in (_SIGMOID, _SOFTMAX)
    summed = nodes.add(
        "TreeEnsembleRegressor", nodes.source, output=None if is_classifier or link else nodes.result,
        domain="ai.onnx.ml", n_targets=trees.width, base_values=_floats(trees.base), post_transform="NONE",
        **trees.attributes,
    )  # fmt: skip
    if link == _SOFTMAX:
        classify_scores(nodes, summed)
    elif link == _SIGMOID:
        classify_score(nodes, summed if scale == 1 else nodes.add("Mul", summed, nodes.constant(np.float32(scale))))
    elif link:
        nodes.add(link, summed, output=nodes.result)


def _floats(values: Sequence[float]) -> list[float]:
    return [float(np.float32(value)) for value in values]
