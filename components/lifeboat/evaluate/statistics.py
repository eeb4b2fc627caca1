"""Bootstrap intervals of a model's figures, whatever they are, and the paired tests between two models."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest, norm

from lifeboat.tasks.task import Floats, Metric, Scored
from lifeboat.usecase.gates import Interval

REPLICATES = 2_000
_SECONDS_BETWEEN_REPORTS = 5.0
# Draws of a randomization test, and of how many rows on the sum of their signs is normal enough.
_DRAWS, _AT_ONCE, _MANY = 10_000, 1_000, 2_000


def bootstrap(
    strata: NDArray[np.int64],
    models: Sequence[Scored],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
    say: Callable[[str], None] = print,
) -> Floats:
    """Figures of each model in each replicate, [replicates, models, metrics].

    Each replicate has as many rows of each stratum as the sample. Its weights serve all models and metrics, so that
    differences between models are paired (Efron and Tibshirani, 1993, ch. 8).

    Args:
        strata: of each row, as its task gives it, [n].
        models: their answers to these rows.
        replicates, seed: how many, and of which random numbers.
        say: told of its progress.
    """
    draws = np.empty((replicates, len(models), len(models[0].figures())))
    reported = time.monotonic()
    for number, weights in enumerate(_resamples(strata, replicates, seed)):
        for column, model in enumerate(models):
            draws[number, column] = model.figures(weights)
        if time.monotonic() - reported > _SECONDS_BETWEEN_REPORTS:
            reported = time.monotonic()
            say(f"bootstrap: {number + 1:,} of {replicates:,} replicates of {len(strata):,} rows")
    return draws


def _resamples(strata: NDArray[np.int64], replicates: int, seed: int) -> Iterator[Floats]:
    """Weights [n] of one replicate after the other; the array is reused."""
    random = np.random.default_rng(seed)
    drawn_among = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    weights = np.zeros(len(strata))
    for _ in range(replicates):
        for rows in drawn_among:
            # 32-bit draws and a bincount: several times faster than Generator.multinomial.
            drawn = random.integers(0, len(rows), len(rows), dtype=np.uint32)
            weights[rows] = np.bincount(drawn, minlength=len(rows))
        yield weights


def interval(value: float, draws: Floats) -> Interval:
    """The percentile interval of 95 %, widened where needed to hold the value itself.

    It is needed for the calibration error only: being a sum of absolute values, it grows under resampling. Replicates
    that cannot tell, such as of a class that was not drawn, do not count.
    """
    known = draws[~np.isnan(draws)]
    if np.isnan(value) or not len(known):
        return Interval(float(value), float(value), float(value))
    low, high = np.quantile(known, (0.025, 0.975))
    return Interval(float(value), float(min(low, value)), float(max(high, value)))


def intervals(metrics: Sequence[Metric], values: Floats, draws: Floats) -> dict[str, Interval]:
    """Metric to interval, of values [m] and draws [replicates, m]; without those that the rows cannot tell."""
    known = (place for place in range(len(metrics)) if not np.isnan(values[place]))
    return {metrics[place].name: interval(values[place], draws[:, place]) for place in known}


def improvements(metrics: Sequence[Metric], values: Floats, draws: Floats) -> dict[str, Interval]:
    """Metric to interval of what the first model gains on the second; positive is better for every metric.

    Args:
        metrics: of both models, [m].
        values: of both models, [2, m].
        draws: of both models, [replicates, 2, m].
    """
    signs = np.array([1.0 if metric.higher_is_better else -1.0 for metric in metrics])
    return intervals(metrics, signs * (values[0] - values[1]), signs * (draws[:, 0] - draws[:, 1]))


def mcnemar(won: int, lost: int) -> float:
    """Two-sided p of the exact McNemar test: were discordant rows won by the toss of a coin?"""
    return float(binomtest(won, won + lost).pvalue) if won + lost else 1.0


def mcnemar_worse(won: int, lost: int) -> float:
    """One-sided p of the exact McNemar test against 'the new model loses more rows than it wins'."""
    return float(binomtest(lost, won + lost, alternative="greater").pvalue) if won + lost else 1.0


def losses_worse(gains: Floats) -> float:
    """One-sided p of Fisher's randomization test against 'the new model loses more on average' (Fisher, 1935).

    Were the models equal, each row's gain could as well be its loss: the sum of the gains is held against those of so
    many draws of signs, or, of many rows, against the normal distribution that these sums have then. It asks for the
    mean, as gates do; a test by ranks would refuse a model that loses next to nothing on most rows, and gains very much
    on the others.

    Args:
        gains: how much less it loses on each row, [n].
    """
    told = gains[gains != 0]
    if not len(told):
        return 1.0
    total = told.sum()
    if len(told) > _MANY:
        return float(norm.cdf(total / np.sqrt(np.sum(told**2))))
    random = np.random.default_rng(0)
    as_low = 1
    for _ in range(_DRAWS // _AT_ONCE):
        signs = random.integers(0, 2, (_AT_ONCE, len(told)), dtype=np.int8)
        # What rounding makes of the same sum counts as the same.
        as_low += int(np.sum(told @ (2 * signs - 1).T <= total + 1e-9 * np.abs(told).sum()))
    return as_low / (_DRAWS + 1)


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Adjusted p values: the k-th smallest of m times m - k + 1, kept ascending and at most 1 (Holm 1979)."""
    adjusted, running = {}, 0.0
    for rank, name in enumerate(sorted(p_values, key=lambda key: p_values[key])):
        running = max(running, min(1.0, (len(p_values) - rank) * p_values[name]))
        adjusted[name] = running
    return {name: adjusted[name] for name in p_values}


def wilson(successes: int, rows: int) -> Interval:
    """A share with its Wilson score interval of 95 % (Wilson, 1927)."""
    found = binomtest(successes, rows).proportion_ci(method="wilson")
    return Interval(successes / rows, float(found.low), float(found.high))
