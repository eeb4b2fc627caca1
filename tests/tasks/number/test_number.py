"""A number: figures as scikit-learn has them, and intervals that hold what they say."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import (
    mean_absolute_error,
    mean_pinball_loss,
    median_absolute_error,
    r2_score,
    root_mean_squared_error,
)

from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.learning import learning_of
from lifeboat.tasks.number.calibration import ConformalInterval, conformal_reach
from lifeboat.tasks.number.decision import TheValue
from lifeboat.usecase.label import NumberLabel
from lifeboat.usecase.schema import Column, Schema

LABEL = NumberLabel("delay", unit="minutes", minimum=-100, maximum=2_000)
TASK = task_of(LABEL)


def sample(count=500, seed=0):
    random = np.random.default_rng(seed)
    y = random.normal(20, 30, count)
    value = y + random.normal(0, 10, count)
    return y, np.column_stack([value, value - 15, value + 20]).astype(np.float32)


def figures(y, answers, weights=None):
    values = TASK.score(y, answers, TheValue()).figures(weights)
    return dict(zip((metric.name for metric in TASK.metrics), values, strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_figures_are_those_of_scikit_learn_with_weights(seed):
    y, answers = sample(seed=seed)
    weights = np.random.default_rng(seed).integers(0, 4, len(y)).astype(float)
    found, options = figures(y, answers, weights), {"sample_weight": weights}
    value, lower, upper = answers.astype(np.float64).T
    assert found["mae"] == pytest.approx(mean_absolute_error(y, value, **options))
    assert found["rmse"] == pytest.approx(root_mean_squared_error(y, value, **options))
    assert found["r2"] == pytest.approx(r2_score(y, value, **options))
    pinball = [mean_pinball_loss(y, lower, alpha=0.05, **options), mean_pinball_loss(y, upper, alpha=0.95, **options)]
    assert found["pinball"] == pytest.approx(np.mean(pinball))
    assert found["coverage"] == pytest.approx(np.average((y >= lower) & (y <= upper), weights=weights))
    assert found["width"] == pytest.approx(35)
    repeated = np.repeat(np.abs(value - y), weights.astype(int))
    assert found["median_error"] == pytest.approx(np.median(repeated))
    assert figures(y, answers)["median_error"] == pytest.approx(median_absolute_error(y, value))


def test_r2_of_truths_that_are_all_one_is_not_known():
    y = np.full(40, 1e6)
    answers = np.column_stack([y + 1, y, y + 2])
    assert np.isnan(figures(y, answers)["r2"])
    assert figures(y, answers)["mae"] == pytest.approx(1)


def test_an_interval_that_ends_at_the_truth_holds_it():
    y = np.array([0.1, 1e5 + 0.1])
    answers = np.column_stack([y - 1, y - 2, y]).astype(np.float32)
    assert figures(y, answers)["coverage"] == 1


@pytest.mark.parametrize("level", [0.5, 0.8, 0.95])
def test_intervals_hold_the_share_of_new_rows_that_is_asked_for(level):
    """Errors are skewed, so that the two ends reach differently far."""
    task = task_of(NumberLabel("y", level=level))
    covered = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        y = random.exponential(5, 4_000) + random.normal(0, 1, 4_000)
        raw = np.full((4_000, 1), 5.0)
        calibration = learning_of(task).calibrate(y[:2_000], raw[:2_000], np.arange(2_000) % 5)
        answers = calibration.apply(raw[2_000:])
        scored = task.score(y[2_000:], answers, TheValue())
        covered.append(scored.right.mean())
        assert calibration.above != calibration.below
    assert np.mean(covered) == pytest.approx(level, abs=0.01)


def test_the_reach_is_the_order_statistic_of_the_textbook():
    # Of 9 errors and a tail of 0.2 the 8th: ceil(10 * 0.8).
    assert conformal_reach(np.arange(1, 10)[::-1], 0.2) == 8
    # Of too few rows no error is large enough.
    assert conformal_reach(np.arange(1, 4), 0.05) == 3


def test_answers_keep_to_the_labels_limits():
    calibration = ConformalInterval(30, 40, 1.0, minimum=0, maximum=100)
    answers = calibration.apply(np.array([[-5.0], [50.0], [90.0]]))
    assert answers.tolist() == [[0, 0, 35], [50, 20, 90], [90, 60, 100]]
    assert answers.dtype == np.float32


def test_the_trivial_answer_is_the_median_and_the_middle_of_the_rows():
    assert TASK.trivial(np.arange(101.0)) == pytest.approx([50, 5, 95])


def test_strata_are_fifths_of_the_rows_and_a_bootstrap_draws_among_all():
    y = np.random.default_rng(0).normal(size=1_000)
    assert np.bincount(TASK.strata(y)).tolist() == [200] * 5
    assert set(TASK.drawn_among(y).tolist()) == {0}
    # Mostly one value: fewer strata, and no row without one.
    assert TASK.strata(np.array([0.0] * 90 + [1.0] * 10)).max() <= 1


def test_what_rows_lack_and_hold_is_said():
    assert TASK.lacks(np.array([1.0, 2.0])) == ""
    assert TASK.lacks(np.array([2.5, 2.5])) == "all are 2.5 minutes, numbers that differ are needed"
    assert TASK.composition(np.array([1.0, 4.0])) == "mean 2.5 minutes"
    assert TASK.facts(np.array([1.0, 4.0, 4.0])) == {"mean": 3, "median": 4, "minimum": 1, "maximum": 4}


def test_a_truth_is_a_number_within_the_limits():
    assert [LABEL.parse(value) for value in (3, "3.5", -100.0)] == [3.0, 3.5, -100.0]
    for wrong in (2_001, "late", None, "", float("inf"), True):
        with pytest.raises(ValueError, match=r"outside|not a float|null|finite|is not"):
            LABEL.parse(wrong)


def test_the_histogram_of_values_has_the_same_bounds_for_every_version():
    assert task_of(NumberLabel("y")).score_bounds[:2] == (-500_000.0, -200_000.0)
    assert task_of(NumberLabel("y", minimum=0, maximum=30)).score_bounds == (
        0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"level": 1}, "above 0 and below 1"),
        ({"minimum": 3, "maximum": 2}, "above maximum"),
        ({"unit": 3}, "not a text"),
    ],
)
def test_a_label_that_contradicts_itself_is_refused(wrong, sentence):
    with pytest.raises(ValueError, match=sentence):
        NumberLabel("y", **wrong)


def test_a_schema_carries_each_kind_of_label():
    schema = Schema((Column("x", "float"),), LABEL)
    again = Schema.from_json(schema.to_json())
    assert again == schema
    assert again.label.level == 0.9


def test_rounding_is_judged_by_what_the_labels_spread_before_there_is_an_interval():
    """Of delays of 40 minutes an answer of 0.39 that is off by 1.1e-5 is right: floats of that size add up so."""
    y = np.random.default_rng(0).normal(0, 40, 1_000)
    learning = learning_of(task_of(NumberLabel("y")))
    answers = np.array([[0.39, 0.39, 0.39]])
    assert learning.uncalibrated(y).allowed(answers) == pytest.approx(1e-5 * np.std(y))
    fitted = learning.calibrate(y, y.reshape(-1, 1), np.arange(1_000) % 5)
    assert fitted.allowed(answers) == learning.uncalibrated(y).allowed(answers)
