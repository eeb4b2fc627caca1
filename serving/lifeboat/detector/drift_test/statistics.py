"""The tests of `alibi_detect.cd.TabularDrift` for many pairs of samples at once, from counts.

Alibi Detect judges one window in milliseconds; finding out what its smallest p-value does by chance takes thousands
of windows. `tests/drift_test` holds these against Alibi's own on the same samples.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc
from scipy.stats import kstwo

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
# Cochran (1954): the Chi2 approximation holds while no expected count is below 1 and most are at least 5.
LEAST, USUAL = 1.0, 5.0
# The p-value of a K-S distance is interpolated between so many points.
POINTS = 400


def ks_p_values(reference: Integers, window: Integers) -> Floats:
    """Two-sample, two-sided, asymptotic as scipy's `ks_2samp(mode="asymp")`.

    Args:
        reference: [k or 1, values] how often each of the ascending values occurs.
        window: [k, values].

    Returns:
        [k] p-values, good to four digits above 1e-12 and cut off there.
    """
    n, w = int(reference[0].sum()), int(window[0].sum())
    return ks_tail(ks_distances(reference, window), round(n * w / (n + w)))


def ks_distances(reference: Integers, window: Integers) -> Floats:
    """[k] the largest gap between the shares at or below each value."""
    gaps = _shares(window)
    gaps -= _shares(reference)
    return np.asarray(np.maximum(gaps.max(axis=1), -gaps.min(axis=1)), dtype=np.float64)


def _shares(counts: Integers) -> NDArray[np.float32]:
    sums = np.cumsum(counts, axis=1, dtype=np.float32)
    return np.divide(sums, sums[:, -1:], out=sums)


def ks_tail(distances: Floats, size: int) -> Floats:
    """P(D > distance) of the one-sample K-S distance of so many values."""
    grid, logarithms = _tail(size)
    return np.exp(np.interp(distances, grid, logarithms))


@lru_cache(maxsize=64)
def _tail(size: int) -> tuple[Floats, Floats]:
    """Distances and the logarithm of their p-values, which is nearly a parabola: linear pieces follow it well."""
    grid = np.linspace(0, min(1.0, 3.8 / np.sqrt(size)), POINTS)
    return grid, np.log(np.clip(kstwo.sf(grid, size), 1e-12, 1))


def merges(reference: Integers, window: Integers, n: int, w: int, only_more: bool = False) -> NDArray[np.bool_]:
    """Whether the last cell does not stand alone.

    It is too small where less than one is expected in the window. With `only_more` it says nothing, either, where its
    share in the window is no larger than in the reference.
    """
    small = (reference + window) * (w / (n + w)) < LEAST
    return np.asarray(small | (only_more & (window * n <= reference * w)))


def chi2_p_values(reference: Integers, window: Integers, only_more: bool = False) -> Floats:
    """Pearson's Chi2 of two rows of counts as scipy's `chi2_contingency`, with Yates' correction of a 2 x 2 table.

    Args:
        reference: [k or 1, cells]; the last cell is merged with the one before it where `merges` says so.
        window: [k, cells].
        only_more: whether only more in the last cell counts.

    Returns:
        [k] p-values.
    """
    n, w = int(reference[0].sum()), int(window[0].sum())
    small = np.broadcast_to(merges(reference[:, -1], window[:, -1], n, w, only_more), len(window))
    p_values = np.empty(len(window))
    p_values[~small] = _pearson(_rows(reference, ~small), window[~small])
    p_values[small] = _pearson(_merged(_rows(reference, small)), _merged(window[small]))
    return p_values


def _rows(counts: Integers, chosen: NDArray[np.bool_]) -> Integers:
    return counts[chosen] if len(counts) > 1 else counts


def _merged(counts: Integers) -> Integers:
    return np.column_stack([counts[:, :-2], counts[:, -2:].sum(axis=1)])


def _pearson(reference: Integers, window: Integers) -> Floats:
    n, w = reference.sum(axis=1, keepdims=True), window.sum(axis=1, keepdims=True)
    total = reference + window
    expected = total * (w / (n + w))
    # Both rows are off by as much, since the columns' sums are given.
    gap = np.abs(window - expected)
    freedom = (total > 0).sum(axis=1) - 1
    gap = np.where(freedom[:, None] == 1, np.maximum(gap - 0.5, 0), gap)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = gap**2 * (1 / expected + 1 / (total - expected))
    statistic = np.where(total > 0, parts, 0).sum(axis=1)
    return np.where(freedom > 0, chdtrc(np.maximum(freedom, 1), statistic), 1.0)
