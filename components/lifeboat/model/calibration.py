"""Platt scaling of a classifier's score, as a wrapper that exports to ONNX."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression

from lifeboat.model.decision import Decision

# Near 0 and 1 the log odds magnify the last bit of a 32-bit probability: at 1e-6 by more than the parity check allows.
CLIP = np.float32(1e-4)


def log_odds(probability: NDArray[Any]) -> NDArray[np.float32]:
    """log(p / (1 - p)) as float32, of p clipped to [1e-4, 1 - 1e-4]."""
    clipped = np.clip(probability.astype(np.float64), CLIP, 1 - np.float64(CLIP))
    odds: NDArray[np.float32] = (np.log(clipped) - np.log1p(-clipped)).astype(np.float32)
    return odds


def fit_sigmoid(probability: NDArray[Any], y: NDArray[Any]) -> tuple[float, float]:
    """Slope and intercept of the logistic regression of the label on the log odds (Platt, 1999).

    Args:
        probability: of class 1, from models that did not see the row, [n].
        y: labels 0 and 1, [n].
    """
    model = LogisticRegression(C=1e6).fit(log_odds(probability)[:, None], y)
    return float(model.coef_[0, 0]), float(model.intercept_[0])


def apply_sigmoid(probability: NDArray[Any], slope: float, intercept: float) -> NDArray[np.float32]:
    """The calibrated probability of class 1, [n] to [n]."""
    calibrated: NDArray[np.float32] = 1 / (
        1 + np.exp(-(np.float32(slope) * log_odds(probability) + np.float32(intercept)))
    )
    return calibrated


class Calibrated(ClassifierMixin, BaseEstimator):
    """A fitted classifier whose probability of class 1 goes through a sigmoid of its log odds.

    Args:
        estimator: fitted.
        slope, intercept: of `fit_sigmoid`.
    """

    def __init__(self, estimator: Any, slope: float = 1.0, intercept: float = 0.0) -> None:
        self.estimator = estimator
        self.slope = slope
        self.intercept = intercept

    def fit(self, X: Any, y: Any) -> Self:
        """Fits the inner estimator; slope and intercept stay."""
        self.estimator.fit(X, y)
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    @property
    def classes_(self) -> Any:
        return self.estimator.classes_

    def predict_proba(self, X: Any) -> NDArray[np.float32]:
        positive = apply_sigmoid(self.estimator.predict_proba(X)[:, 1], self.slope, self.intercept)
        return np.column_stack([1 - positive, positive])

    def predict(self, X: Any) -> NDArray[Any]:
        return Decision().positive(self.predict_proba(X)[:, 1]).astype(np.int8)
