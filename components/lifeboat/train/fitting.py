"""Fitting an estimator: its seed, the rows' weights, and the round at which one that learns in rounds stops."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import has_fit_parameter

from lifeboat.data.weights import Weights, some
from lifeboat.train.folds import StopRows
from lifeboat.usecase.usecase import Candidate

# An ensemble of a few members shows as well as a large one whether it can be exported.
_MEMBERS = 10
# What CatBoost names only once it is set: its estimators tell of no parameter that has its default.
_SEEDS, _ROUNDS = ("random_state", "random_seed"), ("n_estimators", "iterations", "num_boost_round", "num_trees")
_LOUDNESS = ("verbose", "verbose_eval", "silent", "logging_level")
_STOPPERS = "LightGBM's, XGBoost's and CatBoost's estimators and scikit-learn's HistGradientBoosting"


@dataclass(frozen=True)
class Stopping:
    """When a fit in rounds ends.

    Args:
        after: so many rounds that did not better the loss on the rows held.
        rows: of those given to the fit, which are learned from and which are held.
    """

    after: int
    rows: StopRows


def stopping_of(candidate: Candidate, rows: StopRows | None) -> Stopping | None:
    """When a fit of this candidate on such rows ends; None for one that does not stop by itself."""
    return None if candidate.stop_after is None or rows is None else Stopping(candidate.stop_after, rows)


def seeded(estimator: Any, seed: int) -> Any:
    """Sets every `random_state` inside an estimator; CatBoost's, too, which then print and write nothing.

    Its own defaults are a line of progress a round and a folder `catboost_info` where the process stands.
    """
    given = estimator.get_params()
    settings: dict[str, Any] = {name: seed for name in given if _last(name) in _SEEDS}
    for prefix, part in _parts(estimator):
        if _library(part) == "catboost":
            own = part.get_params()
            for names, value in ((_SEEDS, seed), (_LOUDNESS, False), (("allow_writing_files",), False)):
                if not own.keys() & set(names):
                    settings[f"{prefix}{names[0]}"] = value
    return estimator.set_params(**settings)


def small(estimator: Any) -> Any:
    """With few members in each ensemble, in one thread."""
    given = estimator.get_params()
    few = {
        name: min(value, _MEMBERS) for name, value in given.items() if _last(name) in _ROUNDS and isinstance(value, int)
    }
    for prefix, part in _parts(estimator):
        if _library(part) == "catboost" and not part.get_params().keys() & set(_ROUNDS):
            few[f"{prefix}iterations"] = _MEMBERS
    alone = {name: None for name in given if _last(name) == "n_jobs"}
    return estimator.set_params(**few, **alone)


def fit(estimator: Any, X: Any, y: NDArray[Any], weights: Weights = None, stopping: Stopping | None = None) -> Any:
    """The estimator, fitted; of a pipeline the last step takes the weights.

    Args:
        estimator: unfitted.
        X, y, weights: features, labels and how much each row counts, [n].
        stopping: for one that learns in rounds.

    Raises:
        TypeError: there are weights, and it takes none; or it does not learn in rounds.
    """
    last, path = estimator, ""
    while isinstance(last, Pipeline):
        name, last = last.steps[-1]
        path += f"{name}__"
    if weights is not None and not has_fit_parameter(last, "sample_weight"):
        raise TypeError(f"{type(last).__name__} takes no sample_weight, and the use case weighs its rows")
    if stopping is None:
        return estimator.fit(X, y, **({} if weights is None else {f"{path}sample_weight": weights}))
    begin = _STOPPING.get(_library(estimator))
    if begin is None or (_library(estimator) == "sklearn" and not has_fit_parameter(estimator, "X_val")):
        raise TypeError(f"stop_after is for {_STOPPERS}, each as the candidate itself, not {type(estimator).__name__}")
    learned, held = np.flatnonzero(stopping.rows.learned), np.flatnonzero(stopping.rows.held)
    asked = X[held], y[held], some(weights, held)
    more = begin(estimator, asked, stopping.after)
    return estimator.fit(X[learned], y[learned], sample_weight=some(weights, learned), **more)


# Each sets what the estimator itself must know, and gives what its `fit` is told.


def _stop_xgboost(estimator: Any, held: tuple[Any, Any, Weights], after: int) -> dict[str, Any]:
    X, y, weights = held
    estimator.set_params(early_stopping_rounds=after)
    told = {} if weights is None else {"sample_weight_eval_set": [weights]}
    return {"eval_set": [(X, y)], "verbose": False, **told}


def _stop_lightgbm(estimator: Any, held: tuple[Any, Any, Weights], after: int) -> dict[str, Any]:  # noqa: ARG001
    from lightgbm import early_stopping

    X, y, weights = held
    told = {} if weights is None else {"eval_sample_weight": [weights]}
    return {"eval_X": X, "eval_y": y, "callbacks": [early_stopping(after, verbose=False)], **told}


def _stop_catboost(estimator: Any, held: tuple[Any, Any, Weights], after: int) -> dict[str, Any]:  # noqa: ARG001
    from catboost import Pool

    X, y, weights = held
    return {"eval_set": Pool(X, y, weight=weights), "early_stopping_rounds": after}


def _stop_histogram(estimator: Any, held: tuple[Any, Any, Weights], after: int) -> dict[str, Any]:
    X, y, weights = held
    estimator.set_params(early_stopping=True, n_iter_no_change=after)
    return {"X_val": X, "y_val": y, "sample_weight_val": weights}


_STOPPING: dict[str, Callable[[Any, tuple[Any, Any, Weights], int], dict[str, Any]]] = {
    "xgboost": _stop_xgboost, "lightgbm": _stop_lightgbm, "catboost": _stop_catboost, "sklearn": _stop_histogram,
}  # fmt: skip


def _parts(estimator: Any) -> list[tuple[str, Any]]:
    """Every estimator inside one, itself first, each with the prefix of its parameters."""
    inner = [(f"{name}__", value) for name, value in estimator.get_params().items() if hasattr(value, "get_params")]
    return [("", estimator), *inner]


def _library(estimator: Any) -> str:
    return type(estimator).__module__.partition(".")[0]


def _last(name: str) -> str:
    return name.rpartition("__")[2]
