"""Why a predictor does not come up, in words, from what Kubernetes says about its Deployments and pods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]
PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull")
# So often Kubernetes started it again, later each time: half a minute and more after the first start.
RESTARTS = 3
SETUP = ("CreateContainerConfigError", "CreateContainerError", "RunContainerError")


@dataclass(frozen=True)
class Reason:
    """Something that keeps a pod from running.

    Args:
        text: for the user.
        pod, container: whose last words tell more, if they do.
        final: whether it was given time already, so that waiting longer is of no use.
        wants_room: whether a node that comes, or one that is less full, mends it.
    """

    text: str
    pod: str = ""
    container: str = ""
    final: bool = False
    wants_room: bool = False


def reason(deployments: list[Document], replica_sets: list[Document], pods: list[Document]) -> Reason | None:
    """The first thing that stands in the way; None while all of them are merely starting.

    Args:
        deployments, replica_sets, pods: the predictor's, as the API gives them.
    """
    found = (*_refusals([*deployments, *replica_sets]), *(why for pod in pods for why in _pod_reasons(pod)))
    return found[0] if found else None


def _refusals(controllers: list[Document]) -> Iterator[Reason]:
    """Pods that were never made: a quota, or an admission rule."""
    for controller in controllers:
        for condition in controller.get("status", {}).get("conditions", []):
            if condition["type"] == "ReplicaFailure" and condition["status"] == "True":
                message = condition.get("message", "")
                kind = "the quota is exceeded" if "exceeded quota" in message else "its pods are not admitted"
                yield Reason(f"{kind}: {message}")


def _pod_reasons(pod: Document) -> Iterator[Reason]:
    status = pod.get("status", {})
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition.get("reason") == "Unschedulable":
            text = f"no node takes its pod: {condition.get('message', 'unschedulable')}"
            yield Reason(text, wants_room=True)
    for container in (*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])):
        if why := _container_reason(pod["metadata"]["name"], container):
            yield why


def _container_reason(pod: str, container: Document) -> Reason | None:
    waiting = container.get("state", {}).get("waiting", {})
    cause, message = waiting.get("reason", ""), waiting.get("message", "")
    if cause in PULL:
        return Reason(f"its image {container['image']} cannot be pulled: {message or cause}")
    if cause in SETUP:
        return Reason(f"its container {container['name']} cannot be started: {message or cause}")
    # Between two crashes it runs for a moment.
    again = container.get("restartCount", 0) >= RESTARTS and not container.get("ready")
    if again or cause == "CrashLoopBackOff":
        return Reason(f"its container {container['name']} {_ending(container)}", pod, container["name"], final=again)
    return None


def _ending(container: Document) -> str:
    last = container.get("lastState", {}).get("terminated", {})
    times = f"ended {container.get('restartCount', 0)} times"
    if last.get("reason") == "OOMKilled":
        return f"{times}, killed for want of memory"
    # Where it never began, as without the program it is to run, there is no log: the runtime's words are here.
    why = " ".join(last.get("message", "").split())
    return f"{times}, the last time with exit code {last.get('exitCode', 'unknown')}{why and f': {why}'}"
