"""Why pods do not run, from the statuses that Kubernetes writes."""

from __future__ import annotations

from typing import Any

from lifeboat.deploy.kubernetes.diagnostics import Reason, reason


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "tiny-0"}, "status": status}


def waiting(cause: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": cause, "message": message}}
    return {"name": "tiny", "image": "lifeboat/model-server:1", "state": state, **more}


def why(*pods: dict[str, Any]) -> Reason | None:
    return reason([], [], list(pods))


def test_pods_that_are_starting_are_no_reason() -> None:
    assert why(pod(), pod(containerStatuses=[waiting("PodInitializing"), waiting("ContainerCreating")])) is None


def test_an_image_that_cannot_be_pulled() -> None:
    found = why(pod(containerStatuses=[waiting("ImagePullBackOff", "not found")]))
    assert found == Reason("its image lifeboat/model-server:1 cannot be pulled: not found")


def test_a_crash_loop_names_the_container_whose_words_tell_more() -> None:
    last = {"terminated": {"exitCode": 3, "reason": "Error"}}
    found = why(pod(containerStatuses=[waiting("CrashLoopBackOff", restartCount=4, lastState=last)]))
    assert found == Reason(
        "its container tiny ended 4 times, the last time with exit code 3", "tiny-0", "tiny", final=True
    )


def test_a_container_that_runs_between_two_crashes_is_in_a_crash_loop_all_the_same() -> None:
    status = {"name": "tiny", "image": "i", "state": {"running": {}}, "ready": False}
    found = why(pod(containerStatuses=[{**status, "restartCount": 3}]))
    assert found is not None
    assert found.final
    assert why(pod(containerStatuses=[{**status, "restartCount": 1}])) is None
    assert why(pod(containerStatuses=[{**status, "restartCount": 3, "ready": True}])) is None


def test_want_of_memory_is_named() -> None:
    last = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}
    found = why(pod(containerStatuses=[waiting("CrashLoopBackOff", restartCount=2, lastState=last)]))
    assert found is not None
    assert found.text == "its container tiny ended 2 times, killed for want of memory"


def test_a_container_that_never_began_is_told_of_by_the_runtime() -> None:
    """As the kubelet writes it for an image that lacks the program: there is no log to read last words from."""
    message = 'failed to create containerd task:\n exec: "python3": executable file not found in $PATH: unknown'
    last = {"terminated": {"exitCode": 128, "reason": "StartError", "message": message}}
    found = why(pod(containerStatuses=[waiting("CrashLoopBackOff", restartCount=2, lastState=last)]))
    assert found is not None
    assert found.text == (
        "its container tiny ended 2 times, the last time with exit code 128: "
        'failed to create containerd task: exec: "python3": executable file not found in $PATH: unknown'
    )


def test_the_container_that_fetches_the_bundle_counts_as_well() -> None:
    found = why(pod(initContainerStatuses=[{**waiting("CrashLoopBackOff", restartCount=1), "name": "bundle"}]))
    assert found is not None
    assert found.container == "bundle"


def test_a_missing_secret() -> None:
    found = why(pod(containerStatuses=[waiting("CreateContainerConfigError", 'secret "s3-model-server" not found')]))
    assert found is not None
    assert found.text == 'its container tiny cannot be started: secret "s3-model-server" not found'


def test_no_node_takes_the_pod() -> None:
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/3 nodes"}
    found = why(pod(conditions=[condition]))
    assert found == Reason("no node takes its pod: 0/3 nodes", wants_room=True)


def failure(message: str) -> dict[str, Any]:
    return {"status": {"conditions": [{"type": "ReplicaFailure", "status": "True", "message": message}]}}


def test_a_quota_and_an_admission_rule_are_told_apart() -> None:
    quota, admission = failure("pods is forbidden: exceeded quota: full"), failure("violates PodSecurity")
    assert reason([quota], [], []) == Reason("the quota is exceeded: pods is forbidden: exceeded quota: full")
    assert reason([], [admission], []) == Reason("its pods are not admitted: violates PodSecurity")


def test_a_condition_that_is_over_is_no_reason() -> None:
    over = failure("exceeded quota")
    over["status"]["conditions"][0]["status"] = "False"
    assert reason([over], [over], []) is None
