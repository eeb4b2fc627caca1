"""How long a version that does not come up is waited for, by what stands in its way."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from lifeboat.config.errors import DeployError
from lifeboat.config.settings import Settings
from lifeboat.deploy.kubernetes import waiting
from lifeboat.deploy.kubernetes.manifest import DIGEST, PREDICTOR, VERSION, Predictor
from lifeboat.deploy.kubernetes.plan import Pace, RolloutPlan

DOCUMENT = {"name": "blue", "annotations": {DIGEST: "d1", VERSION: "1"}}
FULL = {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}]}
PULL = {"containerStatuses": [{"image": "i", "state": {"waiting": {"reason": "ErrImagePull", "message": "no host"}}}]}


class Cluster:
    """A Deployment whose one pod has a status for so many looks, and is up after them."""

    def __init__(self, status: dict[str, Any], looks: int) -> None:
        self.status, self.left = status, looks
        entry = {"name": "LIFEBOAT_FETCH_DIGEST", "value": "d1"}
        template = {"metadata": {"labels": {PREDICTOR: "blue"}}, "spec": {"containers": [{"env": [entry]}]}}
        self.deployment = {"metadata": {"generation": 1}, "spec": {"template": template}}
        self.pod = {"metadata": {"name": "tiny-0", **template["metadata"]}, "spec": template["spec"]}

    def read(self) -> dict[str, Any]:
        return {"status": {"state": "Creating" if self.left else "Available"}}

    def deployments(self) -> list[dict[str, Any]]:
        self.left = max(0, self.left - 1)
        up = int(not self.left)
        counts = {"replicas": 1, "updatedReplicas": 1, "availableReplicas": up, "observedGeneration": 1}
        return [{**self.deployment, "status": counts}]

    def replica_sets(self) -> list[dict[str, Any]]:
        return []

    def pods(self) -> list[dict[str, Any]]:
        return [{**self.pod, "status": self.status}]


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any], int], float]:
    """Waits for a cluster's version on a clock that only its own pauses move; gives the seconds that it took."""
    now = 0.0

    def pause(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(waiting, "time", SimpleNamespace(sleep=pause, monotonic=lambda: now))
    plan = RolloutPlan.from_settings(Settings(), Pace(poll=1.0))

    def waited(status: dict[str, Any], looks: int) -> float:
        waiting.wait_until_ready(Cluster(status, looks), Predictor(DOCUMENT), plan)  # type: ignore[arg-type]
        return now

    return waited


def test_a_node_that_an_autoscaler_makes_is_waited_for(wait: Callable[[dict[str, Any], int], float]) -> None:
    assert wait(FULL, 200) >= 190


def test_a_cluster_without_room_is_given_up_and_says_so(wait: Callable[[dict[str, Any], int], float]) -> None:
    with pytest.raises(DeployError, match="version 1 does not come up: no node takes its pod: 0/3 nodes"):
        wait(FULL, 350)


def test_an_image_that_cannot_be_pulled_is_not_waited_for_so_long(wait: Callable[[dict[str, Any], int], float]) -> None:
    assert wait(PULL, 15) >= 14
    with pytest.raises(DeployError, match="its image i cannot be pulled: no host"):
        wait(PULL, 60)
