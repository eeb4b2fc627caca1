"""After a change of the world a new model's own answers are no drift, though its search knew mostly the old world."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import ks_2samp
from sklearn.ensemble import HistGradientBoostingRegressor

from lifeboat.preprocess.merge import TIME
from lifeboat.preprocess.step import HOLDOUT
from lifeboat.train.reference import GROUP, make_reference
from lifeboat.train.refit import fit_best
from lifeboat.train.search import search
from lifeboat.train.step import training_rows
from lifeboat.usecase.gates import BeatsBaseline
from lifeboat.usecase.schema import Column, NumberLabel, Schema
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import Candidate, Drift, Split, UseCase
from tests.evaluate.world import quiet

OLD, NEW, WINDOW = 900, 450, 100
SCORE = "__score"
USECASE = UseCase(
    name="drive", title="A drive", data="nowhere.csv", features=Floats32, baseline=(), gates=(BeatsBaseline("mae"),),
    schema=Schema((Column("x", "float"),), NumberLabel("y"), keys=(Column("at", "datetime", zone="UTC"),)),
    candidates=(Candidate("boosting", HistGradientBoostingRegressor()),), drift=Drift(window=WINDOW, reference=400),
    split=Split(by="time", column="at", test=0.2, gap=timedelta(0), folds=3),
)  # fmt: skip


def world(random: np.random.Generator, rows: int, *, is_new: bool) -> tuple[np.ndarray, np.ndarray]:
    """In the old world y rises with x, in the new one it falls; where both were, it depends on which was oftener."""
    x = (random.uniform(0, 100, rows) + 50 * is_new).astype(np.float32)
    return x, np.where(is_new, 300 - x, x) + random.normal(0, 1, rows)


@pytest.fixture
def table() -> pa.Table:
    random = np.random.default_rng(0)
    old, new = world(random, OLD, is_new=False), world(random, NEW, is_new=True)
    order = np.arange(OLD + NEW, dtype=np.float64) * 1e6
    known = np.where(order < OLD * 1e6, np.nan, order)
    return pa.table(
        {
            "x": pa.array(np.concatenate([old[0], new[0]])), "at": pa.array(order), HOLDOUT: pa.array(order),
            TIME: pa.array(known), "y": pa.array(np.concatenate([old[1], new[1]])),
        }
    )  # fmt: skip


def test_the_reference_of_rows_from_feedback_has_the_final_models_scores(table: pa.Table) -> None:
    rows, said = training_rows(table, USECASE), []
    found = search(USECASE, rows, seed=0, say=quiet)
    reference = make_reference(table, rows, found, USECASE, seed=0, say=said.append)
    model = fit_best(USECASE, found, rows, Floats32().fit_transform(rows.X), 0)
    fresh, _ = world(np.random.default_rng(1), 2_000, is_new=True)
    serving = model.predict(fresh.reshape(-1, 1))
    scores = reference.column(SCORE).to_numpy()
    assert said[0] == "drift reference: the newest 400 rows from feedback"
    assert len(said) == 6
    assert all("to hold drift against what it says of 80" in line for line in said[1:])
    assert ks_2samp(scores, serving).statistic < 0.1
    # The search's own answers, of models that knew less of the new world, are another distribution.
    newest = found.rows >= OLD
    assert ks_2samp(found.answers[newest, 0], serving).statistic > 0.3
    assert set(reference.column_names) == {"x", SCORE, GROUP}


def test_a_reference_smaller_than_what_a_window_asks_for_is_of_feedback_all_the_same(table: pa.Table) -> None:
    usecase = replace(USECASE, drift=Drift(window=300, reference=400))
    rows, said = training_rows(table, usecase), []
    found = search(usecase, rows, seed=0, say=quiet)
    reference = make_reference(table, rows, found, usecase, seed=0, say=said.append)
    assert said[0] == "drift reference: the newest 400 rows from feedback"
    assert reference.column("x").to_pylist() == table.column("x").to_pylist()[-400:]


def test_of_few_rows_from_feedback_the_reference_is_the_newest_rows_of_the_search(table: pa.Table) -> None:
    few = np.where(np.arange(table.num_rows) < table.num_rows - 100, np.nan, table.column(TIME).to_numpy())
    table = table.set_column(table.column_names.index(TIME), TIME, pa.array(few))
    rows, said = training_rows(table, USECASE), []
    found = search(USECASE, rows, seed=0, say=quiet)
    reference = make_reference(table, rows, found, USECASE, seed=0, say=said.append)
    assert said == ["drift reference: the newest 400 rows"]
    assert reference.column(SCORE).to_pylist() == found.answers[-400:, 0].tolist()
    assert reference.column("x").to_pylist() == table.column("x").to_pylist()[-400:]
