"""The interval about a value, by conformal prediction (Vovk and others, 2005; Lei and others, 2018)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.calibration import ANSWER, PARITY, SOURCE, Calibration, GraphPart, Nodes

# What an answer keeps to where the label has no limit: a float32's own.
_LOWEST, _HIGHEST = float(np.finfo(np.float32).min), float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class ConformalInterval(Calibration):
    """The value as the estimator gives it, with the interval about it; all three within the label's limits.

    Args:
        below, above: how far the interval reaches from the value.
        scale: spread of the labels, by which rounding is judged.
        minimum, maximum: limits of the label; None for none.
    """

    below: float
    above: float
    scale: float
    minimum: float | None = None
    maximum: float | None = None

    def apply(self, raw: NDArray[Any]) -> NDArray[np.float32]:
        value = raw[:, 0].astype(np.float32)
        ends = np.column_stack([value, value - np.float32(self.below), value + np.float32(self.above)])
        low, high = self._limits
        return np.asarray(np.clip(ends, np.float32(low), np.float32(high)))

    @property
    def _limits(self) -> tuple[float, float]:
        return (_LOWEST if self.minimum is None else self.minimum, _HIGHEST if self.maximum is None else self.maximum)

    def graph(self) -> GraphPart:
        low, high = self._limits
        nodes: Nodes = (("Add", (SOURCE, "reach"), "ends", {}), ("Clip", ("ends", "low", "high"), ANSWER, {}))
        constants = {
            "reach": np.array([[0, -self.below, self.above]], dtype=np.float32),
            "low": np.asarray(low, dtype=np.float32), "high": np.asarray(high, dtype=np.float32),
        }  # fmt: skip
        return GraphPart(nodes, constants)

    def allowed(self, answers: NDArray[np.float64]) -> NDArray[np.float64]:
        """In proportion to the numbers themselves, and to what they spread."""
        return np.asarray(PARITY * np.maximum(self.scale, np.abs(answers).max(axis=1)))

    def to_manifest(self) -> dict[str, float]:
        return {"below": self.below, "above": self.above}


def conformal_reach(errors: NDArray[Any], tail: float, weights: NDArray[np.float64] | None = None) -> float:
    """How far an interval must reach to one side, so that of new rows at most this share lies beyond it.

    Args:
        errors: truth less value of rows that the model did not see (value less truth for the lower side), [n].
        tail: share of rows that may lie beyond.
        weights: how much each row counts, [n]; the new row counts as much as they do on average.
    """
    if weights is not None:
        order = np.argsort(errors, kind="stable")
        within = np.cumsum(weights[order]) / (weights.sum() + weights.mean())
        return float(errors[order][min(int(np.searchsorted(within, 1 - tail)), len(errors) - 1)])
    rank = math.ceil((len(errors) + 1) * (1 - tail))
    # Of too few rows no error is large enough: the largest there is.
    return float(np.sort(errors)[min(rank, len(errors)) - 1])
