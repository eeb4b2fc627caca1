"""Whether probabilities come true: the bins of the calibration error, their plot, and what is to be known of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lifeboat.evaluate.plots import CLASS_COLORS, DASHED, INK, MUTED, new_axes, unit_square
from lifeboat.evaluate.statistics import wilson
from lifeboat.tasks.task import Floats
from lifeboat.usecase.gates import Interval

# Below so many rows the bias of the calibration error matters.
_FEW_ROWS = 1_000


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


def calibration_limits(rows: int) -> list[str]:
    """What is to be known of the calibration error of so many rows, in sentences."""
    few = "On so few rows the calibration error is overstated: chance alone moves bins off the diagonal."
    return [few] if rows < _FEW_ROWS else []


def draw_calibration(bins: Sequence[CalibrationBin], error: float, observed_title: str) -> Figure:
    """Observed share against predicted probability, with Wilson intervals.

    Args:
        bins: by ascending probability.
        error: of the calibration.
        observed_title: of what the share is.
    """
    figure, axes = new_axes("Predicted probability", observed_title)
    predicted = [each.predicted for each in bins]
    observed = np.array([each.observed.value for each in bins])
    below = observed - [each.observed.low for each in bins]
    above = [each.observed.high for each in bins] - observed
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=DASHED)
    # Rounding may put a share of 0 or 1 a hair outside its own interval.
    errors = np.clip([below, above], 0, 1)
    style: dict[str, Any] = {"fmt": "o", "markersize": 4.5, "elinewidth": 1.1, "capsize": 0}
    axes.errorbar(predicted, observed, yerr=errors, color=CLASS_COLORS[0], **style)
    axes.text(0.97, 0.05, f"calibration error {error:.3f}", ha="right", va="bottom", color=INK, fontsize=9)
    unit_square(axes)
    return figure
