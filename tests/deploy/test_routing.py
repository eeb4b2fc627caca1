"""The split that a VirtualService of Seldon's operator says is in force, and waiting for it."""

from __future__ import annotations

from typing import Any

import pytest

from lifeboat.config.errors import DeployError
from lifeboat.config.settings import Settings
from lifeboat.deploy.kubernetes import routing
from lifeboat.deploy.kubernetes.manifest import Predictor
from lifeboat.deploy.kubernetes.plan import Pace, RolloutPlan
from lifeboat.deploy.kubernetes.waiting import operators_words

PLAN = RolloutPlan.from_settings(Settings(rollout_patience=1), Pace(poll=0.05, spread=0.0))
BLUE, GREEN = Predictor({"name": "blue", "traffic": 75}), Predictor({"name": "green", "traffic": 25})


def virtual_service(mirror: str = "", /, **weights: int) -> dict[str, Any]:
    """As operator 1.17.1 writes it: a rule for HTTP and one for gRPC, no weight where it is 0."""

    def rule(port: int) -> dict[str, Any]:
        def to(name: str) -> dict[str, Any]:
            host = f"titanic-{name}.lifeboat.svc.cluster.local"
            return {"host": host, "subset": name, "port": {"number": port}}

        parts = [
            {"destination": to(name), **({"weight": weight} if weight else {})} for name, weight in weights.items()
        ]
        return {"route": parts, **({"mirror": to(mirror)} if mirror else {})}

    return {"spec": {"http": [rule(8000), rule(5001)]}}


class Cluster:
    """Gives one VirtualService after the other, and the last one for ever."""

    def __init__(self, *found: dict[str, Any] | None, status: dict[str, str] | None = None) -> None:
        self.found, self.status = list(found), status or {}

    def virtual_service(self) -> dict[str, Any] | None:
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]

    def read(self) -> dict[str, Any]:
        return {"status": self.status}


def wait(cluster: Cluster, *parts: Predictor) -> None:
    routing.wait_until_split(cluster, list(parts), PLAN)  # type: ignore[arg-type]


def test_it_waits_for_the_virtual_service_and_then_for_its_weights() -> None:
    cluster = Cluster(None, virtual_service(blue=100, green=0), virtual_service(blue=75, green=25))
    wait(cluster, BLUE, GREEN)
    assert cluster.found == [virtual_service(blue=75, green=25)]


def test_both_protocols_must_follow() -> None:
    half = virtual_service(blue=75, green=25)
    half["spec"]["http"][1] = virtual_service(blue=100, green=0)["spec"]["http"][1]
    with pytest.raises(DeployError, match="still split blue 100 % after 1 s, not blue 75 %, green 25 %"):
        wait(Cluster(half), BLUE, GREEN)


def test_one_that_gets_nothing_is_as_good_as_none() -> None:
    wait(Cluster(virtual_service(blue=100, green=0)), BLUE.with_traffic(100))
    wait(Cluster(virtual_service(blue=100)), BLUE.with_traffic(100), GREEN.with_traffic(0))


def test_a_shadow_is_in_force_when_it_is_the_mirror() -> None:
    parts = [BLUE.with_traffic(100), GREEN.with_traffic(0, shadow=True)]
    wait(Cluster(virtual_service("green", blue=100)), *parts)
    with pytest.raises(DeployError, match="still split blue 100 % after 1 s, not blue 100 %, a copy to green"):
        wait(Cluster(virtual_service(blue=100)), *parts)


def test_what_the_operator_says_of_its_failure_is_said() -> None:
    failed = {"state": "Failed", "description": "no matches for\nkind VirtualService"}
    with pytest.raises(
        DeployError, match="made no VirtualService within 1 s: .*; the operator says: no matches for kind"
    ):
        wait(Cluster(None, status=failed), BLUE.with_traffic(100))
    assert operators_words({"status": {"state": "Creating", "description": ""}}) == operators_words(None) == ""
