"""The kinds of answers that there are, and which one a label asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lifeboat.tasks.binary.task import BinaryTask
from lifeboat.tasks.classes.task import ClassesTask
from lifeboat.tasks.number.task import NumberTask
from lifeboat.tasks.task import Task
from lifeboat.usecase.label import BinaryLabel, ClassLabel, Label, NumberLabel

_TASKS: dict[type[Label], type[Task[Any, Any]]] = {
    BinaryLabel: BinaryTask,
    ClassLabel: ClassesTask,
    NumberLabel: NumberTask,
}
T = TypeVar("T", bound=type[Task[Any, Any]])


def task_for(label: type[Label]) -> Callable[[T], T]:
    """Registers the task of a label of somebody's own, as a decorator of its class.

    Args:
        label: its type.
    """

    def register(task: T) -> T:
        _TASKS[label] = task
        return task

    return register


def task_of(label: Label) -> Task[Any, Any]:
    """The task of a label.

    Raises:
        TypeError: nobody has said how such a label is learned.
    """
    for kind in type(label).__mro__:
        if kind in _TASKS:
            return _TASKS[kind](label)
    raise TypeError(f"there is no task for a label of type {type(label).__name__}")
