import numpy as np
import onnx
import pyarrow as pa
import pytest

from lifeboat.config.errors import BundleError, DataError
from lifeboat.model import scoring
from lifeboat.model.scoring import Scorer, feeds
from lifeboat.tasks.binary.task import BinaryTask
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from tests.evaluate.world import SCHEMA_OF_ALL, TRUTH, graph, rows

OUTPUT = BinaryTask.output

SMALL = Schema(
    (Column("a", "float", nullable=True), Column("b", "string", nullable=True)), BinaryLabel("y", ("no", "yes"))
)


def test_nulls_become_nan_and_the_empty_string():
    made = feeds(SMALL, pa.table({"a": pa.array([1.5, None]), "b": pa.array(["x", None]), "other": [1, 2]}))
    assert list(made) == ["a", "b"]
    assert made["a"].dtype == np.float32
    assert made["a"].shape == (2, 1)
    assert made["a"][0, 0] == 1.5
    assert np.isnan(made["a"][1, 0])
    assert made["b"].tolist() == [["x"], [""]]


@pytest.mark.parametrize("values", [[1, 0], [True, False], pa.array([1.0, 0.0], pa.float64())])
def test_any_number_feeds_a_number(values):
    made = feeds(SMALL, pa.table({"a": values, "b": pa.array(["x", "y"]).dictionary_encode()}))
    assert made["a"].tolist() == [[1], [0]]
    assert made["b"].tolist() == [["x"], ["y"]]


def test_rows_given_as_json_objects_may_hold_nothing_but_nulls():
    made = feeds(SMALL, pa.Table.from_pylist([{"a": None, "b": None}]))
    assert np.isnan(made["a"]).all()
    assert made["b"].tolist() == [[""]]


def test_a_slice_of_a_table_feeds_only_its_rows():
    table = pa.table({"a": [1.0, 2.0, 3.0], "b": ["x", "y", "z"]})
    assert feeds(SMALL, table.slice(1, 1))["b"].tolist() == [["y"]]


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match="columns missing: b; there are: a"):
        feeds(SMALL, pa.table({"a": [1.0]}))


@pytest.mark.parametrize(("column", "values"), [("a", ["1"]), ("b", [1])])
def test_text_and_numbers_are_not_mixed_up(column, values):
    table = pa.table({"a": [1.0], "b": ["x"]} | {column: values})
    with pytest.raises(DataError, match=f"column {column}: holds"):
        feeds(SMALL, table)


def test_probabilities_are_those_of_the_formula(monkeypatch):
    monkeypatch.setattr(scoring, "CHUNK", 64)
    data = rows(150)
    found = Scorer(graph(TRUTH), SCHEMA_OF_ALL).answers(pa.table(data))
    expected = 1 / (1 + np.exp(-(2 * data["skill"].astype(float) + (data["sex"] == "female"))))
    assert found.dtype == np.float32
    assert found.shape == (150, 2)
    assert found[:, 1] == pytest.approx(expected, abs=1e-6)
    assert found.sum(axis=1) == pytest.approx(np.ones(150), abs=1e-6)


def test_an_empty_table_has_no_probabilities():
    table = pa.table(rows(5)).slice(0, 0)
    assert Scorer(graph(TRUTH), SCHEMA_OF_ALL).answers(table).shape == (0, 2)


@pytest.mark.parametrize("content", [b"", b"no graph", graph(TRUTH)[:-20]])
def test_bytes_that_are_no_graph_are_refused(content):
    with pytest.raises(BundleError, match="cannot be loaded"):
        Scorer(content, SCHEMA_OF_ALL)


def test_a_graph_of_another_schema_is_refused():
    with pytest.raises(BundleError, match="the model has a as no such input, the schema as tensor"):
        Scorer(graph(TRUTH), SMALL)


def test_a_probability_that_is_not_finite_is_refused():
    scorer = Scorer(graph({"age": 1.0}), SCHEMA_OF_ALL)
    with pytest.raises(BundleError, match="not finite"):
        scorer.answers(pa.table(rows(100)))


def test_rows_on_which_the_graph_fails_are_an_error_with_its_reason():
    """As where a text is to be a number."""
    nodes = [
        onnx.helper.make_node("Cast", ["code"], ["number"], to=onnx.TensorProto.FLOAT),
        onnx.helper.make_node("Concat", ["number", "number"], [OUTPUT], axis=1),
    ]
    given = [onnx.helper.make_tensor_value_info("code", onnx.TensorProto.STRING, [None, 1])]
    wanted = [onnx.helper.make_tensor_value_info(OUTPUT, onnx.TensorProto.FLOAT, [None, 2])]
    made = onnx.helper.make_graph(nodes, "codes", given, wanted)
    model = onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=9)
    scorer = Scorer(model.SerializeToString(), Schema((Column("code", "string"),), BinaryLabel("y", ("no", "yes"))))
    assert scorer.answers(pa.table({"code": ["0.5"]})).tolist() == [[0.5, 0.5]]
    with pytest.raises(BundleError, match="fails on 1 rows: "):
        scorer.answers(pa.table({"code": ["x"]}))
