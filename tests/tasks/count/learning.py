"""What of it asks scikit-learn's estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import is_regressor

from lifeboat.tasks import learning
from lifeboat.tasks.calibration import Uncalibrated
from lifeboat.tasks.task import Floats, Integers
from tests.tasks.count.task import CountTask, Rate


class Learning(learning.Learning[CountTask]):
    """A regressor whose value is a rate."""

    def problem(self, estimator: Any) -> str:
        return "" if is_regressor(estimator) else "is no regressor, and the label is a count"

    def ask(self, estimator: Any, X: Any) -> Floats:
        return np.asarray(estimator.predict(X), dtype=np.float64).reshape(-1, 1)

    def is_answer(self, output: str) -> bool:
        return bool(output)

    def uncalibrated(self, y: Integers) -> Uncalibrated:
        return Uncalibrated()

    def calibrate(
        self, y: Integers, raw: Floats, fold: NDArray[np.int64], weights: Floats | None = None
    ) -> Uncalibrated:
        assert len(y) == len(raw) == len(fold)
        assert weights is None
        return Uncalibrated()

    def decide(self, rule: Any, y: Integers, answers: NDArray[Any], weights: Floats | None = None) -> Rate:
        assert (len(y), 1) == answers.shape, rule
        assert weights is None
        return Rate()
