"""The kinds of answers that there are, and which one a label asks for."""

from __future__ import annotations

from typing import Any

from lifeboat.tasks.binary.task import BinaryTask
from lifeboat.tasks.task import Metric, Task
from lifeboat.usecase.label import BinaryLabel

_TASKS: dict[type[BinaryLabel], type[Task[Any]]] = {BinaryLabel: BinaryTask}
# Of every kind, by name.
METRICS: dict[str, Metric] = {metric.name: metric for task in _TASKS.values() for metric in task.metrics}


def task_of(label: BinaryLabel) -> Task[Any]:
    """The task of a label.

    Raises:
        TypeError: nobody has said how such a label is learned.
    """
    for kind in type(label).__mro__:
        if kind in _TASKS:
            return _TASKS[kind]()
    raise TypeError(f"there is no task for a label of type {type(label).__name__}")
