"""Several classes: what needs scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar

from lifeboat.tasks import learning
from lifeboat.tasks.calibration import Calibration, Uncalibrated
from lifeboat.tasks.classes.calibration import Temperature
from lifeboat.tasks.classes.decision import LikeliestClass
from lifeboat.tasks.classes.task import ClassesTask
from lifeboat.tasks.learning import WORTHWHILE, probabilities
from lifeboat.tasks.task import Floats, Integers

# No model of use is off by more.
_COLDEST, _HOTTEST = 0.25, 10.0


class Learning(learning.Learning[ClassesTask]):
    """A classifier, its probabilities at another temperature where that pays."""

    def problem(self, estimator: Any) -> str:
        """It must give probabilities."""
        return "" if hasattr(estimator, "predict_proba") else "gives no probability"

    def ask(self, estimator: Any, X: Any) -> Floats:
        return probabilities(estimator, X, self.task.width)

    def is_answer(self, output: str) -> bool:
        return "prob" in output

    @property
    def uncalibrated(self) -> Uncalibrated:
        return Uncalibrated()

    def calibrate(self, y: Integers, raw: Floats, fold: NDArray[np.int64]) -> Calibration:
        """Temperature scaling, if it pays on rows that it was not fitted on."""
        scaled = np.empty_like(raw)
        for number in np.unique(fold):
            held = fold == number
            scaled[held] = fit_temperature(y[~held], raw[~held]).apply(raw[held])
        pays = self.loss(y, scaled) < self.loss(y, raw) * (1 - WORTHWHILE)
        return fit_temperature(y, raw) if pays else self.uncalibrated

    def decide(self, rule: Any, y: Integers, answers: NDArray[Any]) -> LikeliestClass:  # noqa: ARG002  # there is one
        return LikeliestClass()


def fit_temperature(y: Integers, raw: Floats) -> Temperature:
    """The temperature of the lowest log loss.

    Args:
        y: number of the class, [n].
        raw: probability of each class, from models that did not see the row, [n, k].
    """
    rows = np.arange(len(y))

    def loss(logarithm: float) -> float:
        own = Temperature(float(np.exp(logarithm))).apply(raw)[rows, y]
        return float(-np.log(np.maximum(own, 1e-7)).mean())

    found = minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return Temperature(float(np.exp(found.x)))
