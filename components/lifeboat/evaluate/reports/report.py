"""What of a task a person is shown: curves and counts, plots, and words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from importlib import import_module
from typing import Any, ClassVar, Generic, TypeVar

from matplotlib.figure import Figure

from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Scored, Task
from lifeboat.usecase.gates import Interval

T = TypeVar("T", bound=Task[Any, Any])
S = TypeVar("S", bound=Scored)
D = TypeVar("D")


class Report(ABC, Generic[T, S, D]):
    """Of one task.

    Args:
        task: whose.

    Attributes:
        titles: of the plots, by name.
        tested: what won and lost rows of a slice are, and by which test the two models differ there.
    """

    titles: ClassVar[Mapping[str, str]]
    tested: ClassVar[str]

    def __init__(self, task: T) -> None:
        self.task = task

    @abstractmethod
    def details(self, model: S, decision: Decision) -> D:
        """Curves and counts of one model's answers to the held-out rows: a dataclass of what JSON holds."""

    @abstractmethod
    def plots(self, details: D, metrics: Mapping[str, Interval]) -> dict[str, Figure]:
        """Name to plot, in the order of the card."""

    @abstractmethod
    def purpose(self) -> str:
        """What the model gives for one row, within a sentence."""

    @abstractmethod
    def trivial(self) -> str:
        """What a model knows that knows no column, within a sentence."""

    @abstractmethod
    def limits(self, decision: Decision, rows: int) -> list[str]:
        """What is to be known of the figures, in sentences."""

    def decided(self, decision: Decision) -> str:
        """What is made of an answer, and why, in a sentence."""
        return f"What is made of an answer: {decision.rule}."

    def calibrated(self, known: Any) -> str:
        """What a bundle's manifest says of its calibration, in a few words."""
        return "none: it did not help" if known is None else str(known)

    def answer_axis(self) -> str:
        """Title of an axis of answers, with their unit."""
        return "Mean answer"

    def contribution_axis(self) -> str:
        """Title of an axis of what columns add to answers, with its unit."""
        return "Mean absolute contribution"

    def log_kubeflow(self, curves: Any, details: D) -> None:
        """Fills Kubeflow's artifact of classification metrics; of other tasks there is nothing to fill in."""


def report_of(task: Task[Any, Any]) -> Report[Any, Any, Any]:
    """That of a task."""
    found: Report[Any, Any, Any] = import_module(task.report).Report(task)
    return found
