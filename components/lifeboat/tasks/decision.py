"""The decision: what an answer of the model is taken to say, the class of a row, or its value.

Batch scoring, evaluation, the model server's protocols and metrics, the detector's live figures and the demo all decide
by a bundle's decision, so that one row is called the same everywhere. It needs numpy alone, so that the model server
can use it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

from numpy.typing import NDArray


class Decision(ABC):
    """What answers are taken to say.

    Attributes:
        rule: why so, in words.
    """

    rule: str

    @abstractmethod
    def call(self, answers: NDArray[Any]) -> NDArray[Any]:
        """The label that each row is called, as `y` has it, [n].

        Args:
            answers: float32, or numbers that were written from float32, [n, width].
        """

    @abstractmethod
    def to_manifest(self) -> dict[str, Any]:
        """What a bundle's manifest holds under `decision`."""
