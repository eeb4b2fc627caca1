"""Figures of a binary classifier, their bootstrap intervals, and the paired tests between two classifiers.

Throughout: `y` holds labels 0 and 1, [n]; `p` the probability of class 1, [n]; weights count how often each
row is drawn. Nothing here is more than O(n log n), and no array is larger than [n, 3].
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from lifeboat.evaluate.ranking import Ranking
from lifeboat.model.calibration_error import bin_starts, binned_error
from lifeboat.model.decision import Decision
from lifeboat.usecase.gates import HIGHER_IS_BETTER, Interval

Floats = NDArray[np.float64]
Integers = NDArray[Any]

METRICS = tuple(HIGHER_IS_BETTER)
REPLICATES = 2_000
# In float32 the number before 1 is 1 - 6e-8: a finer clip would let a confident error count as infinite.
CLIP = 1e-7
_SIGNS = np.array([1.0 if higher else -1.0 for higher in HIGHER_IS_BETTER.values()])
_SECONDS_BETWEEN_REPORTS = 5.0


class Scored:
    """One model's probabilities, sorted once, so that every replicate's figures cost O(n).

    Args:
        y: labels 0 and 1, [n].
        p: probability of class 1, [n].
        decision: which of them are called class 1; by default the likelier class.

    `order` holds the row numbers by ascending probability, [n].
    """

    def __init__(self, y: Integers, p: Floats, decision: Decision | None = None) -> None:
        p = p.astype(np.float64)
        self.rows = len(y)
        self.called = (decision or Decision()).positive(p)
        self.right = self.called == (y == 1)
        self._sums = np.column_stack([self.called, log_losses(y, p), (p - y) ** 2])
        self.order = np.argsort(p, kind="stable")
        ranked, positive = p[self.order], y[self.order] == 1
        self._ranking = Ranking(ranked, positive)
        self._positive, self._found = np.flatnonzero(y == 1), np.flatnonzero(self.called & (y == 1))
        self._bins = bin_starts(ranked)
        self._residual = positive - ranked
        # Written anew in each replicate: with fresh arrays the kernel's page faults take half the time.
        self._scratch = np.empty((2, self.rows))

    def figures(self, weights: Floats | None = None) -> Floats:
        """The value of each of `METRICS`, [m]; NaN where it needs a class that has no weight.

        Args:
            weights: of each row, [n]; one each by default.
        """
        weights = np.ones(self.rows) if weights is None else weights
        rows = weights.sum()
        called, log_loss, brier = (weights @ self._sums) / rows
        # Any mode but 'raise' writes straight into the array given.
        ranked = np.take(weights, self.order, out=self._scratch[0], mode="clip")
        auc, average_precision = self._ranking.areas(ranked)
        residual = np.multiply(ranked, self._residual, out=self._scratch[1])
        positives, found = (weights[places].sum() / rows for places in (self._positive, self._found))
        values = {
            "roc_auc": auc,
            "average_precision": average_precision,
            "log_loss": log_loss,
            "brier": brier,
            "ece": binned_error(residual, self._bins, rows),
            **_at_threshold(positives, called, found),
        }
        return np.array([values[name] for name in METRICS])

    def bins(self) -> list[slice]:
        """The calibration bins as slices of `order`: about equal counts, equal scores together."""
        ends = [*self._bins[1:].tolist(), self.rows]
        return [slice(start, end) for start, end in zip(self._bins.tolist(), ends, strict=True)]


def _at_threshold(positives: float, called: float, found: float) -> dict[str, float]:
    """Figures of the decision, of shares of all rows: class 1, called so, and both.

    As scikit-learn has it, precision is 0 where no row is called class 1. Without one class there is no recall of it.
    """
    right = 1 - positives - called + 2 * found
    recall = found / positives if positives else np.nan
    specificity = (1 - positives - called + found) / (1 - positives) if positives < 1 else np.nan
    return {
        "accuracy": right,
        "precision": found / called if called else 0.0,
        "recall": recall,
        "f1": 2 * found / (positives + called) if positives else np.nan,
        "balanced_accuracy": (recall + specificity) / 2,
    }


def log_losses(y: Integers, p: Floats) -> Floats:
    """-log of the probability given to the true class of each row, clipped at 1e-7, [n]."""
    clipped = np.clip(p, CLIP, 1 - CLIP)
    return -np.log(np.where(y == 1, clipped, 1 - clipped))


def bootstrap(
    y: Integers,
    models: Sequence[Scored],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> Floats:
    """Figures of each model in each replicate, [replicates, models, metrics].

    Stratified: each replicate has as many rows of each class as the sample. Its weights serve all models
    and metrics, so that differences between models are paired (Efron and Tibshirani, 1993, ch. 8).
    """
    draws = np.empty((replicates, len(models), len(METRICS)))
    reported = time.monotonic()
    for number, weights in enumerate(_resamples(y, replicates, seed)):
        for column, model in enumerate(models):
            draws[number, column] = model.figures(weights)
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            say(f"bootstrap: {number + 1:,} of {replicates:,} replicates of {len(y):,} rows")
    return draws


def _resamples(y: Integers, replicates: int, seed: int) -> Iterator[Floats]:
    """Weights [n] of one replicate after the other; the array is reused."""
    random = np.random.default_rng(seed)
    classes = [rows for label in (0, 1) if len(rows := np.flatnonzero(y == label))]
    weights = np.zeros(len(y))
    for _ in range(replicates):
        for rows in classes:
            # 32-bit draws and a bincount: several times faster than Generator.multinomial.
            drawn = random.integers(0, len(rows), len(rows), dtype=np.uint32)
            weights[rows] = np.bincount(drawn, minlength=len(rows))
        yield weights


def interval(value: float, draws: Floats) -> Interval:
    """The percentile interval of 95 %, widened where needed to hold the value itself.

    It is needed for the calibration error only: being a sum of absolute values, it grows under resampling.
    """
    low, high = np.quantile(draws, (0.025, 0.975))
    return Interval(float(value), float(min(low, value)), float(max(high, value)))


def intervals(values: Floats, draws: Floats) -> dict[str, Interval]:
    """Metric to interval, of values [m] and draws [replicates, m]."""
    return {name: interval(values[i], draws[:, i]) for i, name in enumerate(METRICS)}


def improvements(values: Floats, draws: Floats) -> dict[str, Interval]:
    """Metric to interval of what the first model gains on the second; positive is better for every metric.

    Args:
        values: of both models, [2, m].
        draws: of both models, [replicates, 2, m].
    """
    return intervals(_SIGNS * (values[0] - values[1]), _SIGNS * (draws[:, 0] - draws[:, 1]))


def mcnemar(won: int, lost: int) -> float:
    """Two-sided p of the exact McNemar test: were discordant rows won by the toss of a coin?"""
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def mcnemar_worse(won: int, lost: int) -> float:
    """One-sided p of the exact McNemar test against 'the new model loses more rows than it wins'."""
    return float(binomtest(lost, won + lost, alternative="greater").pvalue) if won + lost else 1.0


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p values: the k-th smallest of m times m - k + 1, kept ascending and at most 1 (Holm 1979)."""
    adjusted, running = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = running
    return {name: adjusted[name] for name in p_values}


def wilson(successes: int, rows: int) -> Interval:
    """A share with its Wilson score interval of 95 % (Wilson, 1927)."""
    found = binomtest(successes, rows).proportion_ci(method="wilson")
    return Interval(successes / rows, float(found.low), float(found.high))
