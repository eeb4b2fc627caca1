"""Cross-validated search over a use case's candidates, with groups kept whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import ParameterGrid

from lifeboat.config.errors import UseCaseError, first_line
from lifeboat.data.split import assign_folds, positions
from lifeboat.model.calibration import apply_sigmoid, fit_sigmoid
from lifeboat.preprocess.base import refuse_one_sided_folds
from lifeboat.system.progress import LEFT_OUT
from lifeboat.train.candidate_cache import Examine, examine_anew
from lifeboat.train.features import empty_selections, make_features
from lifeboat.train.preflight import REFUSALS, seeded
from lifeboat.usecase.usecase import UseCase

# More rows than this say little more about which candidate is best, and a search over a million takes an hour.
MOST_ROWS = 20_000
# Calibration must pay: it adds a dozen nodes to the graph.
WORTHWHILE = 0.005


@dataclass(frozen=True)
class Trial:
    """One candidate with one set of parameters.

    Args:
        candidate: its name.
        parameters: those set.
        log_loss, log_loss_std, roc_auc: over the folds.
        out_of_fold: probability of class 1 by a model that did not see the row, of each row of the search, [n].
    """

    candidate: str
    parameters: dict[str, Any]
    log_loss: float
    log_loss_std: float
    roc_auc: float
    out_of_fold: NDArray[np.float64]


@dataclass(frozen=True)
class Search:
    """All trials, best first, and the calibration that suits the best.

    Args:
        rows: which of the training rows it was made on, ascending, [n].
        labels, fold: of these rows, [n].
        left_out: candidates that cannot be used, with the reason.
    """

    trials: list[Trial]
    calibration: tuple[float, float] | None
    calibrated_log_loss: float
    rows: NDArray[np.int64]
    labels: NDArray[np.int8]
    fold: NDArray[np.int64]
    left_out: dict[str, str]

    @property
    def best(self) -> Trial:
        return self.trials[0]

    @property
    def scores(self) -> NDArray[np.float32]:
        """What the final model would say of each row had it not seen it: out of fold and calibrated, [n]."""
        plain = self.best.out_of_fold
        return apply_sigmoid(plain, *self.calibration) if self.calibration else plain.astype(np.float32)

    def without_best(self, problem: str) -> Search:
        """The search as it were had the best candidate been left out.

        Raises:
            UseCaseError: there is no other.
        """
        left_out = {**self.left_out, self.best.candidate: problem}
        others = [trial for trial in self.trials if trial.candidate not in left_out]
        if not others:
            raise _none_left(left_out)
        return _found(others, self.labels, self.fold, self.rows, left_out)


@dataclass(frozen=True)
class CrossValidationFold:
    """Features and labels of one fold, made once for all trials."""

    seen: NDArray[np.float32]
    seen_labels: NDArray[np.int8]
    unseen: NDArray[np.float32]
    rows: NDArray[np.int64]


def search(
    usecase: UseCase,
    X: Any,
    y: NDArray[np.int8],
    groups: list[str],
    *,
    seed: int,
    say: Callable[[str], None],
    examine: Examine = examine_anew,
) -> Search:
    """Tries every candidate that can be used, with each parameter set; the lowest mean log loss over the folds wins.

    Args:
        usecase: candidates, features and split.
        X: raw data frame, [n, columns].
        y: labels, [n].
        groups: group of each row, [n].
        seed: of the estimators.
        say: told of each trial.
        examine: finds the candidates that cannot be used.

    Raises:
        UseCaseError: no candidate can be trained and exported, or one fails on the way.
        DataError: too few groups for so many folds.
    """
    left_out = _leave_out(usecase, X, examine(usecase, X, y, seed=seed), say)
    sample = _sample(groups, usecase.split.salt)
    X, y, groups = X.iloc[sample], y[sample], [groups[row] for row in sample]
    fold = assign_folds(groups, y, folds=usecase.split.folds, salt=usecase.split.salt)
    refuse_one_sided_folds(y, fold, usecase.split.folds)
    folds = [_make_fold(usecase, X, y, fold == number) for number in range(usecase.split.folds)]
    plans = [plan for plan in _plans(usecase) if plan[0] not in left_out]
    trials: list[Trial] = []
    for number, (name, estimator, parameters) in enumerate(plans, start=1):
        start = time.perf_counter()
        with _blaming(f"candidate {name!r} cannot be trained with {parameters or 'its own parameters'}"):
            trial = _try(name, seeded(clone(estimator).set_params(**parameters), seed), parameters, folds, y)
        trials.append(trial)
        shown = ", ".join(f"{key.rpartition('__')[2]}={value}" for key, value in parameters.items())
        say(
            f"trial {number}/{len(plans)}: {name} ({shown}): log loss {trial.log_loss:.4f} ± {trial.log_loss_std:.4f}, "
            f"ROC AUC {trial.roc_auc:.4f}, {time.perf_counter() - start:.1f} s"
        )
    return _found(trials, y, fold, sample, left_out)


def _leave_out(usecase: UseCase, X: Any, left_out: dict[str, str], say: Callable[[str], None]) -> dict[str, str]:
    """The candidates that cannot be used, told before the search has taken its time."""
    for name, problem in left_out.items():
        say(f"{LEFT_OUT}candidate {name!r}: {problem}")
    if len(left_out) == len(usecase.candidates):
        raise _none_left(left_out)
    for sentence in empty_selections(make_features(usecase, X), X):
        say(f"warning: {sentence}")
    return left_out


def _none_left(left_out: dict[str, str]) -> UseCaseError:
    return UseCaseError("; ".join(f"candidate {name!r}: {problem}" for name, problem in left_out.items()))


def _found(
    trials: list[Trial], y: NDArray[np.int8], fold: NDArray[np.int64], rows: NDArray[np.int64], left_out: dict[str, str]
) -> Search:
    ranked = sorted(trials, key=lambda trial: trial.log_loss)
    return Search(ranked, *_calibrate(ranked[0], y, fold), rows, y, fold, left_out)


def _plans(usecase: UseCase) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    for candidate in usecase.candidates:
        with _blaming(f"candidate {candidate.name!r} has a grid that cannot be used"):
            plans = list(ParameterGrid(dict(candidate.grid)))
        for parameters in plans:
            yield candidate.name, candidate.estimator, dict(sorted(parameters.items()))


@contextmanager
def _blaming(place: str) -> Iterator[None]:
    """What scikit-learn or skl2onnx refuses is the use case's to mend."""
    try:
        yield
    except REFUSALS as error:
        raise UseCaseError(f"{place}: {first_line(error)}") from error


