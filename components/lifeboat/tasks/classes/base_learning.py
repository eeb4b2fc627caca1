"""What the tasks of two classes and of more have in common, of what needs scikit-learn."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.calibration import Calibration, Uncalibrated
from lifeboat.tasks.classes.base import ClassTask
from lifeboat.tasks.learning import Learning
from lifeboat.tasks.task import Floats, Integers

T = TypeVar("T", bound=ClassTask[Any, Any])
# Calibration must pay: it adds a dozen nodes to the graph.
WORTHWHILE = 0.005


class ClassLearning(Learning[T]):
    """A classifier, whose probabilities are calibrated where that pays."""

    def problem(self, estimator: Any) -> str:
        """It must give probabilities."""
        return "" if hasattr(estimator, "predict_proba") else "gives no probability"

    def ask(self, estimator: Any, X: Any) -> Floats:
        """The probability of each class, [n, classes]; 0 of one that the estimator did not see."""
        given = np.asarray(estimator.predict_proba(X), dtype=np.float64)
        if given.shape[1] == self.task.width:
            return given
        whole = np.zeros((len(given), self.task.width))
        whole[:, np.asarray(estimator.classes_, dtype=np.int64)] = given
        return whole

    def is_answer(self, output: str) -> bool:
        return "prob" in output

    def uncalibrated(self, y: Any) -> Uncalibrated:  # noqa: ARG002  # probabilities have the scale of all others
        return Uncalibrated()

    def calibrate(
        self, y: Integers, raw: Floats, fold: NDArray[np.int64], weights: Floats | None = None
    ) -> Calibration:
        """That which `fit` finds, if it pays on rows that it was not fitted on."""
        scaled = np.empty_like(raw)
        for number in np.unique(fold):
            held = fold == number
            rest = None if weights is None else weights[~held]
            scaled[held] = self.fit(y[~held], raw[~held], rest).apply(raw[held])
        pays = self.loss(y, scaled, weights) < self.loss(y, raw, weights) * (1 - WORTHWHILE)
        return self.fit(y, raw, weights) if pays else self.uncalibrated(y)

    @abstractmethod
    def fit(self, y: Integers, raw: Floats, weights: Floats | None = None) -> Calibration:
        """The calibration that suits probabilities best.

        Args:
            y: number of the class, [n].
            raw: probability of each class, from models that did not see the row, [n, classes].
            weights: how much each row counts, [n]; all alike unless given.
        """
