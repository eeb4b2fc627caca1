"""A number: what needs scikit-learn, or asks its estimators."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_regressor

from lifeboat.tasks import learning
from lifeboat.tasks.number.calibration import ConformalInterval, conformal_reach
from lifeboat.tasks.number.decision import TheValue
from lifeboat.tasks.number.task import NumberTask
from lifeboat.tasks.task import Floats


class Learning(learning.Learning[NumberTask]):
    """A regressor and the interval about its value."""

    def problem(self, estimator: Any) -> str:
        """It must be a regressor."""
        return "" if is_regressor(estimator) else "is no regressor, and the label is a number"

    def ask(self, estimator: Any, X: Any) -> Floats:
        return np.asarray(estimator.predict(X), dtype=np.float64).reshape(-1, 1)

    def is_answer(self, output: str) -> bool:  # noqa: ARG002  # a regressor has one output
        return True

    def uncalibrated(self, y: Any) -> ConformalInterval:
        """An interval of no width."""
        return self._interval(0.0, 0.0, y)

    def _interval(self, below: float, above: float, y: Any) -> ConformalInterval:
        label = self.task.label
        return ConformalInterval(below, above, float(np.std(y)) or 1.0, label.minimum, label.maximum)

    def calibrate(self, y: Any, raw: Any, fold: Any, weights: Any = None) -> ConformalInterval:  # noqa: ARG002
        """The interval that holds the label's level of the rows: each end leaves out half of the rest.

        The errors are those of models that did not see the row, each trained on all folds but one (cross-conformal
        prediction, Vovk 2015): no row is lost to the calibration, and the final model, which sees more rows than they
        did, errs no more.
        """
        error = y - raw[:, 0]
        tail = (1 - self.task.label.level) / 2
        above, below = (max(0.0, conformal_reach(side, tail, weights)) for side in (error, -error))
        return self._interval(below, above, y)

    def decide(self, rule: Any, y: Any, answers: Any, weights: Any = None) -> TheValue:  # noqa: ARG002  # none to make
        return TheValue()
