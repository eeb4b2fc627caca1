"""Which rows are tried beside those of the table, and that each kind of them would show a difference."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.compose import ColumnTransformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from lifeboat.config.errors import BundleError
from lifeboat.model.onnx.onnx_export import export_onnx
from lifeboat.model.probes import make_probes
from lifeboat.model.scoring import Scorer
from lifeboat.train.parity import check_parity, data_frame
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from lifeboat.usecase.transformers import Floats32
from tests.tasks.fitted import binary

SCHEMA = Schema(
    columns=(
        Column("x.y z", "float", nullable=True, minimum=-5, maximum=100),
        Column("free", "float"),
        Column("whole", "integer", minimum=1, maximum=9),
        Column("flag", "boolean"),
        Column("level", "integer", categories=(1, 2, 3)),
        Column("kind", "string", nullable=True, categories=("a", "b", "c")),
        Column("text", "string", max_length=4),
    ),
    label=BinaryLabel("label", ("n", "y")),
)
NUMBERS = ["x.y z", "free", "whole"]


def rows(count=60):
    random = np.random.default_rng(0)
    numbers = {
        "x.y z": random.uniform(0, 9, count),
        "free": random.normal(0, 3, count),
        "whole": random.integers(1, 9, count),
        "flag": np.zeros(count),
        "level": np.ones(count),
    }
    columns = {name: pa.array(values.astype(np.float32)) for name, values in numbers.items()}
    return pa.table(columns | {"kind": pa.array(["a", "b"] * (count // 2)), "text": pa.array(["w"] * count)})


def fitted(classifier, features=None):
    """A pipeline that decides by 'x.y z' above 4, and its graph."""
    table = rows()
    X, y = data_frame(table, SCHEMA), table["x.y z"].to_numpy() > 4
    features = features or ColumnTransformer([("numbers", Floats32(), NUMBERS)])
    model = Pipeline([("features", features), ("classifier", classifier)]).fit(X, y)
    return binary(model), export_onnx(binary(model), SCHEMA, X), table


@pytest.fixture(scope="module")
def stump():
    return fitted(DecisionTreeClassifier(max_depth=1))


def test_probes_are_rows_of_the_table_with_what_the_schema_lets_in_besides(stump):
    _, graph, table = stump
    found = make_probes(SCHEMA, table, Scorer(graph, SCHEMA))
    assert len(found.reasons) == found.rows.num_rows < 300
    values = {name: set(map(str, found.rows[name].to_pylist())) for name in SCHEMA.names}
    assert {"nan", "-5.0", "100.0", "0.0", "-0.0"} <= values["x.y z"]
    assert max(abs(float(value)) for value in values["free"]) > 10 * np.abs(table["free"].to_numpy()).max() * 0.99
    assert {"1.0", "9.0"} <= values["whole"]
    assert "0.0" not in values["whole"]  # which the schema refuses
    assert values["flag"] == {"0.0", "1.0"}
    assert values["level"] == {"1.0", "2.0", "3.0"}
    assert values["kind"] == {"a", "b", "c", ""}
    assert values["text"] == {"w", " "}  # longer ones are refused
    assert {"x.y z is null", "x.y z, kind are null", "kind is 'c'", "text is ' '"} <= set(found.reasons)
    for row in found.rows.to_pylist():
        for column in SCHEMA.columns:
            value = row[column.name]
            column.parse(None if value != value else value)


def test_probes_stand_at_a_threshold_and_one_float_beside_it(stump):
    model, graph, table = stump
    found = make_probes(SCHEMA, table, Scorer(graph, SCHEMA))
    jumps = [place for place, reason in enumerate(found.reasons) if reason.endswith("where the answer jumps")]
    tried = np.unique(found.rows["x.y z"].to_numpy()[jumps])
    threshold = model.pipeline[-1].tree_.threshold[0]
    last = np.float32(threshold) if np.float32(threshold) <= threshold else np.nextafter(np.float32(threshold), -np.inf)
    beside = [np.nextafter(last, np.float32(-np.inf)), last, np.nextafter(last, np.float32(np.inf))]
    assert set(beside) <= set(tried)
    assert len(tried) == 4
    without = make_probes(SCHEMA, table, Scorer(graph, SCHEMA), thresholds=False)
    assert not any("jumps" in reason for reason in without.reasons)


def test_a_whole_number_jumps_between_whole_numbers():
    table = rows()
    X, y = data_frame(table, SCHEMA), table["whole"].to_numpy() > 4
    features = ColumnTransformer([("whole", Floats32(), ["whole"])])
    model = Pipeline([("f", features), ("c", DecisionTreeClassifier(max_depth=1))]).fit(X, y)
    found = make_probes(SCHEMA, table, Scorer(export_onnx(binary(model), SCHEMA, X), SCHEMA))
    jumps = [place for place, reason in enumerate(found.reasons) if "jumps" in reason]
    assert set(found.rows["whole"].to_numpy()[jumps]) == {3, 4, 5, 6}


def test_a_threshold_that_lies_one_float_beside_is_a_difference(stump):
    model, graph, table = stump
    assert check_parity(model, graph, SCHEMA, table)[1] < 1e-6
    other, _, _ = fitted(DecisionTreeClassifier(max_depth=1))
    tree = other.pipeline[-1].tree_
    state = tree.__getstate__()
    state["nodes"]["threshold"][0] = np.nextafter(np.float32(state["nodes"]["threshold"][0]), np.float32(np.inf)) + 1e-9
    tree.__setstate__(state)
    with pytest.raises(BundleError, match=r"where x\.y z is [\d.]+, where the answer jumps it answers \S+ instead of"):
        check_parity(other, graph, SCHEMA, table)


def test_a_null_that_goes_the_other_way_is_a_difference_that_names_the_column(stump):
    _, graph, table = stump
    other, _, _ = fitted(DecisionTreeClassifier(max_depth=1))
    tree = other.pipeline[-1].tree_
    state = tree.__getstate__()
    state["nodes"]["missing_go_to_left"] = 1 - state["nodes"]["missing_go_to_left"]
    tree.__setstate__(state)
    with pytest.raises(BundleError, match=r"where x\.y z(, kind are| is) null it answers [01] instead"):
        check_parity(other, graph, SCHEMA, table)


def test_a_row_that_scikit_learn_refuses_is_named():
    encoder = ColumnTransformer([("numbers", Floats32(), ["free"]), ("kind", OneHotEncoder(), ["kind"])])
    model, graph, table = fitted(DecisionTreeClassifier(max_depth=2), encoder)
    with pytest.raises(BundleError, match=r"itself refuses a row that the schema allows \(.*kind.*\): Found"):
        check_parity(model, graph, SCHEMA, table)


def test_behind_a_step_that_is_not_exact_no_jump_is_probed():
    """A logarithm's last digit may differ, and with it on which side of a threshold a value lies."""
    scaled = make_pipeline(FunctionTransformer(np.exp2), StandardScaler())
    features = ColumnTransformer([("numbers", scaled, ["whole"])])
    table = rows()
    X = data_frame(table, SCHEMA)
    model = Pipeline([("f", features), ("c", DecisionTreeClassifier(max_depth=3))])
    model.fit(X, table["whole"].to_numpy() > 4)
    _, worst = check_parity(binary(model), export_onnx(binary(model), SCHEMA, X), SCHEMA, table)
    assert worst < 1e-6


def test_a_smooth_model_has_no_jump():
    model, graph, table = fitted(LogisticRegression(), ColumnTransformer([("numbers", Floats32(), ["free", "whole"])]))
    found = make_probes(SCHEMA, table, Scorer(graph, SCHEMA))
    whole = {"whole"}  # whose neighbours are far apart
    assert {reason.split(" is ")[0] for reason in found.reasons if "jumps" in reason} <= whole
    assert check_parity(model, graph, SCHEMA, table)[1] < 1e-5
