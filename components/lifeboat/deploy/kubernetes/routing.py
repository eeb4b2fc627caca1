"""The split of the traffic in force, as against the one that was asked for.

Seldon's operator writes the shares of a SeldonDeployment into a VirtualService, but only once every pod of every
predictor is up, and says nowhere that it has. So the VirtualService itself is read: before it carries the shares a
version has no traffic to be judged on, and the old one still has its own.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from lifeboat.config.errors import DeployError
from lifeboat.deploy.kubernetes.cluster import Cluster, Document
from lifeboat.deploy.kubernetes.manifest import Predictor
from lifeboat.deploy.kubernetes.plan import RolloutPlan
from lifeboat.deploy.kubernetes.waiting import operators_words


@dataclass(frozen=True)
class TrafficSplit:
    """Who gets what.

    Args:
        weights: per cent by predictor, without those that get nothing.
        shadow: the predictor that gets a copy, '' for none.
    """

    weights: dict[str, int]
    shadow: str

    def __str__(self) -> str:
        shares = [f"{name} {weight} %" for name, weight in sorted(self.weights.items())]
        return ", ".join([*shares, *([f"a copy to {self.shadow}"] if self.shadow else [])]) or "nobody"


def asked(parts: list[Predictor]) -> TrafficSplit:
    """The split that predictors ask for."""
    weights = {part.name: part.traffic for part in parts if part.traffic and not part.is_shadow}
    return TrafficSplit(weights, next((part.name for part in parts if part.is_shadow), ""))


def in_force(virtual_service: Document) -> list[TrafficSplit]:
    """The split of each of its rules: one for HTTP, one for gRPC. The operator names a subset for the predictor."""
    return [_split(rule) for rule in virtual_service["spec"]["http"]]


def wait_until_split(cluster: Cluster, parts: list[Predictor], plan: RolloutPlan) -> None:
    """Returns when the mesh splits the traffic as the predictors ask.

    Raises:
        DeployError: it does not within the plan's patience, or the VirtualService may not be read.
    """
    start, wanted = time.monotonic(), asked(parts)
    while (found := cluster.virtual_service()) is None or any(split != wanted for split in in_force(found)):
        if time.monotonic() - start > plan.patience:
            raise DeployError(f"{_why(found, wanted, plan)}{operators_words(cluster.read())}")
        time.sleep(plan.pace.poll)
    time.sleep(plan.pace.spread)


def _split(rule: Document) -> TrafficSplit:
    weights = {part["destination"]["subset"]: part.get("weight", 0) for part in rule["route"]}
    return TrafficSplit(
        {name: weight for name, weight in weights.items() if weight}, rule.get("mirror", {}).get("subset", "")
    )


def _why(found: Document | None, wanted: TrafficSplit, plan: RolloutPlan) -> str:
    if found is None:
        return (
            f"Seldon's operator has made no VirtualService within {plan.patience} s: it was installed without "
            "istio.enabled, or cannot use Istio. Without Istio a rollout is a `switch`"
        )
    now = next(split for split in in_force(found) if split != wanted)
    return f"the traffic is still split {now} after {plan.patience} s, not {wanted}: the operator waits for every pod"
