"""Several classes: the figures of a classifier that gives the probability of each."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lifeboat.model.calibration_error import bin_starts, binned_error
from lifeboat.tasks.binary.ranking import Ranking
from lifeboat.tasks.binary.scored import CLIP
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Floats, Integers, Metric, Scored

# Of more classes than this the figures of each by itself are a table that nobody reads, and an hour of replicates.
FEW_CLASSES = 20
METRICS = (
    Metric("log_loss", "Log loss", higher_is_better=False),
    Metric("brier", "Brier score", higher_is_better=False),
    Metric("ece", "Calibration error", higher_is_better=False),
    Metric("accuracy", "Accuracy", higher_is_better=True),
    Metric("balanced_accuracy", "Balanced accuracy", higher_is_better=True),
    Metric("f1_macro", "F1, mean of the classes", higher_is_better=True),
)
ROC_AUC = Metric("roc_auc", "ROC AUC, each class against the rest", higher_is_better=True)


def metrics_of(classes: tuple[str, ...]) -> tuple[Metric, ...]:
    """Those of a label: to `FEW_CLASSES` with the area of each against the rest, in the mean, and the F1 of each."""
    if len(classes) > FEW_CLASSES:
        return METRICS
    each = (Metric(f"f1/{name}", f"F1 of {name}", higher_is_better=True) for name in classes)
    return (*METRICS, ROC_AUC, *each)


class ClassesScored(Scored):
    """One model's probabilities, sorted once.

    Args:
        y: number of the class, [n].
        answers: probability of each class, [n, k].
        decision: which class a row is called.

    `called` holds that, `top` the probability of the likeliest class, `order` the rows by it, ascending, [n].
    """

    def __init__(self, y: Integers, answers: NDArray[Any], decision: Decision) -> None:
        p = answers.astype(np.float64)
        self.rows, self.y, self.p, self.classes = len(y), np.asarray(y, dtype=np.int64), p, p.shape[1]
        self.called = np.asarray(decision.call(answers), dtype=np.int64)
        self.right = self.called == self.y
        own = p[np.arange(self.rows), self.y]
        self.losses = -np.log(np.clip(own, CLIP, 1 - CLIP))
        # Sum over the classes of the square of what the probability is off by.
        brier = (p**2).sum(axis=1) - 2 * own + 1
        self._sums = np.column_stack([self.losses, brier, self.right])
        self.top = p.max(axis=1)
        self.order = np.argsort(self.top, kind="stable")
        self._bins = bin_starts(self.top[self.order])
        self._residual = self.right[self.order] - self.top[self.order]
        self._cells = self.y * self.classes + self.called
        self._rankings = [self._rank(number) for number in range(self.classes if self.classes <= FEW_CLASSES else 0)]

    def _rank(self, number: int) -> tuple[NDArray[np.int64], Ranking]:
        order = np.argsort(self.p[:, number], kind="stable")
        return order, Ranking(self.p[order, number], self.y[order] == number)

    def confusion(self, weights: Floats | None = None) -> Floats:
        """Rows by true class and the class that they are called, [k, k]."""
        counts = np.bincount(self._cells, weights=weights, minlength=self.classes**2)
        return np.asarray(counts, dtype=np.float64).reshape(self.classes, self.classes)

    def figures(self, weights: Floats | None = None) -> Floats:
        """As `Scored` says; a class without weight has no part in a mean over the classes."""
        weights = self.weigh(weights)
        rows = weights.sum()
        log_loss, brier, accuracy = (weights @ self._sums) / rows
        ece = binned_error(weights[self.order] * self._residual, self._bins, rows)
        counts = self.confusion(weights)
        found, true, called = np.diag(counts), counts.sum(axis=1), counts.sum(axis=0)
        recall, f1 = _shares(found, true), _shares(2 * found, true + called)
        values = [log_loss, brier, ece, accuracy, _mean(recall), _mean(f1)]
        if self._rankings:
            areas = np.array([ranking.areas(weights[order])[0] for order, ranking in self._rankings])
            values += [_mean(areas), *f1]
        return np.array(values)

    def bins(self) -> list[slice]:
        """The calibration bins as slices of `order`: about equal counts, equal scores together."""
        ends = [*self._bins[1:].tolist(), self.rows]
        return [slice(start, end) for start, end in zip(self._bins.tolist(), ends, strict=True)]

    def beats(self, other: Self) -> NDArray[np.bool_]:
        """Where this one calls the row rightly and the other does not."""
        return np.asarray(self.right & ~other.right)


def _shares(part: Floats, whole: Floats) -> Floats:
    """NaN of nothing."""
    return np.asarray(np.where(whole > 0, part / np.maximum(whole, 1e-12), np.nan))


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else np.nan
