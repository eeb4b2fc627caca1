"""The best candidate once the search is over: fitted again without some of the rows, and at last on all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from lifeboat.data.split import assign_folds, positions
from lifeboat.data.weights import some
from lifeboat.train.fitting import fit, seeded, stopping_of
from lifeboat.train.folds import Folds, Rows, make_folds, stop_rows
from lifeboat.train.search import MOST_ROWS, Search, make_fold
from lifeboat.usecase.usecase import Candidate, UseCase

# Share of the rows that the best candidate of a search on a sample does not see once, to be calibrated.
_HELD = 0.1
# Parts of the rows that are asked about as unseen: the more, the nearer to the final model, and the more fits.
_PARTS = 5


def seen_nearly_all(usecase: UseCase, found: Search, rows: Rows, *, seed: int, say: Callable[[str], None]) -> Search:
    """The search with the best candidate's answers as they are once it has learned from nearly all rows.

    A search on a sample knows models of the sample, which err more than the one that is fitted on all: its intervals
    would be too wide, its probabilities too modest, and a drift detector would be given scores of another model. So
    the best one is fitted once more without a tenth of the rows, and calibrated by what it says of these; by time once
    for each fold of all rows, for a tenth of them would be of one season.

    Args:
        usecase, rows, seed: as of the search.
        found: of it; given back as it is if it was made on all rows.
        say: told of the fit.
    """
    if found.searched == len(rows):
        return found
    task = usecase.task
    divided = make_folds(usecase, rows) if rows.times is not None else _without_a_tenth(usecase, rows)
    places = np.flatnonzero(divided.number >= 0)
    y, fold = rows.y[places], divided.number[places]
    if task.lacks(y, learn=True) or any(task.lacks(rows.y[seen], learn=True) for seen in divided.seen):
        return found
    raw = _ask_others(usecase, found, rows, divided, seed, say, "to calibrate it by")
    trials = [replace(found.best, out_of_fold=raw[places]), *found.trials[1:]]
    weights = some(rows.weights, places)
    return replace(found, trials=trials, rows=places, labels=y, fold=fold, weights=weights).recalibrated()


def answers_unseen(
    usecase: UseCase, found: Search, rows: Rows, chosen: NDArray[np.int64], *, seed: int, say: Callable[[str], None]
) -> NDArray[np.float32]:
    """What the best candidate says of some rows when it has learned from all others, later ones too, [k, width].

    By time a search's models know only what was before a row. After a change of the world that is mostly the old one,
    so their answers are not those of the final model, which has learned from the new one as well.

    Args:
        usecase, rows, seed: as of the search.
        found: of it.
        chosen: places of the rows asked about, [k].
        say: told of the fits.
    """
    groups = np.array(rows.groups)
    asked = rows.take(chosen)
    number = np.full(len(rows), -1)
    number[chosen] = assign_folds(asked.groups, usecase.task.strata(asked.y), folds=_PARTS, salt=usecase.split.salt)
    held = [mask for part in range(_PARTS) if (mask := number == part).any()]
    seen = [~np.isin(groups, groups[mask]) for mask in held]
    raw = _ask_others(usecase, found, rows, Folds(number, seen, held), seed, say, "to hold drift against")
    return found.calibration.apply(raw[chosen])


def _ask_others(
    usecase: UseCase,
    found: Search,
    rows: Rows,
    divided: Folds,
    seed: int,
    say: Callable[[str], None],
    purpose: str,
) -> NDArray[np.float64]:
    """What the best candidate gives of each row that a fold holds, and NaN of the others, [n, raw width]."""
    name = found.best.candidate
    given: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = []
    for seen, held in zip(divided.seen, divided.held, strict=True):
        say(f"fitting {name} on {seen.sum():,} rows, {purpose} what it says of {held.sum():,} others")
        part = make_fold(usecase, rows, seen, held)
        model = part.fit(best_estimator(usecase, found, seed), _best_candidate(usecase, found))
        given.append((part.rows, found.learning.ask(model, part.unseen)))
    raw = np.full((len(rows), given[0][1].shape[1]), np.nan)
    for places, answers in given:
        raw[places] = answers
    return raw


def _without_a_tenth(usecase: UseCase, rows: Rows) -> Folds:
    """One fit, without a tenth of the rows; these are divided, so that a calibration is tried on what it was not of."""
    split = usecase.split
    share = max(_HELD, min(MOST_ROWS / len(rows), 1 / split.folds))
    held = positions(rows.groups, f"{split.salt}/calibration") < share
    asked = rows.take(np.flatnonzero(held))
    number = np.full(len(rows), -1)
    if len(set(asked.groups)) >= split.folds:
        strata = usecase.task.strata(asked.y)
        number[held] = assign_folds(asked.groups, strata, folds=split.folds, salt=split.salt)
    return Folds(number, [~held], [held])


def best_estimator(usecase: UseCase, found: Search, seed: int) -> Any:
    """The best candidate's estimator, not yet fitted."""
    return seeded(clone(_best_candidate(usecase, found).estimator).set_params(**found.best.parameters), seed)


def fit_best(usecase: UseCase, found: Search, rows: Rows, features: Any, seed: int) -> Any:
    """The best candidate's estimator, fitted on all rows.

    Args:
        usecase, found: see `search`.
        rows: to learn from.
        features: made of them, [n, width].
        seed: of the estimator.
    """
    candidate = _best_candidate(usecase, found)
    stopping = stopping_of(candidate, None if candidate.stop_after is None else stop_rows(usecase, rows))
    return fit(best_estimator(usecase, found, seed), features, rows.y, rows.weights, stopping)


def _best_candidate(usecase: UseCase, found: Search) -> Candidate:
    return next(item for item in usecase.candidates if item.name == found.best.candidate)
