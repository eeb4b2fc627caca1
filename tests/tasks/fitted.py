"""A scikit-learn pipeline as the model of two classes that it would be."""

from __future__ import annotations

from typing import Any

import numpy as np

from lifeboat.tasks.binary.scored import BinaryScored
from lifeboat.tasks.binary.task import BinaryTask
from lifeboat.tasks.calibration import Calibration, Uncalibrated
from lifeboat.tasks.learning import Fitted, learning_of
from lifeboat.usecase.label import BinaryLabel

TASK = BinaryTask(BinaryLabel("y", ("no", "yes")))


def binary(pipeline: Any, calibration: Calibration | None = None) -> Fitted:
    """Of a pipeline whose last step is a fitted classifier."""
    return Fitted(pipeline, learning_of(TASK), calibration or Uncalibrated())


def scored(y: Any, p: Any) -> BinaryScored:
    """Answers of the probability of class 1, by the likelier class."""
    p = np.asarray(p, dtype=np.float64)
    return BinaryScored(np.asarray(y), np.column_stack([1 - p, p]))
