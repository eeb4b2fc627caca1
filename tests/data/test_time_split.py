"""What is judged is later than what was learned from."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from lifeboat.data.time_split import boundary_of, expanding_windows, seen_before, split_by_time

TIMES = st.lists(st.integers(0, 20), min_size=2, max_size=60).map(lambda found: np.array(found, dtype=np.float64))


@given(TIMES, st.floats(0.01, 0.99))
def test_about_the_share_is_at_or_after_the_boundary_and_something_is_before_it(times, share):
    boundary = boundary_of(times, share)
    if len(np.unique(times)) == 1:
        assert boundary == np.inf
        return
    held = times >= boundary
    assert 0 < held.sum() < len(times)
    # A moment is on one side: held is at least the share, but for one row, unless that were all.
    assert held.sum() >= round(share * len(times)) or (times < boundary).sum() == (times == times.min()).sum()
    assert (times > boundary).sum() < max(1, round(share * len(times)))


@given(TIMES, st.floats(0.1, 0.5), st.integers(0, 5), st.integers(1, 8))
def test_nothing_trains_within_the_gap_or_of_a_group_that_is_held_out(times, share, gap, many):
    groups = np.arange(len(times)) % many
    found = split_by_time(times, groups, boundary=boundary_of(times, share), gap=gap)
    assert not (found.train & found.test).any()
    assert (times[found.train] < found.boundary - gap).all()
    assert not set(groups[found.train]) & set(groups[found.test])
    # And nothing else is left out.
    rest = ~found.train & ~found.test
    assert ((times[rest] >= found.boundary - gap) | np.isin(groups[rest], groups[found.test])).all()


@pytest.mark.parametrize(("rows", "folds"), [(40, 3), (60, 5), (100, 4)])
def test_the_windows_are_those_of_scikit_learn(rows, folds):
    times = np.random.default_rng(0).permutation(rows).astype(np.float64)
    order = np.argsort(times)
    number = expanding_windows(times, folds)
    for fold, (_, held) in enumerate(TimeSeriesSplit(folds, test_size=rows // (folds + 1)).split(order)):
        assert set(np.flatnonzero(number == fold)) == set(order[held])
    assert (number == -1).sum() == rows // (folds + 1)


@given(TIMES, st.integers(2, 5))
def test_rows_of_one_moment_are_in_one_window(times, folds):
    number = expanding_windows(times, folds)
    for moment in np.unique(times):
        assert len(set(number[times == moment])) == 1
    assert (np.diff(number[np.argsort(times, kind="stable")]) >= 0).all()


def test_what_a_window_learns_is_before_it():
    times = np.arange(10.0)
    held = (times >= 6) & (times < 8)
    assert np.flatnonzero(seen_before(times, None, held, 6.0, 2.0)).tolist() == [0, 1, 2, 3]
