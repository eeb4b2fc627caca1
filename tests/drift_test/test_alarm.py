"""From windows to an alarm."""

from __future__ import annotations

from itertools import product

import pytest

from lifeboat.detector.windows.alarm import alarm, alarm_rate


@pytest.mark.parametrize(
    ("drifted", "raised"),
    [
        ([], False),
        ([True], False),
        ([True, True], True),
        ([True, False, True], True),
        ([True, True, False], False),
        ([True, False, False, True], False),
        ([False, True, False, True], True),
    ],
)
def test_two_of_three_windows_and_the_latest_one(drifted, raised):
    assert alarm(drifted, alarms=2, of=3) is raised


def test_one_of_one_is_the_window_itself():
    assert alarm([False, True], 1, 1)
    assert not alarm([True, False], 1, 1)


@pytest.mark.parametrize(("alarms", "of"), [(1, 1), (2, 3), (3, 3), (2, 5)])
@pytest.mark.parametrize("p", [0.0, 0.05, 0.3, 1.0])
def test_the_rate_is_that_of_all_outcomes_weighed(p, alarms, of):
    weight = {True: p, False: 1 - p}
    expected = 0.0
    for outcome in product((False, True), repeat=of):
        chance = 1.0
        for drifted in outcome:
            chance *= weight[drifted]
        expected += chance * alarm(outcome, alarms, of)
    assert alarm_rate(p, alarms, of) == pytest.approx(expected)


@pytest.mark.parametrize(("alarms", "of"), [(0, 3), (4, 3)])
def test_a_rule_that_cannot_be_met_or_always_is_refused(alarms, of):
    with pytest.raises(ValueError, match="at least 1 and at most all"):
        alarm([True], alarms, of)
    with pytest.raises(ValueError, match="at least 1 and at most all"):
        alarm_rate(0.05, alarms, of)


def test_a_rate_of_no_probability_is_refused():
    with pytest.raises(ValueError, match="not a probability"):
        alarm_rate(1.2, 2, 3)
