"""Usual pipelines, trained, exported and held against scikit-learn on rows and probes; or refused by name."""

import re

import numpy as np
import pytest
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    StackingClassifier,
    VotingClassifier,
)
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.feature_selection import RFE
from sklearn.impute import MissingIndicator, SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    KBinsDiscretizer,
    MaxAbsScaler,
    MinMaxScaler,
    OneHotEncoder,
    OrdinalEncoder,
    PolynomialFeatures,
    PowerTransformer,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
    TargetEncoder,
)
from sklearn.tree import DecisionTreeClassifier

from lifeboat.train.parity import data_frame
from lifeboat.train.preflight import examine
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import Candidate
from tests.model.onnx.estimators import NUMBERS, SCHEMA, features, table
from tests.preprocess.world import make_usecase


def problem_of(made, classifier):
    """What stands in the way of a pipeline; empty if nothing does."""
    rows, y = table()
    candidates = (Candidate("it", classifier),)
    usecase = make_usecase(SCHEMA, features=lambda: made, candidates=candidates, baseline=())
    found = examine(usecase, data_frame(rows, SCHEMA), y)
    return found[0].problem if found else ""


def forest(count=20):
    return RandomForestClassifier(count, random_state=0)


def tree():
    return DecisionTreeClassifier(max_depth=3, random_state=0)


def raw():
    return ColumnTransformer([("numbers", Floats32(), NUMBERS)])


def imputed(*steps):
    return ColumnTransformer([("numbers", make_pipeline(SimpleImputer(), *steps), NUMBERS)])


def coloured(*steps):
    numbers = make_pipeline(SimpleImputer(), StandardScaler())
    return ColumnTransformer([("colour", make_pipeline(*steps), ["colour"]), ("numbers", numbers, NUMBERS)])


def bins(encode):
    return KBinsDiscretizer(4, encode=encode, quantile_method="averaged_inverted_cdf")


def halved(X):
    return X / 2


def named(values):
    # Without addresses, which differ from process to process.
    return [pytest.param(value, id=re.sub(r" at 0x\w+", "", " ".join(repr(value).split()))[:60]) for value in values]


@pytest.mark.parametrize(
    "classifier",
    named(
        [
            forest(),
            tree(),
            ExtraTreesClassifier(20, random_state=0),
            BaggingClassifier(tree(), 10, max_features=2, random_state=0),
            VotingClassifier([("a", forest()), ("b", tree())], voting="soft", weights=[1, 3]),
            VotingClassifier([("a", HistGradientBoostingClassifier(max_iter=10)), ("b", tree())], voting="soft"),
            StackingClassifier([("a", forest()), ("b", tree())]),
            CalibratedClassifierCV(forest(), cv=2, method="sigmoid"),
            CalibratedClassifierCV(forest(), cv=2, method="isotonic"),
            HistGradientBoostingClassifier(max_iter=10),
        ]
    ),
)
@pytest.mark.parametrize("holes", [True, False], ids=["nulls in training", "none"])
def test_trees_answer_a_null_as_scikit_learn_does(classifier, holes, monkeypatch):
    if not holes:
        rows, y = table()
        full = np.all([~np.isnan(rows[name].to_numpy()) for name in NUMBERS], axis=0)
        monkeypatch.setattr(f"{__name__}.table", lambda: (rows.filter(full), y[full]))
    assert problem_of(raw(), classifier) == ""


@pytest.mark.parametrize("classifier", [AdaBoostClassifier(tree(), n_estimators=5), LogisticRegression()])
def test_what_takes_no_null_is_refused_with_the_remedy(classifier):
    problem = problem_of(raw(), classifier)
    assert problem.startswith("it cannot be trained with its own parameters: Input X contains NaN")
    assert "; impute first" in problem


@pytest.mark.parametrize(
    "step",
    named(
        [
            StandardScaler(),
            StandardScaler(with_mean=False),
            MinMaxScaler((-1, 3), clip=True),
            RobustScaler(),
            MaxAbsScaler(),
            bins("onehot"),
            bins("onehot-dense"),
            bins("ordinal"),
            PolynomialFeatures(3),
            PolynomialFeatures(2, interaction_only=True, include_bias=False),
            make_pipeline(StandardScaler(), PolynomialFeatures(2), RobustScaler()),
            FunctionTransformer(np.square),
            FunctionTransformer(np.clip, kw_args={"a_min": 0, "a_max": 3}),
            FeatureUnion([("a", StandardScaler()), ("b", MinMaxScaler())], transformer_weights={"a": 2.0}),
            PowerTransformer(),
            QuantileTransformer(n_quantiles=30),
            QuantileTransformer(n_quantiles=30, output_distribution="normal"),
        ]
    ),
)
def test_a_forest_behind_a_transformer_decides_as_scikit_learns_does(step):
    assert problem_of(imputed(step), forest(50)) == ""


def test_what_scikit_learn_computes_in_float64_is_computed_in_float64():
    """One-hot columns are float64, and with them all that is put beside them."""
    assert problem_of(make_pipeline(features(), StandardScaler()), forest(50)) == ""
    assert problem_of(make_pipeline(features(), MinMaxScaler(), PolynomialFeatures(2)), forest()) == ""


