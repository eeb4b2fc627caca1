"""Cross-validated search over a use case's candidates, with groups kept whole."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from lifeboat.config.errors import UseCaseError
from lifeboat.data.split import positions
from lifeboat.data.weights import Weights
from lifeboat.data.weights import some as chosen_weights
from lifeboat.system.progress import LEFT_OUT
from lifeboat.tasks.calibration import Calibration
from lifeboat.tasks.learning import Learning, learning_of
from lifeboat.tasks.task import Metric, Task
from lifeboat.train.candidate_cache import Examine, examine_anew
from lifeboat.train.features import empty_selections, make_features
from lifeboat.train.fitting import fit, seeded, stopping_of
from lifeboat.train.folds import Mask, Rows, StopRows, make_folds, stop_rows
from lifeboat.train.preflight import REFUSALS
from lifeboat.train.sampling import Report, sample_trials
from lifeboat.train.words import words_of
from lifeboat.usecase.schema import Schema
from lifeboat.usecase.usecase import Candidate, UseCase

# More rows than this say little more about which candidate is best, and a search over a million takes an hour.
MOST_ROWS = 20_000


@dataclass(frozen=True)
class Trial:
    """One candidate with one set of parameters.

    Args:
        candidate: its name.
        parameters: those set.
        figures: of each metric of the task, the mean over the folds.
        spread: the standard deviation over the folds of the one that was chosen by.
        loss: by which the trials are ranked; lower is better.
        out_of_fold: what an estimator that did not see the row gave, of each row that a fold held, [n, raw width].
        folds: how many it was tried on; fewer than there are where it was given up.
    """

    candidate: str
    parameters: dict[str, Any]
    figures: dict[str, float]
    spread: float
    loss: float
    out_of_fold: NDArray[np.float64]
    folds: int


@dataclass(frozen=True)
class Search:
    """All trials, best first, and the calibration that suits the best.

    Args:
        learning: of the task.
        calibrated: each metric of the best one's calibrated answers to these rows.
        rows: which of the training rows the best one's `out_of_fold` is of, ascending, [n].
        labels, fold: of these rows, [n].
        weights: how much each of them counts, [n]; None where all count alike.
        searched: how many rows the trials were made on.
        left_out: candidates that cannot be used, with the reason.
        given_up: trials that were, after some folds.
    """

    learning: Learning[Any]
    trials: list[Trial]
    calibration: Calibration
    calibrated: dict[str, float]
    rows: NDArray[np.int64]
    labels: NDArray[Any]
    fold: NDArray[np.int64]
    left_out: dict[str, str]
    searched: int
    weights: Weights = None
    given_up: tuple[Trial, ...] = ()

    @property
    def best(self) -> Trial:
        return self.trials[0]

    @property
    def answers(self) -> NDArray[np.float32]:
        """What the final model would say of each row had it not seen it: out of fold and calibrated, [n, width]."""
        return self.calibration.apply(self.best.out_of_fold)

    def without_best(self, problem: str) -> Search:
        """The search as it were had the best candidate been left out.

        Raises:
            UseCaseError: there is no other.
        """
        left_out = {**self.left_out, self.best.candidate: problem}
        others = [trial for trial in self.trials if trial.candidate not in left_out]
        if not others:
            raise _none_left(left_out)
        return replace(self, trials=others, left_out=left_out).recalibrated()

    def recalibrated(self) -> Search:
        """The same with the calibration that suits the best."""
        raw = self.best.out_of_fold
        calibration = self.learning.calibrate(self.labels, raw, self.fold, self.weights)
        calibrated = self.learning.figures(self.labels, calibration.apply(raw), self.weights)
        return replace(self, calibration=calibration, calibrated=calibrated)


@dataclass(frozen=True)
class CrossValidationFold:
    """Features and labels of one fold, made once for all trials; and what a fit may stop by, where a candidate does."""

    seen: NDArray[np.float32]
    seen_labels: NDArray[Any]
    seen_weights: Weights
    seen_stop: StopRows | None
    unseen: NDArray[np.float32]
    rows: NDArray[np.int64]

    def fit(self, estimator: Any, candidate: Candidate) -> Any:
        """On what it has seen."""
        return fit(estimator, self.seen, self.seen_labels, self.seen_weights, stopping_of(candidate, self.seen_stop))


def search(
    usecase: UseCase,
    rows: Rows,
    *,
    seed: int,
    say: Callable[[str], None],
    examine: Examine = examine_anew,
) -> Search:
    """Tries every candidate that can be used, with each parameter set; the best mean over the folds wins.

    Args:
        usecase: candidates, features and split.
        rows: to learn from.
        seed: of the estimators.
        say: told of each trial.
        examine: finds the candidates that cannot be used.

    Raises:
        UseCaseError: no candidate can be trained and exported, or one fails on the way.
        DataError: too few groups for so many folds.
    """
    left_out = _leave_out(usecase, rows.X, examine(usecase, rows.X, rows.y, seed=seed), say)
    sample = _sample(rows.groups, usecase.split.salt)
    some = rows.take(sample)
    task, learning = usecase.task, learning_of(usecase.task)
    divided = make_folds(usecase, some)
    folds = [make_fold(usecase, some, *masks) for masks in zip(divided.seen, divided.held, strict=True)]
    chosen_by = task.metric(usecase.chosen_by)

    usable = [candidate for candidate in usecase.candidates if candidate.name not in left_out]
    grids = {candidate.name: _grid(candidate, usecase.schema) for candidate in usable if candidate.search is None}
    counts = [candidate.search.trials if candidate.search else len(grids[candidate.name]) for candidate in usable]

    def attempt(
        candidate: Candidate, before: int, number: int, parameters: dict[str, Any], report: Report | None = None
    ) -> Trial | None:
        start, name, parameters = time.perf_counter(), candidate.name, dict(sorted(parameters.items()))
        with _blaming(
            f"candidate {name!r} cannot be trained with {parameters or 'its own parameters'}", usecase.schema
        ):
            made = seeded(clone(candidate.estimator).set_params(**parameters), seed)
            trial = _try(learning, chosen_by, (candidate, made, parameters), folds, some, report)
        shown = ", ".join(f"{key.rpartition('__')[2]}={_short(value)}" for key, value in parameters.items())
        is_given_up = trial.folds < len(folds)
        found = "given up, worse than most before it" if is_given_up else _figures(task, chosen_by, trial)
        say(f"trial {before + number}/{sum(counts)}: {name} ({shown}): {found}, {time.perf_counter() - start:.1f} s")
        if is_given_up:
            given_up.append(trial)
        return None if is_given_up else trial

    given_up: list[Trial] = []
    tried: list[Trial | None] = []
    for candidate, before in zip(usable, accumulate(counts, initial=0), strict=False):
        one = partial(attempt, candidate, before)
        if candidate.search is None:
            tried += [one(*plan) for plan in enumerate(grids[candidate.name], start=1)]
        else:
            tried += sample_trials(candidate.search, one, seed, say)
    held = divided.number >= 0
    trials = [replace(trial, out_of_fold=trial.out_of_fold[held]) for trial in tried if trial is not None]
    trials.sort(key=lambda trial: trial.loss)
    return Search(
        learning, trials, learning.uncalibrated(some.y), {}, sample[held], some.y[held],
        divided.number[held], left_out, len(sample), chosen_weights(some.weights, held), tuple(given_up),
    ).recalibrated()  # fmt: skip


def _figures(task: Task[Any, Any], chosen_by: Metric, trial: Trial) -> str:
    """The one that the search chooses by, and the first of the headline."""
    first = f"{chosen_by.title.lower()} {trial.figures[chosen_by.name]:.4f} ± {trial.spread:.4f}"
    other = next((name for name in task.headline if name != chosen_by.name), None)
    return first if other is None else f"{first}, {task.metric(other).title} {trial.figures[other]:.4f}"


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


def _grid(candidate: Candidate, schema: Schema) -> list[dict[str, Any]]:
    with _blaming(f"candidate {candidate.name!r} has a grid that cannot be used", schema):
        return list(ParameterGrid(dict(candidate.grid)))


def _short(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@contextmanager
def _blaming(place: str, schema: Schema) -> Iterator[None]:
    """What scikit-learn or skl2onnx refuses is the use case's to mend."""
    try:
        yield
    except REFUSALS as error:
        raise UseCaseError(f"{place}: {words_of(error, schema)}") from error


