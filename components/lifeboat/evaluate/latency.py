"""How long one row takes: the latency of a model by itself."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from scipy.stats import binom

from lifeboat.model.scoring import Scorer, feeds
from lifeboat.usecase.gates import LATENCIES, Interval

LATENCY_ROWS = 200
LATENCY_CALLS = 2_000
_WARM_UP_CALLS = 50
# A slow model is measured for so long, and at least by so many calls.
_LATENCY_SECONDS = 2.0
_FEWEST_CALLS = 100


def latency(scorer: Scorer, table: pa.Table) -> dict[str, Interval]:
    """Microseconds that one call for one row takes: median and 99th percentile with their 95 % limits.

    Rows are asked in turn, so that no cache of one row's answer flatters the figure.
    """
    inputs = [feeds(scorer.schema, table.slice(row, 1)) for row in range(min(LATENCY_ROWS, table.num_rows))]
    for call in range(_WARM_UP_CALLS):
        scorer.run(inputs[call % len(inputs)])
    times: list[int] = []
    end = time.perf_counter() + _LATENCY_SECONDS
    while len(times) < LATENCY_CALLS and (time.perf_counter() < end or len(times) < _FEWEST_CALLS):
        one = inputs[len(times) % len(inputs)]
        start = time.perf_counter_ns()
        scorer.run(one)
        times.append(time.perf_counter_ns() - start)
    return {name: percentile(times, share) for name, share in zip(LATENCIES, (0.5, 0.99), strict=True)}


def percentile(nanoseconds: Sequence[int], share: float) -> Interval:
    """A percentile of times in microseconds.

    Its limits are the two order statistics that hold it with 95 % confidence, whatever the distribution
    (Conover, 1999, ch. 3.2).
    """
    ranked = np.sort(np.asarray(nanoseconds)) / 1_000
    limits = binom.ppf((0.025, 0.975), len(ranked), share).astype(int).clip(0, len(ranked) - 1)
    low, high = ranked[limits].tolist()
    value = float(np.quantile(ranked, share))
    return Interval(value, min(low, value), max(high, value))
