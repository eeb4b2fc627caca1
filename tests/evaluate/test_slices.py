import numpy as np
import pyarrow as pa
import pytest

from lifeboat.evaluate.slices import MOST_VALUES, cut, report
from lifeboat.tasks.binary.decision import ThresholdDecision
from lifeboat.usecase.usecase import Slice
from tests.evaluate.world import quiet
from tests.tasks.fitted import TASK


def names(table, *slices):
    return {part.name: int(part.rows.sum()) for part in cut(table, slices)}


def test_a_value_on_an_edge_belongs_to_the_band_above():
    table = pa.table({"age": pa.array([15.9, 16, 39.9, 40, 80], pa.float32())})
    bands = names(table, Slice("age", edges=(16, 40)))
    assert bands == {"age under 16": 1, "age 16 to 40": 2, "age 40 and over": 2}


def test_an_edge_that_float32_cannot_hold_is_still_an_edge():
    table = pa.table({"fare": pa.array([7.1], pa.float32())})
    assert names(table, Slice("fare", edges=(7.1,)))["fare 7.1 and over"] == 1


@pytest.mark.parametrize("null", [float("nan"), None])
def test_nulls_of_a_number_are_a_slice_of_their_own(null):
    table = pa.table({"age": pa.array([1, null, 50], pa.float32())})
    bands = names(table, Slice("age", edges=(16,)))
    assert bands == {"age under 16": 1, "age 16 and over": 1, "age missing": 1}


@pytest.mark.parametrize("null", ["", None])
def test_nulls_of_a_text_are_a_slice_of_their_own(null):
    table = pa.table({"sex": ["male", null, "female", "male"]})
    assert names(table, Slice("sex")) == {"sex = female": 1, "sex = male": 2, "sex missing": 1}


def test_numbers_without_edges_are_cut_by_value():
    table = pa.table({"deck": pa.array([3, 1, 3, float("nan")], pa.float32())})
    assert names(table, Slice("deck")) == {"deck = 1": 1, "deck = 3": 2, "deck missing": 1}


def test_rare_values_share_a_slice_and_every_row_is_in_one():
    values = [f"v{number:02}" for number in range(30) for _ in range(30 - number)]
    parts = cut(pa.table({"town": [*values, ""]}), (Slice("town"),))
    assert parts[0].name == "town = v00"
    assert [part.name for part in parts[-2:]] == ["town: any other", "town missing"]
    assert len(parts) == MOST_VALUES + 2
    assert np.array_equal(np.sum([part.rows for part in parts], axis=0), np.ones(len(values) + 1))


def test_all_slices_of_a_chunked_table_are_found():
    table = pa.concat_tables([pa.table({"sex": ["male"]}), pa.table({"sex": ["female", "male"]})])
    assert names(table, Slice("sex")) == {"sex = female": 1, "sex = male": 2}


def reported(y, p):
    (part,) = cut(pa.table({"x": ["a"] * len(y)}), (Slice("x"),))
    answers = np.column_stack([1 - np.asarray(p), p])
    return report(part, TASK, np.asarray(y, dtype=np.int8), answers, ThresholdDecision(), seed=0, say=quiet)


def test_a_slice_of_one_class_has_no_auc():
    found = reported([1] * 40, np.linspace(0.2, 0.9, 40))
    assert "roc_auc" not in found.metrics
    assert found.metrics["accuracy"] == pytest.approx(23 / 40)
    assert not found.intervals


def test_only_enough_rows_of_both_classes_have_intervals():
    y = [0, 1] * 20
    p = np.linspace(0.1, 0.9, 40)
    assert set(reported(y, p).intervals) == set(reported(y, p).metrics)
    assert not reported(y[:20], p[:20]).intervals
    assert not reported([0] * 36 + [1] * 4, p).intervals


def test_a_band_without_rows_is_reported_as_empty():
    parts = cut(pa.table({"age": pa.array([50.0], pa.float32())}), (Slice("age", edges=(16,)),))
    found = report(parts[0], TASK, np.ones(1, dtype=np.int8), np.ones((1, 2)), ThresholdDecision(), seed=0, say=quiet)
    assert (found.name, found.rows, found.metrics) == ("age under 16", 0, {})
