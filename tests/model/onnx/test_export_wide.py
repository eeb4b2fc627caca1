"""Integers beyond 2^24 are exact on their way to where something made them small, or the candidate is left out."""

import numpy as np
import onnx
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    QuantileTransformer,
    StandardScaler,
)
from sklearn.tree import DecisionTreeClassifier

from lifeboat.config.errors import UseCaseError
from lifeboat.model.bundle import GOLDEN, MODEL, REFERENCE, open_bundle, write_bundle
from lifeboat.model.bundle import SCHEMA as SCHEMA_FILE
from lifeboat.model.onnx.onnx_export import export_onnx
from lifeboat.model.scoring import Scorer
from lifeboat.server.model.onnx_model import Model
from lifeboat.train.parity import data_frame
from lifeboat.train.preflight import check_export
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from lifeboat.usecase.transformers import Floats32, MissingFlag, RowSum, Shift
from tests.model.test_bundle import FACTS
from tests.tasks.fitted import binary

# Seconds of 2023: a float32 knows them to 128 s.
ORIGIN = 1_700_000_000
SCHEMA = Schema(
    (Column("a.b at", "integer", nullable=True, minimum=0, maximum=2**53), Column("v", "float")),
    BinaryLabel("y", ("n", "y")),
)
BOTH = ["a.b at", "v"]


def rows():
    """Of even seconds the label is 1, whatever the float32 of them."""
    random, count = np.random.default_rng(0), 300
    at = ORIGIN + random.integers(0, 60, count).astype(np.float64)
    v = random.normal(0, 1, count).astype(np.float32)
    y = ((at % 2 == 0) ^ (v > 1.5)).astype(np.int8)
    at[::17] = np.nan
    return pa.table({"a.b at": pa.array(at), "v": pa.array(v)}), y


def fitted(features, classifier):
    table, y = rows()
    X = data_frame(table, SCHEMA)
    return Pipeline([("features", features), ("classifier", classifier)]).fit(X, y), X


def forest():
    return RandomForestClassifier(20, random_state=0)


def both(*steps):
    return ColumnTransformer([("both", make_pipeline(*steps) if len(steps) > 1 else steps[0], BOTH)])


def one(*steps):
    return ColumnTransformer([("at", make_pipeline(*steps), ["a.b at"]), ("v", "passthrough", ["v"])])


@pytest.mark.parametrize(
    ("features", "classifier"),
    [
        (both(SimpleImputer(), StandardScaler()), forest()),
        (make_pipeline(both(SimpleImputer()), StandardScaler()), forest()),
        (both(SimpleImputer(), MinMaxScaler(), PolynomialFeatures()), forest()),
        (both(SimpleImputer(), QuantileTransformer(n_quantiles=20)), LogisticRegression()),
        (one(Shift(ORIGIN)), forest()),
        (one(SimpleImputer(strategy="median"), Shift(ORIGIN)), forest()),
        (one(Shift(ORIGIN)), HistGradientBoostingClassifier(max_iter=10)),
        (one(OneHotEncoder(handle_unknown="ignore")), LogisticRegression()),
        (one(OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1)), forest()),
        (one(SimpleImputer(), KBinsDiscretizer(20, quantile_method="averaged_inverted_cdf")), LogisticRegression()),
        (both(MissingFlag()), forest()),
    ],
)
def test_a_wide_column_is_exact_where_a_step_makes_it_small(features, classifier):
    model, X = fitted(features, classifier)
    graph, _, worst = check_export(binary(model), SCHEMA, X)
    assert worst < 1e-5
    kinds = {entry.name: entry.type.tensor_type.elem_type for entry in onnx.load_from_string(graph).graph.input}
    assert kinds == {"a.b at": onnx.TensorProto.DOUBLE, "v": onnx.TensorProto.FLOAT}


