"""Whole pipelines in scikit-learn and as ONNX graphs: every passenger, and generated ones the schema lets in."""

from functools import cache

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline

from lifeboat.data.reading import read_table
from lifeboat.data.table import check_table
from lifeboat.model.onnx.onnx_export import export_onnx
from lifeboat.model.scoring import Scorer
from lifeboat.tasks.binary.calibration import Sigmoid
from lifeboat.train.parity import data_frame
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from lifeboat.usecase.transformers import Floats32, RowSum
from lifeboat.usecase.usecase import load_usecase
from tests.tasks.fitted import binary

USECASE = load_usecase("titanic")
SCHEMA = USECASE.schema
CANDIDATES = {candidate.name: candidate for candidate in USECASE.candidates}
PARITY = 1e-5


@cache
def passengers():
    """All 1,309 as a checked table, and the labels of the first 891."""
    train = check_table(read_table(USECASE.data), SCHEMA, labelled=True, name="train").table
    test = check_table(read_table(USECASE.data.with_name("test.csv")), SCHEMA, labelled=False, name="test").table
    inputs = list(SCHEMA.names)
    return pa.concat_tables([train.select(inputs), test.select(inputs)]), train["Survived"].to_numpy()


@cache
def frame():
    """All passengers as the features take them."""
    return data_frame(passengers()[0], SCHEMA)


@cache
def fitted(name, calibrated):
    """A pipeline on the labelled passengers and the graph made of it."""
    table, y = passengers()
    X = data_frame(table, SCHEMA).iloc[: len(y)]
    estimator = clone(CANDIDATES[name].estimator)
    estimator.set_params(**{key: 1 for key in estimator.get_params() if key.endswith("n_jobs")})
    model = Pipeline([("features", USECASE.features()), ("classifier", estimator)]).fit(X, y)
    made = binary(model, Sigmoid(0.7, -0.2) if calibrated else None)
    return made, Scorer(export_onnx(made, SCHEMA, frame()), SCHEMA)


def difference(model, scorer, table):
    return np.abs(scorer.answers(table) - model.answers(data_frame(table, scorer.schema))).max()


@pytest.mark.parametrize("calibrated", [False, True])
@pytest.mark.parametrize("name", CANDIDATES)
def test_every_passenger_gets_the_same_answer(name, calibrated):
    table, _ = passengers()
    assert table.num_rows == 1309
    assert difference(*fitted(name, calibrated), table) < PARITY


def cells(column):
    """Values that the schema accepts, the oddest first."""
    if column.categories:
        values = st.sampled_from(column.categories)
    elif column.is_number:
        ends = st.sampled_from([column.lower, column.upper, (column.lower + column.upper) / 2])
        kind = st.floats if column.kind == "float" else st.integers
        values = ends | kind(column.lower, column.upper)
    else:
        names = st.sampled_from(
            ["\0", "C\n", "A", "T", "D 1", "B96 B98", "x, Mr. y", ", Mrs.", "É, Miss. é", ",.", "😀"]
        )
        values = names | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=column.max_length)
    return values | st.none() if column.nullable else values


@settings(max_examples=25)
@given(rows=st.lists(st.fixed_dictionaries({c.name: cells(c) for c in SCHEMA.columns}), min_size=1, max_size=8))
def test_every_row_that_the_schema_accepts_gets_the_same_answer(rows):
    parsed = [SCHEMA.parse_row(row) for row in rows]
    types = pa.schema([(c.name, pa.float32() if c.is_number else pa.string()) for c in SCHEMA.columns])
    table = pa.Table.from_pylist(parsed, schema=types)
    for name in CANDIDATES:
        for calibrated in (False, True):
            assert difference(*fitted(name, calibrated), table) < PARITY


