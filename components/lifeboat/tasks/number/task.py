"""The task of a number with its interval."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import repeat
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.decision import Decision
from lifeboat.tasks.number.decision import TheValue
from lifeboat.tasks.number.scored import METRICS, NumberScored
from lifeboat.tasks.task import FEWEST_ROWS, WATCHED, Floats, Integers, Output, Task
from lifeboat.usecase.label import NumberLabel

# A split takes its share of each of so many bands of the number.
_BANDS = 5
# The same for every version of a model, so that a canary's histogram compares: 1, 2 and 5 of each power of ten.
_SIZES = [float(f"{digit}e{power}") for power in range(-2, 6) for digit in (1, 2, 5)]
_BOUNDS = (*(-size for size in reversed(_SIZES)), 0.0, *_SIZES)


def _within(bound: float, label: NumberLabel) -> bool:
    return (label.minimum is None or bound >= label.minimum) and (label.maximum is None or bound <= label.maximum)


class NumberTask(Task[NumberLabel, NumberScored]):
    """A number: a graph gives its value, and an interval that holds the truth as often as the label asks."""

    metrics = METRICS
    headline = ("mae", "rmse", "r2", "coverage")
    of_slices = ("mae", "rmse", "coverage")
    steering: ClassVar[str] = "mae"
    output: ClassVar[str] = "values"
    better: ClassVar[str] = "is nearer to the truth on {} of them"
    answer_outputs: ClassVar[tuple[str, ...]] = ("value", "lower", "upper")
    rightness: ClassVar[str] = "coverage"
    live: ClassVar[tuple[str, ...]] = ("mae", "rmse", "coverage")
    score_help: ClassVar[str] = "Value of each predicted row"
    counters = ("value",)
    decision: ClassVar[type[Decision]] = TheValue
    learning: ClassVar[str] = "lifeboat.tasks.number.learning"
    report: ClassVar[str] = "lifeboat.evaluate.reports.number"

    def __init__(self, label: NumberLabel) -> None:
        super().__init__(label)
        self.score_bounds = tuple(bound for bound in _BOUNDS if _within(bound, label))

    @property
    def names(self) -> tuple[str, ...]:
        """The number's name, and those of the ends of its interval."""
        return (self.label.name, f"{self.label.name}_lower", f"{self.label.name}_upper")

    @property
    def columns(self) -> tuple[str, ...]:
        """Beside a table's columns, one of which may have the number's own name."""
        return ("value", "lower", "upper")

    @property
    def explained(self) -> Sequence[int]:
        """The value; the ends of its interval are as far from it whatever the row."""
        return (0,)

    @property
    def outputs(self) -> dict[str, Output]:
        """The value, and the ends of its interval."""
        return {name: Output("FP32") for name in self.answer_outputs}

    def tensor(self, name: str, answers: NDArray[np.float32], decision: Decision) -> NDArray[np.float32] | list[str]:  # noqa: ARG002
        return np.ascontiguousarray(answers[:, self.answer_outputs.index(name)])

    @property
    def number_schema(self) -> dict[str, Any]:
        limits = {"minimum": self.label.minimum, "maximum": self.label.maximum}
        return {"type": "number", **{name: limit for name, limit in limits.items() if limit is not None}}

    def is_number(self, value: object) -> bool:
        """Any that is finite."""
        return type(value) in (int, float) and math.isfinite(value)  # type: ignore[arg-type]  # it is a number

    def spell(self, called: NDArray[Any]) -> list[float]:
        return np.asarray(called).tolist()  # type: ignore[no-any-return]  # numpy's tolist is Any

    def strata(self, y: Integers) -> NDArray[np.int64]:
        """The fifth of these rows that the number lies in."""
        edges = np.quantile(y, np.arange(1, _BANDS) / _BANDS) if len(y) else np.empty(0)
        return np.searchsorted(np.unique(edges), y, side="right").astype(np.int64)

    def drawn_among(self, y: Integers) -> NDArray[np.int64]:
        """All rows: which numbers the rows have is a part of what a sample is unsure of."""
        return np.zeros(len(y), dtype=np.int64)

    def moved(self, y: float, by: float) -> float:
        """So much more, within the limits: where little tells a number, other inputs alone change no error."""
        highest = math.inf if self.label.maximum is None else self.label.maximum
        return min(y + by, highest)

    def lacks(self, y: Integers, *, learn: bool = False) -> str:  # noqa: ARG002  # both need the same
        """Numbers that differ."""
        if not len(y):
            return "there is none"
        return "" if y.min() < y.max() else f"all are {self.label.spell(y[0])}, numbers that differ are needed"

    def suffices(self, y: Integers) -> bool:
        """Enough rows."""
        return len(y) >= FEWEST_ROWS

    def facts(self, y: Integers) -> dict[str, Any]:
        """Mean, median and limits."""
        if not len(y):
            return {}
        return {"mean": float(np.mean(y)), "median": float(np.median(y)), "minimum": float(np.min(y)),
                "maximum": float(np.max(y))}  # fmt: skip

    def composition(self, y: Integers) -> str:
        """The mean."""
        return f"mean {self.label.spell(float(f'{np.mean(y):.3g}'))}" if len(y) else ""

    def marked(self, y: Integers) -> tuple[NDArray[np.bool_], str]:
        """Those above the median."""
        median = float(np.median(y)) if len(y) else 0.0
        return np.asarray(y > median), f"above {self.label.spell(median)}"

    def trivial(self, y: Integers, weights: Floats | None = None) -> list[float]:
        """The median, and what holds the middle of the rows to the label's level."""
        tail = (1 - self.label.level) / 2
        points = (tail, 0.5, 1 - tail)
        if weights is None:
            lower, median, upper = np.quantile(y, points).tolist()
            return [median, lower, upper]
        order = np.argsort(y, kind="stable")
        below = np.cumsum(weights[order])
        lower, median, upper = (float(y[order][np.searchsorted(below, point * below[-1])]) for point in points)
        return [median, lower, upper]

    def counted(self, answers: NDArray[np.float32], decision: Decision) -> tuple[list[float], Iterable[int]]:  # noqa: ARG002
        """The value; all rows have one counter."""
        return answers[:, 0].tolist(), repeat(0, len(answers))

    def count_truths(self, truth: Sequence[float]) -> Iterable[int]:
        return repeat(0, len(truth))

    def perfect(self, y: Integers) -> Floats:
        """The truth, and no doubt about it."""
        return np.column_stack([y, y, y]).astype(np.float64)

    def watched(self, kept: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """The value."""
        return {WATCHED: np.asarray(kept, dtype=np.float32).reshape(-1, self.width)[:, 0]}

    def score(self, y: Integers, answers: NDArray[Any], decision: Decision) -> NumberScored:  # noqa: ARG002  # none made
        """As `Task` says; the answers are value, lower and upper, [n, 3]."""
        return NumberScored(y, answers, self.label.level)
