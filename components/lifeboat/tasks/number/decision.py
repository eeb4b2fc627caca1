"""The decision about a number: there is none to make, it is taken as it stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from lifeboat.tasks.decision import Decision


@dataclass(frozen=True)
class TheValue(Decision):
    """The answer's first number.

    Args:
        rule: in words.
    """

    rule: str = "the value itself"

    def call(self, answers: NDArray[Any]) -> NDArray[Any]:
        """The value."""
        return answers[:, 0]
