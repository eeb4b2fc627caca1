"""Candidates are examined on a few rows: what is found, in what words, and how fast."""

import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.compose import ColumnTransformer, make_column_selector
from sklearn.decomposition import NMF
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import KNNImputer, SimpleImputer
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.neighbors import RadiusNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder

from lifeboat.data.reading import read_table
from lifeboat.data.table import check_table
from lifeboat.train.features import empty_selections, make_features
from lifeboat.train.parity import data_frame
from lifeboat.train.preflight import Finding, examine
from lifeboat.usecase.usecase import Candidate, load_usecase
from tests.model.onnx.estimators import NUMBERS, SCHEMA, features, table
from tests.preprocess.world import make_usecase


def usecase_of(made, *candidates):
    return make_usecase(SCHEMA, features=made, candidates=candidates, baseline=())


def frame():
    rows, y = table()
    return data_frame(rows, SCHEMA), y


def test_a_finding_names_the_candidate_the_step_the_cause_and_the_remedy():
    good, bad = Candidate("good", LogisticRegression()), Candidate("ridge", RidgeClassifier())
    near = Candidate("near", make_pipeline(MinMaxScaler(), RadiusNeighborsClassifier(radius=0.1)))
    found = examine(usecase_of(features, good, bad, near), *frame())
    ridge = "RidgeClassifier gives no probability; use LogisticRegression()"
    assert found[0] == Finding("ridge", ridge)
    assert [finding.candidate for finding in found] == ["ridge", "near"]
    assert "KNeighborsClassifier()" in found[1].problem


def test_features_that_cannot_be_exported_are_found_for_every_candidate():
    def made():
        return ColumnTransformer([("some", make_pipeline(SimpleImputer(), MinMaxScaler(), NMF(2)), NUMBERS)])

    candidates = (Candidate("a", LogisticRegression()), Candidate("b", RandomForestClassifier(5)))
    found = examine(usecase_of(made, *candidates), *frame())
    sentence = (
        "features, step 'nmf' NMF cannot become an ONNX graph: the class has no converter; "
        "use PCA(), TruncatedSVD() or SelectKBest()"
    )
    assert found == [Finding("a", sentence), Finding("b", sentence)]


def test_features_that_cannot_be_made_are_found_for_every_candidate():
    usecase = usecase_of(
        lambda: ColumnTransformer([("x", SimpleImputer(), ["nowhere"])]), Candidate("a", RidgeClassifier())
    )
    (found,) = examine(usecase, *frame())
    assert found.problem.startswith("the features cannot be made: ")
    assert "nowhere" in found.problem


def test_ties_among_neighbours_are_no_reason_to_serve_another_answer():
    """Where donors are equally far scikit-learn takes any of them."""
    X, y = frame()
    X = X.assign(age=(X["age"] / 20).round() * 20, income=(X["income"] / 50).round() * 50)
    usecase = usecase_of(
        lambda: ColumnTransformer([("some", KNNImputer(), ["age", "income"])]), Candidate("a", LogisticRegression())
    )
    found = examine(usecase, X, y)
    assert not found or "KNNImputer may be the cause: use SimpleImputer(add_indicator=True)" in found[0].problem


def test_rows_with_a_null_are_among_the_few_however_rare():
    """Without one no tree would learn where nulls go, and no imputer what to fill."""
    X, y = frame()
    X = X.iloc[np.tile(np.flatnonzero(~X["age"].isna()), 20)].reset_index(drop=True)
    y = np.resize(y, len(X))
    X.loc[[7, 99], "age"] = np.nan
    seen = []

    class Spy(SimpleImputer):
        def fit(self, X, y=None):
            seen.append(int(np.isnan(np.asarray(X)).sum()))
            return super().fit(X, y)

    usecase = usecase_of(lambda: ColumnTransformer([("some", Spy(), ["age"])]), Candidate("a", LogisticRegression()))
    examine(usecase, X, y)
    assert seen[0] == 2


def test_an_imputer_inside_of_a_pipeline_reads_a_null_of_strings_and_one_of_numbers_is_left_alone():
    def made():
        text = make_pipeline(SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore"))
        return ColumnTransformer([("text", text, ["colour", "note"]), ("numbers", SimpleImputer(), NUMBERS)])

    X, _ = frame()
    found = make_features(usecase_of(made, Candidate("a", LogisticRegression())), X)
    assert found.transformers[0][1][0].missing_values == ""
    assert np.isnan(found.transformers[1][1].missing_values)


@pytest.mark.parametrize(("kind", "empty"), [("string", True), (object, False)])
def test_a_selection_of_no_column_is_told_by_its_name(kind, empty):
    X, _ = frame()
    made = ColumnTransformer(
        [("numbers", SimpleImputer(), NUMBERS), ("texts", OneHotEncoder(), make_column_selector(dtype_include=kind))]
    )
    told = empty_selections(made, X)
    assert bool(told) is empty
    assert not told or told[0].startswith("features, step 'texts' selects no column at all; ")


def test_three_candidates_of_titanic_are_examined_in_seconds():
    titanic = load_usecase("titanic")
    rows = check_table(read_table(titanic.data), titanic.schema, labelled=True, name="train").table
    X, y = data_frame(rows, titanic.schema), rows["Survived"].to_numpy()
    start = time.process_time()
    assert examine(titanic, X, y) == []
    assert time.process_time() - start < 4  # 1 s on a machine of its own


def test_it_is_imported_without_kfp_and_mlflow():
    code = "import sys, lifeboat.train.preflight; sys.exit(bool({'kfp', 'mlflow', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
