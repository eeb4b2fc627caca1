"""Permutation importance: against scikit-learn's, on columns that say nothing, and with limits that mean something."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.inspection import permutation_importance as theirs

from lifeboat.evaluate.explanation.permutation import ROWS, permutation_importance
from tests.evaluate.explanation.world import AsClassifier, linear_bundle, linear_rows, sample_of
from tests.evaluate.world import COLUMNS, make_bundle, quiet, rows

NAMES = [column.name for column in COLUMNS]
WEIGHTS = {"skill": 2.0, "sex": 1.0, "dose": 0.3}


def test_it_is_what_scikit_learn_finds(tmp_path: Path) -> None:
    bundle, columns = make_bundle(tmp_path / "b", WEIGHTS), rows()
    found = permutation_importance(sample_of(bundle), repeats=60, replicates=2, say=quiet)
    frame = pd.DataFrame(columns)
    other = theirs(AsClassifier(bundle), frame[NAMES], frame["cured"], scoring="roc_auc", n_repeats=60, random_state=0)
    assert found.metric == "roc_auc"
    assert (found.rows, found.repeats) == (400, 60)
    assert found.columns.keys() == set(NAMES)
    for name, mean, spread in zip(NAMES, other.importances_mean, other.importances_std, strict=True):
        # Both means are of 60 shuffles.
        assert found.columns[name].value == pytest.approx(mean, abs=4 * spread * np.sqrt(2 / 60) + 1e-12)
    # The dose misleads the model, so that it is worth less than the age, which it does not read.
    assert list(found.columns) == ["skill", "sex", "age", "dose"]


def test_a_column_that_the_model_does_not_read_is_worth_nothing(tmp_path: Path) -> None:
    found = permutation_importance(sample_of(make_bundle(tmp_path / "b")), repeats=3, replicates=50, say=quiet)
    for name in ("age", "dose"):
        assert found.columns[name].value == found.columns[name].low == found.columns[name].high == 0
    skill = found.columns["skill"]
    assert 0 < skill.low < skill.value < skill.high


def test_what_rises_as_it_worsens_has_the_same_sign(tmp_path: Path) -> None:
    found = permutation_importance(
        sample_of(linear_bundle(tmp_path / "b"), linear_rows()), repeats=5, replicates=50, say=quiet
    )
    assert found.metric == "mae"
    assert list(found.columns) == ["length", "depth", "noise"]
    # Of a normal error of variance 1, and then of 1 + 2 * 9: the mean absolute value is sqrt(2 / pi) times the spread.
    assert found.value == pytest.approx(np.sqrt(2 / np.pi), rel=0.15)
    assert found.columns["length"].value == pytest.approx(np.sqrt(2 / np.pi) * (np.sqrt(19) - 1), rel=0.15)


def test_the_same_seed_gives_the_same_figures_and_another_one_others(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b")
    once, again, other = (
        permutation_importance(sample_of(bundle), repeats=3, replicates=30, seed=seed, say=quiet) for seed in (1, 1, 2)
    )
    assert once == again
    assert once != other


def test_more_rows_make_narrower_limits(tmp_path: Path) -> None:
    bundle, widths = make_bundle(tmp_path / "b"), []
    for count in (200, 3_200):
        sample = sample_of(bundle, pa.table(rows(count)))
        skill = permutation_importance(sample, repeats=3, replicates=200, say=quiet).columns["skill"]
        widths.append(skill.high - skill.low)
    assert widths[1] == pytest.approx(widths[0] / 4, rel=0.5)


def test_of_many_rows_some_are_asked(tmp_path: Path) -> None:
    sample = sample_of(make_bundle(tmp_path / "b"), pa.table(rows(ROWS + 1_000)))
    found = permutation_importance(sample, repeats=2, replicates=2, say=quiet)
    assert found.rows == ROWS


def test_rows_count_as_the_use_case_weighs_them(tmp_path: Path) -> None:
    """Rows of weight 0 are as good as absent, but for the values they lend to others."""
    bundle, columns = make_bundle(tmp_path / "b"), rows(600)
    everything = sample_of(bundle, pa.table(columns))
    women = everything.table["sex"].to_numpy(zero_copy_only=False) == "female"
    weighed = type(everything)(everything.scorer, everything.decision, everything.table, everything.y, women * 1.0)
    found = permutation_importance(weighed, repeats=3, replicates=2, say=quiet)
    only = weighed.scorer.answers(everything.table)[women]
    expected = everything.scorer.task.score(everything.y[women], only, everything.decision).figures()[0]
    assert found.value == pytest.approx(float(expected))


@pytest.mark.slow
def test_the_limits_hold_what_endless_rows_would_show_about_as_often_as_they_say(tmp_path: Path) -> None:
    bundle = linear_bundle(tmp_path / "b")
    true = np.sqrt(2 / np.pi) * (np.sqrt(1 + 2 * 0.25) - 1)
    held = []
    for seed in range(200):
        sample = sample_of(bundle, linear_rows(200, seed=seed), seed)
        found = permutation_importance(sample, repeats=5, replicates=200, seed=seed, say=quiet).columns["depth"]
        held.append(found.low <= true <= found.high)
    assert 0.9 <= np.mean(held) <= 0.99
