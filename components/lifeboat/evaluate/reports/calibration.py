"""Whether probabilities come true: the bins of the calibration error, for a plot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from lifeboat.evaluate.statistics import wilson
from lifeboat.tasks.task import Floats
from lifeboat.usecase.gates import Interval


@dataclass(frozen=True)
class CalibrationBin:
    """Rows of similar probability: its mean, and the share of those of which it came true with its Wilson interval."""

    rows: int
    predicted: float
    observed: Interval


def calibration(true: NDArray[Any], p: Floats, bins: Sequence[slice]) -> tuple[CalibrationBin, ...]:
    """The bins, by ascending probability.

    Args:
        true: whether it came true, 0 or 1, by ascending probability, [n].
        p: the probabilities, ascending, [n].
        bins: their places.
    """
    found = ((p[part], int(true[part].sum())) for part in bins)
    return tuple(CalibrationBin(len(own), float(own.mean()), wilson(came, len(own))) for own, came in found)
