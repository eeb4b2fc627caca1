"""Two classes: what needs scikit-learn."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from lifeboat.tasks.binary.calibration import Sigmoid, log_odds
from lifeboat.tasks.binary.decision import ThresholdDecision
from lifeboat.tasks.binary.task import BinaryTask
from lifeboat.tasks.classes.base_learning import ClassLearning
from lifeboat.tasks.task import Floats, Integers


class Learning(ClassLearning[BinaryTask]):
    """A classifier, its probabilities through a sigmoid where that pays, and the use case's threshold."""

    def fit(self, y: Integers, raw: Floats, weights: Floats | None = None) -> Sigmoid:
        """Platt scaling: the logistic regression of the label on the log odds."""
        model = LogisticRegression(C=1e6).fit(log_odds(raw[:, 1])[:, None], y, sample_weight=weights)
        return Sigmoid(float(model.coef_[0, 0]), float(model.intercept_[0]))

    def decide(self, rule: Any, y: Integers, answers: NDArray[Any], weights: Floats | None = None) -> ThresholdDecision:
        """What the use case's rule for the threshold chooses."""
        chosen: ThresholdDecision = rule.choose(y, answers[:, 1], weights)
        return chosen
