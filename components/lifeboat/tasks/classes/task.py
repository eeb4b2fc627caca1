"""The task of three classes and more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.classes.base import ClassTask
from lifeboat.tasks.classes.decision import LikeliestClass
from lifeboat.tasks.classes.scored import FEW_CLASSES, ClassesScored, metrics_of
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import WATCHED, Floats, Integers
from lifeboat.usecase.column import listed
from lifeboat.usecase.label import ClassLabel

# Of many classes: which one a row is called, in a reference.
CALLED = f"{WATCHED} class"
# So many classes are named in a sentence.
_NAMED = 5


class ClassesTask(ClassTask[ClassLabel, ClassesScored]):
    """One of several classes: a graph gives the probability of each, and a row is called by the likeliest."""

    of_slices = ("log_loss", "accuracy", "f1_macro")
    score_help: ClassVar[str] = "Probability of the likeliest class of each predicted row"
    decision: ClassVar[type[Decision]] = LikeliestClass
    learning: ClassVar[str] = "lifeboat.tasks.classes.learning"
    report: ClassVar[str] = "lifeboat.evaluate.reports.classes"

    def __init__(self, label: ClassLabel) -> None:
        super().__init__(label)
        self.metrics = metrics_of(label.classes)
        area = ("roc_auc",) if len(label.classes) <= FEW_CLASSES else ()
        self.headline = (*area, "log_loss", "accuracy", "f1_macro", "ece")

    def magnitude(self, contributions: Floats) -> Floats:
        """The probability that goes from some classes to others: what one gains, others lose, and it counts once."""
        return super().magnitude(contributions) / 2

    def lacks(self, y: Integers, *, learn: bool = False) -> str:
        """To learn from, rows of every class: a class that no model saw has no place in its answer."""
        found = np.unique(y)
        if learn and len(found) < len(self.label.classes):
            absent = [self.label.spell(code) for code in np.setdiff1d(np.arange(len(self.label.classes)), found)]
            return f"no row is of {listed(absent, _NAMED)}, and every class is needed"
        if len(found) > 1:
            return ""
        return f"only {self.label.spell(found[0])!r} occurs, two classes are needed" if len(found) else "there is none"

    def composition(self, y: Integers) -> str:
        """The share of the commonest class."""
        if not len(y):
            return ""
        counts = self._counts(y)
        return f"{counts.max() / len(y):.0%} {self.label.spell(int(counts.argmax()))}"

    def marked(self, y: Integers) -> tuple[NDArray[np.bool_], str]:
        """Those of the commonest class."""
        commonest = int(self._counts(y).argmax())
        return np.asarray(y == commonest), self.label.spell(commonest)

    def counted(self, answers: NDArray[np.float32], decision: Decision) -> tuple[list[float], Iterable[int]]:
        """The probability of the likeliest class, and the class that the row is called."""
        return answers.max(axis=1).tolist(), decision.call(answers).tolist()

    def watched(self, kept: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """The probability of each class; of many classes that of the likeliest."""
        kept = np.asarray(kept, dtype=np.float32).reshape(-1, self.width)
        if self.width > FEW_CLASSES:
            return {WATCHED: kept.max(axis=1), CALLED: kept.argmax(axis=1).astype(np.float32)}
        names = (f"{WATCHED} {name}" for name in self.label.classes)
        return {name: kept[:, place] for place, name in enumerate(names)}

    def called(self, watched: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The likeliest class."""
        if self.width > FEW_CLASSES:
            return watched[CALLED].astype(np.int64)
        return np.asarray(np.column_stack(list(watched.values())).argmax(axis=1))

    def followed(self, watched: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
        """The probability of the likeliest class."""
        if self.width > FEW_CLASSES:
            return watched[WATCHED]
        return np.asarray(np.column_stack(list(watched.values())).max(axis=1))

    def score(self, y: Integers, answers: NDArray[Any], decision: Decision) -> ClassesScored:
        """As `Task` says; the answers are probabilities, [n, k]."""
        return ClassesScored(y, answers, decision)
