"""Two classes: the figures of a classifier that gives the probability of each."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from lifeboat.model.calibration_error import bin_starts, binned_error
from lifeboat.tasks.binary.decision import ThresholdDecision
from lifeboat.tasks.binary.ranking import Ranking
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Floats, Integers, Metric, Scored

METRICS = (
    Metric("roc_auc", "ROC AUC", higher_is_better=True),
    Metric("average_precision", "Average precision", higher_is_better=True),
    Metric("log_loss", "Log loss", higher_is_better=False),
    Metric("brier", "Brier score", higher_is_better=False),
    Metric("ece", "Calibration error", higher_is_better=False),
    Metric("accuracy", "Accuracy", higher_is_better=True),
    Metric("balanced_accuracy", "Balanced accuracy", higher_is_better=True),
    Metric("precision", "Precision", higher_is_better=True),
    Metric("recall", "Recall", higher_is_better=True),
    Metric("f1", "F1", higher_is_better=True),
)
# In float32 the number before 1 is 1 - 6e-8: a finer clip would let a confident error count as infinite.
CLIP = 1e-7


class BinaryScored(Scored):
    """One model's probabilities, sorted once, so that every replicate's figures cost O(n).

    Args:
        y: labels 0 and 1, [n].
        answers: probability of each class, [n, 2].
        decision: which of them are called class 1; by default the likelier class.

    `order` holds the row numbers by ascending probability, [n].
    """

    def __init__(self, y: Integers, answers: NDArray[Any], decision: Decision | None = None) -> None:
        p = answers[:, 1].astype(np.float64)
        self.rows, self.y, self.p = len(y), y, p
        self.called = (decision or ThresholdDecision()).call(answers) == 1
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
        """As `Scored` says; NaN where a figure needs a class that has no weight."""
        weights = self.weigh(weights)
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
        return np.array([values[metric.name] for metric in METRICS])

    def beats(self, other: Self) -> NDArray[np.bool_]:
        """Where this one calls the row rightly and the other does not."""
        return np.asarray(self.right & ~other.right)

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
