"""Two deploy steps at the same time."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from lifeboat.config.errors import LifeboatError
from tests.cluster.conftest import ClusterWorld


@pytest.mark.parametrize("first_ever", [True, False])
def test_of_two_that_start_together_one_wins_and_the_other_says_so(world: ClusterWorld, *, first_ever: bool) -> None:
    if not first_ever:
        world.ship(0.1)
    before = world.champion
    bundles = [world.bundle(0.2), world.bundle(0.3)]
    verdicts = [world.judged(bundle, champion=before) for bundle in bundles]
    with ThreadPoolExecutor(2) as pool:
        # Settings of its own each: two steps share nothing but the cluster and the registry.
        running = [
            pool.submit(world.judged_by(at_once=True).deploy, *pair) for pair in zip(bundles, verdicts, strict=True)
        ]
    errors = [found.exception() for found in running]
    winner = errors.index(None)
    lost = errors[1 - winner]
    assert isinstance(lost, LifeboatError)
    assert "another deployment is in progress" in str(lost) or "the champion of tiny" in str(lost)
    assert world.serving == world.champion == bundles[winner].digest
    assert not world.candidates_running
