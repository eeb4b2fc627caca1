"""Pauses grow, are bounded, and differ between those that failed together."""

from __future__ import annotations

from itertools import islice

from lifeboat.system.backoff import HEALTHY_SECONDS, Backoff, pauses


def test_they_double_up_to_the_longest_and_are_shorter_by_up_to_a_half() -> None:
    for _ in range(50):
        found = list(islice(pauses(0.5, 4.0), 6))
        for pause, bound in zip(found, (0.5, 1.0, 2.0, 4.0, 4.0, 4.0), strict=True):
            assert bound / 2 <= pause <= bound


def test_two_that_failed_together_do_not_come_again_together() -> None:
    first, second = (list(islice(pauses(1.0, 30.0), 8)) for _ in range(2))
    assert first != second


def test_what_lived_long_is_started_again_as_at_first() -> None:
    backoff = Backoff(0.1, 30.0)
    short = [backoff.pause(1.0) for _ in range(8)]
    assert short[-1] > short[0]
    assert backoff.pause(HEALTHY_SECONDS + 1) <= 0.1
    assert backoff.pause(1.0) <= 0.2
