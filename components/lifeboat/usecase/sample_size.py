"""How many rows say something, and how many held-out rows would decide what these do not."""

from __future__ import annotations

import math
from statistics import NormalDist

# Standard errors of a two-sided 95 % interval, and those of a power of 80 %.
TWO_SIDED, POWER = 1.96, 0.8416
# Rows whose truth is known, from which on a live figure is one: the 95 % interval of a share is within 10 points of it
# then, whatever it is (1.96 * sqrt(0.25 / 100) = 0.098). The alerts on live figures ask for as many.
LIVE_ROWS = 100


def interval_rows(gain: float, low: float, margin: float, rows: int) -> float:
    """Rows of which the lower limit would clear the margin four times in five, were the gain what it seems.

    An interval shrinks with the root of the rows. Its half is 1.96 standard errors, and the gain that is found lies at
    most 0.84 of them below the true one in four of five samples.

    Args:
        gain, low: the gain found and its lower 95 % limit.
        margin: to be cleared.
        rows: that it was found on.
    """
    if gain <= margin:
        return math.inf
    half = (gain - low) / TWO_SIDED
    return rows * ((TWO_SIDED + POWER) * half / (gain - margin)) ** 2


def mcnemar_rows(rows: int, won: int, lost: int, alpha: float) -> float:
    """Rows of which McNemar's test would find this difference four times in five (Connor, 1987).

    Args:
        rows: that both models were asked.
        won, lost: of them, that only the one or only the other labelled rightly.
        alpha: of the two-sided test.
    """
    discordant, gain = (won + lost) / rows, (won - lost) / rows
    if gain <= 0:
        return math.inf
    quantile = NormalDist().inv_cdf(1 - alpha / 2)
    return float(((quantile * math.sqrt(discordant) + POWER * math.sqrt(discordant - gain**2)) / gain) ** 2)


def say_needed(rows: float) -> str:
    """How many rows would decide, to two digits; without a gain no number of rows is told."""
    if math.isinf(rows):
        return "; there is no gain that more rows could confirm"
    digits = 10 ** max(0, math.floor(math.log10(rows)) - 1)
    return f"; about {math.ceil(rows / digits) * digits:,} held-out rows are needed to decide"
