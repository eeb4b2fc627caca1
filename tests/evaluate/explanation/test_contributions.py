"""Mean absolute contribution: of a linear model it is known, and how many rows it takes hangs on no clock."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from lifeboat.evaluate.explanation import contributions
from lifeboat.evaluate.explanation.contributions import (
    BACKGROUND,
    FEWEST_ROWS,
    ROWS,
    explained_rows,
    mean_contributions,
)
from lifeboat.tasks.classes.task import ClassesTask
from lifeboat.usecase.schema import ClassLabel
from tests.evaluate.explanation.world import SLOPES, linear_bundle, linear_rows, sample_of


def test_of_a_linear_model_a_column_adds_its_slope_times_what_it_is_off_the_background(tmp_path: Path) -> None:
    bundle, table = linear_bundle(tmp_path / "b"), linear_rows(40)
    found = mean_contributions(bundle, sample_of(bundle, table))
    reference = pq.read_table(bundle.reference).to_pandas()
    # As the explainer draws it, by its seed.
    chosen = np.sort(np.random.default_rng(0).permutation(len(reference))[:BACKGROUND])
    assert (found.rows, found.background, found.exact) == (40, BACKGROUND, True)
    for name, slope in SLOPES.items():
        off = table[name].to_numpy() - reference[name].to_numpy()[chosen].mean()
        one = found.columns[name]
        assert one.value == pytest.approx(np.abs(slope * off).mean(), abs=1e-5)
        # Limits of a mean of 40 rows: about two standard errors to each side.
        error = np.abs(slope * off).std() / np.sqrt(40)
        assert (one.high - one.low) / 4 == pytest.approx(error, rel=0.25, abs=1e-6)
    assert list(found.columns) == ["length", "depth", "noise"]


def test_the_same_seed_gives_the_same_figures(tmp_path: Path) -> None:
    bundle = linear_bundle(tmp_path / "b")
    once, again = (mean_contributions(bundle, sample_of(bundle, linear_rows(30)), seed=3) for _ in range(2))
    assert once == again


def test_the_more_columns_the_fewer_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contributions, "QUESTIONS", 500_000)
    rows = [explained_rows(columns) for columns in (2, 8, 10, 300)]
    assert rows[0] == ROWS
    assert rows[-1] == FEWEST_ROWS
    assert rows == sorted(rows, reverse=True)


def test_a_probability_that_goes_from_one_class_to_another_counts_once() -> None:
    task = ClassesTask(ClassLabel("species", ("a", "b", "c")))
    assert task.magnitude(np.array([[0.3, -0.2, -0.1], [0.0, 0.0, 0.0]])) == pytest.approx([0.3, 0.0])
