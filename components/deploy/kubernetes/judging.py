"""Judging a challenger by what it and the champion did on the same traffic at the same time.

Shares and distributions from a few hundred requests vary by chance. A challenger is sent back where the data say that a
limit is broken, not where chance alone explains the excess.
"""

from __future__ import annotations

import math
from itertools import accumulate

from scipy.stats import binom

from components.deploy.kubernetes.plan import Limits
from components.deploy.kubernetes.prometheus import Sample

ALPHA = 0.01
# sup |F - G| exceeds this times sqrt(1/n + 1/m) by chance in one case in a hundred (Kolmogorov-Smirnov, asymptotic);
# on grouped scores in fewer.
CHANCE = 1.63


def too_few(champion: Sample, challenger: Sample, limits: Limits) -> str | None:
    """Why there is nothing to judge on yet."""
    for name, sample in (("champion", champion), ("challenger", challenger)):
        if sample.requests < limits.requests:
            return f"not enough traffic: the {name} had {sample.requests:.0f} of {limits.requests} requests"
    return None


def objections(champion: Sample, challenger: Sample, limits: Limits) -> list[str]:
    """The limits that the challenger breaks, in words; none if it passed."""
    checks = (errors(champion, challenger, limits), latency(champion, challenger, limits),
              scores(champion, challenger, limits))  # fmt: skip
    return [found for found in checks if found]


def errors(champion: Sample, challenger: Sample, limits: Limits) -> str | None:
    """Too many failed requests: one-sided exact binomial test against the champion's share plus the limit."""
    if not challenger.requests:
        return None
    allowed = min(1.0, _share(champion) + limits.error_ratio)
    tried, failed = round(challenger.requests), round(challenger.failed)
    if failed <= allowed * tried or binom.sf(failed - 1, tried, allowed) > ALPHA:
        return None
    return (
        f"it failed {failed} of {tried} requests ({failed / tried:.1%}); "
        f"the champion {_share(champion):.1%}, and {limits.error_ratio:.1%} more are allowed"
    )


def latency(champion: Sample, challenger: Sample, limits: Limits) -> str | None:
    """Too slow: the 99th percentile as `histogram_quantile` estimates it from the buckets."""
    if champion.p99 is None or challenger.p99 is None or challenger.p99 <= limits.latency_seconds:
        return None
    allowed = limits.latency_ratio * champion.p99
    if challenger.p99 <= allowed:
        return None
    return (
        f"its 99th percentile is {1000 * challenger.p99:.1f} ms; the champion's is {1000 * champion.p99:.1f} ms, "
        f"and {1000 * max(allowed, limits.latency_seconds):.1f} ms are allowed"
    )


def scores(champion: Sample, challenger: Sample, limits: Limits) -> str | None:
    """Scores too far from the champion's: the Kolmogorov distance over the buckets, less what chance explains."""
    first, second = sum(champion.scores), sum(challenger.scores)
    if not first or not second:
        return None
    far = distance(champion.scores, challenger.scores)
    allowed = limits.score_distance + CHANCE * math.sqrt(1 / first + 1 / second)
    if far <= allowed:
        return None
    return (
        f"its scores are distributed differently: Kolmogorov distance {far:.2f}, allowed are "
        f"{limits.score_distance:.2f} and {allowed - limits.score_distance:.2f} for chance"
    )


def distance(first: tuple[float, ...], second: tuple[float, ...]) -> float:
    """The largest difference of two cumulative distributions at the buckets' bounds, 0 to 1."""
    total, other = sum(first), sum(second)
    pairs = zip(accumulate(first), accumulate(second), strict=True)
    return max(abs(one / total - two / other) for one, two in pairs)


def summary(champion: Sample, challenger: Sample) -> str:
    """The figures of a step that passed."""
    p99 = "unknown" if challenger.p99 is None else f"{1000 * challenger.p99:.1f} ms"
    old = "unknown" if champion.p99 is None else f"{1000 * champion.p99:.1f} ms"
    both = sum(champion.scores) and sum(challenger.scores)
    far = f"{distance(champion.scores, challenger.scores):.2f}" if both else "unknown"
    return (
        f"{challenger.requests:.0f} requests, {_share(challenger):.1%} failed (champion {_share(champion):.1%}), "
        f"99th percentile {p99} (champion {old}), distance of the scores {far}"
    )


def _share(sample: Sample) -> float:
    return max(0.0, sample.failed / sample.requests) if sample.requests else 0.0