@pytest.mark.parametrize(
    "classifier",
    [
        HistGradientBoostingClassifier(max_iter=10),
        GradientBoostingClassifier(n_estimators=5),
        RandomForestClassifier(10, random_state=0),
        make_pipeline(Floats32(), HistGradientBoostingClassifier(max_iter=10)),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
@pytest.mark.parametrize("start", [1.0, 3.3, -7.7, 1e-30, 1e30])
def test_neighbouring_floats_stay_on_their_sides_of_a_threshold(classifier, start):
    schema = Schema((Column("a", "float"),), BinaryLabel("y", ("n", "y")))
    ladder = [np.float32(start)]
    for _ in range(7):
        ladder.append(np.nextafter(ladder[-1], np.float32(np.inf)))  # each from the one before
    x = np.repeat(np.array(ladder, dtype=np.float32), 40)
    y = np.arange(len(x)) // 40 % 2
    table = pa.table({"a": x})
    model = Pipeline([("f", Floats32()), ("c", clone(classifier))]).fit(data_frame(table, schema), y)
    before = model.predict_proba(data_frame(table, schema))
    made = binary(model)
    assert difference(made, Scorer(export_onnx(made, schema, data_frame(table, schema)), schema), table) < PARITY
    assert np.array_equal(model.predict_proba(data_frame(table, schema)), before)


NAMES = ("a b", "a_b", "a-b", "1st", "é", "proba", "label", "x.y", "unused", "variable", "platt_p", "merged_columns")


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_column_may_have_any_name(calibrated):
    schema = Schema(tuple(Column(name, "float") for name in NAMES), BinaryLabel("y", ("n", "y")))
    X = np.random.default_rng(0).normal(size=(60, len(NAMES))).astype(np.float32)
    frame = pd.DataFrame(X, columns=list(NAMES))
    features = ColumnTransformer(
        [
            ("some", Floats32(), ["x.y", "label", "a-b"]),
            ("others", Floats32(), ["é", "a b", "a_b"]),
            ("rest", RowSum(1.0), ["1st", "variable", "platt_p", "proba", "merged_columns"]),
        ]
    )
    model = Pipeline([("f", features), ("c", LogisticRegression())]).fit(frame, np.arange(60) % 2)
    model = binary(model, Sigmoid(1.5, 0.5) if calibrated else None)
    graph = export_onnx(model, schema, frame)
    assert tuple(entry.name for entry in onnx.load_from_string(graph).graph.input) == NAMES
    assert difference(model, Scorer(graph, schema), pa.table(dict(zip(NAMES, X.T, strict=True)))) < PARITY


def test_the_graph_has_raw_inputs_one_output_and_no_label():
    model, _ = fitted("gradient boosting", True)
    graph = onnx.load_from_string(export_onnx(model, SCHEMA, frame()))
    kinds = {entry.name: entry.type.tensor_type.elem_type for entry in graph.graph.input}
    assert kinds == {c.name: onnx.TensorProto.FLOAT if c.is_number else onnx.TensorProto.STRING for c in SCHEMA.columns}
    assert [entry.name for entry in graph.graph.output] == ["probabilities"]
    assert {entry.domain for entry in graph.opset_import} <= {"", "ai.onnx.ml"}
    kinds = [node.op_type for node in graph.graph.node]
    assert kinds[-1] == "Concat"  # of the two calibrated probabilities
    assert "ArrayFeatureExtractor" not in kinds  # what makes a class name of a position


def test_the_same_model_gives_the_same_bytes():
    model, _ = fitted("logistic regression", True)
    assert export_onnx(model, SCHEMA, frame()) == export_onnx(model, SCHEMA, frame())


def test_what_two_features_compute_alike_is_computed_once():
    """A node costs a row about 0.7 µs whatever it does."""
    model, _ = fitted("logistic regression", False)
    nodes = onnx.load_from_string(export_onnx(model, SCHEMA, frame())).graph.node
    kinds = [node.op_type for node in nodes]
    assert kinds.count("Add") == 2  # the family's size, which also divides the fare
    assert "Identity" not in kinds
    assert len(kinds) <= 31
