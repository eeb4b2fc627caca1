"""The vectorised tests give Alibi Detect's p-values on the same samples."""

from __future__ import annotations

import numpy as np
import pytest

from lifeboat.detector.drift_test.drift_test import DriftTest
from lifeboat.detector.drift_test.statistics import chi2_p_values, ks_p_values
from tests.drift_test.world import (
    PASSENGERS,
    features_of,
    needs_alibi,
    p_values,
    raw,
    synthetic,
    table_of,
    take,
    titanic,
)

needs_alibi()


def every_p_value(verdict):
    """The p-value of every test, column by column."""
    return [test["p_value"] for feature in verdict["features"] for test in feature["tests"]]


@pytest.mark.parametrize(("n", "w"), [(1000, 200), (711, 100), (300, 450)])
def test_every_feature_of_every_window_agrees_with_alibi(n, w):
    random = np.random.default_rng(n)
    reference = synthetic(random, n)
    judge = DriftTest(PASSENGERS, table_of(reference))
    features = features_of(reference)
    for shift in (0, 2, 10):
        rows = synthetic(random, w)
        rows["Age"] += shift
        rows["Sex"][: 3 * shift] = None
        rows["SibSp"][: 3 * shift] = 17
        ours = p_values(features, rows, 1)[0]
        alibi = every_p_value(judge.run(*raw(rows)))
        np.testing.assert_allclose(ours, alibi, rtol=1e-3, atol=1e-11)


def test_the_titanic_against_a_part_of_it_agrees_with_alibi():
    rows = titanic()
    order = np.random.default_rng(0).permutation(891)
    judge = DriftTest(PASSENGERS, table_of(take(rows, order[:600])))
    window = take(rows, order[600:800])
    alibi = every_p_value(judge.run(*raw(window)))
    ours = p_values(features_of(take(rows, order[:600])), window, 1)[0]
    np.testing.assert_allclose(ours, alibi, rtol=1e-3)


def test_a_distance_does_not_depend_on_the_shape_of_the_counts():
    random = np.random.default_rng(1)
    reference = random.multinomial(500, np.full(9, 1 / 9), size=4)
    window = random.multinomial(80, np.full(9, 1 / 9), size=4)
    for test in (ks_p_values, chi2_p_values):
        together = test(reference, window)
        alone = [test(reference[i : i + 1], window[i : i + 1])[0] for i in range(4)]
        np.testing.assert_allclose(together, alone)


def test_one_unseen_value_is_no_drift_and_many_are():
    reference = np.array([[600, 400, 0]])
    one, many = (np.array([[120 - k, 80, k]]) for k in (1, 15))
    assert chi2_p_values(reference, one)[0] > 0.5
    assert chi2_p_values(reference, many)[0] < 1e-9
