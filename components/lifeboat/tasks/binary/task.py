"""The task of two classes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.binary.decision import ThresholdDecision
from lifeboat.tasks.binary.scored import METRICS, BinaryScored
from lifeboat.tasks.classes.base import ClassTask
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import WATCHED, Integers
from lifeboat.usecase.label import BinaryLabel


class BinaryTask(ClassTask[BinaryLabel, BinaryScored]):
    """One of two classes: a graph gives the probability of each, the decision says from which on it is class 1."""

    metrics = METRICS
    headline = ("roc_auc", "log_loss", "accuracy", "ece")
    of_slices = ("roc_auc", "log_loss", "accuracy")
    score_help: ClassVar[str] = "Probability of the second class of each predicted row"
    decision: ClassVar[type[Decision]] = ThresholdDecision
    learning: ClassVar[str] = "lifeboat.tasks.binary.learning"
    report: ClassVar[str] = "lifeboat.evaluate.reports.binary"

    def lacks(self, y: Integers, *, learn: bool = False) -> str:  # noqa: ARG002  # both need the same
        """Either class."""
        found = np.unique(y)
        if len(found) == len(self.label.classes):
            return ""
        return f"only {self.label.spell(found[0])!r} occurs, both classes are needed" if len(found) else "there is none"

    @property
    def explained(self) -> Sequence[int]:
        """The probability of class 1; that of class 0 has the same reasons, turned round."""
        return (1,)

    def composition(self, y: Integers) -> str:
        """The share of class 1."""
        return f"{y.mean():.0%} {self.label.classes[1]}" if len(y) else ""

    def marked(self, y: Integers) -> tuple[NDArray[np.bool_], str]:
        """Those of class 1."""
        return np.asarray(y == 1), self.label.classes[1]

    def counted(self, answers: NDArray[np.float32], decision: Decision) -> tuple[list[float], Iterable[int]]:
        """The probability of class 1, and the class."""
        scores: list[float] = answers[:, 1].tolist()
        if isinstance(decision, ThresholdDecision):
            return scores, map(decision.is_positive, scores)
        return scores, decision.call(answers).tolist()

    def kept(self, answers: NDArray[Any]) -> NDArray[Any]:
        """The probability of class 1, [n]."""
        return answers[:, 1]

    def answers_of(self, kept: NDArray[Any]) -> NDArray[Any]:
        return np.column_stack([1 - kept, kept])

    def watched(self, kept: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """The probability of class 1."""
        return {WATCHED: np.asarray(kept, dtype=np.float32)}

    def score(self, y: Integers, answers: NDArray[Any], decision: Decision) -> BinaryScored:
        """As `Task` says; the answers are probabilities, [n, 2]."""
        return BinaryScored(y, answers, decision)
