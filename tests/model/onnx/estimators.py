"""Every classifier and transformer of scikit-learn's list in a small pipeline: `python -m tests.model.onnx.estimators`.

Writes docs/estimators.md: which of them work, and which are refused with what sentence. `test_export_sweep.py` holds
the page against what happens.
"""

from __future__ import annotations

import inspect
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import CategoricalNB
from sklearn.pipeline import FeatureUnion, Pipeline, make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, MinMaxScaler, OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier
from sklearn.utils import all_estimators
from threadpoolctl import threadpool_limits

from lifeboat.train.parity import data_frame
from lifeboat.train.preflight import examine
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from lifeboat.usecase.usecase import Candidate
from tests.preprocess.world import make_usecase

PAGE = Path(__file__).parents[3] / "docs" / "estimators.md"
COMMAND = "python -m tests.model.onnx.estimators"
SCHEMA = Schema(
    columns=(
        Column("age", "float", nullable=True, minimum=0, maximum=120),
        Column("income", "float", nullable=True, minimum=0, maximum=1000),
        Column("visits", "integer", minimum=0, maximum=20),
        Column("member", "boolean"),
        Column("colour", "string", nullable=True),
        Column("note", "string", nullable=True),
    ),
    label=BinaryLabel("bought", ("no", "yes")),
)
NUMBERS = ["age", "income", "visits", "member"]
# What scikit-learn makes of something else than the columns of a table and one label, and why.
NO_STEP = {
    "ClassifierChain": "is for several labels",
    "DictVectorizer": "takes dictionaries",
    "FeatureHasher": "takes dictionaries",
    "IsotonicRegression": "takes one column as a vector",
    "KernelCenterer": "takes a kernel matrix",
    "LabelBinarizer": "is for labels",
    "LabelEncoder": "is for labels",
    "MultiLabelBinarizer": "is for labels",
    "MultiOutputClassifier": "is for several labels",
    "PatchExtractor": "takes images",
    "SparseCoder": "takes a dictionary of signals",
    "StackingRegressor": "predicts numbers",
    "TSNE": "does not transform rows that it has not seen",
    "VotingRegressor": "predicts numbers",
}
# What has no ONNX form, whoever converts it, and why.
NO_FORM = {
    "DictionaryLearning": "solves an optimisation for each row",
    "GaussianProcessClassifier": "solves a linear system for each row, for which ONNX has no operator",
    "HashingVectorizer": "needs a hash function, for which ONNX has no operator",
    "Isomap": "looks for shortest paths through the training rows",
    "LatentDirichletAllocation": "solves an optimisation for each row",
    "LocallyLinearEmbedding": "solves a linear system for each row",
    "MiniBatchDictionaryLearning": "solves an optimisation for each row",
    "MiniBatchNMF": "solves an optimisation for each row",
    "NMF": "solves an optimisation for each row",
}
# Arguments without which an estimator does not do what a pipeline for two classes needs.
ARGUMENTS: dict[str, dict[str, Any]] = {
    "CCA": {"n_components": 1},
    "DictionaryLearning": {"n_components": 2, "max_iter": 20},
    "FixedThresholdClassifier": {"estimator": LogisticRegression()},
    "GaussianRandomProjection": {"n_components": 3},
    "HashingVectorizer": {"n_features": 16},
    "IterativeImputer": {"max_iter": 3},
    "LatentDirichletAllocation": {"n_components": 2},
    "MLPClassifier": {"max_iter": 50},
    "MiniBatchDictionaryLearning": {"n_components": 2},
    "Nystroem": {"n_components": 20},
    "NuSVC": {"probability": True},
    "PLSCanonical": {"n_components": 1},
    "PLSRegression": {"n_components": 1},
    "PLSSVD": {"n_components": 1},
    "QuadraticDiscriminantAnalysis": {"reg_param": 0.1},
    "QuantileTransformer": {"n_quantiles": 50},
    "RadiusNeighborsClassifier": {"radius": 10.0},
    "RandomTreesEmbedding": {"sparse_output": False},
    "SGDClassifier": {"loss": "log_loss"},
    "SVC": {"probability": True},
    "SelfTrainingClassifier": {"estimator": LogisticRegression()},
    "SparseRandomProjection": {"n_components": 3, "dense_output": True},
    "VotingClassifier": {"voting": "soft"},
}
TEXT = ("CountVectorizer", "HashingVectorizer", "TfidfVectorizer")
ENCODERS: dict[str, dict[str, Any]] = {
    "OneHotEncoder": {"handle_unknown": "ignore"},
    "OrdinalEncoder": {"handle_unknown": "use_encoded_value", "unknown_value": -1},
    "TargetEncoder": {},
}
IMPUTERS = ("IterativeImputer", "KNNImputer", "MissingIndicator", "SimpleImputer")
# What takes nothing negative gets values between 0 and 1.
POSITIVE = (
    "AdditiveChi2Sampler", "ComplementNB", "LatentDirichletAllocation", "MiniBatchNMF", "MultinomialNB", "NMF",
    "SkewedChi2Sampler",
)  # fmt: skip