def _sample(groups: list[str], salt: str) -> NDArray[np.int64]:
    """Rows of whole groups, about MOST_ROWS of them."""
    if len(groups) <= MOST_ROWS:
        return np.arange(len(groups))
    return np.flatnonzero(positions(groups, f"{salt}/search") < MOST_ROWS / len(groups))


def make_fold(usecase: UseCase, rows: Rows, seen: Mask, held: Mask) -> CrossValidationFold:
    """Features learned of what is seen, and made of both; what is held need not be all that is not seen."""
    X, y = rows.X, rows.y
    with _blaming("the features cannot be made", usecase.schema):
        features = make_features(usecase, X)
        learned = features.fit_transform(X[seen], y[seen])
        weights = chosen_weights(rows.weights, seen)
        unseen = features.transform(X[held])
    stops = any(candidate.stop_after is not None for candidate in usecase.candidates)
    stop = stop_rows(usecase, rows.take(np.flatnonzero(seen))) if stops else None
    return CrossValidationFold(learned, y[seen], weights, stop, unseen, np.flatnonzero(held))


def _loss(figures: list[dict[str, float]], chosen_by: Metric) -> float:
    """The mean over the folds so far; infinite where none can tell."""
    known = [one[chosen_by.name] for one in figures if not np.isnan(one[chosen_by.name])]
    return chosen_by.loss(float(np.mean(known))) if known else np.inf


