"""What the profile says in figures: against other ways to find them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import spearmanr
from scipy.stats.contingency import association

from lifeboat.data.table import check_table
from lifeboat.preprocess.profile.association import Field, associations, cramer, spearman
from lifeboat.preprocess.profile.bins import BINS, LEVELS, OTHERS, bins_of, whole_edges
from lifeboat.preprocess.profile.broken_rules import broken_rules
from lifeboat.preprocess.profile.chart import LEFT, WIDTH, Series, histogram, round_numbers, short_number
from lifeboat.preprocess.profile.keys import key_profiles
from lifeboat.preprocess.profile.shift import CHANCE, shift_of, stability_index
from lifeboat.usecase.schema import BinaryLabel, Column, NumberLabel, Schema
from tests.preprocess.world import SCHEMA

RANDOM = np.random.default_rng(0)


def texts(values: list[str]) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(values, pa.string())])


def numbers(values: object) -> pa.ChunkedArray:
    return pa.chunked_array([pa.array(np.asarray(values, dtype=np.float32))])


def test_a_number_is_counted_by_bins_that_hold_all_of_it() -> None:
    values = RANDOM.normal(size=500).astype(np.float32)
    values[:20] = np.nan
    bins = bins_of(numbers(values), Column("x", "float", nullable=True))
    assert len(bins.names) == BINS
    assert bins.count().tolist() == np.histogram(values[20:], bins=bins.edges)[0].tolist()
    assert (bins.place[:20] == -1).all()


@pytest.mark.parametrize(("low", "high", "width"), [(5, 23, 1), (0, 59, 3), (1, 2359, 118)])
def test_bins_of_whole_numbers_hold_as_many_of_them_each(low: int, high: int, width: int) -> None:
    edges = whole_edges(low, high)
    assert np.diff(edges).tolist() == [width] * (len(edges) - 1)
    assert edges[0] == low - 0.5
    assert edges[-2] < high < edges[-1]
    assert len(edges) - 1 <= BINS


def test_few_values_and_levels_are_counted_by_themselves() -> None:
    bins = bins_of(numbers([3, 1, 1, np.nan]), Column("class", "integer", nullable=True))
    assert (bins.names, bins.count().tolist(), bins.edges) == (("1", "3"), [2, 1], None)
    levels = [f"level {number}" for number in range(LEVELS + 3) for _ in range(20 - number)]
    bins = bins_of(texts([*levels, ""]), Column("port", "category", nullable=True))
    assert bins.names == (*(f"level {number}" for number in range(LEVELS)), OTHERS)
    assert bins.count()[-1] == sum(20 - number for number in range(LEVELS, LEVELS + 3))


def test_of_a_free_text_the_length_is_counted() -> None:
    bins = bins_of(texts(["Doe, Jane", "Doe, John", "Poe"]), Column("name", "string"))
    assert not any("Doe" in name or "Poe" in name for name in bins.names)
    assert {bins.names[place] for place in bins.place} == {"9", "3"}


def test_ticks_are_round_and_within() -> None:
    assert round_numbers(0, 891, 4) == [0, 500]
    assert round_numbers(0.42, 80, 5) == [20, 40, 60, 80]
    assert round_numbers(-0.031, 0.024, 5) == [-0.02, 0, 0.02]
    assert round_numbers(7, 7, 3) == [7]
    assert [short_number(value) for value in (0.05, 700, 2_000, 20_000, 1_200_000)] == [
        "0.05", "700", "2000", "20k", "1.2M",
    ]  # fmt: skip


def test_a_chart_has_numbers_on_both_axes_and_bars_within() -> None:
    series = Series("all", [4, 10, 0], ["a", "b", "c"])
    chart = histogram([0.0, 10.0, 20.0, 30.0], [series], beside=False, axis="rows", written="{:g}".format)
    below = [(tick.label, tick.x) for tick in chart.ticks if tick.anchor == "middle"]
    assert [label for label, _ in below] == ["0", "10", "20", "30"]
    assert below[0][1] == LEFT
    assert [tick.label for tick in chart.ticks if tick.anchor == "end"] == ["0", "5", "10"]
    heights = [box.height for box in chart.boxes]
    assert heights[0] / heights[1] == pytest.approx(0.4)
    assert heights[2] == 0
    assert all(box.x >= LEFT and box.x + box.width <= WIDTH for box in chart.boxes)


def test_rank_correlation_is_scipys_over_the_rows_that_both_know() -> None:
    first = RANDOM.normal(size=300)
    second = np.exp(first) + RANDOM.normal(size=300)
    first[:40], second[30:60] = np.nan, np.nan
    expected = spearmanr(first, second, nan_policy="omit").statistic
    assert spearman(first, second) == pytest.approx(expected)
    assert np.isnan(spearman(first, np.ones(300)))


def test_association_of_categories_is_cramers_with_bergsmas_correction() -> None:
    first = RANDOM.integers(0, 4, 400)
    second = np.where(RANDOM.random(400) < 0.5, first, RANDOM.integers(0, 3, 400))
    counts = np.array([[np.sum((first == i) & (second == j)) for j in range(4)] for i in range(4)])
    phi = association(counts, method="cramer") ** 2 * 3
    corrected = max(0, phi - 9 / 399)
    size = 4 - 9 / 399
    assert cramer(first, second) == pytest.approx(np.sqrt(corrected / (size - 1)))
    assert np.isnan(cramer(first, np.zeros(400, dtype=np.int64)))


def test_columns_that_have_nothing_to_do_with_each_other_are_not_associated() -> None:
    """As the plain V would have it: two columns of 20 levels each have 0.15 over 1,000 rows."""
    draws = [cramer(RANDOM.integers(0, 20, 1_000), RANDOM.integers(0, 20, 1_000)) for _ in range(50)]
    assert np.mean(draws) < 0.05


def test_all_pairs_are_compared_numbers_by_rank_and_others_by_v() -> None:
    skill, sex = RANDOM.normal(size=200), RANDOM.integers(0, 2, 200)
    fields = [
        Field.of_numbers("skill", skill),
        Field.of_numbers("age", RANDOM.normal(size=200)),
        Field("sex", None, sex),
    ]
    pairs = associations(fields, Field.of_numbers("mass", skill * 2))
    assert {(pair.first, pair.second): pair.ranked for pair in pairs} == {
        ("skill", "mass"): True, ("age", "mass"): True, ("sex", "mass"): False,
        ("skill", "age"): True, ("skill", "sex"): False, ("age", "sex"): False,
    }  # fmt: skip
    assert pairs[0].value == pytest.approx(1)


def test_the_stability_index_is_the_symmetrised_divergence() -> None:
    p, q = np.array([100, 300, 600]), np.array([200, 300, 500])
    expected = sum((b - a) * np.log(b / a) for a, b in zip(p / 1000, q / 1000, strict=True))
    assert stability_index(p, q) == pytest.approx(expected, abs=2e-3)


def test_rows_of_one_population_differ_as_often_as_chance_says() -> None:
    beyond, column = 0, Column("x", "float")
    test = np.arange(900) < 180
    for _ in range(400):
        values = RANDOM.normal(size=900)
        found = shift_of(bins_of(numbers(values), column), values, test)
        beyond += found.index > found.chance
        assert not found.tells or found.index > 0.1
    assert beyond / 400 <= 3 * CHANCE


def test_a_shifted_column_is_told_with_how_far_its_mean_is_off() -> None:
    test = np.arange(1_000) < 300
    values = RANDOM.normal(size=1_000) + test
    values[:60] = np.nan
    found = shift_of(bins_of(numbers(values), Column("x", "float", nullable=True)), values, test)
    assert found.tells
    assert found.difference == pytest.approx(1, abs=0.2)
    assert found.missing == (0, 0.2)
    sex = np.where(test, "f", "m").tolist()
    assert shift_of(bins_of(texts(sex), Column("sex", "category")), None, test).difference is None


def test_a_column_without_a_known_value_on_a_side_has_no_difference() -> None:
    test = np.arange(20) < 10
    values = np.where(test, np.nan, np.arange(20.0))
    found = shift_of(bins_of(numbers(values), Column("x", "float", nullable=True)), values, test)
    assert (found.difference, found.missing) == (None, (0, 1))


def test_keys_are_counted_and_not_named() -> None:
    rows = pa.table({"id": [1, 2, 3, 4], "family": ["A", "A", "B", ""], "dose": [1.0] * 4})
    identity, family = key_profiles(rows, SCHEMA, np.array([True, False, False, False]))
    assert (identity.role, identity.distinct, identity.repeated, identity.both) == ("identifies a row", 4, 0, 0)
    assert (family.role, family.missing, family.distinct) == ("keeps rows together", 1, 2)
    assert (family.repeated, family.largest, family.both) == (2, 2, 1)


def test_reasons_are_counted_by_column_and_rule_without_a_value() -> None:
    raw = {
        "dose": ["1", "900", "-1", "x"], "sex": ["f", "f", "Doe, Jane", "m"], "note": [""] * 4,
        "id": ["1", "2", "3", "4"], "family": ["A"] * 4, "cured": ["0", "2", "1", "1"],
    }  # fmt: skip
    checked = check_table(pa.table(raw), SCHEMA, labelled=True, name="t")
    nothing = check_table(pa.table({name: [] for name in raw}).cast(pa.schema([(n, pa.string()) for n in raw])), SCHEMA,
                          labelled=True, name="t")  # fmt: skip
    found = broken_rules(checked, nothing, SCHEMA)
    assert [(one.column, one.rule, one.table, one.feedback) for one in found] == [
        ("dose", "is outside 0 to 100", 2, 0),
        ("cured", "is none of the label's classes", 1, 0),
        ("dose", "is no float", 1, 0),
        ("sex", "is none of the categories", 1, 0),
    ]
    assert [one.feedback for one in broken_rules(nothing, checked, SCHEMA)] == [2, 1, 1, 1]


def test_a_label_that_is_a_number_has_rules_as_columns_have() -> None:
    schema = Schema((Column("x", "float"),), NumberLabel("mass", minimum=0))
    checked = check_table(pa.table({"x": ["1", "2"], "mass": ["-3", ""]}), schema, labelled=True, name="t")
    assert {one.rule for one in broken_rules(checked, checked, schema)} == {
        f"is outside {schema.label.column.limits}", "is missing",  # type: ignore[union-attr]  # a number's
    }  # fmt: skip
    assert BinaryLabel("cured", ("ill", "well")).column is None
