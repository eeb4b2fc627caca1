"""Choosing the threshold of the decision: what a use case sets, or what suits it best on the cross-validation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lifeboat.config.errors import UseCaseError
from lifeboat.tasks.binary.decision import HALF, LIKELIER, ThresholdDecision

Floats = NDArray[np.float64]


class ThresholdRule(Protocol):
    """Anything that can choose a threshold."""

    def choose(self, y: NDArray[Any], p: NDArray[Any], weights: Floats | None = None) -> ThresholdDecision:
        """The decision.

        Args:
            y: labels 0 and 1, [n].
            p: probability of class 1 by models that did not see the row, calibrated as the model will be, [n].
        """


def _refuse(rule: str, **limits: tuple[float, bool, str]) -> None:
    for name, (value, holds, limit) in limits.items():
        if not holds:
            raise UseCaseError(f"{rule}: {name} is {value!r}, it must be {limit}")


@dataclass(frozen=True)
class Threshold:
    """The threshold that the use case sets; one half, the likelier class, unless told.

    Args:
        value: class 1 is above it; 0 to 1.
    """

    value: float = HALF

    def __post_init__(self) -> None:
        _refuse("Threshold", value=(self.value, 0 <= self.value <= 1, "within 0 to 1"))

    def choose(self, y: NDArray[Any], p: NDArray[Any], weights: Floats | None = None) -> ThresholdDecision:  # noqa: ARG002  # the protocol's signature
        return ThresholdDecision(float(self.value), LIKELIER if self.value == HALF else "set by the use case")


LIKELIER_CLASS = Threshold()


@dataclass(frozen=True)
class BestF1:
    """The threshold of the highest F1."""

    def choose(self, y: NDArray[Any], p: NDArray[Any], weights: Floats | None = None) -> ThresholdDecision:
        counts = _ThresholdCounts.of(y, p, weights)
        return counts.best(counts.f1, lambda value: f"the highest F1 on the cross-validation, {value:.3f}")


@dataclass(frozen=True)
class LowestCost:
    """The threshold at which errors cost least.

    Args:
        false_positive: cost of calling a row of class 0 class 1.
        false_negative: cost of calling a row of class 1 class 0.
    """

    false_positive: float
    false_negative: float

    def __post_init__(self) -> None:
        costs = {"false_positive": self.false_positive, "false_negative": self.false_negative}
        _refuse("LowestCost", **{name: (cost, 0 < cost < np.inf, "above 0 and finite") for name, cost in costs.items()})

    def choose(self, y: NDArray[Any], p: NDArray[Any], weights: Floats | None = None) -> ThresholdDecision:
        counts = _ThresholdCounts.of(y, p, weights)
        cost = (self.false_positive * counts.false_positive + self.false_negative * counts.false_negative) / len(y)
        words = f"{self.false_positive:g} for a false positive, {self.false_negative:g} for a false negative"
        return counts.best(-cost, lambda value: f"the lowest cost on the cross-validation, {-value:.3f} a row: {words}")


@dataclass(frozen=True)
class RecallAtLeast:
    """The threshold of the highest precision among those with at least this recall.

    Args:
        bound: share of class 1 to be found, above 0 and at most 1.
    """

    bound: float

    def __post_init__(self) -> None:
        _refuse("RecallAtLeast", bound=(self.bound, 0 < self.bound <= 1, "above 0 and at most 1"))

    def choose(self, y: NDArray[Any], p: NDArray[Any], weights: Floats | None = None) -> ThresholdDecision:
        counts = _ThresholdCounts.of(y, p, weights)
        return counts.bounded(counts.recall, self.bound, counts.precision, ("recall", "precision"))


@dataclass(frozen=True)
class PrecisionAtLeast:
    """The threshold of the highest recall among those with at least this precision.

    Args:
        bound: share of class 1 among the rows that are called so, above 0 and at most 1.
    """

    bound: float

    def __post_init__(self) -> None:
        _refuse("PrecisionAtLeast", bound=(self.bound, 0 < self.bound <= 1, "above 0 and at most 1"))

    def choose(self, y: NDArray[Any], p: NDArray[Any], weights: Floats | None = None) -> ThresholdDecision:
        counts = _ThresholdCounts.of(y, p, weights)
        return counts.bounded(counts.precision, self.bound, counts.recall, ("precision", "recall"))


@dataclass(frozen=True)
class _ThresholdCounts:
    """What each threshold between two neighbouring scores would give, and those beyond the lowest and the highest.

    Args:
        thresholds: ascending, [m].
        true_positive, false_positive, false_negative: rows, [m].
    """

    thresholds: Floats
    true_positive: Floats
    false_positive: Floats
    false_negative: Floats

    @classmethod
    def of(cls, y: NDArray[Any], p: NDArray[Any], weights: Floats | None) -> _ThresholdCounts:
        scores, place = np.unique(np.asarray(p, dtype=np.float32), return_inverse=True)
        counted = np.ones(len(y)) if weights is None else weights / weights.mean()
        positives = np.bincount(place, weights=y * counted, minlength=len(scores))
        rows = np.bincount(place, weights=counted, minlength=len(scores))
        # Above a threshold is what is not below it: of the cut before each score, and of the one behind the last.
        below = np.concatenate([[0.0], np.cumsum(positives)])
        above = positives.sum() - below
        called = rows.sum() - np.concatenate([[0.0], np.cumsum(rows)])
        # What rounding leaves of a sum is nothing.
        return cls(_cuts(scores), *(np.maximum(part, 0.0) for part in (above, called - above, below)))

    @property
    def precision(self) -> Floats:
        called = self.true_positive + self.false_positive
        return np.asarray(self.true_positive / np.maximum(called, 1))

    @property
    def recall(self) -> Floats:
        return np.asarray(self.true_positive / np.maximum(self.true_positive + self.false_negative, 1))

    @property
    def f1(self) -> Floats:
        errors = self.false_positive + self.false_negative
        return np.asarray(2 * self.true_positive / np.maximum(2 * self.true_positive + errors, 1))

    def best(self, gain: Floats, rule: Callable[[float], str]) -> ThresholdDecision:
        """The threshold of the largest gain; of several the one nearest to one half."""
        tied = np.flatnonzero(gain >= gain.max() - 1e-12)
        chosen = tied[np.argmin(np.abs(self.thresholds[tied] - HALF))]
        return ThresholdDecision(float(self.thresholds[chosen]), rule(float(gain[chosen])))

    def bounded(self, kept: Floats, bound: float, gain: Floats, names: tuple[str, str]) -> ThresholdDecision:
        """The largest gain where `kept` reaches the bound; where it never does, the nearest to it."""
        enough = kept >= bound
        if not enough.any():
            words = f"the highest {names[0]} there is on the cross-validation, {{:.3f}}; {bound:g} was asked"
            return self.best(kept, words.format)
        words = f"the highest {names[1]}, {{:.3f}}, with a {names[0]} of at least {bound:g} on the cross-validation"
        return self.best(np.where(enough, gain, -1.0), words.format)


def _cuts(scores: NDArray[np.float32]) -> Floats:
    """A threshold below the lowest score, one between each two, and the highest itself, as float32 holds them."""
    between = (scores[:-1].astype(np.float64) + scores[1:]) / 2
    rounded = between.astype(np.float32)
    # Between neighbouring float32 there is none: the lower one is a threshold that only the higher is above.
    middle = np.where(rounded < scores[1:], rounded, scores[:-1])
    return np.concatenate([scores[:1] / 2, middle, scores[-1:]]).astype(np.float64)
