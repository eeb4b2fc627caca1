"""Models whose reasons are known by another way: as scikit-learn sees them, and by arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from onnx import TensorProto, helper, numpy_helper
from sklearn.base import BaseEstimator, ClassifierMixin

from lifeboat.evaluate.explanation.sample import Sample
from lifeboat.model.bundle import FILES, MODEL, REFERENCE, SCHEMA, Bundle, open_bundle, write_bundle
from lifeboat.model.scoring import Scorer
from lifeboat.tasks.number.task import NumberTask
from lifeboat.usecase.schema import Column, NumberLabel, Schema
from tests.evaluate.world import rows

NUMBERS = Schema((Column("length", "float"), Column("depth", "float"), Column("noise", "float")), NumberLabel("mass"))
SLOPES = {"length": 3.0, "depth": -0.5, "noise": 0.0}


def sample_of(bundle: Bundle, table: pa.Table | None = None, seed: int = 0) -> Sample:
    """All rows of `rows`, or of another table, in a drawn order."""
    known = pa.table(rows()) if table is None else table
    y = known[bundle.schema.label.name].to_numpy()
    everything = Sample(Scorer(bundle.model, bundle.schema), bundle.decision, known, y, None)
    return everything.draw(known.num_rows, seed)


class AsClassifier(ClassifierMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """A bundle's model as a fitted classifier over data frames."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.classes_ = np.array([0, 1])
        self.scorer_ = Scorer(bundle.model, bundle.schema)

    def fit(self, *_: Any) -> AsClassifier:
        return self

    def predict_proba(self, frame: pd.DataFrame) -> Any:
        return self.scorer_.answers(pa.Table.from_pandas(frame, preserve_index=False))

    def predict(self, frame: pd.DataFrame) -> Any:
        return self.predict_proba(frame).argmax(axis=1)


def linear_rows(count: int = 300, seed: int = 0) -> pa.Table:
    """Numbers, and a truth that is the linear model's answer with some noise."""
    random = np.random.default_rng(seed)
    columns = {name: random.normal(size=count).astype(np.float32) for name in SLOPES}
    mass = sum(slope * columns[name] for name, slope in SLOPES.items()) + random.normal(size=count)
    return pa.table({**columns, "mass": np.asarray(mass, dtype=np.float64)})


def linear_bundle(directory: Path) -> Bundle:
    """A value that is a sum of the columns times `SLOPES`, with an interval of one to each side."""
    nodes, weights = [], {name: np.float32(slope) for name, slope in SLOPES.items()}
    nodes += [helper.make_node("Mul", [name, f"{name} slope"], [f"{name} term"]) for name in weights]
    nodes += [
        helper.make_node("Sum", [f"{name} term" for name in weights], ["value"]),
        helper.make_node("Sub", ["value", "one"], ["lower"]),
        helper.make_node("Add", ["value", "one"], ["upper"]),
        helper.make_node("Concat", ["value", "lower", "upper"], [NumberTask.output], axis=1),
    ]
    constants = {"one": np.float32(1), **{f"{name} slope": slope for name, slope in weights.items()}}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, 1]) for name in weights]
    outputs = [helper.make_tensor_value_info(NumberTask.output, TensorProto.FLOAT, [None, 3])]
    values = [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()]
    made = helper.make_graph(nodes, "linear", inputs, outputs, values)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    reference = directory.parent / "reference.parquet"
    pq.write_table(linear_rows(100, seed=1).drop_columns(["mass"]), reference)
    files = dict.fromkeys(FILES, b"[]") | {
        MODEL: model.SerializeToString(),
        SCHEMA: NUMBERS.to_json().encode(),
        REFERENCE: reference.read_bytes(),
    }
    write_bundle(directory, files, {"usecase": "mass", "task": "number", "lineage": {}, "training": {}})
    return open_bundle(directory)
