"""How far the graph's answers may be from scikit-learn's, where those are sure."""

from __future__ import annotations

import warnings

import numpy as np
import pyarrow as pa
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import make_pipeline

from lifeboat.model.probes import Probes
from lifeboat.tasks.binary.calibration import Sigmoid
from lifeboat.tasks.calibration import PARITY
from lifeboat.train import parity
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from tests.tasks.fitted import binary

SCHEMA = Schema(columns=(Column("x", "float"),), label=BinaryLabel("y", ("no", "yes")))


class Separating(DummyClassifier):
    """Says of a number above zero that it is of class 1 beyond all doubt, as on a table that can be divided."""

    def predict_proba(self, X):
        positive = (np.asarray(X)[:, 0] > 0).astype(np.float64)
        return np.column_stack([1 - positive, positive])


def test_answers_that_are_sure_leave_no_warning_and_no_more_room_than_others():
    fitted = Separating(strategy="prior").fit([[-1.0], [1.0]], [0, 1])
    model = binary(make_pipeline("passthrough", fitted), Sigmoid(slope=1.3, intercept=0.1))
    rows = pa.table({"x": pa.array([-1.0, 1.0], pa.float32())})
    expected = parity._expected(model, SCHEMA, Probes(rows, ["training row"] * 2))
    assert expected.dtype == np.float64
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        allowed = model.calibration.allowed(expected)
    assert allowed.tolist() == [PARITY] * 2
