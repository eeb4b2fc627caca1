"""Two classes: ROC curve, precision and recall, calibration, probabilities and confusion."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from lifeboat.evaluate.plots import (
    CLASS_COLORS,
    DASHED,
    INK,
    MUTED,
    draw_confusion,
    new_axes,
    plain,
    unit_square,
)
from lifeboat.evaluate.reports import report
from lifeboat.evaluate.reports.calibration import CalibrationBin, calibration, calibration_limits, draw_calibration
from lifeboat.tasks.binary.decision import ThresholdDecision
from lifeboat.tasks.binary.scored import BinaryScored
from lifeboat.tasks.binary.task import BinaryTask
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Floats
from lifeboat.usecase.gates import Interval

CURVE_POINTS = 200
HISTOGRAM_BINS = 20


@dataclass(frozen=True)
class Roc:
    """The receiver operating characteristic, at most 200 points from (0, 0) to (1, 1).

    A row counts as positive from the threshold on; all thresholds are finite, the first is just above 1.
    """

    fpr: list[float]
    tpr: list[float]
    thresholds: list[float]


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision by recall, at most 200 points; a row counts as positive from the threshold on, which descends."""

    recall: list[float]
    precision: list[float]
    thresholds: list[float]


@dataclass(frozen=True)
class Histogram:
    """Rows of each class by probability of class 1; `counts` is [2][bins], `edges` [bins + 1]."""

    edges: list[float]
    counts: list[list[int]]


@dataclass(frozen=True)
class BinaryDetails:
    """What the plots show.

    Args:
        threshold: of the decision.
        share: of class 1 among the rows.
        confusion: rows by true class and by the class that the decision gives them, [2][2].
    """

    threshold: float
    share: float
    roc: Roc
    precision_recall: PrecisionRecall
    calibration: tuple[CalibrationBin, ...]
    histogram: Histogram
    confusion: list[list[int]]


class Report(report.Report[BinaryTask, BinaryScored, BinaryDetails]):
    """Of two classes."""

    titles: ClassVar[Mapping[str, str]] = {
        "roc": "ROC curve",
        "precision_recall": "Precision and recall",
        "calibration": "Calibration",
        "scores": "Probabilities by class",
        "confusion": "Confusion matrix",
    }
    tested: ClassVar[str] = (
        "Won and lost: rows that only this model, or only the champion, labels rightly. "
        "p of worse: one-sided exact McNemar test, adjusted over the slices by Holm."
    )

    def details(self, model: BinaryScored, decision: Decision) -> BinaryDetails:
        return BinaryDetails(
            threshold=decision.threshold if isinstance(decision, ThresholdDecision) else 0.5,
            share=float(model.y.mean()),
            roc=roc(model.y, model.p),
            precision_recall=precision_recall(model.y, model.p),
            calibration=calibration(model.y[model.order], model.p[model.order], model.bins()),
            histogram=histogram(model.y, model.p),
            confusion=count_confusion(model),
        )

    def plots(self, details: BinaryDetails, metrics: Mapping[str, Interval]) -> dict[str, Figure]:
        classes = self.task.label.classes
        return {
            "roc": draw_roc(details, metrics),
            "precision_recall": draw_precision_recall(details, metrics),
            "calibration": draw_calibration(
                details.calibration, metrics["ece"].value, f"Share of “{plain(classes[1])}”"
            ),
            "scores": draw_scores(details, classes),
            "confusion": draw_confusion(details.confusion, classes),
        }

    def purpose(self) -> str:
        first, second = self.task.label.classes
        return f"the probability of “{second}” against “{first}”"

    def trivial(self) -> str:
        return "the share of each class"

    def limits(self, decision: Decision, rows: int) -> list[str]:  # noqa: ARG002  # what it is, is said elsewhere
        return calibration_limits(rows)

    def decided(self, decision: Decision) -> str:
        positive, threshold = self.task.label.classes[1], getattr(decision, "threshold", 0.5)
        called = f"A row is called “{positive}” above a probability of {threshold:.3f}: {decision.rule}"
        return f"{called}. Accuracy, precision, recall and F1 are of that decision."

    def calibrated(self, known: Any) -> str:
        if not isinstance(known, list):
            return super().calibrated(known)
        slope, intercept = known
        return f"sigmoid of the log odds, slope {slope:.3f}, intercept {intercept:+.3f}"

    def answer_axis(self) -> str:
        return f"Mean probability of “{plain(self.task.label.classes[1])}”"

    def contribution_axis(self) -> str:
        return "Mean absolute contribution (probability)"

    def log_kubeflow(self, curves: Any, details: BinaryDetails) -> None:
        curves.log_roc_curve(details.roc.fpr, details.roc.tpr, details.roc.thresholds)
        curves.log_confusion_matrix(list(self.task.label.classes), details.confusion)


