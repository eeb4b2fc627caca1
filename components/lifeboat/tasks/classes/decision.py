"""The decision among several classes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.decision import Decision


@dataclass(frozen=True)
class LikeliestClass(Decision):
    """The class of the highest probability; of several the first.

    Args:
        rule: in words.
    """

    rule: str = "the likeliest class"

    def call(self, answers: NDArray[Any]) -> NDArray[np.int32]:
        """The number of the class."""
        called: NDArray[np.int32] = np.asarray(answers, dtype=np.float32).argmax(axis=1).astype(np.int32)
        return called
