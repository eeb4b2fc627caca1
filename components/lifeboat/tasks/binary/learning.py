"""Two classes: what needs scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from lifeboat.tasks import learning
from lifeboat.tasks.binary.calibration import Sigmoid, log_odds
from lifeboat.tasks.binary.decision import ThresholdDecision
from lifeboat.tasks.binary.task import BinaryTask
from lifeboat.tasks.calibration import Calibration, Uncalibrated
from lifeboat.tasks.learning import WORTHWHILE, probabilities
from lifeboat.tasks.task import Floats, Integers


class Learning(learning.Learning[BinaryTask]):
    """A classifier, its probabilities through a sigmoid where that pays, and the use case's threshold."""

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
        """Platt scaling, if it pays on rows that it was not fitted on."""
        scaled = np.empty_like(raw)
        for number in np.unique(fold):
            held = fold == number
            scaled[held] = fit_sigmoid(raw[~held, 1], y[~held]).apply(raw[held])
        pays = self.loss(y, scaled) < self.loss(y, raw) * (1 - WORTHWHILE)
        return fit_sigmoid(raw[:, 1], y) if pays else self.uncalibrated

    def decide(self, rule: Any, y: Integers, answers: NDArray[Any]) -> ThresholdDecision:
        """What the use case's rule for the threshold chooses."""
        chosen: ThresholdDecision = rule.choose(y, answers[:, 1])
        return chosen


def fit_sigmoid(probability: NDArray[Any], y: NDArray[Any]) -> Sigmoid:
    """The logistic regression of the label on the log odds.

    Args:
        probability: of class 1, from models that did not see the row, [n].
        y: labels 0 and 1, [n].
    """
    model = LogisticRegression(C=1e6).fit(log_odds(probability)[:, None], y)
    return Sigmoid(float(model.coef_[0, 0]), float(model.intercept_[0]))
