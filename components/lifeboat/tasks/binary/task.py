"""The task of two classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lifeboat.config.errors import BundleError
from lifeboat.tasks.binary.decision import ThresholdDecision
from lifeboat.tasks.binary.scored import METRICS, BinaryScored
from lifeboat.tasks.classes.base import ClassTask
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import WATCHED, Integers
from lifeboat.usecase.label import BinaryLabel

# With fewer rows, or fewer of either class, a percentile interval says too little to be shown.
_FEWEST_ROWS, _FEWEST_OF_A_CLASS = 30, 5


class BinaryTask(ClassTask[BinaryLabel, BinaryScored]):
    """One of two classes: a graph gives the probability of each, the decision says from which on it is class 1."""

    metrics = METRICS
    headline = ("roc_auc", "log_loss", "accuracy", "ece")
    of_slices = ("roc_auc", "log_loss", "accuracy")
    score_help: ClassVar[str] = "Probability of the second class of each predicted row"
    learning: ClassVar[str] = "lifeboat.tasks.binary.learning"
    report: ClassVar[str] = "lifeboat.evaluate.reports.binary"

    def read_decision(self, manifest: Mapping[str, Any]) -> ThresholdDecision:
        """A threshold; a bundle of format 1 says none and has the likelier class."""
        given = manifest.get("decision", {})
        try:
            return ThresholdDecision(**given)
        except (TypeError, ValueError) as error:
            raise BundleError(f"bundle.json: decision {given!r} is not a threshold and a rule: {error}") from error

    def explain(self, decision: Decision) -> str:
        """The threshold of class 1."""
        if not isinstance(decision, ThresholdDecision):
            return decision.rule
        return f"class {self.label.classes[1]} above {decision.threshold:.3f}: {decision.rule}"

    def lacks(self, y: Integers, *, learn: bool = False) -> str:  # noqa: ARG002  # both need the same
        """Either class."""
        found = np.unique(y)
        if len(found) == len(self.label.classes):
            return ""
        return f"only {self.label.spell(found[0])!r} occurs, both classes are needed" if len(found) else "there is none"

    def suffices(self, y: Integers) -> bool:
        """Enough rows, and enough of either class."""
        positives = int(y.sum())
        return len(y) >= _FEWEST_ROWS and min(positives, len(y) - positives) >= _FEWEST_OF_A_CLASS

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
