"""LightGBM's, XGBoost's and CatBoost's models as graphs: on training rows, at every threshold, with nulls."""

from __future__ import annotations

import json
from typing import Any

import catboost
import lightgbm
import numpy as np
import onnx
import onnxruntime
import pandas as pd
import pytest
import xgboost
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMClassifier, LGBMRegressor
from sklearn.pipeline import Pipeline
from xgboost import XGBClassifier, XGBRegressor

from lifeboat.model.onnx.onnx_export import export_onnx
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.learning import Fitted, learning_of
from lifeboat.usecase.label import BinaryLabel, ClassLabel, Label, NumberLabel
from lifeboat.usecase.schema import Column, Schema
from lifeboat.usecase.transformers import Floats32

NAMES = ("a", "b", "c", "d")
LABELS: dict[str, Label] = {
    "two": BinaryLabel("y", ("no", "yes")), "three": ClassLabel("y", ("x", "y", "z")), "number": NumberLabel("y"),
    "positive": NumberLabel("y", minimum=0),
}  # fmt: skip
FEW = {"n_estimators": 15, "random_state": 0}
CAT = {"iterations": 15, "random_seed": 0, "verbose": False, "allow_writing_files": False}
MODELS: dict[str, tuple[str, Any]] = {
    "lightgbm two": ("two", LGBMClassifier(**FEW, verbose=-1)),
    "lightgbm two, weighted": ("two", LGBMClassifier(**FEW, verbose=-1, class_weight="balanced")),
    "lightgbm two, steep": ("two", LGBMClassifier(**FEW, verbose=-1, sigmoid=2.0)),
    "lightgbm two, monotone": ("two", LGBMClassifier(**FEW, verbose=-1, monotone_constraints=[1, 0, -1, 0])),
    "lightgbm three": ("three", LGBMClassifier(**FEW, verbose=-1)),
    "lightgbm three, dart": ("three", LGBMClassifier(**FEW, verbose=-1, boosting_type="dart")),
    "lightgbm two, forest": ("two", LGBMClassifier(**FEW, verbose=-1, boosting_type="rf", subsample=0.5,
                                                   subsample_freq=1)),
    "lightgbm number": ("number", LGBMRegressor(**FEW, verbose=-1)),
    "lightgbm absolute": ("number", LGBMRegressor(**FEW, verbose=-1, objective="regression_l1")),
    "lightgbm poisson": ("positive", LGBMRegressor(**FEW, verbose=-1, objective="poisson")),
    "xgboost two": ("two", XGBClassifier(**FEW)),
    "xgboost two, weighted": ("two", XGBClassifier(**FEW, scale_pos_weight=3.0, base_score=0.3)),
    "xgboost two, monotone": ("two", XGBClassifier(**FEW, monotone_constraints=(1, 0, -1, 0))),
    "xgboost two, exact": ("two", XGBClassifier(**FEW, tree_method="exact")),
    "xgboost three": ("three", XGBClassifier(**FEW)),
    "xgboost three, lossguide": ("three", XGBClassifier(**FEW, grow_policy="lossguide", max_leaves=8)),
    "xgboost number": ("number", XGBRegressor(**FEW)),
    "xgboost absolute": ("number", XGBRegressor(**FEW, objective="reg:absoluteerror")),
    "xgboost poisson": ("positive", XGBRegressor(**FEW, objective="count:poisson")),
    "catboost two": ("two", CatBoostClassifier(**CAT)),
    "catboost two, weighted": ("two", CatBoostClassifier(**CAT, auto_class_weights="Balanced")),
    "catboost two, monotone": ("two", CatBoostClassifier(**CAT, monotone_constraints=[1, 0, -1, 0])),
    "catboost two, nulls as the largest": ("two", CatBoostClassifier(**CAT, nan_mode="Max")),
    "catboost two, lossguide": ("two", CatBoostClassifier(**CAT, grow_policy="Lossguide")),
    "catboost three": ("three", CatBoostClassifier(**CAT)),
    "catboost three, depthwise": ("three", CatBoostClassifier(**CAT, grow_policy="Depthwise")),
    "catboost number": ("number", CatBoostRegressor(**CAT)),
    "catboost absolute": ("number", CatBoostRegressor(**CAT, loss_function="MAE")),
    "catboost poisson": ("positive", CatBoostRegressor(**CAT, loss_function="Poisson")),
    "xgboost forest": ("number", XGBRegressor(**FEW, num_parallel_tree=3, subsample=0.7)),
}  # fmt: skip


