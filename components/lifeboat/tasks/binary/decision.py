"""The decision between two classes: a threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lifeboat.tasks.decision import Decision
from lifeboat.usecase.label import Label

HALF = 0.5
LIKELIER = "the likelier class"


@dataclass(frozen=True)
class ThresholdDecision(Decision):
    """Class 1 where its probability is above the threshold; at exactly the threshold class 0.

    At one half that is the arg max, a tie going to the first class, as scikit-learn's `predict` has it. Probability and
    threshold are compared as float32, which is what the model answers: a threshold of 0.3 is not above its own answer
    of 0.3 only because the one was written with more digits.

    Args:
        threshold: of the probability of class 1, 0 to 1.
        rule: why it is this one, in words.
    """

    threshold: float = HALF
    rule: str = LIKELIER

    def __post_init__(self) -> None:
        if isinstance(self.threshold, bool) or not isinstance(self.threshold, int | float):
            raise TypeError(f"threshold {self.threshold!r} is no number")
        if not (math.isfinite(self.threshold) and 0 <= self.threshold <= 1):
            raise ValueError(f"threshold {self.threshold} is outside 0 to 1")

    @cached_property
    def limit(self) -> float:
        """The threshold as the float32 that it is compared as."""
        return float(np.float32(self.threshold))

    def call(self, answers: NDArray[Any]) -> NDArray[np.int8]:
        """The class, 0 or 1, of the probabilities of both."""
        return self.positive(answers[:, 1]).astype(np.int8)

    def positive(self, probability: ArrayLike) -> NDArray[np.bool_]:
        """Whether each row is of class 1, [n].

        Args:
            probability: of class 1, [n]; float32, or numbers that were written from float32.
        """
        return np.asarray(np.asarray(probability, dtype=np.float32) > np.float32(self.threshold))

    def is_positive(self, probability: float) -> bool:
        """`positive` of one probability that is a float32 to the last digit, as `ndarray.tolist` gives it."""
        return probability > self.limit

    def explain(self, label: Label) -> str:
        """The threshold of class 1."""
        return f"class {label.spell(1)} above {self.threshold:.3f}: {self.rule}"
