"""Effect sizes and histograms."""

from __future__ import annotations

import numpy as np
import pytest

from components.core.schema import Column
from serving.drift.judge.effects import effect, scaled_distance, stability_index
from serving.drift.judge.features import NULL, column_feature, score_feature
from serving.drift.judge.histogram import histogram, nice_edges

from .world import needs_alibi

needs_alibi()


def test_a_distance_is_in_standard_deviations_of_the_reference():
    values = np.random.default_rng(0).normal(50, 4, 1000)
    assert scaled_distance(values, values + 2) == pytest.approx(2 / values.std())
    assert scaled_distance(values, values) == 0


def test_a_distance_from_a_constant_is_in_its_own_unit_and_from_nothing_is_none():
    assert scaled_distance(np.full(10, 3.0), np.full(5, 4.5)) == 1.5
    assert scaled_distance(np.empty(0), np.ones(3)) == scaled_distance(np.ones(3), np.empty(0)) == 0


def test_the_stability_index_is_the_formula_and_finite_for_what_is_absent():
    reference, window = np.array([4995.0, 4995.0]), np.array([2995.0, 6995.0])
    expected = (0.3 - 0.5) * np.log(0.3 / 0.5) + (0.7 - 0.5) * np.log(0.7 / 0.5)
    assert stability_index(reference, window) == pytest.approx(expected, abs=1e-3)
    assert stability_index(reference, reference) == 0
    assert 1 < stability_index(np.array([100.0, 0.0]), np.array([0.0, 100.0])) < 20


def test_categories_have_an_index_and_numbers_a_distance_of_what_is_known():
    sex = column_feature(Column("sex", "string", nullable=True, categories=("f", "m")), ["f"] * 50 + ["m"] * 50)
    assert effect(sex, sex.encode([*"fm"] * 20)) == ("PSI", pytest.approx(0, abs=1e-4))
    assert effect(sex, sex.encode([None] * 40))[1] > 1
    age = column_feature(Column("age", "float", nullable=True), [float(i) for i in range(100)] + [float("nan")] * 50)
    assert effect(age, age.encode([None, *range(100), None])) == ("Wasserstein", pytest.approx(0))


def test_edges_are_round_and_cover_the_middle():
    assert nice_edges(np.arange(0, 81.0)).tolist() == [10, 20, 30, 40, 50, 60, 70, 80]
    edges = nice_edges(np.random.default_rng(0).lognormal(3, 1, 5000))
    assert 6 <= len(edges) <= 14
    assert set((edges / 10).tolist()) == set(np.round(edges / 10).tolist())
    assert nice_edges(np.full(9, 7.25)).tolist() == [7.25]


def test_a_number_has_intervals_and_a_bin_for_nulls():
    age = column_feature(Column("age", "float", nullable=True), [*map(float, range(81)), float("nan")])
    found = histogram(age, age.encode([None, 5, 10, 85]))
    assert found["bins"][:2] == ["under 10", "10 to 20"]
    assert found["bins"][-2:] == ["80 and over", "missing"]
    assert found["window"] == [0.25, 0.25, 0, 0, 0, 0, 0, 0, 0.25, 0.25]
    assert found["reference"][0] == pytest.approx(10 / 82)


def test_a_text_has_lengths():
    name = column_feature(Column("name", "string"), ["x" * (3 + i % 40) + str(i) for i in range(400)])
    assert name.kind == "text"
    assert name.encode(["abc", None, ""]).tolist() == [3, NULL, NULL]
    assert histogram(name, name.encode(["abc", "x" * 90]))["bins"][0].startswith("under ")


def test_a_score_has_tenths():
    found = histogram(score_feature([0.05, 0.95]), score_feature([0.0, 1.0]).reference)
    assert found["bins"] == ["under 0.1", *[f"0.{i} to 0.{i + 1}" for i in range(1, 9)], "0.9 and over"]


def test_categories_are_named_by_frequency_and_what_is_new_is_others():
    port = column_feature(Column("port", "string", nullable=True), ["S"] * 70 + ["C"] * 20 + [""] * 10)
    found = histogram(port, port.encode(["S", "Y", None, "C"]))
    assert found == {
        "bins": ["S", "C", "others", "missing"],
        "reference": [0.7, 0.2, 0.0, 0.1],
        "window": [0.25, 0.25, 0.25, 0.25],
    }


def test_rare_and_unseen_categories_share_a_cell():
    port = column_feature(Column("port", "string", nullable=True), ["S"] * 700 + ["C"] * 290 + ["Q"] * 9 + [""])
    assert port.levels == ("S", "C", "Q", None)
    # Of 200 rows 1.8 are expected from Q, of 1,000 nine.
    assert port.cells(200).tolist() == [0, 1, 2, 2, 2]
    assert port.cells(1000).tolist() == [0, 1, 2, 3, 3]


@pytest.mark.parametrize(
    ("column", "values", "kind"),
    [
        (Column("n", "integer"), [i % 7 for i in range(200)], "category"),
        (Column("n", "integer"), [*range(200)], "number"),
        (Column("x", "float"), [float(i % 7) for i in range(200)], "number"),
        (Column("b", "boolean"), [True, False], "category"),
        (Column("s", "string"), ["a", "b"] * 100, "category"),
        (Column("s", "string"), [f"name {i}" for i in range(200)], "text"),
        (Column("s", "string"), ["Ann", "Bob", "Cyd"], "text"),
        (Column("s", "string", categories=("a", "b")), ["a"], "category"),
    ],
)
def test_the_test_follows_from_the_declaration_and_the_reference(column, values, kind):
    assert column_feature(column, values).kind == kind
