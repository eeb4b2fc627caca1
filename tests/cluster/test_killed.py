"""A deploy step that is killed in the middle, and what the next one makes of what it left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from lifeboat.deploy.kubernetes import manifest
from lifeboat.model.bundle import Bundle
from tests.cluster.apiserver import DEPLOYER
from tests.cluster.conftest import PACE, ROOT, ClusterWorld


def killed_at(words: str, world: ClusterWorld, bundle: Bundle, verdict: Path, by: int = signal.SIGKILL) -> None:
    """Runs the deploy step as a process and ends it when it says those words."""
    configuration = world.machine.deployer.configuration
    given = {
        "settings": asdict(world.settings), "url": configuration.host, "certificate": str(configuration.ssl_ca_cert),
        "token": "" if "KUBECONFIG" in os.environ else DEPLOYER, "bundle": str(bundle.directory),
        "verdict": str(verdict),
    }  # fmt: skip
    file = world.folder / "rollout.json"
    file.write_text(json.dumps(given))
    command = [sys.executable, "-m", "tests.cluster.rollout", str(file)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        lines = []
        for line in child.stdout:
            lines.append(line)
            if words in line:
                child.send_signal(by)
                break
    assert words in lines[-1]


@pytest.fixture
def half_way(world: ClusterWorld) -> tuple[ClusterWorld, Bundle, Path]:
    """A canary at 25 % whose deploy step was killed."""
    world = world.judged_by(rollout_steps="25,50")
    world.ship(0.1)
    second = world.bundle(0.12)
    verdict = world.judged(second, champion=world.champion)
    with world.traffic():
        killed_at("at 25 % is watched", world, second, verdict)
    assert world.candidates_running
    return world, second, verdict


def test_the_same_rollout_run_again_resumes(half_way: tuple[ClusterWorld, Bundle, Path]) -> None:
    world, second, verdict = half_way
    said: list[str] = []
    with world.traffic() as seen:
        world.deploy(second, verdict, said.append)
    assert set(seen) == {200}
    assert "ended in the middle" in said[0]
    assert "version 2 stands there already, with 25 % of the traffic: resumed" in said
    assert world.serving == world.champion == second.digest
    assert not world.candidates_running


def test_another_rollout_clears_what_was_left(half_way: tuple[ClusterWorld, Bundle, Path]) -> None:
    world, second, _ = half_way
    third = world.bundle(0.14)
    verdict = world.judged(third, champion=world.champion)
    with world.traffic() as seen:
        world.deploy(third, verdict)
    assert set(seen) == {200}
    assert world.serving == world.champion == third.digest != second.digest
    assert not world.candidates_running


def test_killed_after_the_switch_the_alias_follows(world: ClusterWorld) -> None:
    world = world.judged_by(rollout="switch")
    first = world.ship(0.1)
    second = world.bundle(0.2)
    verdict = world.judged(second, champion=first.digest)
    killed_at("has taken over the traffic", world, second, verdict)
    if world.champion == first.digest:  # killed before the alias moved
        world.deploy(second, verdict)
    assert world.serving == world.champion == second.digest


def test_the_cluster_tells_how_far_a_rollout_is(half_way: tuple[ClusterWorld, Bundle, Path]) -> None:
    world, second, _ = half_way
    assert world.note(manifest.CHAMPION) == world.champion
    assert world.note(manifest.CHALLENGER) == second.digest
    shares = {part.version: part.traffic for part in manifest.predictors(world.live)}
    assert shares == {"1": 75, "2": 25}
    lease = world.lease
    assert lease["holderIdentity"].startswith(f"{socket.gethostname()}_")
    assert lease["leaseDurationSeconds"] == PACE.lease
    assert lease["acquireTime"] < lease["renewTime"]


def test_a_step_that_is_asked_to_end_puts_the_traffic_back_first(world: ClusterWorld) -> None:
    world = world.judged_by(rollout_steps="25,50")
    first = world.ship(0.1)
    second = world.bundle(0.12)
    verdict = world.judged(second, champion=first.digest)
    killed_at("at 25 % is watched", world, second, verdict, by=signal.SIGTERM)
    assert world.serving == world.champion == first.digest
    assert not world.candidates_running
    assert "holderIdentity" not in world.lease
