"""A challenger under traffic: real model servers, judged by a real Prometheus."""

from __future__ import annotations

import pytest

from lifeboat.config.errors import DeployError
from lifeboat.deploy.kubernetes import manifest
from lifeboat.model.bundle import Bundle
from tests.cluster.conftest import ClusterWorld
from tests.cluster.graphs import failing, slow


def refused(world: ClusterWorld, challenger: Bundle, words: str, a_second: int = 60) -> list[str]:
    """The challenger does not take over: the champion has all the traffic again, and the alias never moved."""
    first = world.champion
    said: list[str] = []

    def hear(line: str) -> None:
        said.append(line)
        print(line)  # the figures it passed by, where it should not have

    verdict = world.judged(challenger, champion=first)
    with world.traffic(a_second) as seen, pytest.raises(DeployError, match=words):
        world.deploy(challenger, verdict, hear)
    assert seen
    assert world.serving == world.champion == first
    assert not world.candidates_running
    assert world.note(manifest.CHALLENGER) == ""
    assert "holderIdentity" not in world.lease
    assert said[-1] == "the old version serves again"
    return said


def test_a_canary_that_keeps_to_the_limits_is_promoted_step_by_step(world: ClusterWorld) -> None:
    world = world.judged_by(rollout_steps="10,25,50")
    world.ship(0.1)
    second = world.bundle(0.12)
    said: list[str] = []
    verdict = world.judged(second, champion=world.champion)
    with world.traffic() as seen:
        world.deploy(second, verdict, said.append)
    assert set(seen) == {200}
    assert world.serving == world.champion == second.digest
    assert not world.candidates_running
    passed = [line for line in said if "passed" in line]
    shares = ("10 %", "25 %", "50 %")
    assert [line.partition(" passed")[0] for line in passed] == [f"version 2 at {share}" for share in shares]
    assert all("0.0% failed" in line for line in passed)


def test_a_canary_that_fails_requests_is_removed_at_once(world: ClusterWorld) -> None:
    world = world.judged_by(rollout_steps="50", rollout_window=60, rollout_patience=90)
    world.ship(0.1)
    refused(world, world.bundle(0.12, model=failing(0.12)), r"version 2 at 50 % did not pass: it failed \d+ of \d+ ")


def test_a_slow_canary_is_removed(world: ClusterWorld) -> None:
    # Few enough requests that the slow one leaves the champion a core: both stand on the same machine here. On a quiet
    # one it needs less than the 50 ms that are no objection by default.
    world = world.judged_by(rollout_steps="50", rollout_window=6, rollout_latency_seconds=0.01)
    world.ship(0.1)
    late = r"did not pass: its p[\d.]+ is [\d.]+ ms; the champion"
    refused(world, world.bundle(0.12, model=slow(0.12)), late, a_second=16)


def test_a_canary_with_other_scores_is_removed(world: ClusterWorld) -> None:
    world = world.judged_by(rollout_steps="50")
    world.ship(0.0)
    far = r"Kolmogorov distance (0\.[5-9]|1\.00)"
    refused(world, world.bundle(0.6), f"did not pass: its scores are distributed differently: {far}")


def test_without_enough_traffic_nothing_is_promoted(world: ClusterWorld) -> None:
    world.ship(0.1)
    world = world.judged_by(rollout_requests=100_000, rollout_patience=12)
    refused(world, world.bundle(0.12), "not enough traffic: the champion had [0-9]+ of 100000 requests")


def test_without_prometheus_nothing_is_promoted(world: ClusterWorld) -> None:
    world.ship(0.1)
    world = world.judged_by(prometheus_url="http://127.0.0.1:9", rollout_patience=12)
    refused(world, world.bundle(0.12), "Prometheus at http://127.0.0.1:9 gave no answer")


def test_a_shadow_answers_nobody_and_is_promoted_on_what_it_would_have_said(world: ClusterWorld) -> None:
    world = world.judged_by(rollout="shadow")
    first = world.ship(0.1)
    second = world.bundle(0.12)
    said: list[str] = []
    verdict = world.judged(second, champion=first.digest)
    answered: set[str | None] = set()

    def ask_while_it_is_watched(line: str) -> None:
        said.append(line)
        if "is watched" in line:
            answered.update(world.serving for _ in range(20))

    with world.traffic() as seen:
        world.deploy(second, verdict, ask_while_it_is_watched)
    assert set(seen) == {200}
    assert answered == {first.digest}
    assert world.serving == world.champion == second.digest
    assert any("as a shadow, with a copy of the traffic, passed" in line for line in said)


def test_a_shadow_with_other_scores_is_removed(world: ClusterWorld) -> None:
    world = world.judged_by(rollout="shadow")
    world.ship(0.0)
    refused(world, world.bundle(0.6), "as a shadow, .* did not pass: its scores are distributed differently")
