"""Waiting until a predictor serves.

A SeldonDeployment's own status has no observedGeneration and is Available for moments during a rolling update, so its
Deployments are asked as well: each must carry the wanted digest and have rolled out all of it.
"""

from __future__ import annotations

import re
import time

from lifeboat.config.errors import DeployError
from lifeboat.deploy.kubernetes.cluster import Cluster, Document
from lifeboat.deploy.kubernetes.diagnostics import Reason, reason
from lifeboat.deploy.kubernetes.manifest import Predictor, belongs_to, carries, other_name
from lifeboat.deploy.kubernetes.plan import RolloutPlan

# Operator 1.17.1 deletes the Services of a predictor that is gone and then writes its status. If anybody wrote to the
# SeldonDeployment in between, that fails, and it looks for those Services at each turn from then on: the state is
# Failed, for this reason, until a predictor of that name comes again. All the rest of its work is done.
FORGOTTEN = re.compile(r'Service "[^"]+" not found')


def wait_until_ready(cluster: Cluster, predictor: Predictor, plan: RolloutPlan) -> None:
    """Returns when every replica is up.

    Raises:
        DeployError: something stands in the way for the plan's grace, or a want of room for its room, or it is not up
            within the plan's patience.
    """
    start, standing, since = time.monotonic(), None, 0.0
    while True:
        deployments = cluster.deployments()
        if _is_available(cluster.read()) and _are_rolled_out(deployments, predictor):
            return
        why, now = _reason(cluster, predictor, deployments), time.monotonic()
        if why is None or why != standing:
            standing, since = why, now
        if why and (why.final or now - since >= (plan.pace.room if why.wants_room else plan.pace.grace)):
            raise _failure(cluster, predictor, why)
        if now - start > plan.patience:
            detail = why or Reason(progress(deployments, predictor) + operators_words(cluster.read()))
            raise _failure(cluster, predictor, detail, f"is not up after {plan.patience} s")
        time.sleep(plan.pace.poll)


def wait_until_alone(cluster: Cluster, predictor: Predictor, plan: RolloutPlan) -> None:
    """Returns when the operator has removed every other predictor's Deployment, but one without a pod.

    Raises:
        DeployError: it has not within the plan's patience.
    """
    start = time.monotonic()
    while others := [found for found in cluster.deployments() if not _is_settled(found, predictor)]:
        if time.monotonic() - start > plan.patience:
            names = ", ".join(str(found["metadata"]["name"]) for found in others)
            words = operators_words(cluster.read())
            raise DeployError(f"Seldon's operator has not settled {names} within {plan.patience} s{words}")
        time.sleep(plan.pace.poll)
    _wait_until_forgotten(cluster, predictor, plan)


def is_unnoticed(cluster: Cluster, predictor: Predictor) -> bool:
    """Whether a predictor has a Deployment that is to have pods and has none.

    Operator 1.17.1 removes only Deployments of which it has seen a pod: this one would stay, and make its pods as soon
    as a quota lets it.
    """
    own = _own(cluster.deployments(), predictor)
    return any(found["spec"].get("replicas", 1) and not found.get("status", {}).get("replicas") for found in own)


def wait_until_asleep(cluster: Cluster, predictor: Predictor, plan: RolloutPlan) -> None:
    """Returns when the predictor's Deployment is told to have no pod, or after the plan's grace."""
    deadline = time.monotonic() + plan.pace.grace
    while is_unnoticed(cluster, predictor) and time.monotonic() < deadline:
        time.sleep(plan.pace.poll)


def operators_words(live: Document | None) -> str:
    """What the operator says of a SeldonDeployment that it cannot make, for the end of a sentence."""
    status = (live or {}).get("status", {})
    words = " ".join(str(status.get("description", "")).split())
    return f"; the operator says: {words}" if words and status.get("state") == "Failed" else ""


def _wait_until_forgotten(cluster: Cluster, predictor: Predictor, plan: RolloutPlan) -> None:
    """Returns when the operator's status names no Service of the other predictor: nobody should write before that.

    It is a matter of moments, and no harm where it never comes (see FORGOTTEN).
    """
    gone, deadline = f"{cluster.name}-{other_name(predictor.name)}", time.monotonic() + plan.pace.grace
    while time.monotonic() < deadline:
        status = (cluster.read() or {}).get("status", {})
        if _is_lost(status) or not any(name.startswith(gone) for name in status.get("serviceStatus", {})):
            return
        time.sleep(plan.pace.poll)


def _is_settled(deployment: Document, predictor: Predictor) -> bool:
    """Whether a Deployment is the predictor's own, with its digest, rolled out, and asleep if the predictor is.

    Another's is settled when it has no pod and is to have none.
    """
    replicas = deployment["spec"].get("replicas", 1)
    if not belongs_to(deployment, predictor.name):
        return not replicas and not deployment.get("status", {}).get("replicas")
    own = carries(deployment, predictor.name, predictor.digest) and is_rolled_out(deployment)
    return own and (predictor.is_awake or not replicas)


def is_rolled_out(deployment: Document) -> bool:
    """Whether the Deployment's controller has seen its newest state and every replica of it, and no other, is up."""
    status, replicas = deployment.get("status", {}), deployment["spec"].get("replicas", 1)
    seen = status.get("observedGeneration", 0) >= deployment["metadata"]["generation"]
    counts = {status.get(key, 0) for key in ("replicas", "updatedReplicas", "availableReplicas")}
    return seen and counts == {replicas}


def progress(deployments: list[Document], predictor: Predictor) -> str:
    """How far it came."""
    own = _own(deployments, predictor)
    if not own:
        return "Seldon's operator has made no Deployment of it: does the operator run?"
    ready = sum(found.get("status", {}).get("availableReplicas", 0) for found in own)
    return f"{ready} of {sum(found['spec'].get('replicas', 1) for found in own)} pods are available"


def _is_available(live: Document | None) -> bool:
    status = (live or {}).get("status", {})
    return status.get("state") == "Available" or _is_lost(status)


def _is_lost(status: Document) -> bool:
    """Whether the operator looks for a Service that it has deleted itself."""
    return bool(FORGOTTEN.fullmatch(status.get("description", "")))


def _are_rolled_out(deployments: list[Document], predictor: Predictor) -> bool:
    own = _own(deployments, predictor)
    return bool(own) and all(is_rolled_out(found) for found in own)


def _reason(cluster: Cluster, predictor: Predictor, deployments: list[Document]) -> Reason | None:
    # A pod carries its environment as a Deployment's template does.
    pods = [found for found in cluster.pods() if _own([{"spec": {"template": found}}], predictor)]
    return reason(_own(deployments, predictor), _own(cluster.replica_sets(), predictor), pods)


def _own(found: list[Document], predictor: Predictor) -> list[Document]:
    """Those of the predictor's that the operator has brought its digest into."""
    return [document for document in found if carries(document, predictor.name, predictor.digest)]


def _failure(cluster: Cluster, predictor: Predictor, why: Reason, what: str = "does not come up") -> DeployError:
    words = f"; {cluster.last_words(why.pod, why.container)}" if why.pod else ""
    return DeployError(f"version {predictor.version} {what}: {why.text}{words}")
