"""The analysis of a challenger under traffic: what it and the champion did on the same traffic at the same time.

Shares and distributions from a few hundred requests vary by chance. A challenger is sent back where the data say that a
limit is broken, not where chance alone explains the excess.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from itertools import accumulate

from scipy.stats import binom

from lifeboat.config.errors import DeployError
from lifeboat.deploy.kubernetes.plan import Limits, RolloutPlan
from lifeboat.deploy.kubernetes.prometheus import Prometheus, Sample
from lifeboat.deploy.measured import Figure, Measurement
from lifeboat.system.histograms import counted, quantile

ALPHA = 0.01
# sup |F - G| exceeds this times sqrt(1/n + 1/m) by chance in one case in a hundred (Kolmogorov-Smirnov, asymptotic);
# on grouped scores in fewer.
CHANCE = 1.63
# So many answers lie above the percentile that is compared: of 100 the 99th is but the slowest one, which one hiccup of
# the machine decides, on either side.
SLOWER = 5


@dataclass(frozen=True)
class Comparison:
    """What both did on the same traffic.

    Args:
        champion, challenger: their samples.
        objections: the limits that the challenger breaks, or why there is nothing to judge on; none if it passed.
    """

    champion: Sample
    challenger: Sample
    objections: tuple[str, ...] = ()

    @property
    def problem(self) -> str:
        """The objections in a sentence; empty for none."""
        return "; ".join(self.objections)


def watch(prometheus: Prometheus, champion: str, challenger: str, plan: RolloutPlan) -> Comparison:
    """Compares both for the plan's window, or until the challenger has broken a limit.

    Failed requests end the watch as soon as there are enough of them; latency and scores are judged once, at its end.

    Args:
        prometheus: counts both.
        champion, challenger: digests.
        plan: the window, the limits, and how long to wait for enough requests.

    Raises:
        DeployError: Prometheus does not tell.
    """
    start = time.monotonic()
    while True:
        time.sleep(max(plan.pace.poll, plan.window / 20))
        elapsed = time.monotonic() - start
        try:
            seconds = max(1, int(elapsed))
            old, new = (prometheus.sample(digest, seconds) for digest in (champion, challenger))
        except DeployError as error:  # it may be back before our patience ends
            if elapsed >= max(plan.window, plan.patience):
                raise DeployError(f"{error}, in {elapsed:.0f} s") from error
            continue
        if missing := too_few(old, new, plan.limits):
            if elapsed >= max(plan.window, plan.patience):
                return Comparison(old, new, (f"{missing}, in {elapsed:.0f} s",))
        elif found := errors(old, new, plan.limits):
            return Comparison(old, new, (found,))
        elif elapsed >= plan.window:
            return Comparison(old, new, tuple(objections(old, new, plan.limits)))


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
    """Too slow: the 99th percentile, or with fewer than 500 answers of either the highest that five of them exceed."""
    share = _compared(champion, challenger)
    old, new = quantile(champion.latency, share), quantile(challenger.latency, share)
    if old is None or new is None or new <= limits.latency_seconds:
        return None
    allowed = limits.latency_ratio * old
    if new <= allowed:
        return None
    return (
        f"its p{100 * share:.3g} is {1000 * new:.1f} ms; the champion's is {1000 * old:.1f} ms, "
        f"and {1000 * max(allowed, limits.latency_seconds):.1f} ms are allowed"
    )


def _compared(champion: Sample, challenger: Sample) -> float:
    """The share of answers whose time is compared, 0.5 to 0.99."""
    fewest = min(counted(champion.latency), counted(challenger.latency))
    return min(0.99, max(0.5, 1 - SLOWER / fewest)) if fewest else 0.5


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
    share = _compared(champion, challenger)
    new, old = (_milliseconds(quantile(found.latency, share)) for found in (challenger, champion))
    both = sum(champion.scores) and sum(challenger.scores)
    far = f"{distance(champion.scores, challenger.scores):.2f}" if both else "unknown"
    return (
        f"{challenger.requests:.0f} requests, {_share(challenger):.1%} failed (champion {_share(champion):.1%}), "
        f"p{100 * share:.3g} {new} (champion {old}), distance of the scores {far}"
    )


def measurement(stage: str, found: Comparison, limits: Limits) -> Measurement:
    """The figures of a step as a table, whether it passed or not."""
    old, new = found.champion, found.challenger
    share, allowed = _compared(old, new), min(1.0, _share(old) + limits.error_ratio)
    slowest = quantile(old.latency, share)
    latest = max(limits.latency_ratio * (slowest or 0.0), limits.latency_seconds)
    both = sum(old.scores) and sum(new.scores)
    far = f"{distance(old.scores, new.scores):.2f}" if both else "unknown"
    figures = (
        Figure("Requests", f"{new.requests:.0f}", f"{old.requests:.0f}", f"at least {limits.requests} of each"),
        Figure("Failed", f"{_share(new):.1%}", f"{_share(old):.1%}", f"at most {allowed:.1%}, but for chance"),
        _latency(old, new, 0.5, ""),
        _latency(old, new, share, f"at most {_milliseconds(latest)}"),
        Figure("Distance of the scores", far, "", f"at most {limits.score_distance:.2f}, but for chance"),
    )
    return Measurement(stage, not found.objections, figures, found.objections)


def _latency(old: Sample, new: Sample, share: float, limit: str) -> Figure:
    ours, theirs = (_milliseconds(quantile(sample.latency, share)) for sample in (new, old))
    return Figure(f"{100 * share:.3g} % answered within", ours, theirs, limit)


def _milliseconds(seconds: float | None) -> str:
    return "unknown" if seconds is None else f"{1000 * seconds:.1f} ms"


def _share(sample: Sample) -> float:
    return max(0.0, sample.failed / sample.requests) if sample.requests else 0.0
