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

from lifeboat.evaluate.statistics import (
    METRICS,
    Scored,
    bootstrap,
    holm,
    improvements,
    interval,
    intervals,
    mcnemar,
    mcnemar_worse,
    wilson,
)
from lifeboat.model.decision import Decision
from tests.evaluate.world import quiet


def sample(count, seed, decimals=9):
    random = np.random.default_rng(seed)
    y = np.r_[0, 1, random.random(count - 2) < 0.4].astype(np.int8)
    return random, y, np.round(random.random(count), decimals)


def figures(y, p, weights=None, threshold=0.5):
    return dict(zip(METRICS, Scored(y, p, Decision(threshold)).figures(weights), strict=True))


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
    model = Scored(y, p)
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
    assert [part.stop - part.start for part in Scored(y, p).bins()] == [20] * 10


def test_replicates_are_stratified_and_the_same_for_a_seed():
    _, y, p = sample(100, 4)
    # A model that says 1 for all is right on the positives: their share never changes.
    always = Scored(y, np.ones(100))
    draws = bootstrap(y, [always, Scored(y, p)], replicates=50, seed=7, say=quiet)
    assert np.ptp(draws[:, 0, METRICS.index("accuracy")]) == 0
    again = bootstrap(y, [always, Scored(y, p)], replicates=50, seed=7, say=quiet)
    other = bootstrap(y, [always, Scored(y, p)], replicates=50, seed=8, say=quiet)
    assert np.array_equal(draws, again)
    assert not np.array_equal(draws, other)


def test_replicates_spread_as_the_binomial_does():
    y = np.tile([0, 1], 200).astype(np.int8)
    right_on_half = Scored(y, np.tile([0.1, 0.9, 0.9, 0.1], 100))
    spread = bootstrap(y, [right_on_half], replicates=1000, say=quiet)[:, 0, METRICS.index("accuracy")].std()
    assert spread == pytest.approx(np.sqrt(0.25 / 400), rel=0.1)


def test_a_model_gains_nothing_on_itself_in_any_replicate():
    _, y, p = sample(100, 5)
    models = [Scored(y, p), Scored(y, p)]
    draws = bootstrap(y, models, replicates=50, say=quiet)
    gains = improvements(np.stack([model.figures() for model in models]), draws)
    assert all((gain.value, gain.low, gain.high) == (0, 0, 0) for gain in gains.values())


def test_an_improvement_is_positive_whichever_way_a_metric_points():
    _, y, p = sample(400, 6)
    sharp = np.where(y == 1, 0.9, 0.1)
    models = [Scored(y, sharp), Scored(y, p)]
    draws = bootstrap(y, models, replicates=100, say=quiet)
    gains = improvements(np.stack([model.figures() for model in models]), draws)
    assert all(gains[name].low > 0 for name in ("roc_auc", "accuracy", "log_loss", "brier"))


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    truths = {"roc_auc": [], "accuracy": [], "log_loss": [], "brier": []}
    random = np.random.default_rng(0)

    def draw(count):
        # Classes in fixed numbers, as the stratified bootstrap assumes.
        y = (np.arange(count) % 2).astype(np.int8)
        return y, 1 / (1 + np.exp(-(random.normal(size=count) + 1.5 * y - 0.75)))

    large = figures(*draw(400_000))
    for seed in range(200):
        y, p = draw(200)
        model = Scored(y, p)
        draws = bootstrap(y, [model], replicates=200, seed=seed, say=quiet)
        for name, found in intervals(model.figures(), draws[:, 0]).items():
            if name in truths:
                truths[name].append(found.low <= large[name] <= found.high)
    for name, covered in truths.items():
        assert 0.89 <= np.mean(covered) <= 0.99, name


def test_an_interval_holds_its_own_value():
    found = interval(0.01, np.linspace(0.02, 0.08, 100))
    assert found.low == 0.01


@pytest.mark.parametrize(
    ("won", "lost", "p"),
    [(1, 9, 2 * 11 / 1024), (9, 1, 2 * 11 / 1024), (5, 5, 1.0), (0, 5, 2 / 32), (0, 6, 2 / 64), (0, 0, 1.0)],
)
def test_mcnemar_has_the_binomial_values(won, lost, p):
    assert mcnemar(won, lost) == pytest.approx(p)


@pytest.mark.parametrize(("won", "lost", "p"), [(1, 9, 11 / 1024), (0, 5, 1 / 32), (5, 0, 1.0), (0, 0, 1.0)])
def test_one_sided_mcnemar_points_at_losses(won, lost, p):
    assert mcnemar_worse(won, lost) == pytest.approx(p)


def test_holm_by_hand():
    # Sorted: 0.005 * 4, 0.01 * 3, 0.03 * 2, 0.04 * 1 raised to what came before.
    adjusted = holm({"a": 0.01, "b": 0.04, "c": 0.03, "d": 0.005})
    assert adjusted == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06, "d": 0.02})
    assert list(adjusted) == ["a", "b", "c", "d"]


def test_holm_stays_at_most_one_and_takes_nothing():
    assert holm({"a": 0.9, "b": 0.8}) == {"a": 1.0, "b": 1.0}
    assert holm({}) == {}


def test_wilson_by_hand():
    # z = 1.96, no success in 10: upper limit is z² / (n + z²).
    found = wilson(0, 10)
    assert (found.value, found.low) == (0, 0)
    assert found.high == pytest.approx(3.8415 / 13.8415, abs=1e-4)