def count_confusion(model: BinaryScored) -> list[list[int]]:
    """Rows by true class and by the class that the decision gives them."""
    counts: list[list[int]] = confusion_matrix(model.y, model.called, labels=(0, 1)).tolist()
    return counts


def roc(y: NDArray[Any], p: Floats) -> Roc:
    """The ROC curve, thinned to at most `CURVE_POINTS` points that keep its shape.

    Args:
        y: labels 0 and 1, [n], both of them there.
        p: probability of class 1, [n].
    """
    fpr, tpr, thresholds = roc_curve(y, p, drop_intermediate=False)
    # The first point is scikit-learn's (0, 0) at infinity. Just above 1: no probability reaches it, and it is JSON.
    thresholds[0] = np.nextafter(max(1.0, p.max()), 2.0)
    kept = _thin(fpr, tpr, CURVE_POINTS)
    return Roc(fpr[kept].tolist(), tpr[kept].tolist(), thresholds[kept].tolist())


def precision_recall(y: NDArray[Any], p: Floats) -> PrecisionRecall:
    """Precision by recall, thinned as the ROC curve is; arguments as for `roc`."""
    precision, recall, thresholds = precision_recall_curve(y, p)
    # From the highest threshold down. scikit-learn's last point, where no row is called class 1, has no threshold.
    precision, recall, thresholds = precision[-2::-1], recall[-2::-1], thresholds[::-1]
    kept = _thin(recall, 1 - precision, CURVE_POINTS)
    return PrecisionRecall(recall[kept].tolist(), precision[kept].tolist(), thresholds[kept].tolist())


def _thin(x: Floats, y: Floats, most: int) -> NDArray[np.int64]:
    """Numbers of at most so many points, evenly spaced along the curve, both ends included."""
    if len(x) <= most:
        return np.arange(len(x))
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    return np.unique(np.searchsorted(along, np.linspace(0, along[-1], most)).clip(max=len(x) - 1))


def histogram(y: NDArray[Any], p: Floats) -> Histogram:
    """Rows of each class in 20 equal bins of the probability of class 1."""
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    counts = [np.histogram(p[y == label].clip(0, 1), bins=edges)[0].tolist() for label in (0, 1)]
    return Histogram(edges.tolist(), counts)


def draw_roc(details: BinaryDetails, metrics: Mapping[str, Interval]) -> Figure:
    """True against false positive rate."""
    figure, axes = new_axes("False positive rate", "True positive rate")
    area = metrics["roc_auc"]
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=DASHED)
    axes.plot(details.roc.fpr, details.roc.tpr, color=CLASS_COLORS[0], linewidth=1.8)
    axes.fill_between(details.roc.fpr, details.roc.tpr, color=CLASS_COLORS[0], alpha=0.08, linewidth=0)
    words = f"AUC {area.value:.3f}\n95 % limits {area.low:.3f} to {area.high:.3f}"
    axes.text(0.97, 0.05, words, ha="right", va="bottom", color=INK, fontsize=9)
    unit_square(axes)
    return figure


def draw_precision_recall(details: BinaryDetails, metrics: Mapping[str, Interval]) -> Figure:
    """Precision by recall, the decision's own point, and the share of class 1, which is chance."""
    figure, axes = new_axes("Recall", "Precision")
    curve = details.precision_recall
    precision, recall = (metrics[name].value for name in ("precision", "recall"))
    axes.axhline(details.share, color=MUTED, linewidth=0.8, linestyle=DASHED)
    axes.step([0.0, *curve.recall], [curve.precision[0], *curve.precision], color=CLASS_COLORS[0], linewidth=1.8)
    axes.plot([recall], [precision], "o", color=CLASS_COLORS[1], markersize=6)
    area = metrics["average_precision"]
    words = f"average precision {area.value:.3f}\n95 % limits {area.low:.3f} to {area.high:.3f}"
    words += f"\nat the threshold {details.threshold:.3f}: {precision:.2f} at {recall:.2f}"
    axes.text(0.03, 0.05, words, ha="left", va="bottom", color=INK, fontsize=9)
    unit_square(axes)
    return figure


def draw_scores(details: BinaryDetails, classes: tuple[str, ...]) -> Figure:
    """Rows of each class by predicted probability."""
    figure, axes = new_axes("Predicted probability", "Held-out rows")
    edges = np.array(details.histogram.edges)
    counts = details.histogram.counts
    bases = np.zeros(len(edges) - 1), counts[0]
    for name, rows, color, base in zip(classes, counts, CLASS_COLORS, bases, strict=True):
        width = np.diff(edges) * 0.9
        axes.bar(edges[:-1] + width / 1.8, rows, width, bottom=base, color=color, label=plain(name))
    axes.axvline(details.threshold, color=INK, linewidth=0.8, linestyle=DASHED)
    axes.set_xlim(0, 1)
    axes.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, labelcolor=INK)
    return figure