@dataclass(frozen=True)
class Case:
    """An estimator in a pipeline.

    Args:
        name: of the class.
        written: how it was made.
        role: classifier or transformer.
        features, classifier: unfitted.
    """

    name: str
    written: str
    role: str
    features: Any
    classifier: Any


@dataclass(frozen=True)
class Result:
    """What became of a case: an empty problem means that it works."""

    case: Case
    problem: str


@cache
def table() -> tuple[pa.Table, Any]:
    """240 rows with nulls, and their labels."""
    random, count = np.random.default_rng(0), 240
    age, income = random.normal(40, 12, count).round(4), random.exponential(60, count).round(4)
    visits, member = random.integers(0, 6, count), random.integers(0, 2, count)
    colour = random.choice(["red", "green", "blue"], count).astype(object)
    words = ["good", "Bad", "very", "Ugly", "ok", "dog's"]
    note = np.array([" ".join(random.choice(words, 3)) for _ in range(count)], object)
    score = (age - 40) / 12 + visits / 3 + member + (colour == "red") * 1.5 + random.normal(0, 1, count)
    for column, null in ((age, np.nan), (income, np.nan), (colour, ""), (note, "")):
        column[random.random(count) < 0.1] = null
    numbers = dict(zip(NUMBERS, (age, income, visits, member), strict=True))
    columns = {name: pa.array(values.astype(np.float32)) for name, values in numbers.items()}
    return pa.table(columns | {"colour": pa.array(colour), "note": pa.array(note)}), (score > 2).astype(np.int8)


def features(numbers: Any = None) -> ColumnTransformer:
    """The usual ones: imputed and scaled numbers beside one-hot categories."""
    scaled = numbers or make_pipeline(SimpleImputer(strategy="median"), StandardScaler())
    encoder = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    return ColumnTransformer([("numbers", scaled, NUMBERS), ("colour", encoder, ["colour"])])


def make(cls: type) -> tuple[Any, str]:
    """An estimator of the class, small, and how it is written."""
    parameters = inspect.signature(cls.__init__).parameters
    given: dict[str, Any] = dict(ARGUMENTS.get(cls.__name__, ENCODERS.get(cls.__name__, {})))
    written = dict(given)
    if "estimators" in parameters:
        given["estimators"] = [("line", LogisticRegression()), ("tree", DecisionTreeClassifier(max_depth=3))]
    elif "estimator" in parameters and parameters["estimator"].default is inspect.Parameter.empty:
        given["estimator"] = LogisticRegression()
    if cls is ColumnTransformer:
        given["transformers"] = [("some", "passthrough", [0, 2]), ("scaled", StandardScaler(), slice(1, 3))]
    if cls is FeatureUnion:
        given["transformer_list"] = [("scaled", StandardScaler()), ("main", PCA(2))]
    if cls is Pipeline:
        given["steps"] = [("scaled", StandardScaler())]
    small = {"n_estimators": 10, "random_state": 0}
    given = {name: value for name, value in small.items() if name in parameters} | given
    shown = ", ".join(f"{name}={value!r}" for name, value in written.items())
    return cls(**given), f"{cls.__name__}({shown})"


def cases() -> Iterator[Case]:
    """One for each class of scikit-learn's list that can be a step here."""
    for role in ("classifier", "transformer"):
        for name, cls in all_estimators(role):
            if name not in NO_STEP and not (role == "transformer" and hasattr(cls, "predict_proba")):
                estimator, written = make(cls)
                yield Case(
                    name, written, role, *(_as_classifier if role == "classifier" else _as_step)(name, estimator)
                )


def _as_classifier(name: str, estimator: Any) -> tuple[Any, Any]:
    if isinstance(estimator, CategoricalNB):
        bins = KBinsDiscretizer(3, encode="ordinal", quantile_method="averaged_inverted_cdf")
        return ColumnTransformer([("bins", bins, ["visits", "member"])]), estimator
    if name in POSITIVE:
        return features(make_pipeline(SimpleImputer(), MinMaxScaler(clip=True))), estimator
    return features(), estimator


