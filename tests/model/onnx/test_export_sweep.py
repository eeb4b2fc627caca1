"""docs/estimators.md is what happens: some estimators always, all of scikit-learn's list by `make sweep`."""

import os

import pytest

from tests.model.onnx.estimators import COMMAND, NO_FORM, NO_STEP, PAGE, attempt, cases, is_step, page, table_row

EVERY = os.environ.get("SWEEP") == "1"
# Quick ones of each kind: converters of ours, of skl2onnx's, refused, and no step at all.
SOME = (
    "CalibratedClassifierCV", "CountVectorizer", "FunctionTransformer", "HistGradientBoostingClassifier",
    "KBinsDiscretizer", "KNNImputer", "KNeighborsClassifier", "LinearDiscriminantAnalysis", "NMF", "NearestCentroid",
    "OneHotEncoder", "PowerTransformer", "QuantileTransformer", "RFE", "RandomForestClassifier", "RandomTreesEmbedding",
    "RidgeClassifier",
    "SimpleImputer", "SplineTransformer", "TargetEncoder", "TfidfVectorizer", "VotingClassifier",
)  # fmt: skip
CASES = list(cases())


def stale():
    return f"docs/estimators.md is stale; make it anew: {COMMAND}"


@pytest.mark.parametrize("case", [case for case in CASES if case.name in SOME], ids=lambda case: case.name)
def test_an_estimator_does_what_the_page_says(case):
    assert table_row(attempt(case)) in PAGE.read_text().splitlines(), stale()


def test_the_page_has_every_estimator_of_scikit_learns_list():
    text = PAGE.read_text()
    for name in (*(case.written for case in CASES), *NO_STEP):
        assert f"| `{name}` |" in text or f"| `{name.removesuffix('()')}` |" in text, stale()


def test_every_refusal_names_what_to_use_instead():
    refused = [line for line in PAGE.read_text().splitlines() if "| refused: " in line]
    assert len(refused) > len(NO_FORM) / 2
    for line in refused:
        assert "; use " in line or ": use " in line or "; declare " in line, line


@pytest.mark.skipif(not EVERY, reason="takes a minute; make sweep runs it")
def test_the_whole_page_is_what_happens():
    results = [attempt(case) for case in CASES]
    assert page(results) == PAGE.read_text(), stale()
    possible = [result for result in results if is_step(result) and result.case.name not in NO_FORM]
    assert sum(not result.problem for result in possible) >= 0.9 * len(possible)