def _sample(groups: list[str], salt: str) -> NDArray[np.int64]:
    """Rows of whole groups, about MOST_ROWS of them."""
    if len(groups) <= MOST_ROWS:
        return np.arange(len(groups))
    return np.flatnonzero(positions(groups, f"{salt}/search") < MOST_ROWS / len(groups))


def _make_fold(usecase: UseCase, X: Any, y: NDArray[np.int8], held: NDArray[np.bool_]) -> CrossValidationFold:
    with _blaming("the features cannot be made"):
        features = make_features(usecase, X)
        seen = features.fit_transform(X[~held], y[~held])
        return CrossValidationFold(seen, y[~held], features.transform(X[held]), np.flatnonzero(held))


def _try(
    name: str, estimator: Any, parameters: dict[str, Any], folds: list[CrossValidationFold], y: NDArray[np.int8]
) -> Trial:
    probability = np.empty(len(y))
    losses, areas = [], []
    for fold in folds:
        model = clone(estimator).fit(fold.seen, fold.seen_labels)
        probability[fold.rows] = model.predict_proba(fold.unseen)[:, 1]
        losses.append(log_loss(y[fold.rows], probability[fold.rows], labels=[0, 1]))
        areas.append(roc_auc_score(y[fold.rows], probability[fold.rows]))
    means = float(np.mean(losses)), float(np.std(losses)), float(np.mean(areas))
    return Trial(name, parameters, *means, probability)


def _calibrate(trial: Trial, y: NDArray[np.int8], fold: NDArray[np.int64]) -> tuple[tuple[float, float] | None, float]:
    """Slope and intercept if Platt scaling pays on rows it was not fitted on, and the log loss with it."""
    scaled = np.empty(len(y))
    for number in np.unique(fold):
        held = fold == number
        scaled[held] = apply_sigmoid(trial.out_of_fold[held], *fit_sigmoid(trial.out_of_fold[~held], y[~held]))
    plain, calibrated = (float(log_loss(y, probability)) for probability in (trial.out_of_fold, scaled))
    pays = calibrated < plain * (1 - WORTHWHILE)
    return (fit_sigmoid(trial.out_of_fold, y) if pays else None), calibrated
