"""Effect sizes and histograms."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lifeboat.detector.drift_test.characters import WEIGHT, CharacterModel
from lifeboat.detector.drift_test.effects import effect, scaled_distance, stability_index
from lifeboat.detector.drift_test.encodings import NULL
from lifeboat.detector.drift_test.features import answer_features, column_features
from lifeboat.detector.drift_test.histogram import histogram, nice_edges
from lifeboat.tasks.kinds import task_of
from lifeboat.usecase.schema import ClassLabel, Column
from tests.drift_test.world import needs_alibi, score_feature

needs_alibi()


def first_feature(column, values):
    return column_features(column, values)[0]


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
    sex = first_feature(Column("sex", "string", nullable=True, categories=("f", "m")), ["f"] * 50 + ["m"] * 50)
    assert effect(sex, sex.encode([*"fm"] * 20)) == ("PSI", pytest.approx(0, abs=1e-4))
    assert effect(sex, sex.encode([None] * 40))[1] > 1
    age = first_feature(Column("age", "float", nullable=True), [float(i) for i in range(100)] + [float("nan")] * 50)
    assert effect(age, age.encode([None, *range(100), None])) == ("Wasserstein", pytest.approx(0))


def test_edges_are_round_and_cover_the_middle():
    assert nice_edges(np.arange(0, 81.0)).tolist() == [10, 20, 30, 40, 50, 60, 70, 80]
    edges = nice_edges(np.random.default_rng(0).lognormal(3, 1, 5000))
    assert 6 <= len(edges) <= 14
    assert set((edges / 10).tolist()) == set(np.round(edges / 10).tolist())
    assert nice_edges(np.full(9, 7.25)).tolist() == [7.25]


def test_a_number_has_intervals_and_a_bin_for_nulls():
    age = first_feature(Column("age", "float", nullable=True), [*map(float, range(81)), float("nan")])
    found = histogram(age, age.encode([None, 5, 10, 85]))
    assert found["bins"][:2] == ["under 10", "10 to 20"]
    assert found["bins"][-2:] == ["80 and over", "missing"]
    assert found["window"] == [0.25, 0.25, 0, 0, 0, 0, 0, 0, 0.25, 0.25]
    assert found["reference"][0] == pytest.approx(10 / 82)


def test_a_text_has_lengths():
    name = first_feature(Column("name", "string"), ["x" * (3 + i % 40) + str(i) for i in range(400)])
    assert name.kind == "text"
    assert name.encode(["abc", None, ""]).tolist() == [3, NULL, NULL]
    assert histogram(name, name.encode(["abc", "x" * 90]))["bins"][0].startswith("under ")


def test_a_score_has_tenths():
    found = histogram(score_feature([0.05, 0.95]), score_feature([0.0, 1.0]).reference)
    assert found["bins"] == ["under 0.1", *[f"0.{i} to 0.{i + 1}" for i in range(1, 9)], "0.9 and over"]


def test_a_score_that_is_no_probability_has_limits_of_its_own():
    found = histogram(score_feature(np.linspace(0, 500, 1001)), np.array([120.0, 480.0]))
    assert found["bins"][0] == "under 50"
    assert max(found["reference"]) < 0.2


def test_the_share_of_each_class_is_watched_by_its_name():
    classes = ("Adelie", "Chinstrap", "Gentoo")
    task = task_of(ClassLabel("species", classes))
    kept = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6], [0.7, 0.2, 0.1]])
    features = answer_features(task, task.watched(kept))
    assert [f.aspect for f in features] == [*(f"probability of {name}" for name in classes), "share of each value"]
    assert {f.name for f in features} == {"score"}
    shares = histogram(features[-1], features[-1].encode(["Gentoo", "Adelie"]))
    assert dict(zip(shares["bins"], shares["reference"], strict=True))["Adelie"] == 0.5
    assert dict(zip(shares["bins"], shares["window"], strict=True))["Gentoo"] == 0.5


def test_categories_are_named_by_frequency_and_what_is_new_is_unseen():
    port = first_feature(Column("port", "string", nullable=True), ["S"] * 70 + ["C"] * 20 + [""] * 10)
    found = histogram(port, port.encode(["S", "Y", None, "C"]))
    assert found == {
        "bins": ["S", "C", "unseen", "missing"],
        "reference": [0.7, 0.2, 0.0, 0.1],
        "window": [0.25, 0.25, 0.25, 0.25],
    }


def test_rare_and_unseen_categories_share_a_cell():
    port = first_feature(Column("port", "string", nullable=True), ["S"] * 700 + ["C"] * 290 + ["Q"] * 9 + [""])
    assert (port.encoding.levels, port.encoding.null) == (("S", "C", "Q"), 3)
    # Unseen are A, D, R and T: before, between and after the known.
    assert port.encode(["S", "C", "Q", None, "A", "D", "R", "T"]).tolist() == [0, 1, 2, 3, 4, 5, 6, 7]
    # Of 200 rows 1.8 are expected from Q, of 1,000 nine.
    assert port.cells(200).tolist() == [0, 1, 2, 2, 2, 2, 2, 2]
    assert port.cells(1000).tolist() == [0, 1, 2, 3, 3, 3, 3, 3]


def test_rare_values_share_cells_with_their_neighbours_of_which_enough_are_expected():
    codes = [f"{letter}{i:02}" for letter in "ABCDE" for i in range(40)]
    port = first_feature(Column("port", "string"), [*codes * 4, *["Z99"] * 200])
    cells = port.cells(100)
    # Of 100 rows 20 are expected to be Z99, and 0.4 each of the 200 others, which share eight cells of ten.
    assert cells[port.encode(["Z99"]).astype(int)] == [0]
    shared = cells[port.encode(codes).astype(int)]
    assert np.bincount(shared).tolist() == [0, *[25] * 8]
    assert (np.diff(shared) >= 0).all()
    unseen = cells[port.encode(["000", "A000", "E99", "ZZZ"]).astype(int)].tolist()
    assert unseen == [1, 1, 8, 8]


def test_a_repeated_rare_value_is_named_and_whole_numbers_have_all_their_digits():
    codes = [float(1_234_500 + i // 2) for i in range(100)]
    feature = column_features(Column("code", "integer", maximum=2**24), codes)[1]
    found = histogram(feature, feature.encode([1_234_549] * 9 + [7]))
    assert found["window"][found["bins"].index("1234549")] == 0.9
    assert (found["bins"][-1], found["window"][-1]) == ("unseen", 0.1)
    assert sum(found["reference"]) == pytest.approx(1)


def test_limits_that_lie_close_together_are_told_apart():
    for values in (np.arange(9_999_900, 10_000_000.0), 1e9 + np.arange(100) / 100, np.arange(100) * 1e-15):
        feature = score_feature([0.5])
        labels = histogram(replace(feature, kind="number", reference=values), values)["bins"]
        assert len(set(labels)) == len(labels) > 5


def test_the_alphabet_has_parts_of_equal_share_and_shows_where_texts_went():
    names = [f"{letter}{number}" for letter in "ABCDEFGHIJ" for number in range(50)]
    order = next(f for f in column_features(Column("name", "string"), names) if f.aspect == "alphabetical order")
    found = histogram(order, order.encode(["Ca"] * 150 + ["J7a"] * 50))
    assert found["bins"] == ["before B", *(f"from {letter}" for letter in "BCDEFGHIJ")]
    assert found["reference"] == [pytest.approx(0.1)] * 10
    assert found["window"] == [0, 0, 0.75, 0, 0, 0, 0, 0, 0, 0.25]


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
        (Column("s", "string"), [*"aabbcd"], "category"),
        (Column("s", "string"), [*"aabcd"], "text"),
        (Column("s", "string", nullable=True), [""] * 9, "category"),
        (Column("n", "integer"), [*range(40)] * 5, "number"),
    ],
)
def test_the_test_follows_from_the_declaration_and_the_reference(column, values, kind):
    assert first_feature(column, values).kind == kind


@pytest.mark.parametrize(
    ("column", "values", "aspects"),
    [
        (Column("s", "string"), ["a", "b"] * 100, ["share of each value", "unseen values"]),
        (Column("s", "string", categories=("a", "b")), ["a", "b"], ["share of each value"]),
        (Column("b", "boolean"), [True, False], ["share of each value"]),
        (Column("n", "integer"), [*range(40)] * 5, ["values", "share of each value", "unseen values"]),
        (Column("n", "integer"), [*range(200)], ["values"]),
        (Column("x", "float"), [*range(40)] * 5, ["values"]),
        (Column("s", "string"), ["Ann", "Bob", "Cyd"], ["length", "alphabetical order", "characters", "unseen values"]),
    ],
)
def test_a_column_is_tested_on_what_can_change_in_it(column, values, aspects):
    assert [feature.aspect for feature in column_features(column, values)] == aspects


def test_a_text_of_other_characters_needs_more_bits():
    names = [f"{first} {last}" for first in ("Anna", "Berta", "Clara") for last in ("Adams", "Brown", "Clark", "Davis")]
    characters = next(f for f in column_features(Column("s", "string"), names) if f.aspect == "characters")
    usual, reversed_, upper, digits = characters.encode(["Anna Clark", "kralC annA", "ANNA CLARK", "1873 48291"])
    assert usual < reversed_ < digits
    assert usual < upper
    assert characters.encode([None, ""]).tolist() == [NULL, NULL]


def test_bits_are_those_of_the_other_texts_by_hand():
    """Two texts of one character: to the other one it is known or it is not."""
    model = CharacterModel(["a", "a"])
    alone = (1 + 0.5) / (1 + 0.5 * 2)
    assert model.bits(["a", "a"], np.arange(2)) == pytest.approx(-np.log2((1 + WEIGHT * alone) / (1 + WEIGHT)))
    fresh = (0 + 0.5) / (2 + 0.5 * 2)
    assert model.bits(["b"]) == pytest.approx(-np.log2((0 + WEIGHT * fresh) / (2 + WEIGHT)))


def test_no_whole_number_of_a_wide_column_is_rounded():
    wide, narrow = (Column("n", "integer", minimum=0, maximum=most) for most in (2**53, 2**24))
    values = [2**53, 2**53 - 1, 2**24 + 1]
    assert [*map(int, first_feature(wide, [*range(30)]).encode(values))] == values
    assert len({*first_feature(wide, values * 10).encode(values)}) == 3
    assert first_feature(narrow, [*range(30)]).encode([2**24]).tolist() == [2**24]


def test_negative_zero_and_zero_are_one_value_and_nan_of_either_sign_is_null():
    number = first_feature(Column("x", "float", nullable=True), [0.0, -0.0, 1.0, float("nan"), -float("nan")])
    assert len(np.unique(number.reference[:2])) == 1
    assert number.missing(number.reference).tolist() == [False, False, False, True, True]
    code = first_feature(Column("n", "integer", nullable=True, categories=(0, 1)), [0.0, -0.0, 1.0, -float("nan")])
    assert code.encode([-0.0, 0, None, -float("nan")]).tolist() == [0, 0, 2, 2]


def test_of_a_personal_column_the_bins_have_numbers() -> None:
    """Levels and beginnings of texts are somebody's values."""
    names = [f"Hart{letter}, Ann {n}" for letter in "abcdefgh" for n in range(40)]
    for column in (
        Column("name", "string", personal=True, example="x"),
        Column("club", "category", personal=True, example="x"),
    ):
        for feature in column_features(column, names if column.kind == "string" else ["Golf", "Chess"] * 160):
            hidden = replace(feature, is_shown=False)
            found = histogram(hidden, hidden.encode(["Golf", "Hartz, Zoe", None]))["bins"]
            assert found
            assert all(label.isdigit() or label in ("missing", "others", "unseen") for label in found), found
