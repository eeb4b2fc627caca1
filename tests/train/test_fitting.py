"""Fits that stop early, on rows that they do not learn from; seeds, weights and silence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from catboost import CatBoostClassifier, CatBoostRegressor
from lightgbm import LGBMRegressor
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBRegressor

from lifeboat.config.errors import DataError, UseCaseError
from lifeboat.train.fitting import Stopping, fit, seeded, small
from lifeboat.train.folds import Rows, StopRows, stop_rows
from lifeboat.train.preflight import examine
from lifeboat.train.search import search
from lifeboat.usecase.gates import BeatsBaseline
from lifeboat.usecase.schema import Column, NumberLabel, Schema
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import Candidate, Split, UseCase
from tests.evaluate.world import quiet

FAST = {"learning_rate": 0.5, "random_state": 0}
# An estimator of so many rounds, and how many a fitted one answers by.
Make, Count = Callable[[int], Any], Callable[[Any], int]
LIBRARIES: dict[str, tuple[Make, Count]] = {
    "xgboost": (lambda n: XGBRegressor(n_estimators=n, **FAST), lambda model: model.best_iteration + 1),
    "lightgbm": (lambda n: LGBMRegressor(n_estimators=n, verbose=-1, **FAST), lambda model: model.best_iteration_),
    "catboost": (
        lambda n: CatBoostRegressor(iterations=n, verbose=False, allow_writing_files=False, **FAST),
        lambda model: model.tree_count_,
    ),
    # It answers by the rounds that bettered nothing as well.
    "scikit-learn": (lambda n: HistGradientBoostingRegressor(max_iter=n, **FAST), lambda model: model.n_iter_),
}
each = pytest.mark.parametrize(("make", "count"), LIBRARIES.values(), ids=LIBRARIES)


def noisy(count: int = 600) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(3)
    X = random.normal(size=(count, 4)).astype(np.float32)
    return X, X[:, 0] * 2 + random.normal(0, 1.5, count)


def tenth(count: int = 600) -> StopRows:
    held = np.arange(count) % 10 == 0
    return StopRows(~held, held)


@each
def test_it_stops_where_more_rounds_better_nothing(make: Make, count: Count) -> None:
    X, y = noisy()
    model = fit(make(300), X, y, stopping=Stopping(5, tenth()))
    assert 1 <= count(model) < 100
    # And nowhere else: one that is patient takes them all.
    patient = fit(make(30), X, y, stopping=Stopping(30, tenth()))
    assert count(patient) >= count(model) - 5


@each
def test_it_learns_nothing_from_what_it_stops_by(make: Make, count: Count) -> None:
    X, y = noisy()
    rows = tenth()
    learned = make(1).fit(X[rows.learned], y[rows.learned])
    model = fit(make(1), X, np.where(rows.held, 1e3, y), stopping=Stopping(1, rows))
    assert model.predict(X) == pytest.approx(learned.predict(X))


@each
def test_what_it_stops_by_is_weighed(make: Make, count: Count) -> None:
    X, y = noisy()
    rows = tenth()
    wrong = rows.held & (np.arange(len(y)) % 20 == 0)
    false = np.where(wrong, -y * 5, y)
    without = fit(make(300), X, y, np.ones(len(y)), Stopping(5, StopRows(rows.learned, rows.held & ~wrong)))
    weighed = fit(make(300), X, false, np.where(wrong, 0.0, 1.0), Stopping(5, rows))
    assert count(weighed) == count(without)
    assert weighed.predict(X) == pytest.approx(without.predict(X), abs=1e-6)


@pytest.mark.parametrize(
    ("estimator", "named"),
    [
        (RandomForestRegressor(), "RandomForestRegressor"),
        (make_pipeline(StandardScaler(), XGBRegressor()), "each as the candidate itself, not Pipeline"),
    ],
    ids=["all at once", "in a pipeline"],
)
def test_what_has_no_rounds_says_so(estimator: Any, named: str) -> None:
    X, y = noisy(60)
    with pytest.raises(TypeError, match=f"stop_after is for LightGBM's, XGBoost's and CatBoost's .*{named}"):
        fit(estimator, X, y, stopping=Stopping(5, tenth(60)))


def usecase(candidate: Candidate, split: Split | None = None) -> UseCase:
    columns = tuple(Column(name, "float") for name in "abcd")
    keys = Column("household", "string"), Column("at", "datetime")
    return UseCase(
        name="stops", title="S", data="none.csv", features=Floats32, baseline=(), split=split or Split(folds=3),
        schema=Schema(columns, NumberLabel("y"), keys, group="household"), candidates=(candidate,),
        gates=(BeatsBaseline("mae"),),
    )  # fmt: skip


def rows(count: int = 600, times: bool = False) -> Rows:
    X, y = noisy(count)
    at = np.arange(count) * 1e6
    return Rows(
        pd.DataFrame(X, columns=list("abcd")), y, [str(row // 3) for row in range(count)], at if times else None
    )


STOPS = Candidate("stops", XGBRegressor(n_estimators=300, max_depth=3, learning_rate=0.1), stop_after=5)


def test_the_rows_it_stops_by_are_whole_groups() -> None:
    known = rows()
    found = stop_rows(usecase(STOPS), known)
    assert 0.05 < found.held.mean() < 0.15
    assert (found.held ^ found.learned).all()
    groups = np.array(known.groups)
    assert not set(groups[found.held]) & set(groups[found.learned])


def test_by_time_it_stops_by_the_newest_less_the_gap() -> None:
    case = usecase(STOPS, Split(by="time", column="at", folds=3, gap=timedelta(seconds=20)))
    found = stop_rows(case, rows(times=True))
    assert found.held.tolist() == [row >= 540 for row in range(600)]
    assert found.learned.tolist() == [row < 520 for row in range(600)]


def test_too_few_groups_to_stop_by_are_refused() -> None:
    known = rows(30)
    alone = replace(known, groups=["one"] * 30)
    with pytest.raises(DataError, match="too few groups to hold a tenth of 30 rows for stop_after"):
        stop_rows(usecase(STOPS), alone)


def test_a_search_stops_each_fit_and_a_candidate_without_rounds_is_left_out_by_name() -> None:
    known = rows()
    said: list[str] = []
    full = usecase(replace(STOPS, stop_after=None))
    stopped = search(usecase(STOPS), known, seed=0, say=said.append)
    through = search(full, known, seed=0, say=quiet)
    # The noise that 300 rounds learn.
    assert stopped.best.figures["mae"] < 0.95 * through.best.figures["mae"]
    forest = Candidate("forest", RandomForestRegressor(n_estimators=3), stop_after=5)
    [finding] = examine(usecase(forest), known.X, known.y)
    assert finding.problem.endswith("each as the candidate itself, not RandomForestRegressor")


def test_less_than_a_round_is_refused() -> None:
    with pytest.raises(UseCaseError, match="candidate 'stops': stop_after is 0, less than one round"):
        replace(STOPS, stop_after=0)


def test_every_random_state_is_seeded() -> None:
    estimator = seeded(make_pipeline(StandardScaler(), RandomForestClassifier(random_state=0)), 9)
    assert estimator[-1].random_state == 9


def test_catboost_is_seeded_small_and_silent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    X, y = noisy()
    answers = [
        seeded(make_pipeline(StandardScaler(), CatBoostRegressor(iterations=9)), seed).fit(X, y).predict(X)
        for seed in (1, 1, 2)
    ]
    assert (answers[0] == answers[1]).all()
    assert (answers[0] != answers[2]).any()
    assert capfd.readouterr() == ("", "")
    assert list(tmp_path.iterdir()) == []
    # Each of its names for a parameter may be there once.
    named = seeded(CatBoostClassifier(random_seed=3, logging_level="Silent", num_trees=500), 7)
    assert small(named).get_params() == {
        "random_seed": 7, "logging_level": "Silent", "num_trees": 10, "allow_writing_files": False,
    }  # fmt: skip
    assert small(CatBoostRegressor()).get_params()["iterations"] == 10
