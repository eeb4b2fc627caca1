"""The label and the task; numpy alone, for the servers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.decision import Decision
from lifeboat.tasks.kinds import task_for
from lifeboat.tasks.task import WATCHED, Floats, Integers, Metric, Output, Scored, Task
from lifeboat.usecase.column import Column
from lifeboat.usecase.label import Label

METRICS = (
    Metric("poisson_deviance", "Poisson deviance", higher_is_better=False),
    Metric("mae", "Mean absolute error", higher_is_better=False),
)
BOUNDS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)


@dataclass(frozen=True)
class CountLabel(Label):
    """How often something happened."""

    kind: ClassVar[str] = "count"

    @property
    def column(self) -> Column:
        return Column(self.name, "integer", minimum=0, maximum=1_000)

    def parse(self, value: object) -> int:
        return int(float(value)) if isinstance(value, str) else int(self.column.parse(value))

    @property
    def spellings(self) -> list[str]:
        return ["a whole number, 0 or more"]

    def spell(self, value: float) -> str:
        return f"{value:g} times"

    def json_schema(self) -> dict[str, Any]:
        return self.column.json_schema()

    @property
    def example(self) -> float:
        return 3

    @property
    def stored_column(self) -> Column:
        return self.column

    def to_document(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name}

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> Self:
        return cls(document["name"])


@dataclass(frozen=True)
class Rate(Decision):
    """The rate, as it is."""

    rule: str = "the rate itself"

    def call(self, answers: NDArray[Any]) -> NDArray[Any]:
        return answers[:, 0]


class CountScored(Scored):
    """Rates, and what came."""

    def __init__(self, y: Integers, answers: NDArray[Any]) -> None:
        y, rate = np.asarray(y, dtype=np.float64), np.maximum(answers[:, 0].astype(np.float64), 1e-6)
        self.rows, self.y, self.rate = len(y), y, rate
        self.losses = 2 * (y * np.log(np.maximum(y, 1e-300) / rate) - y + rate)
        self._error = np.abs(y - rate)
        self.right = self._error <= 2 * np.sqrt(rate)

    def figures(self, weights: Floats | None = None) -> Floats:
        weights = self.weigh(weights)
        return np.array([weights @ self.losses, weights @ self._error]) / weights.sum()

    def beats(self, other: Self) -> NDArray[np.bool_]:
        return np.asarray(self.losses < other.losses)


@task_for(CountLabel)
class CountTask(Task[CountLabel, CountScored]):
    """A count, by the rate at which it comes."""

    metrics = METRICS
    headline = ("poisson_deviance", "mae")
    of_slices = ("poisson_deviance",)
    steering: ClassVar[str] = "poisson_deviance"
    output: ClassVar[str] = "rates"
    answer_outputs: ClassVar[tuple[str, ...]] = ("rate",)
    rightness: ClassVar[str] = "share within two deviations"
    live: ClassVar[tuple[str, ...]] = ("poisson_deviance", "mae")
    score_help: ClassVar[str] = "Rate of each predicted row"
    counters = ("count",)
    score_bounds = BOUNDS
    better: ClassVar[str] = "loses less on {} of them"
    decision: ClassVar[type[Decision]] = Rate
    learning: ClassVar[str] = "tests.tasks.count.learning"
    report: ClassVar[str] = "tests.tasks.count.report"

    @property
    def names(self) -> tuple[str, ...]:
        return (f"{self.label.name}_rate",)

    @property
    def outputs(self) -> dict[str, Output]:
        return {"rate": Output("FP32")}

    def tensor(self, name: str, answers: NDArray[np.float32], decision: Decision) -> NDArray[np.float32] | list[str]:
        assert (name, decision.rule) == ("rate", Rate().rule)
        return np.ascontiguousarray(answers[:, 0])

    @property
    def number_schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": 0}

    def is_number(self, value: object) -> bool:
        return isinstance(value, int | float) and value >= 0

    def spell(self, called: NDArray[Any]) -> list[Any]:
        return [float(value) for value in called]

    def strata(self, y: Integers) -> NDArray[np.int64]:
        return np.minimum(y, 5).astype(np.int64)

    def lacks(self, y: Integers, *, learn: bool = False) -> str:
        return "" if len(y) and np.max(y) > 0 else f"nothing was counted{' to learn from' if learn else ''}"

    def suffices(self, y: Integers) -> bool:
        return len(y) >= 30

    def facts(self, y: Integers) -> dict[str, Any]:
        return {"total": int(np.sum(y))} if len(y) else {}

    def composition(self, y: Integers) -> str:
        return f"{np.mean(y):.2f} a row" if len(y) else ""

    def marked(self, y: Integers) -> tuple[NDArray[np.bool_], str]:
        return np.asarray(y > 0), "with any"

    def trivial(self, y: Integers, weights: Floats | None = None) -> list[float]:
        return [float(np.average(y, weights=weights))]

    def perfect(self, y: Integers) -> Floats:
        return np.asarray(y, dtype=np.float64).reshape(-1, 1)

    def counted(self, answers: NDArray[np.float32], decision: Decision) -> tuple[list[float], Iterable[int]]:
        return decision.call(answers).tolist(), repeat(0, len(answers))

    def count_truths(self, truth: Sequence[float]) -> Iterable[int]:
        return repeat(0, len(truth))

    def watched(self, kept: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        return {WATCHED: np.asarray(kept, dtype=np.float32).reshape(-1)}

    def score(self, y: Integers, answers: NDArray[Any], decision: Decision) -> CountScored:
        assert isinstance(decision, Rate)
        return CountScored(y, answers)