def test_neighbouring_integers_are_told_apart():
    at = ORIGIN + np.arange(200.0)
    table = pa.table({"a.b at": pa.array(at), "v": pa.array(np.zeros(200, np.float32))})
    X = data_frame(table, SCHEMA)
    features = ColumnTransformer([("at", Shift(ORIGIN), ["a.b at"])])
    model = Pipeline([("f", features), ("c", DecisionTreeClassifier())]).fit(X, at % 2 == 0)
    scorer = Scorer(export_onnx(binary(model), SCHEMA, X), SCHEMA)
    answers = scorer.answers(table)[:, 1]
    assert answers.tolist() == [1, 0] * 100
    # A table of integers as well, not only of float64.
    whole = table.set_column(0, "a.b at", pa.array(at.astype(np.int64)))
    assert np.array_equal(scorer.answers(whole)[:, 1], answers)


@pytest.mark.parametrize(
    ("features", "classifier", "consumer"),
    [
        (Floats32(), forest(), "TreeEnsembleClassifier"),
        (both("passthrough"), forest(), "TreeEnsembleClassifier"),
        (Floats32(), HistGradientBoostingClassifier(max_iter=5), "TreeEnsembleClassifier"),
        (both(SimpleImputer()), LogisticRegression(), "LinearClassifier"),
        (both(SimpleImputer(), RowSum()), LogisticRegression(), "Add"),
        (both(SimpleImputer(), Floats32(), StandardScaler()), forest(), "Sub"),
    ],
)
def test_a_candidate_that_would_see_a_wide_column_rounded_is_refused(features, classifier, consumer):
    model, X = fitted(features, classifier)
    sentence = (
        f"column a.b at has numbers beyond 24 bits, which {consumer} would take rounded to 32 bits; make it exact"
    )
    with pytest.raises(UseCaseError) as error:
        check_export(binary(model), SCHEMA, X)
    assert sentence in str(error.value)


def test_an_exact_float_keeps_its_cents():
    exact = Schema((Column("a", "float", exact=True, minimum=0, maximum=1e8),), BinaryLabel("y", ("n", "y")))
    cents = np.arange(2_000.0) / 100 + 50_000_000
    table = pa.table({"a": cents})
    X = data_frame(table, exact)
    features = ColumnTransformer([("a", Shift(50_000_000), ["a"])])
    y = np.arange(2_000) % 100 < 50
    model = Pipeline([("f", features), ("c", DecisionTreeClassifier())]).fit(X, y)
    _, scorer, worst = check_export(binary(model), exact, X)
    assert worst < 1e-5
    assert scorer.answers(table)[:, 1].tolist() == y.tolist()
    with pytest.raises(ValueError, match="only a float is exact"):
        Column("a", "integer", exact=True)


def test_a_narrow_schema_has_no_float64_in_its_graph():
    narrow = Schema((Column("a.b at", "integer", nullable=True), Column("v", "float")), BinaryLabel("y", ("n", "y")))
    random = np.random.default_rng(0)
    table = pa.table({name: pa.array(random.integers(0, 99, 200).astype(np.float32)) for name in BOTH})
    X = data_frame(table, narrow)
    model = Pipeline([("f", both(SimpleImputer(), StandardScaler())), ("c", forest())]).fit(X, np.arange(200) % 2)
    graph = onnx.load_from_string(export_onnx(binary(model), narrow, X)).graph
    assert "Cast" not in {node.op_type for node in graph.node}


def test_the_server_takes_and_answers_wide_columns_exactly(tmp_path):
    model, X = fitted(one(SimpleImputer(), Shift(ORIGIN)), forest())
    graph = export_onnx(binary(model), SCHEMA, X)
    files = {MODEL: graph, SCHEMA_FILE: SCHEMA.to_json().encode(), REFERENCE: b"", GOLDEN: b"[]"}
    write_bundle(tmp_path / "b", files, FACTS)
    at = [float(ORIGIN + step) for step in range(6)]
    answers = Model(open_bundle(tmp_path / "b")).predict([[*at, float("nan")], [0.0] * 7])
    expected = model.predict_proba(data_frame(pa.table({"a.b at": [*at, None], "v": [0.0] * 7}), SCHEMA))
    assert np.abs(answers - expected).max() < 1e-6
    assert len(set(answers[:6, 1].tolist())) > 1
