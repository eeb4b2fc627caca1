"""Histograms as Prometheus keeps them: counts by buckets, each up to a bound."""

from __future__ import annotations

import math
from collections.abc import Iterable

# Of each bucket its upper bound, and how many are in it; the last one's bound is infinite.
Histogram = tuple[tuple[float, float], ...]


def uncumulated(buckets: Iterable[tuple[str, float]]) -> Histogram:
    """Each bucket's upper bound and count.

    Args:
        buckets: bound as text, such as "0.005" or "+Inf", and how many are up to it.
    """
    piled = sorted((float(bound), count) for bound, count in buckets)
    below = [0.0, *(count for _, count in piled)]
    return tuple((bound, max(0.0, upper - lower)) for (bound, upper), lower in zip(piled, below, strict=False))


def counted(histogram: Histogram) -> float:
    """How many there are in all buckets."""
    return sum(count for _, count in histogram)


def quantile(histogram: Histogram, share: float) -> float | None:
    """What a share of the values is at most, None without values.

    As `histogram_quantile` of Prometheus estimates it: evenly spread within a bucket, and the last finite bound for the
    bucket without one.
    """
    rank, lower, below = share * counted(histogram), 0.0, 0.0
    for bound, count in histogram:
        if count and below + count >= rank:
            return lower + (bound - lower) * (rank - below) / count if math.isfinite(bound) else lower
        lower, below = bound, below + count
    return None
