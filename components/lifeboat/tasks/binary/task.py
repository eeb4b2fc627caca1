"""The task of two classes."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from lifeboat.model.decision import Decision
from lifeboat.tasks.binary.scored import METRICS, BinaryScored
from lifeboat.tasks.task import Integers, Metric, Task

# With fewer rows, or fewer of either class, a percentile interval says too little to be shown.
_FEWEST_ROWS, _FEWEST_OF_A_CLASS = 30, 5


class BinaryTask(Task[BinaryScored]):
    """One of two classes: a graph gives the probability of each, the decision says from which on it is class 1."""

    metrics: ClassVar[tuple[Metric, ...]] = METRICS
    headline: ClassVar[tuple[str, ...]] = ("roc_auc", "log_loss", "accuracy", "ece")
    of_slices: ClassVar[tuple[str, ...]] = ("roc_auc", "log_loss", "accuracy")

    def score(self, y: Integers, answers: NDArray[Any], decision: Decision) -> BinaryScored:
        """As `Task` says; the answers are probabilities, [n, 2]."""
        return BinaryScored(y, answers[:, 1], decision)

    def suffices(self, y: Integers) -> bool:
        """Enough rows, and enough of either class."""
        positives = int(y.sum())
        return len(y) >= _FEWEST_ROWS and min(positives, len(y) - positives) >= _FEWEST_OF_A_CLASS

    def strata(self, y: Integers) -> NDArray[np.int64]:
        """The class."""
        return np.asarray(y, dtype=np.int64)
