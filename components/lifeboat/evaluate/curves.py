"""Curves, counts and the latency of one model: what plots and Kubeflow's artifacts are made of."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import binom
from sklearn.metrics import confusion_matrix, precision_recall_curve, roc_curve

from lifeboat.evaluate.evaluation import CalibrationBin, Confusion, Histogram, PrecisionRecall, Roc
from lifeboat.evaluate.statistics import wilson
from lifeboat.model.scoring import Scorer, feeds
from lifeboat.tasks.binary.scored import BinaryScored
from lifeboat.tasks.task import Floats
from lifeboat.usecase.gates import LATENCIES, Interval

ROC_POINTS = 200
HISTOGRAM_BINS = 20
LATENCY_ROWS = 200
LATENCY_CALLS = 2_000
_WARM_UP_CALLS = 50
# A slow model is measured for so long, and at least by so many calls.
_LATENCY_SECONDS = 2.0
_FEWEST_CALLS = 100


def roc(y: NDArray[np.int8], p: Floats) -> Roc:
    """The ROC curve, thinned to at most `ROC_POINTS` points that keep its shape.

    Args:
        y: labels 0 and 1, [n], both of them there.
        p: probability of class 1, [n].
    """
    fpr, tpr, thresholds = roc_curve(y, p, drop_intermediate=False)
    # The first point is scikit-learn's (0, 0) at infinity. Just above 1: no probability reaches it, and it is JSON.
    thresholds[0] = np.nextafter(max(1.0, p.max()), 2.0)
    kept = _thin(fpr, tpr, ROC_POINTS)
    return Roc(fpr[kept].tolist(), tpr[kept].tolist(), thresholds[kept].tolist())


def precision_recall(y: NDArray[np.int8], p: Floats) -> PrecisionRecall:
    """Precision by recall, thinned as the ROC curve is; arguments as for `roc`."""
    precision, recall, thresholds = precision_recall_curve(y, p)
    # From the highest threshold down. scikit-learn's last point, where no row is called class 1, has no threshold.
    precision, recall, thresholds = precision[-2::-1], recall[-2::-1], thresholds[::-1]
    kept = _thin(recall, 1 - precision, ROC_POINTS)
    return PrecisionRecall(recall[kept].tolist(), precision[kept].tolist(), thresholds[kept].tolist())


def _thin(x: Floats, y: Floats, most: int) -> NDArray[np.int64]:
    """Numbers of at most so many points, evenly spaced along the curve, both ends included."""
    if len(x) <= most:
        return np.arange(len(x))
    along = np.concatenate([[0.0], np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y)))])
    return np.unique(np.searchsorted(along, np.linspace(0, along[-1], most)).clip(max=len(x) - 1))


def confusion(model: BinaryScored, classes: tuple[str, str]) -> Confusion:
    """Counts by true and predicted class, of a model's answers and the names of the classes."""
    return Confusion(classes, confusion_matrix(model.y, model.called, labels=(0, 1)).tolist())


def calibration(model: BinaryScored) -> tuple[CalibrationBin, ...]:
    """The bins of the calibration error, by ascending probability."""
    y, p = model.y, model.p
    bins = (model.order[part] for part in model.bins())
    return tuple(
        CalibrationBin(len(rows), float(p[rows].mean()), wilson(int(y[rows].sum()), len(rows))) for rows in bins
    )


def histogram(y: NDArray[np.int8], p: Floats) -> Histogram:
    """Rows of each class in 20 equal bins of the probability."""
    edges = np.linspace(0, 1, HISTOGRAM_BINS + 1)
    counts = [np.histogram(p[y == label].clip(0, 1), bins=edges)[0].tolist() for label in (0, 1)]
    return Histogram(edges.tolist(), counts)


def latency(scorer: Scorer, table: pa.Table) -> dict[str, Interval]:
    """Microseconds that one call for one row takes: median and 99th percentile with their 95 % limits.

    Rows are asked in turn, so that no cache of one row's answer flatters the figure.
    """
    inputs = [feeds(scorer.schema, table.slice(row, 1)) for row in range(min(LATENCY_ROWS, table.num_rows))]
    for call in range(_WARM_UP_CALLS):
        scorer.run(inputs[call % len(inputs)])
    times: list[int] = []
    end = time.perf_counter() + _LATENCY_SECONDS
    while len(times) < LATENCY_CALLS and (time.perf_counter() < end or len(times) < _FEWEST_CALLS):
        one = inputs[len(times) % len(inputs)]
        start = time.perf_counter_ns()
        scorer.run(one)
        times.append(time.perf_counter_ns() - start)
    return {name: percentile(times, share) for name, share in zip(LATENCIES, (0.5, 0.99), strict=True)}


def percentile(nanoseconds: Sequence[int], share: float) -> Interval:
    """A percentile of times in microseconds.

    Its limits are the two order statistics that hold it with 95 % confidence, whatever the distribution
    (Conover, 1999, ch. 3.2).
    """
    ranked = np.sort(np.asarray(nanoseconds)) / 1_000
    limits = binom.ppf((0.025, 0.975), len(ranked), share).astype(int).clip(0, len(ranked) - 1)
    low, high = ranked[limits].tolist()
    value = float(np.quantile(ranked, share))
    return Interval(value, min(low, value), max(high, value))
