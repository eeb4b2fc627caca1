"""Gradient boosting by other libraries, as candidates among scikit-learn's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import catboost
import lightgbm
import pytest
import xgboost
from catboost import CatBoostClassifier
from lightgbm import LGBMClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from xgboost import XGBClassifier

from lifeboat.model.bundle import open_bundle
from lifeboat.preprocess.step import Outputs, preprocess
from lifeboat.train.step import train
from lifeboat.usecase.usecase import Candidate
from tests.evaluate.world import quiet
from tests.usecases import breast_cancer

MODELS = {
    "lightgbm": LGBMClassifier(n_estimators=40, verbose=-1, subsample=0.8, subsample_freq=1, colsample_bytree=0.7),
    "xgboost": XGBClassifier(n_estimators=40, subsample=0.8, colsample_bytree=0.7),
    "catboost": CatBoostClassifier(iterations=40, bootstrap_type="Bernoulli", subsample=0.8, rsm=0.7),
    "lightgbm behind a scaler": make_pipeline(StandardScaler(), LGBMClassifier(n_estimators=40, verbose=-1)),
}


@pytest.mark.parametrize(
    ("estimator", "stop_after"),
    [*((estimator, None) for estimator in MODELS.values()), (MODELS["catboost"], 5)],
    ids=[*MODELS, "catboost that stops"],
)
def test_a_bundle_of_it_is_made_twice_alike_and_names_the_library(
    estimator: Any, stop_after: int | None, tmp_path: Path
) -> None:
    usecase = replace(breast_cancer.USECASE, candidates=(Candidate("booster", estimator, stop_after=stop_after),))
    outputs = Outputs(*(tmp_path / name for name in ("train", "test", "broken", "page")))
    preprocess(usecase, str(breast_cancer.write_data(tmp_path / "rows.csv")), outputs, say=quiet)
    said: list[str] = []
    first = train(usecase, outputs.train, tmp_path / "first", seed=3, say=said.append)
    assert "ONNX graph of" in str(said)
    assert train(usecase, outputs.train, tmp_path / "second", seed=3, say=quiet).digest == first.digest
    found = open_bundle(tmp_path / "first").manifest["versions"].items()
    known = {"catboost": catboost.__version__, "lightgbm": lightgbm.__version__, "xgboost": xgboost.__version__}
    [library] = set(known) & {name for name, _ in found}
    assert dict(found)[library] == known[library]
