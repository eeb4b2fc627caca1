"""Curves, counts and the latency of one model: what plots and Kubeflow's artifacts are made of."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.stats import binom

from components.core.gates import Interval
from components.core.scoring import Scorer, feeds
from components.evaluate.evaluation import CalibrationBin, Confusion, Histogram, Roc
from components.evaluate.statistics import THRESHOLD, Floats, Scored, wilson

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
    order = np.argsort(-p, kind="stable")
    last = np.flatnonzero(np.r_[np.diff(p[order]) != 0, True])
    tpr = np.cumsum(y[order])[last] / y.sum()
    fpr = np.cumsum(1 - y[order])[last] / (1 - y).sum()
    kept = _thin(fpr, tpr, ROC_POINTS - 1)
    # Just above 1: no probability reaches it, and unlike scikit-learn's infinity it is JSON.
    start = float(np.nextafter(max(1.0, p.max()), 2.0))
    return Roc(
        fpr=[0.0, *fpr[kept].tolist()],
        tpr=[0.0, *tpr[kept].tolist()],
        thresholds=[start, *p[order][last][kept].tolist()],
    )


def _thin(fpr: Floats, tpr: Floats, most: int) -> NDArray[np.int64]:
    """Numbers of at most so many points, evenly spaced along the curve by fpr plus tpr, its end included."""
    if len(fpr) <= most:
        return np.arange(len(fpr))
    return np.unique(np.searchsorted(fpr + tpr, np.linspace(fpr[0] + tpr[0], 2.0, most)).clip(max=len(fpr) - 1))


def confusion(y: NDArray[np.int8], p: Floats, classes: tuple[str, str]) -> Confusion:
    """Counts by true and predicted class; arguments as for `roc`, and the names of the classes."""
    counts = np.bincount(2 * y.astype(np.int64) + (p > THRESHOLD), minlength=4)
    return Confusion(classes, counts.reshape(2, 2).tolist())


def calibration(y: NDArray[np.int8], p: Floats, model: Scored) -> tuple[CalibrationBin, ...]:
    """The bins of the calibration error, by ascending probability; `model` holds the same `y` and `p`."""
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
    return {f"latency_p{share:.0f}_us": percentile(times, share / 100) for share in (50, 99)}


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
