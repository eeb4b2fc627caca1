"""Waiting until a predictor serves.

A SeldonDeployment's own status has no observedGeneration and stays Available during a rolling update, so its
Deployments are asked as well: each must carry the wanted digest and have rolled out all of it.
"""

from __future__ import annotations

import time

from components.core.errors import DeployError
from components.deploy.kubernetes.cluster import Cluster, Document
from components.deploy.kubernetes.manifest import Predictor, carries
from components.deploy.kubernetes.plan import Plan
from components.deploy.kubernetes.reasons import Reason, reason


def wait_until_ready(cluster: Cluster, predictor: Predictor, plan: Plan) -> None:
    """Returns when every replica is up.

    Raises:
        DeployError: something stands in the way for the plan's grace, or it is not up within the plan's patience.
    """
    start, standing, since = time.monotonic(), None, 0.0
    while True:
        deployments = cluster.deployments()
        if _is_available(cluster.read()) and _are_rolled_out(deployments, predictor):
            return
        why, now = _reason(cluster, predictor, deployments), time.monotonic()
        if why is None or why != standing:
            standing, since = why, now
        if why and (why.final or now - since >= plan.pace.grace):
            raise _failure(cluster, predictor, why)
        if now - start > plan.patience:
            detail = why or Reason(progress(deployments, predictor))
            raise _failure(cluster, predictor, detail, f"is not up after {plan.patience} s")
        time.sleep(plan.pace.poll)


def wait_until_alone(cluster: Cluster, predictor: Predictor, plan: Plan) -> None:
    """Returns when the operator has removed every other predictor's Deployment, and with it its share of the traffic.

    Raises:
        DeployError: it has not within the plan's patience.
    """
    start = time.monotonic()
    while others := [found for found in cluster.deployments() if not _is_settled(found, predictor)]:
        if time.monotonic() - start > plan.patience:
            names = ", ".join(str(found["metadata"]["name"]) for found in others)
            raise DeployError(f"Seldon's operator has not settled {names} within {plan.patience} s")
        time.sleep(plan.pace.poll)


def _is_settled(deployment: Document, predictor: Predictor) -> bool:
    """Whether a Deployment is the predictor's own, with its digest, rolled out, and asleep if the predictor is."""
    awake = predictor.document.get("replicas", 1) > 0
    own = carries(deployment, predictor.name, predictor.digest) and is_rolled_out(deployment)
    return own and (awake or not deployment["spec"]["replicas"])


def is_rolled_out(deployment: Document) -> bool:
    """Whether the Deployment's controller has seen its newest state and every replica of it, and no other, is up."""
    status, replicas = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    counts = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")}
    return seen and counts == {replicas}


def progress(deployments: list[Document], predictor: Predictor) -> str:
    """How far it came."""
    own = [found for found in deployments if carries(found, predictor.name, predictor.digest)]
    if not own:
        return "Seldon's operator has made no Deployment of it: does the operator run?"
    ready = sum(found.get("status", {}).get("availableReplicas", 0) for found in own)
    return f"{ready} of {sum(found['spec'].get('replicas', 1) for found in own)} pods are available"


def _is_available(live: Document | None) -> bool:
    return bool(live) and (live or {}).get("status", {}).get("state") == "Available"


def _are_rolled_out(deployments: list[Document], predictor: Predictor) -> bool:
    own = [found for found in deployments if carries(found, predictor.name, predictor.digest)]
    return bool(own) and all(is_rolled_out(found) for found in own)


def _reason(cluster: Cluster, predictor: Predictor, deployments: list[Document]) -> Reason | None:
    own = [found for found in deployments if carries(found, predictor.name, predictor.digest)]
    sets = [found for found in cluster.replica_sets() if carries(found, predictor.name, predictor.digest)]
    # A pod carries its environment as a Deployment's template does.
    pods = [found for found in cluster.pods() if carries(_as_template(found), predictor.name, predictor.digest)]
    return reason(own, sets, pods)


def _as_template(pod: Document) -> Document:
    return {"spec": {"template": pod}}


def _failure(cluster: Cluster, predictor: Predictor, why: Reason, what: str = "does not come up") -> DeployError:
    words = f"; {cluster.last_words(why.pod, why.container)}" if why.pod else ""
    return DeployError(f"version {predictor.version} {what}: {why.text}{words}")
