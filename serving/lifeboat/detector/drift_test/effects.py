"""How far a feature moved, whatever the number of rows: a p-value says only whether it did.

A number's distance is Wasserstein's, in standard deviations of the reference: 'ages moved by 0.4 deviations' can be
read, it needs no bins, and it grows with the way the values moved. Categories have no distance between them; theirs is
the population stability index, over the cells that their test counts. Nulls are left out of the first, for their share
is reported beside it; the second counts them, too.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import wasserstein_distance

from lifeboat.detector.drift_test.features import Feature
from lifeboat.detector.drift_test.statistics import Floats

# Added to each category's count, so that one that is absent gives a finite index (Jeffreys' prior).
SMOOTHING = 0.5


def effect(feature: Feature, window: Floats) -> tuple[str, float]:
    """Name and value of the effect size; 0 where one side has no value at all."""
    if feature.is_counted:
        cells = feature.cells(len(window))
        sides = (cells[codes.astype(np.int64)] for codes in (feature.reference, window))
        return "PSI", stability_index(*(_counts(side, int(cells.max()) + 1) for side in sides))
    known = feature.reference[~feature.missing(feature.reference)]
    return "Wasserstein", scaled_distance(known, window[~feature.missing(window)])


def _counts(places: NDArray[np.int64], width: int) -> Floats:
    return np.bincount(places, minlength=width).astype(np.float64)


def stability_index(reference: Floats, window: Floats) -> float:
    """Population stability index of two rows of counts: sum of (q - p) log(q / p), over the categories that occur."""
    occurs = reference + window > 0
    p, q = (_smoothed(counts[occurs]) for counts in (reference, window))
    return float(((q - p) * np.log(q / p)).sum())


def _smoothed(counts: Floats) -> Floats:
    return np.asarray((counts + SMOOTHING) / (counts.sum() + SMOOTHING * len(counts)))


def scaled_distance(reference: Floats, window: Floats) -> float:
    """Wasserstein-1 distance in standard deviations of the reference (in its own unit where all its values are one)."""
    if not len(reference) or not len(window):
        return 0.0
    return float(wasserstein_distance(reference, window) / (reference.std() or 1.0))
