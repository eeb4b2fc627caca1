import math

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import auc, roc_auc_score

from lifeboat.evaluate.latency import latency, percentile
from lifeboat.evaluate.reports.binary import CURVE_POINTS, Report, count_confusion, histogram, precision_recall, roc
from lifeboat.model.scoring import Scorer
from lifeboat.tasks.binary.decision import ThresholdDecision
from tests.evaluate.world import SCHEMA_OF_ALL, TRUTH, graph, rows
from tests.tasks.fitted import TASK, scored


def sample(count, decimals=9):
    random = np.random.default_rng(0)
    y = (random.random(count) < 0.4).astype(np.int8)
    return y, np.round(np.clip(random.normal(0.4 + 0.2 * y, 0.2), 0, 1), decimals)


def shares(y, p, threshold):
    """What calling every row at and above a threshold class 1 comes to: false and true positive rate, precision."""
    called = [score >= threshold for score in p]
    true = sum(bool(label) and call for label, call in zip(y, called, strict=True))
    return (sum(called) - true) / sum(y == 0), true / sum(y == 1), true / max(1, sum(called))


def test_a_short_curve_is_what_counting_at_each_of_its_thresholds_gives():
    y, p = sample(100, decimals=1)
    curve = roc(y, p)
    assert curve.thresholds[1:] == sorted(set(p), reverse=True)
    counted = [shares(y, p, threshold) for threshold in curve.thresholds]
    assert curve.fpr == pytest.approx([fpr for fpr, _, _ in counted])
    assert curve.tpr == pytest.approx([tpr for _, tpr, _ in counted])


def test_precision_by_recall_is_what_counting_at_each_threshold_gives():
    y, p = sample(100, decimals=1)
    curve = precision_recall(y, p)
    assert curve.thresholds == sorted(set(p), reverse=True)
    counted = [shares(y, p, threshold) for threshold in curve.thresholds]
    assert curve.recall == pytest.approx([tpr for _, tpr, _ in counted])
    assert curve.precision == pytest.approx([precision for _, _, precision in counted])


def test_a_long_curve_is_thinned_and_keeps_its_area():
    y, p = sample(20_000)
    curve = roc(y, p)
    assert 100 < len(curve.fpr) == len(curve.tpr) == len(curve.thresholds) <= CURVE_POINTS
    assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 0, 1, 1)
    assert np.all(np.diff(curve.fpr) >= 0)
    assert np.all(np.diff(curve.tpr) >= 0)
    assert np.all(np.diff(curve.thresholds) < 0)
    assert auc(curve.fpr, curve.tpr) == pytest.approx(roc_auc_score(y, p), abs=2e-4)


def test_all_points_are_finite_plain_floats():
    y, p = sample(50)
    p[0] = 1.0
    curve = roc(y, p)
    assert all(type(value) is float and math.isfinite(value) for value in curve.fpr + curve.tpr + curve.thresholds)
    assert curve.thresholds[0] > 1


@pytest.mark.parametrize("kept", [(0, 1), (0,), (1,)])
def test_confusion_counts_true_classes_by_row_even_where_one_is_missing(kept):
    y, p = sample(100)
    p[0] = 0.5
    y, p = y[np.isin(y, kept)], p[np.isin(y, kept)]
    counted = [[sum((y == true) & ((p > 0.5) == said)) for said in (False, True)] for true in (0, 1)]
    assert count_confusion(scored(y, p)) == counted


def test_calibration_bins_hold_every_row_once():
    y, p = sample(105, decimals=2)
    bins = Report(TASK).details(scored(y, p), ThresholdDecision()).calibration
    assert sum(each.rows for each in bins) == 105
    assert sum(each.rows * each.predicted for each in bins) == pytest.approx(p.sum())
    assert sum(each.rows * each.observed.value for each in bins) == pytest.approx(y.sum())


def test_the_histogram_counts_both_ends():
    y = np.array([0, 0, 1, 1], dtype=np.int8)
    counts = histogram(y, np.array([0.0, 1.0, 1.0000001, 0.5])).counts
    assert [sum(side) for side in counts] == [2, 2]
    assert (counts[0][0], counts[0][-1], counts[1][-1]) == (1, 1, 1)


def test_latency_is_in_microseconds_of_one_row():
    found = latency(Scorer(graph(TRUTH), SCHEMA_OF_ALL), pa.table(rows(3)))
    assert set(found) == {"latency_p50_us", "latency_p99_us"}
    assert 1 < found["latency_p50_us"].value <= found["latency_p99_us"].value < 1e6
    assert all(figure.low <= figure.value <= figure.high for figure in found.values())


def test_limits_of_a_median_are_order_statistics():
    # Of 100 values the 40th and the 60th, counted from 0, hold the median with 95 % confidence.
    found = percentile([1_000 * value for value in range(100)], 0.5)
    assert (found.low, found.value, found.high) == (40, 49.5, 60)
