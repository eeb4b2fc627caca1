"""Partial dependence: against scikit-learn's, and at which values each kind of column is asked about."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.inspection import partial_dependence as theirs

from lifeboat.evaluate.explanation.dependence import partial_dependence
from lifeboat.evaluate.explanation.grid import LEVELS, PERIODS, VALUES, Grid, grids
from lifeboat.usecase.datetimes import parse_moment, read_zone
from lifeboat.usecase.schema import Column
from tests.evaluate.explanation.world import SLOPES, AsClassifier, linear_bundle, linear_rows, sample_of
from tests.evaluate.world import COLUMNS, make_bundle, rows

NAMES = [column.name for column in COLUMNS]


def only(column: Column, values: object, dtype: object = np.float32) -> Grid:
    [grid] = grids(column, np.asarray(values, dtype=dtype))  # type: ignore[call-overload]
    return grid


def test_it_is_what_scikit_learn_finds(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "b", {"skill": 2.0, "sex": 1.0})
    sample = sample_of(bundle)
    found = {one.column: one for one in partial_dependence(sample, ["skill", "sex"])}
    frame = pd.DataFrame(rows())
    for name, one in found.items():
        grid = [point.at if point.at is not None else point.label.replace("missing", "") for point in one.points]
        values = np.array(grid, dtype=frame[name].dtype)
        other = theirs(
            AsClassifier(bundle), frame[NAMES], [name], custom_values={name: values}, method="brute",
            response_method="predict_proba",
        )  # fmt: skip
        assert one.outputs == ("well",)
        assert [point.answers[0] for point in one.points] == pytest.approx(other["average"][0], abs=1e-6)
    assert [point.label for point in found["sex"].points] == ["male", "female", "missing"]
    assert len(found["skill"].points) == VALUES


def test_of_a_linear_model_it_is_a_line(tmp_path: Path) -> None:
    found = partial_dependence(sample_of(linear_bundle(tmp_path / "b"), linear_rows()), SLOPES)
    assert [one.column for one in found] == list(SLOPES)
    for one in found:
        at, answers = zip(*((point.at, point.answers[0]) for point in one.points), strict=True)
        assert np.diff(answers) / np.diff(at) == pytest.approx(SLOPES[one.column], abs=1e-4)
        assert one.outputs == ("mass",)


def test_the_first_columns_that_may_be_shown_are_shown(tmp_path: Path) -> None:
    found = partial_dependence(sample_of(make_bundle(tmp_path / "b")), ["age", "sex", "skill", "dose"], columns=2)
    assert [one.column for one in found] == ["age", "sex"]


def test_no_value_of_a_free_text_is_shown() -> None:
    texts = np.array(["Braund, Mr. Owen", "Allen, Miss. Elisabeth"] * 20, dtype=object)
    assert grids(Column("name", "string"), texts) == []
    assert only(Column("port", "string", categories=tuple(texts[:2])), texts, object).by == "value"


def test_a_number_of_few_values_has_each_and_its_null() -> None:
    values = [1, 1, 2, 3, 3, 3, np.nan]
    points = only(Column("class", "integer", nullable=True), values).points
    assert [(point.label, point.at, point.rows) for point in points] == [
        ("1", 1, 2), ("2", 2, 1), ("3", 3, 3), ("missing", None, 1),
    ]  # fmt: skip


def test_a_number_of_many_values_has_quantiles_that_occur() -> None:
    values = np.random.default_rng(0).normal(size=1_001).astype(np.float32)
    points = only(Column("x", "float"), values).points
    assert len(points) == VALUES
    assert {point.at for point in points} <= set(values.astype(float))
    # The outer twentieths are left out.
    assert points[0].at == np.sort(values)[50]
    assert sum(point.rows for point in points) == 1_001


def test_a_boolean_is_no_and_yes() -> None:
    points = only(Column("alone", "boolean"), [0, 1, 1]).points
    assert [(point.label, point.rows) for point in points] == [("no", 1), ("yes", 2)]


def test_a_category_has_its_commonest_levels() -> None:
    values = [f"level {number}" for number in range(20) for _ in range(20 - number)]
    points = only(Column("carrier", "category"), values, object).points
    assert [point.label for point in points] == [f"level {number}" for number in range(LEVELS)]


def test_a_column_of_one_value_has_no_grid() -> None:
    assert grids(Column("x", "float"), np.full(9, 2, dtype=np.float32)) == []


def test_a_datetime_is_looked_at_by_period_weekday_and_hour_on_the_clocks_of_its_zone() -> None:
    column = Column("at", "datetime", zone="America/New_York")
    zone = read_zone(column.zone)
    moments = np.array(
        [parse_moment(f"2013-11-{day:02}T{hour:02}:00", zone) for day in range(1, 29) for hour in (5, 17)], dtype=float
    )
    period, weekday, hour = grids(column, moments)
    assert [grid.by for grid in (period, weekday, hour)] == ["period", "day of week", "hour"]
    assert len(period.points) == PERIODS
    assert weekday.points[0].label == "Monday"
    assert [point.rows for point in weekday.points] == [8] * 7
    assert [(point.label, point.rows) for point in hour.points] == [("5", 28), ("17", 28)]
    # What stands for the afternoon are the afternoons of all days.
    assert set(hour.points[1].donors) == set(moments[1::2])
    assert np.concatenate([point.donors for point in period.points]) == pytest.approx(np.sort(moments))
