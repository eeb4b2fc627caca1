"""Training rows against held-out rows: does a column look the same on both sides?

The population stability index is the symmetrised Kullback-Leibler divergence of the binned shares. It is read as no
change below 0.1 and a large one above 0.25, but on few rows chance alone makes it large: for rows of one population it
is about (1 / n + 1 / m) times a chi-squared variable with one degree of freedom fewer than there are bins (Yurdakul and
Naranjo, 2020). So what chance makes in one of a hundred columns is said beside it, and only what is beyond both is
marked. Of a number the standardised difference of the means is said as well (Austin, 2009).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2

from lifeboat.preprocess.profile.bins import Bins, Floats

# From here on the index tells of a change, unless chance explains it as often as this.
TELLING, CHANCE = 0.1, 0.01
# Bins of training rows of about equal counts.
_TENTHS = 10


@dataclass(frozen=True)
class Shift:
    """Of one column.

    Args:
        missing: shares of training and of held-out rows.
        index: the population stability index.
        chance: what it exceeds by chance in one of a hundred columns.
        difference: of the means, held-out less training rows, in standard deviations; None of a category, and of
            numbers that are all the same.
    """

    missing: tuple[float, float]
    index: float
    chance: float
    difference: float | None

    @property
    def tells(self) -> bool:
        """Whether there is a change that chance does not explain."""
        return self.index > max(TELLING, self.chance)


def shift_of(bins: Bins, numbers: Floats | None, test: NDArray[np.bool_]) -> Shift:
    """How far the held-out rows are from the training rows.

    Args:
        bins: of the column.
        numbers: of it, NaN where missing, [n]; None of a category.
        test: which rows are held out, [n].
    """
    place = bins.place if bins.edges is None or numbers is None else _tenths(numbers, test)
    # The missing ones are a bin as well, where there are any.
    counts = [np.bincount(place[side] + 1) for side in (~test, test)]
    size = max(map(len, counts))
    train, held = (np.pad(each, (0, size - len(each))) for each in counts)
    used = train + held > 0
    missing = tuple(float(np.mean(bins.place[side] < 0)) if side.any() else 0.0 for side in (~test, test))
    index = stability_index(train[used], held[used])
    rows = max(int(train.sum()), 1), max(int(held.sum()), 1)
    chance = float(chi2.ppf(1 - CHANCE, max(int(used.sum()) - 1, 1)) * (1 / rows[0] + 1 / rows[1]))
    return Shift((missing[0], missing[1]), index, chance, _difference(numbers, test))


def stability_index(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Of two counts over the same bins, each bin with half a row more, so that an empty one has a logarithm."""
    p, q = ((counts + 0.5) / (counts + 0.5).sum() for counts in (first, second))
    return float(np.sum((q - p) * np.log(q / p)))


def _tenths(numbers: Floats, test: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The tenth of the training rows that each row is in; -1 where it is missing."""
    known = ~np.isnan(numbers)
    learned = numbers[known & ~test]
    edges = np.unique(np.quantile(learned, np.arange(1, _TENTHS) / _TENTHS)) if len(learned) else np.empty(0)
    place = np.searchsorted(edges, np.where(known, numbers, 0), side="right")
    return np.where(known, place, -1).astype(np.int64)


def _difference(numbers: Floats | None, test: NDArray[np.bool_]) -> float | None:
    if numbers is None:
        return None
    known = ~np.isnan(numbers)
    train, held = numbers[known & ~test], numbers[known & test]
    if not len(train) or not len(held):
        return None
    spread = np.sqrt((train.var() + held.var()) / 2)
    return float((held.mean() - train.mean()) / spread) if spread > 0 else None
