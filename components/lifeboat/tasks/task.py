"""The task: one object that owns what depends on the kind of answer. No other file asks how many classes there are.

Throughout: `y` holds the labels of rows as numbers, [n]; `answers` what a bundle's graph gives for them, [n, width];
weights say how often each row counts, [n].
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from lifeboat.model.decision import Decision

Floats = NDArray[np.float64]
Integers = NDArray[Any]


@dataclass(frozen=True)
class Metric:
    """A figure of a model's answers to rows whose truth is known.

    Args:
        name: as gates, the registry and documents have it.
        title: for people, as it begins a sentence.
        higher_is_better: which way a gain is.
    """

    name: str
    title: str
    higher_is_better: bool


class Scored(ABC):
    """One model's answers to rows whose truth is known, prepared once, so that figures of many replicates are cheap."""

    metrics: ClassVar[tuple[Metric, ...]]
    rows: int

    @abstractmethod
    def figures(self, weights: Floats | None = None) -> Floats:
        """The value of each of `metrics`, [m]; NaN where the rows that have weight cannot tell.

        Args:
            weights: of each row; one each by default.
        """

    @abstractmethod
    def beats(self, other: Self) -> NDArray[np.bool_]:
        """On which rows this model's answer is better than the other's, [n]."""


S = TypeVar("S", bound=Scored)


class Task(ABC, Generic[S]):
    """A kind of answer.

    Attributes:
        metrics: known before any training.
        headline: names of those that are read first.
        of_slices: names of those that are shown of each slice.
    """

    metrics: ClassVar[tuple[Metric, ...]]
    headline: ClassVar[tuple[str, ...]]
    of_slices: ClassVar[tuple[str, ...]]

    @abstractmethod
    def score(self, y: Integers, answers: NDArray[Any], decision: Decision) -> S:
        """Prepares a model's answers for figures.

        Args:
            y, answers: of the same rows.
            decision: what is made of an answer.
        """

    @abstractmethod
    def suffices(self, y: Integers) -> bool:
        """Whether these rows are enough for the confidence limits of a figure to say something."""

    @abstractmethod
    def strata(self, y: Integers) -> NDArray[np.int64]:
        """A small number for each row: rows of one are drawn among themselves in a bootstrap, [n]."""
