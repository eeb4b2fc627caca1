"""Contributions beside those of the shap library's TreeExplainer; `make conformance` makes its environment."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.ensemble import GradientBoostingRegressor, RandomForestClassifier, RandomForestRegressor
from sklearn.pipeline import Pipeline

from lifeboat.model.bundle import FILES, GOLDEN, MODEL, REFERENCE, SCHEMA, Bundle, open_bundle, write_bundle
from lifeboat.model.explaining.explainer import Explainer
from lifeboat.model.onnx.onnx_export import export_onnx
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.learning import Fitted, learning_of
from lifeboat.usecase.schema import BinaryLabel, Column, NumberLabel, Schema
from lifeboat.usecase.transformers import Floats32

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / ".venvs" / "shap" / "bin" / "python"
pytestmark = pytest.mark.skipif(not PYTHON.exists(), reason="there is no shap: make conformance")
NUMBER = NumberLabel("number", unit="minutes", minimum=-1000, maximum=1000)
TWO = BinaryLabel("fate", ("died", "survived"))


def bundle_of(folder: Path, estimator: Any, label: Any, X: pd.DataFrame, y: np.ndarray) -> Bundle:
    """The estimator's bundle, whose reference are the rows that it learned from."""
    schema = Schema(tuple(Column(name, "float") for name in X.columns), label)
    learning = learning_of(task_of(label))
    pipeline = Pipeline([("features", Floats32().fit(X)), ("estimator", estimator)])
    model = Fitted(pipeline, learning, learning.uncalibrated(y))
    pq.write_table(pa.Table.from_pandas(X.astype(np.float32), preserve_index=False), folder / REFERENCE)
    files = {
        MODEL: export_onnx(model, schema, X), SCHEMA: schema.to_json().encode(), GOLDEN: json.dumps([]).encode(),
        REFERENCE: (folder / REFERENCE).read_bytes(),
    }  # fmt: skip
    assert set(files) == set(FILES)
    write_bundle(folder / "bundle", files, {"usecase": "trees", "task": label.kind})
    return open_bundle(folder / "bundle")


ESTIMATORS = {
    "boosting": (GradientBoostingRegressor(n_estimators=60, max_depth=4, random_state=0), NUMBER),
    "forest": (RandomForestRegressor(n_estimators=40, max_depth=6, random_state=0), NUMBER),
    "two classes": (RandomForestClassifier(n_estimators=40, max_depth=5, random_state=0), TWO),
}


@pytest.mark.parametrize("columns", [8, 14])
@pytest.mark.parametrize("kind", ESTIMATORS)
def test_contributions_are_those_of_tree_shap(tmp_path: Path, kind: str, columns: int) -> None:
    random = np.random.default_rng(columns)
    X = pd.DataFrame(random.normal(size=(400, columns)).astype(np.float32), columns=[f"c{n}" for n in range(columns)])
    score = 2 * X["c0"] - X["c1"] * X["c2"] + np.maximum(X["c3"], 0) + random.normal(0, 0.3, len(X))
    estimator, label = ESTIMATORS[kind]
    y = (score > 0).to_numpy(int) if label is TWO else 10 * score.to_numpy(float)
    estimator.fit(X.to_numpy(), y)
    explainer = Explainer(bundle_of(tmp_path, estimator, label, X, y))
    rows = X.head(12)
    found = explainer.explain(pa.Table.from_pandas(rows, preserve_index=False))
    background = np.sort(np.random.default_rng(0).permutation(len(X))[: found.background])
    np.save(tmp_path / "background.npy", X.iloc[background].to_numpy(float))
    np.save(tmp_path / "rows.npy", rows.to_numpy(float))
    joblib.dump(estimator, tmp_path / "estimator.joblib")
    subprocess.run([PYTHON, Path(__file__).with_name("shap_peer.py"), "trees", tmp_path], check=True)
    theirs = np.load(tmp_path / "shap.npz")
    ours, size = found.contributions[:, :, 0], np.abs(y).max()
    assert found.base[0] == pytest.approx(theirs["base"][0], abs=1e-5 * size)
    if columns <= 10:
        assert found.exact
        assert np.abs(ours - theirs["values"]).max() < 1e-5 * size
    else:
        # Drawn orders: within what they say they are unsure of, which is little.
        off = np.abs(ours - theirs["values"]) / np.maximum(found.error[:, :, 0], 1e-6 * size)
        assert np.quantile(off, 0.95) < 3
        assert off.max() < 6
        assert found.error.max() < 0.05 * size
