"""Platt scaling of the probability of class 1 (Platt, 1999)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.calibration import ANSWER, CLIP, PARITY, ROUNDING, SOURCE, Calibration, GraphPart, Nodes


def log_odds(probability: NDArray[Any]) -> NDArray[np.float32]:
    """log(p / (1 - p)) as float32, of p clipped to [1e-4, 1 - 1e-4]."""
    clipped = np.clip(probability.astype(np.float64), CLIP, 1 - np.float64(CLIP))
    odds: NDArray[np.float32] = (np.log(clipped) - np.log1p(-clipped)).astype(np.float32)
    return odds


@dataclass(frozen=True)
class Sigmoid(Calibration):
    """The probability of class 1 goes through a sigmoid of its log odds.

    Args:
        slope, intercept: of the logistic regression of the label on the log odds.
    """

    slope: float
    intercept: float

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        odds = np.float32(self.slope) * log_odds(raw[:, 1]) + np.float32(self.intercept)
        positive = 1 / (1 + np.exp(-odds))
        return np.column_stack([1 - positive, positive])

    def graph(self) -> GraphPart:
        """The odds come from both classes' probabilities, since 1 - p has few digits left where a 32-bit p is close to
        1."""
        nodes: Nodes = (
            ("Clip", (SOURCE, "low", "high"), "clipped", {}),
            ("Log", ("clipped",), "logs", {}),
            ("Gather", ("logs", "first"), "log_q", {"axis": 1}),
            ("Gather", ("logs", "second"), "log_p", {"axis": 1}),
            ("Sub", ("log_p", "log_q"), "log_odds", {}),
            ("Mul", ("slope", "log_odds"), "scaled", {}),
            ("Add", ("scaled", "intercept"), "shifted", {}),
            ("Sigmoid", ("shifted",), "positive", {}),
            ("Sub", ("one", "positive"), "negative", {}),
            ("Concat", ("negative", "positive"), ANSWER, {"axis": 1}),
        )
        constants = {
            "one": np.float32(1), "first": np.array([0]), "second": np.array([1]), "low": CLIP,
            "high": np.float32(1) - CLIP, "slope": np.float32(self.slope), "intercept": np.float32(self.intercept),
        }  # fmt: skip
        return GraphPart(nodes, {name: np.asarray(value) for name, value in constants.items()})

    def allowed(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the graph's own float32 probability q is off by comes out times slope * p (1 - p) / (q (1 - q)), which
        is much where q is near 0 or 1."""
        if not self.slope:
            return np.full(len(answers), PARITY)
        p = np.clip(answers[:, 1], 1e-12, 1 - 1e-12)
        q = 1 / (1 + np.exp(-(np.log(p / (1 - p)) - self.intercept) / self.slope))
        gain = abs(self.slope) * p * (1 - p) / np.maximum(q * (1 - q), CLIP)
        return np.asarray(np.maximum(PARITY, ROUNDING * gain))

    def to_manifest(self) -> list[float]:
        return [self.slope, self.intercept]