def rows(kind: str, count: int = 600, nulls: bool = True) -> tuple[pd.DataFrame, np.ndarray]:
    random = np.random.default_rng(1)
    X = random.normal(size=(count, len(NAMES))).astype(np.float32)
    X[:, 3] = random.integers(0, 6, count)
    score = X[:, 0] * 2 - X[:, 2] + (X[:, 3] > 3) + random.normal(0, 0.5, count)
    if nulls:
        X[random.random(X.shape) < 0.1] = np.nan
    y = {"two": score > 0, "three": np.digitize(score, [-1, 1]), "number": score * 10}.get(
        kind, random.poisson(np.exp(score / 3))
    )
    return pd.DataFrame(X, columns=list(NAMES)), np.asarray(
        y, dtype=np.float64 if kind in ("number", "positive") else int
    )


def fitted(kind: str, estimator: Any, X: pd.DataFrame, y: np.ndarray) -> Fitted:
    learning = learning_of(task_of(LABELS[kind]))
    pipeline = Pipeline([("features", Floats32()), ("estimator", estimator)]).fit(X, y)
    return Fitted(pipeline, learning, learning.uncalibrated(y))


def made_of(classifier: Any, X: pd.DataFrame) -> Fitted:
    """Of a classifier of two classes that was fitted elsewhere."""
    pipeline = Pipeline([("features", Floats32().fit(X)), ("estimator", classifier)])
    learning = learning_of(task_of(LABELS["two"]))
    return Fitted(pipeline, learning, learning.uncalibrated(None))


def exported(model: Fitted, X: pd.DataFrame) -> bytes:
    return export_onnx(
        model, Schema(tuple(Column(name, "float", nullable=True) for name in NAMES), model.learning.task.label), X
    )


def answers(graph: bytes, X: pd.DataFrame) -> np.ndarray:
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    return session.run(None, {name: X[[name]].to_numpy(np.float32) for name in NAMES})[0]


def probes(graph: bytes, X: pd.DataFrame) -> pd.DataFrame:
    """Rows at each threshold of the graph, at the float before and after it, and with each column null."""
    found = [node for node in onnx.load_from_string(graph).graph.node if node.op_type.startswith("TreeEnsemble")]
    made = []
    for node in found:
        of = {attribute.name: onnx.helper.get_attribute_value(attribute) for attribute in node.attribute}
        modes, features, values = of["nodes_modes"], of["nodes_featureids"], of["nodes_values"]
        for mode, feature, value in zip(modes, features, values, strict=True):
            if mode == b"LEAF":
                continue
            for beside in (-np.inf, None, np.inf):
                row = X.iloc[len(made) % len(X)].copy()
                exact = np.float32(value)
                with np.errstate(over="ignore"):
                    row.iloc[feature] = exact if beside is None else np.nextafter(exact, np.float32(beside))
                made.append(row)
    for name in NAMES:
        made += [
            row for tiny in (0.0, -0.0, 1e-35, -1e-35, 1e-36) for _, row in X.head(5).assign(**{name: tiny}).iterrows()
        ]
        made += [row for _, row in X.head(20).assign(**{name: np.nan}).iterrows()]
    made += [row for _, row in X.head(1).assign(**dict.fromkeys(NAMES, np.nan)).iterrows()]
    return pd.DataFrame(made).astype(np.float32)


