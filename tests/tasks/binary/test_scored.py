import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    average_precision_score,
    balanced_accuracy_score,
    brier_score_loss,
    f1_score,
    log_loss,
    precision_score,
    recall_score,
    roc_auc_score,
)

from lifeboat.tasks.binary.decision import ThresholdDecision
from lifeboat.tasks.binary.scored import METRICS, BinaryScored

NAMES = [metric.name for metric in METRICS]


def sample(count, seed, decimals=9):
    random = np.random.default_rng(seed)
    y = np.r_[0, 1, random.random(count - 2) < 0.4].astype(np.int8)
    return random, y, np.round(random.random(count), decimals)


def scored(y, p, threshold=0.5):
    p = np.asarray(p, dtype=np.float64)
    return BinaryScored(np.asarray(y), np.column_stack([1 - p, p]), ThresholdDecision(threshold))


def figures(y, p, weights=None, threshold=0.5):
    return dict(zip(NAMES, scored(y, p, threshold).figures(weights), strict=True))


@pytest.mark.parametrize("decimals", [0, 1, 2, 9])
@pytest.mark.parametrize("count", [2, 3, 17, 400])
def test_figures_are_those_of_scikit_learn_with_ties_and_weights(count, decimals):
    for seed in range(5):
        random, y, p = sample(count, seed, decimals)
        weights = random.integers(0, 4, count).astype(float)
        weights[:2] += 1
        found = figures(y, p, weights)
        clipped = np.clip(p, 1e-7, 1 - 1e-7)
        assert found["roc_auc"] == pytest.approx(roc_auc_score(y, p, sample_weight=weights))
        assert found["log_loss"] == pytest.approx(log_loss(y, clipped, sample_weight=weights))
        assert found["accuracy"] == pytest.approx(accuracy_score(y, p > 0.5, sample_weight=weights))
        assert found["brier"] == pytest.approx(brier_score_loss(y, p, sample_weight=weights))
        assert found["average_precision"] == pytest.approx(average_precision_score(y, p, sample_weight=weights))


@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
@pytest.mark.parametrize("count", [2, 17, 400])
def test_figures_of_a_threshold_are_those_of_scikit_learn(count, threshold):
    for seed in range(5):
        random, y, p = sample(count, seed, 2)
        weights = random.integers(0, 4, count).astype(float)
        weights[:2] += 1
        found, called = figures(y, p, weights, threshold), p > threshold
        options = {"sample_weight": weights, "zero_division": 0}
        assert found["precision"] == pytest.approx(precision_score(y, called, **options))
        assert found["recall"] == pytest.approx(recall_score(y, called, **options))
        assert found["f1"] == pytest.approx(f1_score(y, called, **options))
        assert found["balanced_accuracy"] == pytest.approx(balanced_accuracy_score(y, called, sample_weight=weights))
        assert found["accuracy"] == pytest.approx(accuracy_score(y, called, sample_weight=weights))


def test_figures_leave_no_trace_in_the_next_ones():
    random, y, p = sample(200, 1, 2)
    model = scored(y, p)
    before = model.figures()
    model.figures(random.integers(0, 3, 200).astype(float))
    assert np.array_equal(model.figures(), before)


def test_a_constant_model_has_an_auc_of_one_half():
    assert figures(np.array([0, 1, 1], dtype=np.int8), np.full(3, 0.3))["roc_auc"] == 0.5


def test_auc_is_undefined_with_one_class():
    assert np.isnan(figures(np.ones(4, dtype=np.int8), np.linspace(0.1, 0.9, 4))["roc_auc"])


def test_a_sure_mistake_costs_a_finite_log_loss():
    y = np.array([0, 1], dtype=np.int8)
    assert figures(y, np.array([1.0, 0.0]))["log_loss"] == pytest.approx(-np.log(1e-7))


def test_calibration_error_of_a_hand_worked_example():
    y = np.array([0] * 8 + [1] * 2 + [1] * 9 + [0], dtype=np.int8)
    p = np.r_[np.full(10, 0.1), np.full(10, 0.7)]
    # Two bins of equal scores: |0.2 - 0.1| and |0.9 - 0.7|, half of the rows each.
    assert figures(y, p)["ece"] == pytest.approx(0.15)


def test_calibration_error_does_not_depend_on_the_order_of_rows():
    random, y, p = sample(300, 2, 1)
    shuffled = random.permutation(300)
    assert figures(y, p)["ece"] == pytest.approx(figures(y[shuffled], p[shuffled])["ece"])


def test_distinct_scores_fill_ten_bins_evenly():
    _, y, p = sample(200, 3)
    assert [part.stop - part.start for part in scored(y, p).bins()] == [20] * 10


def test_it_beats_another_where_it_alone_is_right():
    y = np.array([0, 0, 1, 1, 1], dtype=np.int8)
    first, second = np.array([0.1, 0.9, 0.9, 0.9, 0.1]), np.array([0.1, 0.1, 0.2, 0.3, 0.2])
    assert scored(y, first).beats(scored(y, second)).tolist() == [False, False, True, True, False]