def test_boosting_on_float64_is_refused_with_a_remedy_that_works():
    boosting = HistGradientBoostingClassifier(max_iter=20)
    scaled = make_pipeline(features(), StandardScaler())
    assert "Floats32() as the last step of the features" in problem_of(scaled, boosting)
    assert problem_of(make_pipeline(features(), StandardScaler(), Floats32()), boosting) == ""


@pytest.mark.parametrize("name", ["log1p", "sqrt", "exp2", "expm1", "abs", "sign", "cbrt", "tanh", "rint", "floor"])
def test_a_function_of_numpy_is_exported_by_its_name(name):
    step = FunctionTransformer(getattr(np, name))
    before = MinMaxScaler() if name in ("exp2", "expm1") else FunctionTransformer(np.abs)
    assert problem_of(imputed(before, step), LogisticRegression(max_iter=500)) == ""


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (FunctionTransformer(lambda X: X * 2), "the function '<lambda>' has no ONNX form"),
        (FunctionTransformer(halved), "the function 'halved' has no ONNX form"),
        (FunctionTransformer(np.arcsinh), "the function numpy.arcsinh has no ONNX form"),
        (FunctionTransformer(np.round, kw_args={"decimals": 1}), "the function numpy.round with decimals has no"),
        (FunctionTransformer(np.clip, kw_args={"a_min": [0, 1, 2, 3], "a_max": 9}), "a_min and a_max that are numbers"),
    ],
    ids=["lambda", "own", "arcsinh", "round", "clip by column"],
)
def test_a_function_without_an_onnx_form_is_refused_with_the_step_and_the_remedy(step, reason):
    problem = problem_of(imputed(step), LogisticRegression())
    assert problem.startswith("features, step 'functiontransformer' FunctionTransformer cannot become an ONNX graph")
    assert reason in problem
    assert problem.endswith("use a function of NumPy's own such as numpy.log1p")


@pytest.mark.parametrize("missing", [np.nan, None, ""])
@pytest.mark.parametrize("strategy", ["most_frequent", "constant"])
def test_an_imputer_of_strings_takes_a_null_for_missing(missing, strategy):
    imputer = SimpleImputer(strategy=strategy, missing_values=missing, fill_value="none")
    made = coloured(imputer, OneHotEncoder(handle_unknown="ignore"))
    assert problem_of(made, forest()) == ""
    assert made.named_transformers_["colour"][0].missing_values == ""
    categories = set(made.named_transformers_["colour"][1].categories_[0])
    assert categories == {"red", "green", "blue"} | ({"none"} if strategy == "constant" else set())


@pytest.mark.parametrize(
    "encoder",
    named(
        [
            OneHotEncoder(handle_unknown="ignore", drop="first"),
            OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=3),
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
            TargetEncoder(random_state=0),
        ]
    ),
)
def test_an_encoder_answers_an_unseen_string_as_scikit_learn_does(encoder):
    assert problem_of(coloured(encoder), forest()) == ""


@pytest.mark.parametrize("encoder", [OneHotEncoder(), OrdinalEncoder()])
def test_an_encoder_that_refuses_an_unseen_string_is_refused(encoder):
    problem = problem_of(coloured(encoder), LogisticRegression())
    assert "scikit-learn itself refuses a row that the schema allows (colour is 'unseen by training')" in problem
    assert "set handle_unknown: 'ignore' of OneHotEncoder, 'use_encoded_value' of OrdinalEncoder" in problem


@pytest.mark.parametrize(
    "encoder",
    named(
        [
            OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=0.2),
            OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-2),
        ]
    ),
)
def test_an_encoder_takes_numbers_and_their_nulls(encoder):
    assert problem_of(ColumnTransformer([("encoded", encoder, ["age", "visits"])]), forest()) == ""


def test_flags_of_what_is_missing_stand_beside_it():
    made = ColumnTransformer(
        [
            ("text", MissingIndicator(features="all"), ["colour"]),
            ("numbers", SimpleImputer(add_indicator=True), NUMBERS),
        ]
    )
    assert problem_of(made, forest()) == ""


@pytest.mark.parametrize(
    "vectorizer",
    named(
        [
            CountVectorizer(),
            CountVectorizer(ngram_range=(1, 2)),
            CountVectorizer(lowercase=False, binary=True),
            CountVectorizer(stop_words="english"),
            TfidfVectorizer(),
        ]
    ),
)
def test_words_are_counted_on_any_locale(vectorizer):
    made = ColumnTransformer([("words", vectorizer, "note"), ("numbers", SimpleImputer(), NUMBERS)])
    assert problem_of(made, LogisticRegression(max_iter=500)) == ""


def test_a_selector_and_a_neighbour_search_are_exported():
    selector = RFE(LogisticRegression(), n_features_to_select=2)
    assert problem_of(imputed(StandardScaler(), selector), LogisticRegression()) == ""
    assert problem_of(features(), KNeighborsClassifier()) == ""
