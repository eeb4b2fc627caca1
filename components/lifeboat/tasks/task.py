"""The task: one object that owns what depends on the kind of answer. No other file asks how many classes there are.

Throughout: `y` holds the labels of rows as numbers, the number of a class or the value itself, [n]; `answers` what a
bundle's graph gives for them, [n, width]; weights say how often each row counts, [n]. What is here needs numpy alone,
so that the model server and the drift detector can use it; what needs scikit-learn stands beside it
(`lifeboat.tasks.learning`), and so does what a person is shown
(`lifeboat.evaluate.reports`).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.decision import Decision
from lifeboat.usecase.label import Label

Floats = NDArray[np.float64]
Integers = NDArray[Any]
# With fewer rows a percentile interval says too little to be shown.
FEWEST_ROWS = 30
# What a row is called, beside its answer's columns.
PREDICTION = "prediction"
# Starts the names of what is watched of answers; of one number it is the whole name.
WATCHED = "__score"


def watched_columns(names: Iterable[str]) -> list[str]:
    """Those columns of a drift reference that hold what `Task.watched` gives; none in a bundle of before drift."""
    return [name for name in names if name.startswith(WATCHED)]


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

    def loss(self, value: float) -> float:
        """The figure with the sign by which lower is better."""
        return -value if self.higher_is_better else value


@dataclass(frozen=True)
class Output:
    """One output of the Open Inference Protocol.

    Args:
        datatype: in the protocol's words.
        width: numbers of a row; None where the rows are its only axis.
    """

    datatype: str
    width: int | None = None

    def shape(self, rows: int) -> list[int]:
        """Of so many rows."""
        return [rows] if self.width is None else [rows, self.width]


class Scored(ABC):
    """One model's answers to rows whose truth is known, prepared once, so that figures of many replicates are cheap.

    Attributes:
        rows: how many there are.
        right: on which of them the truth is what the answer says, bool [n].
        losses: of each row, for the tests of slices, [n]; None where these count right and wrong decisions instead.
        base: how much each row counts, [n]; None where all count alike.
    """

    rows: int
    right: NDArray[np.bool_]
    losses: Floats | None = None
    base: Floats | None = None

    def weighted(self, base: Floats | None) -> Self:
        """The same, its rows counting so much."""
        self.base = base
        return self

    def weigh(self, weights: Floats | None) -> Floats:
        """The weights by which figures are taken: those given, of rows that count more or less themselves."""
        if self.base is None:
            return np.ones(self.rows) if weights is None else weights
        return self.base if weights is None else weights * self.base

    @abstractmethod
    def figures(self, weights: Floats | None = None) -> Floats:
        """The value of each of the task's metrics, [m]; NaN where the rows that have weight cannot tell.

        Args:
            weights: of each row; one each by default.
        """

    @abstractmethod
    def beats(self, other: Self) -> NDArray[np.bool_]:
        """On which rows this model's answer is better than the other's, [n]."""


L = TypeVar("L", bound=Label)
S = TypeVar("S", bound=Scored)


class Task(ABC, Generic[L, S]):
    """A kind of answer.

    Args:
        label: what is predicted.

    Attributes:
        metrics: known before any training.
        headline: names of those that are read first.
        of_slices: names of those that are shown of each slice.
        steering: name of the one by which the search chooses, unless the use case says another.
        output: name of the graph's one output.
        answer_outputs: names of those of `outputs` whose numbers, side by side, are the answer.
        rightness: what the share of `Scored.right` is called.
        live: names of the metrics that are kept up to date from truths that come back.
        counters: what rows and truths are counted by: the classes, or one for all.
        score_bounds, score_help: of the histogram of what `counted` calls the score of a row.
        decision: what is made of answers; without arguments the usual one.
        better: what it is to beat another model on a row, as in 'only this model ... 12 of them'.
        learning, report: modules with a class `Learning`, a class `Report`; imported where they are asked for.
    """

    metrics: tuple[Metric, ...]
    headline: tuple[str, ...]
    of_slices: tuple[str, ...]
    steering: ClassVar[str]
    output: ClassVar[str]
    answer_outputs: ClassVar[tuple[str, ...]]
    rightness: ClassVar[str]
    live: ClassVar[tuple[str, ...]]
    score_help: ClassVar[str]
    counters: tuple[str, ...]
    score_bounds: tuple[float, ...]
    decision: ClassVar[type[Decision]]
    better: ClassVar[str]
    learning: ClassVar[str]
    report: ClassVar[str]

    def __init__(self, label: L) -> None:
        self.label = label

    # Answers.

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """Of an answer's numbers, as a protocol gives them, [width]."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Of an answer's numbers beside other columns of a table, [width]."""
        return self.names

    @property
    def explained(self) -> Sequence[int]:
        """Places of those numbers of an answer that have a reason of their own."""
        return range(self.width)

    @property
    def width(self) -> int:
        """How many numbers an answer has."""
        return len(self.names)

    def magnitude(self, contributions: Floats) -> Floats:
        """How far something moves an answer, [...]: one number, whatever the width.

        Args:
            contributions: what it adds to each of the numbers in `explained`, [..., explained].
        """
        return np.asarray(np.abs(contributions).sum(axis=-1))

    @abstractmethod
    def spell(self, called: NDArray[Any]) -> list[Any]:
        """What rows are called, as answers have it: names of classes, or numbers, [n]."""

    @property
    @abstractmethod
    def outputs(self) -> dict[str, Output]:
        """What a client of the Open Inference Protocol may ask for, all of it unless it says."""

    @abstractmethod
    def tensor(self, name: str, answers: NDArray[np.float32], decision: Decision) -> NDArray[np.float32] | list[str]:
        """One of `outputs`."""

    @property
    @abstractmethod
    def number_schema(self) -> dict[str, Any]:
        """JSON schema of one of an answer's numbers."""

    @abstractmethod
    def is_number(self, value: object) -> bool:
        """Whether it can be one of an answer's numbers."""

    # What is counted and watched of answers.

    @abstractmethod
    def counted(self, answers: NDArray[np.float32], decision: Decision) -> tuple[list[float], Iterable[int]]:
        """A score of each row, and the place of its counter."""

    @abstractmethod
    def count_truths(self, truth: Sequence[float]) -> Iterable[int]:
        """The place of the counter of each."""

    def kept(self, answers: NDArray[Any]) -> NDArray[Any]:
        """What a detector keeps of answers until their truth comes, [n] or [n, m]."""
        return answers

    def answers_of(self, kept: NDArray[Any]) -> NDArray[Any]:
        """The answers, [n, width]."""
        return kept

    @abstractmethod
    def watched(self, kept: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """What a drift detector watches, [n] each, by names that start with `WATCHED`; a bundle's reference has it."""

    def called(self, watched: Mapping[str, NDArray[Any]]) -> NDArray[Any] | None:  # noqa: ARG002  # others have one
        """The class that each row is called, whose shares a drift detector watches as well; None for no class."""
        return None

    def followed(self, watched: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The one number of each row that is followed row by row, [n]."""
        return next(iter(watched.values()))

    # Rows.

    @abstractmethod
    def strata(self, y: Integers) -> NDArray[np.int64]:
        """A small number for each row: a split takes its share of the rows of each, [n]."""

    def drawn_among(self, y: Integers) -> NDArray[np.int64]:
        """A small number for each row: a bootstrap draws rows of one among themselves, [n]."""
        return self.strata(y)

    @abstractmethod
    def lacks(self, y: Integers, *, learn: bool = False) -> str:
        """What rows lack to judge a model on, or to learn from; empty for nothing."""

    @abstractmethod
    def suffices(self, y: Integers) -> bool:
        """Whether these rows are enough for the confidence limits of a figure to say something."""

    @abstractmethod
    def facts(self, y: Integers) -> dict[str, Any]:
        """What rows hold of the label, for documents; of no rows nothing."""

    @abstractmethod
    def composition(self, y: Integers) -> str:
        """What rows hold of the label, in a few words; of no rows nothing."""

    @abstractmethod
    def marked(self, y: Integers) -> tuple[NDArray[np.bool_], str]:
        """Some of the rows, [n], by which parts of a table are told apart at a glance, and what these are called."""

    # Models.

    @abstractmethod
    def trivial(self, y: Integers, weights: Floats | None = None) -> list[float]:
        """The answer of a model that knows nothing but that a row is one of these, [width]."""

    def moved(self, y: Any, by: float) -> Any:  # noqa: ARG002  # of a number
        """The truth of a row in a simulated world that is another: as it was, unless a number moves by so much."""
        return y

    @abstractmethod
    def perfect(self, y: Integers) -> Floats:
        """The answers of a model that knows the truth, [n, width]."""

    @abstractmethod
    def score(self, y: Integers, answers: NDArray[Any], decision: Decision) -> S:
        """Prepares a model's answers for figures.

        Args:
            y, answers: of the same rows.
            decision: what is made of an answer.
        """

    def metric(self, name: str) -> Metric:
        """One of its metrics; raises KeyError for another name."""
        return {metric.name: metric for metric in self.metrics}[name]
