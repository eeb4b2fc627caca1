"""A number: the figures of a model that gives a value and the interval that is to hold the truth."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.task import Floats, Integers, Metric, Scored

METRICS = (
    Metric("mae", "Mean absolute error", higher_is_better=False),
    Metric("rmse", "Root mean squared error", higher_is_better=False),
    Metric("r2", "R²", higher_is_better=True),
    Metric("median_error", "Median absolute error", higher_is_better=False),
    Metric("pinball", "Pinball loss of the interval", higher_is_better=False),
    Metric("coverage", "Coverage of the interval", higher_is_better=True),
    Metric("width", "Mean width of the interval", higher_is_better=False),
)


class NumberScored(Scored):
    """One model's values and intervals.

    Args:
        y: the truth, [n].
        answers: value, lower and upper end of the interval, [n, 3].
        level: share of rows that the interval is to hold.

    `error` holds value less truth, [n].
    """

    losses: Floats

    def __init__(self, y: Integers, answers: NDArray[Any], level: float) -> None:
        y, answers = np.asarray(y, dtype=np.float64), answers.astype(np.float64)
        self.rows, self.y, self.value = len(y), y, answers[:, 0]
        self.lower, self.upper = answers[:, 1], answers[:, 2]
        self.error = self.value - y
        self.losses = np.abs(self.error)
        # From some middle: of large numbers the squares would lose what the variance is made of.
        self._centred = y - y.mean() if len(y) else y
        tail = (1 - level) / 2
        pinball = (_pinball(y, self.lower, tail) + _pinball(y, self.upper, 1 - tail)) / 2
        # At its very end is inside, and so is what float32 made of that.
        slack = 1e-6 * np.maximum(1.0, np.abs(y))
        self.right = (y >= self.lower - slack) & (y <= self.upper + slack)
        self._sums = np.column_stack(
            [self.losses, self.error**2, self._centred, self._centred**2, pinball, self.right, self.upper - self.lower]
        )
        self._order = np.argsort(self.losses, kind="stable")
        self._ranked = self.losses[self._order]

    def figures(self, weights: Floats | None = None) -> Floats:
        """As `Scored` says; R² is NaN where all truths are one."""
        weights = self.weigh(weights)
        rows = weights.sum()
        mae, squared, mean, square, pinball, coverage, width = (weights @ self._sums) / rows
        variance = square - mean**2
        # What rounding leaves of numbers that are all the same is no variance.
        r2 = 1 - squared / variance if variance > 1e-12 * max(square, 1e-300) else np.nan
        return np.array([mae, np.sqrt(squared), r2, self._median(weights, rows), pinball, coverage, width])

    def _median(self, weights: Floats, rows: float) -> float:
        """The weighted median of the absolute errors; of two in the middle their mean."""
        below = np.cumsum(weights[self._order])
        first = int(np.searchsorted(below, rows / 2, side="left"))
        second = int(np.searchsorted(below, rows / 2, side="right"))
        last = len(self._ranked) - 1
        return float(self._ranked[min(first, last)] + self._ranked[min(second, last)]) / 2

    def beats(self, other: Self) -> NDArray[np.bool_]:
        """Where this one's value is nearer to the truth."""
        return np.asarray(self.losses < other.losses)


def _pinball(y: Floats, quantile: Floats, level: float) -> Floats:
    """The loss that is least in the mean where the quantile is that of the level, [n]."""
    return np.asarray(np.maximum(level * (y - quantile), (level - 1) * (y - quantile)))