def _try(
    learning: Learning[Any],
    chosen_by: Metric,
    plan: tuple[Candidate, Any, dict[str, Any]],
    folds: list[CrossValidationFold],
    rows: Rows,
    report: Report | None = None,
) -> Trial:
    """The candidate on every fold, or until it is given up, as `report` says of the mean loss after each."""
    candidate, estimator, parameters = plan
    given: list[NDArray[np.float64]] = []
    figures: list[dict[str, float]] = []
    uncalibrated = learning.uncalibrated(rows.y)
    for fold in folds:
        model = fold.fit(clone(estimator), candidate)
        given.append(learning.ask(model, fold.unseen))
        weights = chosen_weights(rows.weights, fold.rows)
        figures.append(learning.figures(rows.y[fold.rows], uncalibrated.apply(given[-1]), weights))
        if report is not None and report(len(figures), _loss(figures, chosen_by)) and len(figures) < len(folds):
            break
    # By time there are rows that no fold holds.
    raw = np.full((len(rows), given[0].shape[1]), np.nan)
    for fold, answers in zip(folds, given, strict=False):  # fewer of one that was given up
        raw[fold.rows] = answers
    values = {metric: np.array([one[metric] for one in figures]) for metric in figures[0]}
    # A figure that no fold can tell of, such as of a class that is in none, is NaN.
    means = {metric: float(np.mean(known)) if len(known := each[~np.isnan(each)]) else np.nan
             for metric, each in values.items()}  # fmt: skip
    chosen = means[chosen_by.name]
    return Trial(
        candidate.name, parameters, means, float(np.nanstd(values[chosen_by.name])),
        chosen_by.loss(chosen), raw, len(figures),
    )  # fmt: skip
