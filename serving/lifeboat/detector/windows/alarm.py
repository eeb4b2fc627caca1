"""From drifted windows to an alarm: one window may err by chance, so an alarm asks for several."""

from __future__ import annotations

from collections.abc import Sequence
from math import comb


def alarm(drifted: Sequence[bool], alarms: int, of: int) -> bool:
    """Whether the latest window drifted and at least `alarms` of the last `of` did.

    Args:
        drifted: verdicts of one version's windows, newest last.
        alarms, of: the use case's rule, such as 2 of 3.
    """
    _check(alarms, of)
    return bool(drifted) and bool(drifted[-1]) and sum(map(bool, drifted[-of:])) >= alarms


def alarm_rate(p: float, alarms: int, of: int) -> float:
    """Share of windows with an alarm when each drifts by itself with probability p.

    The latest must drift, and at least `alarms` - 1 of the `of` - 1 before it: p P(X >= alarms - 1) with X binomial.
    Windows held against one reference share its own chance errors, so they are not quite independent: over many
    references the rate is the mean of this over the rates that each reference gives, which is above its value at
    their mean. `tests/bench/drift.py` measures it.
    """
    _check(alarms, of)
    if not 0 <= p <= 1:
        raise ValueError(f"p is {p}, not a probability")
    before = of - 1
    return p * sum(comb(before, k) * p**k * (1 - p) ** (before - k) for k in range(alarms - 1, before + 1))


def _check(alarms: int, of: int) -> None:
    if not 1 <= alarms <= of:
        raise ValueError(f"an alarm asks for {alarms} of {of} windows; it must be at least 1 and at most all of them")
