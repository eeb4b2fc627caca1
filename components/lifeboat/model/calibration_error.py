"""The calibration error of probabilities, for the gate and for the live figures alike, so that the two compare.

Rows are put into ten bins of about equal counts by ascending probability, rows of one probability always together; the
error is the mean, over rows, of the difference between predicted and observed share in their bin (Nguyen and O'Connor,
2015; with bins of equal width Naeini et al., 2015). It needs numpy alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

BINS = 10


def bin_starts(ranked: NDArray[Any]) -> NDArray[np.int64]:
    """Where each of at most ten bins begins.

    A cut inside a run of equal scores moves to its start: else the order of rows in the file would decide.

    Args:
        ranked: probabilities, ascending, [n].
    """
    cuts = ranked[np.arange(BINS) * len(ranked) // BINS]
    return np.unique(np.searchsorted(ranked, cuts, side="left")).astype(np.int64)


def binned_error(residual: NDArray[Any], starts: NDArray[np.int64], rows: float) -> float:
    """The error of rows in bins.

    Args:
        residual: label less probability of each row by ascending probability, times its weight, [n].
        starts: of `bin_starts`.
        rows: sum of the weights.
    """
    return float(np.abs(np.add.reduceat(residual, starts)).sum() / rows)


def calibration_error(probability: NDArray[Any], label: NDArray[Any]) -> float:
    """The error of a model's probabilities.

    Args:
        probability: of class 1, [n], n at least 1.
        label: 0 or 1, [n].
    """
    order = np.argsort(probability, kind="stable")
    ranked = np.asarray(probability, dtype=np.float64)[order]
    return binned_error(np.asarray(label)[order] - ranked, bin_starts(ranked), len(ranked))
