"""Of a table that is searched by a sample, the calibration is of a model that has seen nearly all rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.neighbors import KNeighborsRegressor

from lifeboat.train.folds import Rows
from lifeboat.train.refit import best_estimator, seen_nearly_all
from lifeboat.train.search import search
from lifeboat.usecase.gates import BeatsBaseline
from lifeboat.usecase.schema import Column, NumberLabel, Schema
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import Candidate, Split, UseCase
from tests.evaluate.world import quiet

ROWS, NEW = 4_000, 4_000
USECASE = UseCase(
    name="waves", title="A wave", data="nowhere.csv", features=Floats32, split=Split(folds=3), baseline=(),
    gates=(BeatsBaseline("mae"),),
    schema=Schema((Column("x", "float"),), NumberLabel("y")),
    candidates=(Candidate("neighbours", KNeighborsRegressor(3)),),
)  # fmt: skip


def waves(rows: int, seed: int) -> tuple[pd.DataFrame, np.ndarray]:
    """A wave so narrow that neighbours among a few rows say little of it."""
    random = np.random.default_rng(seed)
    x = random.uniform(0, 100, rows)
    return pd.DataFrame({"x": x.astype(np.float32)}), np.sin(x) + random.normal(0, 0.1, rows)


def test_the_interval_holds_what_is_asked_though_the_search_saw_few_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    X, y = waves(ROWS, 0)
    groups, said = [str(row) for row in range(ROWS)], []
    for module in ("search", "refit"):
        monkeypatch.setattr(f"lifeboat.train.{module}.MOST_ROWS", 200)
    found = search(USECASE, Rows(X, y, groups), seed=0, say=quiet)
    whole = seen_nearly_all(USECASE, found, Rows(X, y, groups), seed=0, say=said.append)
    model = best_estimator(USECASE, found, 0).fit(Floats32().fit_transform(X), y)
    new, truth = waves(NEW, 1)
    raw = model.predict(Floats32().fit_transform(new)).reshape(-1, 1)

    def coverage(one: object) -> float:
        answers = one.calibration.apply(raw)
        return float(np.mean((truth >= answers[:, 1]) & (truth <= answers[:, 2])))

    rest = f"{ROWS - len(whole.rows):,} rows, to calibrate it by what it says of {len(whole.rows):,} others"
    assert said == [f"fitting neighbours on {rest}"]
    assert coverage(found) > 0.99, "the sample's models are far worse, and their intervals too wide"
    assert coverage(whole) == pytest.approx(0.9, abs=0.04)
    assert (whole.searched, len(whole.labels), len(whole.answers)) == (len(found.rows), *[len(whole.rows)] * 2)


def test_a_search_on_all_rows_is_left_as_it_is() -> None:
    X, y = waves(300, 0)
    groups = [str(row) for row in range(300)]
    found = search(USECASE, Rows(X, y, groups), seed=0, say=quiet)
    assert seen_nearly_all(USECASE, found, Rows(X, y, groups), seed=0, say=quiet) is found
