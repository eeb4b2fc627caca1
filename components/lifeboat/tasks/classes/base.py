"""What the tasks of two classes and of more have in common."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import FEWEST_ROWS, Floats, Integers, Output, Scored, Task
from lifeboat.usecase.label import Classes

LABEL = "label"
# With fewer rows of each class but one a percentile interval says too little to be shown.
_FEWEST_OF_A_CLASS = 5
C = TypeVar("C", bound=Classes)
S = TypeVar("S", bound=Scored)


class ClassTask(Task[C, S]):
    """One of several classes: a graph gives the probability of each."""

    steering: ClassVar[str] = "log_loss"
    output: ClassVar[str] = "probabilities"
    answer_outputs: ClassVar[tuple[str, ...]] = ("probabilities",)
    rightness: ClassVar[str] = "accuracy"
    live: ClassVar[tuple[str, ...]] = ("accuracy", "log_loss", "ece")
    better: ClassVar[str] = "labels {} of them rightly"
    score_bounds = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)

    def __init__(self, label: C) -> None:
        super().__init__(label)
        self.counters = label.classes

    @property
    def names(self) -> tuple[str, ...]:
        """The classes."""
        return self.label.classes

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(f"probability_{name}" for name in self.label.classes)

    @property
    def outputs(self) -> dict[str, Output]:
        """The probabilities, and the name of the class that the row is called."""
        return {self.output: Output("FP32", self.width), LABEL: Output("BYTES")}

    def tensor(self, name: str, answers: NDArray[np.float32], decision: Decision) -> NDArray[np.float32] | list[str]:
        return self.spell(decision.call(answers)) if name == LABEL else answers

    @property
    def number_schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": 0, "maximum": 1}

    def is_number(self, value: object) -> bool:
        """A probability."""
        return type(value) in (int, float) and 0 <= value <= 1  # type: ignore[operator]  # it is a number

    def count_truths(self, truth: Sequence[float]) -> Iterable[int]:
        return map(int, truth)

    def spell(self, called: NDArray[Any]) -> list[str]:
        return [self.label.classes[code] for code in called.tolist()]

    def strata(self, y: Integers) -> NDArray[np.int64]:
        """The class."""
        return np.asarray(y, dtype=np.int64)

    def suffices(self, y: Integers) -> bool:
        """Enough rows, and enough of two classes."""
        return len(y) >= FEWEST_ROWS and int((self._counts(y) >= _FEWEST_OF_A_CLASS).sum()) >= 2

    def facts(self, y: Integers) -> dict[str, Any]:
        """How many rows are of each class."""
        return {"classes": dict(zip(self.label.classes, self._counts(y).tolist(), strict=True))}

    def trivial(self, y: Integers, weights: Floats | None = None) -> list[float]:
        """The share of each class."""
        counts = np.bincount(np.asarray(y, dtype=np.int64), weights=weights, minlength=len(self.label.classes))
        shares: list[float] = (counts / max(counts.sum(), 1e-12)).tolist()
        return shares

    def perfect(self, y: Integers) -> Floats:
        """Sure, but for the last bit that a float32 has."""
        doubt = 1e-6 / max(self.width - 1, 1)
        answers = np.full((len(y), self.width), doubt)
        answers[np.arange(len(y)), np.asarray(y, dtype=np.int64)] = 1 - 1e-6
        return answers

    def _counts(self, y: Integers) -> NDArray[np.int64]:
        return np.bincount(np.asarray(y, dtype=np.int64), minlength=len(self.label.classes))
