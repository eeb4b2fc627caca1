"""Dividing rows by their time: what is judged is later than what was learned from, in the split and in every fold.

A boundary that is a share of the rows moves on as rows come in. So no row that a model was judged on, or that came
later, was among those that an earlier model learned from, and both can be held against each other on what is later than
either's boundary.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Groups = NDArray[np.int64] | None


@dataclass(frozen=True)
class TimeSplit:
    """Which rows are held out, which train, and which do neither.

    Args:
        boundary: the first moment whose rows are held out, microseconds since 1970.
        test, train: bool [n] each; rows within the gap, and those before it of a group that is held out, are in
            neither.
    """

    boundary: float
    test: Mask
    train: Mask


def split_by_time(times: Floats, groups: Groups, *, boundary: float, gap: float) -> TimeSplit:
    """Holds out what is at or after a boundary.

    Args:
        times: of each row, microseconds since 1970, [n].
        groups: a number for each row's group, whose rows stay together; None where each is its own.
        boundary: a moment, see `boundary_of`.
        gap: so long before the boundary nothing trains, in microseconds: what is known of a row only later, such as its
            label, was not known yet when the first one held out was asked about.
    """
    test = times >= boundary
    return TimeSplit(boundary, test, seen_before(times, groups, test, boundary, gap))


def boundary_of(times: Floats, share: float) -> float:
    """The moment from which on about this share of the rows is; one that a row has, and not the first of them."""
    ordered = np.sort(times)
    place = len(ordered) - max(1, round(share * len(ordered)))
    boundary = ordered[max(place, 0)]
    # Rows of one moment stay together.
    later = ordered[ordered > ordered[0]]
    return float(max(boundary, later[0]) if len(later) else np.inf)


def seen_before(times: Floats, groups: Groups, held: Mask, start: float, gap: float) -> Mask:
    """The rows earlier than `start` less the gap, but for those of a group that has a held row, bool [n]."""
    seen = (times < start - gap) & ~held
    if groups is not None:
        seen &= ~np.isin(groups, np.unique(groups[held]))
    return seen


def expanding_windows(times: Floats, folds: int) -> NDArray[np.int64]:
    """The fold in which each row is held, 0 to folds - 1, in turn; -1 for the earliest rows, which only train, [n].

    As `sklearn.model_selection.TimeSeriesSplit`: of folds + 1 parts of about equal size the first only trains, and
    each other one is held against all before it. Rows of one moment are in one part.
    """
    _, places, counts = np.unique(times, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - counts / 2
    part = np.minimum((middle * (folds + 1) / len(times)).astype(np.int64), folds)
    return np.asarray(part[places] - 1)