@pytest.mark.parametrize(("kind", "estimator"), MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("nulls", [True, False], ids=["nulls", "no nulls"])
def test_a_graph_answers_as_the_library_does(kind: str, estimator: Any, nulls: bool) -> None:
    X, y = rows(kind, nulls=nulls)
    model = fitted(kind, estimator, X, y)
    graph = exported(model, X)
    for asked in (X, probes(graph, X)):
        expected = model.answers(asked)
        # 1e-5 of what the answers spread: of probabilities of one.
        assert answers(graph, asked) == pytest.approx(expected, abs=1e-5 * max(1.0, float(np.abs(expected).max())))


@pytest.mark.parametrize(
    ("estimator", "stopping"),
    [
        (
            XGBClassifier(n_estimators=300, learning_rate=0.5, early_stopping_rounds=3, random_state=0),
            {"verbose": False},
        ),
        (
            LGBMClassifier(n_estimators=300, learning_rate=0.5, verbose=-1, random_state=0),
            {"callbacks": [lightgbm.early_stopping(3, verbose=False)]},
        ),
        (CatBoostClassifier(**CAT | {"iterations": 300}, learning_rate=0.5, early_stopping_rounds=3), {}),
    ],
    ids=["xgboost", "lightgbm", "catboost"],
)
def test_a_training_that_stopped_early_is_taken_at_its_best_round(estimator: Any, stopping: dict[str, Any]) -> None:
    X, y = rows("two")
    numbers = Floats32().fit_transform(X)
    asked = (
        {"eval_X": numbers[400:], "eval_y": y[400:]}
        if isinstance(estimator, LGBMClassifier)
        else {"eval_set": [(numbers[400:], y[400:])]}
    )
    estimator.fit(numbers[:400], y[:400], **asked, **stopping)
    model = made_of(estimator, X)
    assert answers(exported(model, X), X) == pytest.approx(model.answers(X), abs=1e-5)


@pytest.mark.parametrize(
    ("kind", "estimator", "sentence"),
    [
        ("number", LGBMRegressor(**FEW, verbose=-1, linear_tree=True), "linear_tree=True has no ONNX form"),
        ("two", LGBMClassifier(**FEW, verbose=-1, zero_as_missing=True), "zero_as_missing=True has no ONNX form"),
        ("positive", LGBMRegressor(**FEW, verbose=-1, reg_sqrt=True), "reg_sqrt=True has no ONNX form"),
        (
            "two",
            LGBMClassifier(**FEW, verbose=-1, objective="cross_entropy"),
            "objective 'cross_entropy' has no ONNX form",
        ),
        (
            "three",
            CatBoostClassifier(**CAT, loss_function="MultiClassOneVsAll"),
            "objective 'MultiClassOneVsAll' has no ONNX form",
        ),
        ("number", XGBRegressor(**FEW, booster="gblinear"), "booster='gblinear' has no ONNX form"),
        ("two", XGBClassifier(**FEW, booster="dart"), "booster='dart' has no ONNX form"),
        ("two", XGBClassifier(**FEW, objective="binary:hinge"), "objective 'binary:hinge' has no ONNX form"),
    ],
)
def test_what_has_no_form_says_so(kind: str, estimator: Any, sentence: str) -> None:
    X, y = rows(kind, nulls=False)
    with pytest.raises(NotImplementedError, match=sentence):
        exported(fitted(kind, estimator, X, y), X)


def test_splits_by_categories_say_what_to_do() -> None:
    X, y = rows("two", nulls=False)
    codes = Floats32().fit_transform(X)
    estimator = LGBMClassifier(**FEW, verbose=-1).fit(codes, y, categorical_feature=[3])
    assert "==" in json.dumps(estimator.booster_.dump_model())
    with pytest.raises(NotImplementedError, match="splits by categories have no ONNX form"):
        exported(made_of(estimator, X), X)


def test_the_libraries_are_those_of_the_extra() -> None:
    assert (lightgbm.__version__, xgboost.__version__, catboost.__version__) == ("4.7.0", "3.2.0", "1.2.10")