def _as_step(name: str, estimator: Any) -> tuple[Any, Any]:
    logistic = LogisticRegression(max_iter=500)
    if name in TEXT:
        return ColumnTransformer([("text", estimator, "note")]), logistic
    if name in ENCODERS:
        return ColumnTransformer([("text", estimator, ["colour"])]), logistic
    if name in IMPUTERS:
        return ColumnTransformer([("step", estimator, ["age", "income"])]), logistic
    scaled = MinMaxScaler(clip=True) if name in POSITIVE else StandardScaler()
    step = make_pipeline(SimpleImputer(), scaled, estimator)
    return ColumnTransformer([("step", step, NUMBERS)]), logistic


def attempt(case: Case) -> Result:
    """Fits, exports, loads and probes it, as a search would do first."""
    rows, y = table()
    candidates = (Candidate("it", case.classifier),)
    usecase = make_usecase(SCHEMA, features=lambda: case.features, candidates=candidates, baseline=())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = examine(usecase, data_frame(rows, SCHEMA), y)
    return Result(case, found[0].problem if found else "")


def is_step(result: Result) -> bool:
    """Whether scikit-learn itself can train it here and gets probabilities out of it."""
    itself = ("the features cannot be made", "it cannot be trained")
    return not result.problem.startswith(itself) and "gives no probability" not in result.problem


def page(results: list[Result]) -> str:
    """docs/estimators.md."""
    steps = [result for result in results if is_step(result)]
    possible = [result for result in steps if result.case.name not in NO_FORM]
    works = sum(not result.problem for result in possible)
    head = HEAD.format(works=works, possible=len(possible), share=100 * works / len(possible), command=COMMAND)
    rows = [table_row(result) for result in results]
    rows += [f"| `{name}` | | no step here: it {reason} |" for name, reason in sorted(NO_STEP.items())]
    return head + "\n".join(rows) + "\n"


def table_row(result: Result) -> str:
    """Its line of the page."""
    return f"| {_shown(result)} | {result.case.role} | {_became(result)} |"


def _shown(result: Result) -> str:
    return f"`{result.case.written}`" if "=" in result.case.written else f"`{result.case.name}`"


def _became(result: Result) -> str:
    if not result.problem:
        return "works"
    sentence = stable(result.problem)
    if not is_step(result):
        return f"no step here: {sentence}"
    why = NO_FORM.get(result.case.name)
    return f"refused: {sentence}" + (f" (it {why})" if why else "")


def stable(sentence: str) -> str:
    """Without the numbers and rows in it, which differ from machine to machine."""
    sentence = re.sub(r" \((?:[a-z]+=|age|income)[^;]*\)", "", sentence)
    sentence = re.sub(r"-?\d+\.\d+(e[-+]?\d+)?|\d+e[-+]\d+", "…", sentence)
    return re.sub(r"0x[0-9a-f]+", "…", sentence).replace("|", "\\|")


HEAD = """# Estimators: what can be trained and served

Made by `{command}` from scikit-learn's own list of classifiers and transformers, and held
against what happens by `make sweep`. Each one stands in a small pipeline over a table with nulls, categories and text,
is trained, exported to ONNX, loaded in ONNX Runtime, and held against scikit-learn on the rows and on probes: nulls,
unseen categories, the schema's limits, and values beside each jump of the answer.

{works} of {possible} work ({share:.0f} %). Counted are those that scikit-learn can train on such a table, that give
probabilities, and whose answer to a row is a formula with an ONNX form; "no step here" are others, and of a refused one
without an ONNX form the reason stands in brackets. A refused one is left out of a search with the sentence shown,
before the search begins.

Scalers, imputers, encoders, bins and polynomials are computed bit for bit as scikit-learn does, so trees behind them
decide alike to the last float32. Behind other steps (projections, kernels, logarithms) a threshold may lie some float32
beside scikit-learn's: there, values beside a jump are not probed. KNNImputer is refused on a table on which training
rows are often equally far from each other, since scikit-learn's choice among those follows no rule.

| estimator | as | result |
|---|---|---|
"""


def main() -> None:
    with threadpool_limits(1):
        PAGE.write_text(page([attempt(case) for case in cases()]), encoding="utf-8")


if __name__ == "__main__":
    main()
