"""The folds of the cross-validation: what is held in each, and what its models learn from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.config.errors import DataError
from lifeboat.data.split import assign_folds, kept_groups, positions
from lifeboat.data.time_split import boundary_of, expanding_windows, seen_before
from lifeboat.data.weights import Weights, some
from lifeboat.tasks.task import Task
from lifeboat.usecase.usecase import UseCase

Mask = NDArray[np.bool_]
# Share of the rows by which a fit knows when to stop.
_STOP = 0.1


@dataclass(frozen=True)
class Rows:
    """Training rows, [n] each.

    Args:
        X: raw columns, a data frame.
        y: labels.
        groups: name of each row's group.
        times: microseconds since 1970; None where the split is not by time.
        weights: how much each counts; None where all count alike.
    """

    X: Any
    y: NDArray[Any]
    groups: list[str]
    times: NDArray[np.float64] | None = None
    weights: Weights = None

    def __len__(self) -> int:
        return len(self.y)

    def take(self, chosen: NDArray[np.int64]) -> Rows:
        """Some of them, by their places."""
        times = None if self.times is None else self.times[chosen]
        groups = [self.groups[row] for row in chosen]
        return Rows(self.X.iloc[chosen], self.y[chosen], groups, times, some(self.weights, chosen))


@dataclass(frozen=True)
class Folds:
    """Of some rows.

    Args:
        number: of the fold in which each row is held; -1 where none holds it, [n].
        seen, held: of each fold the rows that its models learn from, and those they are asked about, bool [n].
    """

    number: NDArray[np.int64]
    seen: list[Mask]
    held: list[Mask]


def make_folds(usecase: UseCase, rows: Rows) -> Folds:
    """Whole groups at random, or by time each part against all before it.

    Raises:
        DataError: nothing can be judged on a fold, or learned from what its models see.
    """
    split = usecase.split
    if rows.times is None:
        number = assign_folds(rows.groups, usecase.task.strata(rows.y), folds=split.folds, salt=split.salt)
        held = [number == fold for fold in range(split.folds)]
        seen = [~mask for mask in held]
    else:
        number = expanding_windows(rows.times, split.folds)
        held = [number == fold for fold in range(split.folds)]
        groups, gap = kept_groups(rows.groups, usecase.schema), split.gap_microseconds
        # Before the first of no rows is nothing.
        starts = [float(rows.times[mask].min()) if mask.any() else -np.inf for mask in held]
        seen = [seen_before(rows.times, groups, *pair, gap) for pair in zip(held, starts, strict=True)]
    _refuse_one_sided(usecase.task, rows.y, seen, held)
    return Folds(number, seen, held)


@dataclass(frozen=True)
class StopRows:
    """Of the rows that a fit is given, those that it learns from and those by which it knows when to stop, bool [n]."""

    learned: Mask
    held: Mask


def stop_rows(usecase: UseCase, rows: Rows) -> StopRows:
    """Holds whole groups, about a tenth of the rows; by time the newest, with the gap before them.

    Raises:
        DataError: nothing is left to learn from or to stop by.
    """
    split = usecase.split
    if rows.times is None:
        held = positions(rows.groups, f"{split.salt}/stop") < _STOP
        learned = ~held
    else:
        start = boundary_of(rows.times, _STOP)
        held = rows.times >= start
        learned = seen_before(rows.times, kept_groups(rows.groups, usecase.schema), held, start, split.gap_microseconds)
    lacks = usecase.task.lacks(rows.y[learned], learn=True)
    if lacks or not held.any():
        problem = f"of the {learned.sum():,} rows left to learn from {lacks}" if lacks else "none is in the tenth"
        raise DataError(f"too few groups to hold a tenth of {len(rows):,} rows for stop_after: {problem}")
    return StopRows(learned, held)


def _refuse_one_sided(task: Task[Any, Any], y: NDArray[Any], seen: list[Mask], held: list[Mask]) -> None:
    for fold, (learned, asked) in enumerate(zip(seen, held, strict=True), start=1):
        for part, rows in (("", asked), ("what is learned for ", learned)):
            if lacks := task.lacks(y[rows]):
                problem = f"too few groups for {len(held)} folds: of {part}fold {fold} ({rows.sum():,} rows) {lacks}"
                raise DataError(f"{problem}; fewer folds, or another group, would help")
