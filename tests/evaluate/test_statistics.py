import numpy as np
import pytest
import scipy.stats

from lifeboat.evaluate.statistics import (
    bootstrap,
    holm,
    improvements,
    interval,
    intervals,
    losses_worse,
    mcnemar,
    mcnemar_worse,
    wilson,
)
from lifeboat.tasks.binary.scored import METRICS
from tests.evaluate.world import quiet
from tests.tasks.fitted import scored

NAMES = [metric.name for metric in METRICS]
ACCURACY = NAMES.index("accuracy")


def sample(count, seed, decimals=9):
    random = np.random.default_rng(seed)
    y = np.r_[0, 1, random.random(count - 2) < 0.4].astype(np.int8)
    return random, y, np.round(random.random(count), decimals)


def test_replicates_are_stratified_and_the_same_for_a_seed():
    _, y, p = sample(100, 4)
    # A model that says 1 for all is right on the positives: their share never changes.
    always = scored(y, np.ones(100))
    draws = bootstrap(y, [always, scored(y, p)], replicates=50, seed=7, say=quiet)
    assert np.ptp(draws[:, 0, ACCURACY]) == 0
    again = bootstrap(y, [always, scored(y, p)], replicates=50, seed=7, say=quiet)
    other = bootstrap(y, [always, scored(y, p)], replicates=50, seed=8, say=quiet)
    assert np.array_equal(draws, again)
    assert not np.array_equal(draws, other)


def test_replicates_spread_as_the_binomial_does():
    y = np.tile([0, 1], 200).astype(np.int8)
    right_on_half = scored(y, np.tile([0.1, 0.9, 0.9, 0.1], 100))
    spread = bootstrap(y, [right_on_half], replicates=1000, say=quiet)[:, 0, ACCURACY].std()
    assert spread == pytest.approx(np.sqrt(0.25 / 400), rel=0.1)


def test_a_model_gains_nothing_on_itself_in_any_replicate():
    _, y, p = sample(100, 5)
    models = [scored(y, p), scored(y, p)]
    draws = bootstrap(y, models, replicates=50, say=quiet)
    gains = improvements(METRICS, np.stack([model.figures() for model in models]), draws)
    assert all((gain.value, gain.low, gain.high) == (0, 0, 0) for gain in gains.values())


def test_an_improvement_is_positive_whichever_way_a_metric_points():
    _, y, p = sample(400, 6)
    sharp = np.where(y == 1, 0.9, 0.1)
    models = [scored(y, sharp), scored(y, p)]
    draws = bootstrap(y, models, replicates=100, say=quiet)
    gains = improvements(METRICS, np.stack([model.figures() for model in models]), draws)
    assert all(gains[name].low > 0 for name in ("roc_auc", "accuracy", "log_loss", "brier"))


def test_intervals_cover_the_truth_about_as_often_as_they_say():
    truths = {"roc_auc": [], "accuracy": [], "log_loss": [], "brier": []}
    random = np.random.default_rng(0)

    def draw(count):
        # Classes in fixed numbers, as the stratified bootstrap assumes.
        y = (np.arange(count) % 2).astype(np.int8)
        return y, 1 / (1 + np.exp(-(random.normal(size=count) + 1.5 * y - 0.75)))

    large = dict(zip(NAMES, scored(*draw(400_000)).figures(), strict=True))
    for seed in range(200):
        y, p = draw(200)
        model = scored(y, p)
        draws = bootstrap(y, [model], replicates=200, seed=seed, say=quiet)
        for name, found in intervals(METRICS, model.figures(), draws[:, 0]).items():
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


def test_the_randomization_test_is_scipys():
    random = np.random.default_rng(3)
    for shift in (-0.3, 0.0, 0.2):
        gains = random.normal(shift, 1, 40)
        found = scipy.stats.permutation_test(
            (gains,), np.mean, permutation_type="samples", alternative="less", n_resamples=20_000, random_state=1
        )
        assert losses_worse(gains) == pytest.approx(found.pvalue, abs=0.015)


def test_few_rows_are_counted_out():
    # Of three rows all lost one draw of signs in eight is as low.
    assert losses_worse(np.array([-1.0, -2.0, -0.5, 0.0])) == pytest.approx(1 / 8, abs=0.01)
    assert losses_worse(np.zeros(5)) == 1.0
    assert losses_worse(np.array([1.0, 2.0])) == 1.0


def test_many_rows_are_as_likely_as_few():
    random = np.random.default_rng(0)
    gains = random.normal(-0.03, 1, 2_001)
    assert losses_worse(gains) == pytest.approx(losses_worse(gains[:2_000]), abs=0.02)


def test_a_model_that_gains_much_on_some_rows_and_loses_next_to_nothing_on_most_is_not_worse():
    gains = np.concatenate([np.full(60, -0.001), np.full(12, 5.0)])
    assert losses_worse(gains) > 0.99
    assert losses_worse(-gains) < 0.001
