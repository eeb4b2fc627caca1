"""What of a task needs scikit-learn: asking an estimator, calibrating its answers, choosing the decision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from lifeboat.tasks.calibration import Calibration
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Floats, Integers, Task

T = TypeVar("T", bound=Task[Any, Any])


class Learning(ABC, Generic[T]):
    """Of one task.

    Args:
        task: whose.
    """

    def __init__(self, task: T) -> None:
        self.task = task

    @abstractmethod
    def problem(self, estimator: Any) -> str:
        """Why a fitted estimator cannot give this task's answers; empty where it can."""

    @abstractmethod
    def ask(self, estimator: Any, X: Any) -> Floats:
        """What a fitted estimator gives for features, [n, raw width]; NaN nowhere."""

    @abstractmethod
    def is_answer(self, output: str) -> bool:
        """Whether an output of a converted graph, by its name, is what `ask` gives."""

    @abstractmethod
    def uncalibrated(self, y: Any) -> Calibration:
        """That of an estimator about which nothing is known but the labels that it learned from, [n]."""

    @abstractmethod
    def calibrate(
        self, y: Integers, raw: Floats, fold: NDArray[np.int64], weights: Floats | None = None
    ) -> Calibration:
        """What suits an estimator, by its answers to rows that it did not see.

        Args:
            y: labels, [n].
            raw: what estimators gave for rows that they did not see, [n, raw width].
            fold: of each row, [n]; what is tried of one fold is fitted on the others.
            weights: how much each row counts, [n]; all alike unless given.
        """

    @abstractmethod
    def decide(self, rule: Any, y: Integers, answers: NDArray[Any], weights: Floats | None = None) -> Decision:
        """The decision of a use case.

        Args:
            rule: its `threshold`.
            y: labels, [n].
            answers: of models that did not see the row, calibrated, [n, width].
            weights: how much each row counts, [n]; all alike unless given.
        """

    def figures(self, y: Integers, answers: NDArray[Any], weights: Floats | None = None) -> dict[str, float]:
        """Every metric of the task by the usual decision, of answers to rows that no model saw."""
        scored = self.task.score(y, answers, self.task.decision()).weighted(weights)
        return dict(zip((metric.name for metric in self.task.metrics), scored.figures().tolist(), strict=True))

    def loss(self, y: Integers, answers: NDArray[Any], weights: Floats | None = None) -> float:
        """The figure by which the search chooses unless the use case says another; lower is better."""
        metric = self.task.metric(self.task.steering)
        return metric.loss(self.figures(y, answers, weights)[metric.name])


@dataclass(frozen=True)
class Fitted:
    """A model that was fitted: what its graph is made of, and held against.

    Args:
        pipeline: features, then the estimator.
        learning: of its task.
        calibration: of the estimator.
    """

    pipeline: Pipeline
    learning: Learning[Any]
    calibration: Calibration

    def answers(self, X: Any) -> NDArray[np.float64]:
        """Its answers to raw rows, a data frame, [n, width]."""
        raw = self.learning.ask(self.pipeline[-1], self.pipeline[:-1].transform(X))
        return np.asarray(self.calibration.apply(raw), dtype=np.float64)


def learning_of(task: Task[Any, Any]) -> Learning[Any]:
    """That of a task."""
    found: Learning[Any] = import_module(task.learning).Learning(task)
    return found
