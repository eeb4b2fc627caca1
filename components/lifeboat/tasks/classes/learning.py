"""Several classes: what needs scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.optimize import minimize_scalar

from lifeboat.tasks.classes.base_learning import ClassLearning
from lifeboat.tasks.classes.calibration import Temperature
from lifeboat.tasks.classes.decision import LikeliestClass
from lifeboat.tasks.classes.task import ClassesTask
from lifeboat.tasks.task import Floats, Integers

# No model of use is off by more.
_COLDEST, _HOTTEST = 0.25, 10.0


class Learning(ClassLearning[ClassesTask]):
    """A classifier, its probabilities at another temperature where that pays."""

    def fit(self, y: Integers, raw: Floats, weights: Floats | None = None) -> Temperature:
        return fit_temperature(y, raw, weights)

    def decide(self, rule: Any, y: Any, answers: Any, weights: Any = None) -> LikeliestClass:  # noqa: ARG002  # there is one
        return LikeliestClass()


def fit_temperature(y: Integers, raw: Floats, weights: Floats | None = None) -> Temperature:
    """The temperature of the lowest log loss.

    Args:
        y: number of the class, [n].
        raw: probability of each class, from models that did not see the row, [n, k].
        weights: how much each row counts, [n].
    """
    rows = np.arange(len(y))

    def loss(logarithm: float) -> float:
        own = Temperature(float(np.exp(logarithm))).apply(raw)[rows, y]
        return float(np.average(-np.log(np.maximum(own, 1e-7)), weights=weights))

    found = minimize_scalar(loss, bounds=(np.log(_COLDEST), np.log(_HOTTEST)), method="bounded")
    return Temperature(float(np.exp(found.x)))
