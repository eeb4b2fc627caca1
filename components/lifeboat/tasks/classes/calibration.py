"""Temperature scaling of the probabilities of several classes (Guo and others, 2017)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.calibration import ANSWER, CLIP, PARITY, ROUNDING, SOURCE, Calibration, GraphPart, Nodes


@dataclass(frozen=True)
class Temperature(Calibration):
    """Each probability to the power of 1 / temperature, and the row divided by its sum.

    Args:
        temperature: above 1 it makes a model less sure, below 1 surer.
    """

    temperature: float

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        logs = np.log(np.maximum(raw.astype(np.float32), CLIP)) * np.float32(1 / self.temperature)
        powers = np.exp(logs - logs.max(axis=1, keepdims=True))
        return np.asarray(powers / powers.sum(axis=1, keepdims=True), dtype=np.float32)

    def graph(self) -> GraphPart:
        nodes: Nodes = (
            ("Max", (SOURCE, "low"), "clipped", {}),
            ("Log", ("clipped",), "logs", {}),
            ("Mul", ("logs", "power"), "scaled", {}),
            ("Softmax", ("scaled",), ANSWER, {"axis": 1}),
        )
        constants = {"low": np.asarray(CLIP), "power": np.asarray(np.float32(1 / self.temperature))}
        return GraphPart(nodes, constants)

    def allowed(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """What the estimator's own float32 probability p is off by counts as its share of p, by the power."""
        powers = np.maximum(answers, 1e-12) ** self.temperature
        p = np.maximum(powers / powers.sum(axis=1, keepdims=True), CLIP)
        share = ROUNDING / p / self.temperature
        gain = answers * (share + (answers * share).sum(axis=1, keepdims=True))
        return np.asarray(np.maximum(PARITY, gain.max(axis=1)))

    def to_manifest(self) -> dict[str, float]:
        return {"temperature": self.temperature}
