"""Rollouts that do not come up: each says why in words, and the old version serves on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from kubernetes.client.exceptions import ApiException

from lifeboat.config.errors import DeployError
from lifeboat.deploy.kubernetes.manifest import CHALLENGER, TEMPLATE
from tests.cluster.api import SELDON, Api, message
from tests.cluster.conftest import PACE, ClusterWorld
from tests.cluster.kubelet import CRASH, NEVER, PULL, SLOW, UNSCHEDULABLE


def stopped(world: ClusterWorld, words: str, before: Callable[[str], None] = lambda _: None) -> None:
    """A second version fails for that reason."""
    first = world.ship(0.1)
    second = world.bundle(0.2)
    before(second.digest)
    verdict = world.judged(second, champion=first.digest)
    with pytest.raises(DeployError, match=words) as caught:
        world.deploy(second, verdict)
    assert "bringing the old version back failed" not in str(caught.value)
    assert world.serving == world.champion == first.digest
    assert not world.candidates_running
    assert world.pods_wanted == {"tiny-blue-0-tiny": 2}


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (PULL, "version 2 does not come up: its image .* cannot be pulled: Back-off pulling image"),
        (UNSCHEDULABLE, "no node takes its pod: 0/3 nodes are available: 3 Insufficient cpu"),
        (CRASH, r"its container tiny ended \d times, the last time with exit code 1; its last words: {\".*model\.onnx"),
    ],
)
def test_a_version_that_does_not_come_up_says_why(world: ClusterWorld, fault: str, words: str) -> None:
    stopped(world, words, lambda digest: world.faults.update({digest: fault}))


def test_a_version_that_never_comes_up_is_given_up(world: ClusterWorld) -> None:
    first = world.ship(0.1)
    second = world.bundle(0.2)
    world.faults[second.digest] = NEVER
    verdict = world.judged(second, champion=first.digest)
    with pytest.raises(DeployError, match="version 2 is not up after 3 s: 0 of 2 pods are available"):
        world.judged_by(at_once=True, rollout_patience=3).deploy(second, verdict)
    assert world.serving == world.champion == first.digest


def test_a_node_that_comes_later_is_waited_for(world: ClusterWorld) -> None:
    """As from an autoscaler of nodes, or when the steps that fill one end."""
    bundle = world.bundle(0.1)
    world.faults[bundle.digest] = UNSCHEDULABLE
    coming = threading.Timer(2 * PACE.grace, world.faults.pop, (bundle.digest,))
    coming.start()
    world.deploy(bundle, world.judged(bundle))
    coming.join()
    assert world.serving == world.champion == bundle.digest


def test_a_slow_start_is_waited_for(world: ClusterWorld) -> None:
    bundle = world.bundle(0.1)
    world.faults[bundle.digest] = SLOW
    world.deploy(bundle, world.judged(bundle))
    assert world.serving == world.champion == bundle.digest


def test_an_exceeded_quota_is_named(world: ClusterWorld) -> None:
    """The API server's own admission refuses the pods; its status is what the quota controller would write."""

    def fill(_: str) -> None:
        path = f"/api/v1/namespaces/{world.settings.namespace}/resourcequotas"
        quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}}
        world.machine.api.post(path, {**quota, "spec": {"hard": {"pods": "2"}}})
        status = {"hard": {"pods": "2"}, "used": {"pods": "2"}}
        world.machine.api.patch(f"{path}/full/status", {"status": status})

    stopped(
        world, "the quota is exceeded: .* exceeded quota: full, requested: pods=1, used: pods=2, limited: pods=2", fill
    )


def test_a_refused_admission_is_named(world: ClusterWorld) -> None:
    def forbid(digest: str) -> None:
        _policy(world.machine.api, world.settings.namespace, digest)

    try:
        stopped(world, "the cluster refused to change it .*denied request: this bundle is not welcome", forbid)
    finally:
        for kind in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
            world.machine.api.delete(f"/apis/admissionregistration.k8s.io/v1/{kind}/{world.settings.namespace}")


def _policy(api: Api, name: str, digest: str) -> None:
    """The API server itself refuses a SeldonDeployment with that challenger, once it knows the rule."""
    rule = {"apiGroups": ["machinelearning.seldon.io"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"]}
    expression = f"object.metadata.?annotations[?'lifeboat/challenger'].orValue('') != '{digest}'"
    spec: dict[str, Any] = {
        "matchConstraints": {"resourceRules": [{**rule, "resources": ["seldondeployments"]}]},
        "validations": [{"expression": expression, "message": "this bundle is not welcome"}],
    }
    group = "/apis/admissionregistration.k8s.io/v1"
    head = {"apiVersion": "admissionregistration.k8s.io/v1", "metadata": {"name": name}}
    api.post(f"{group}/validatingadmissionpolicies", {**head, "kind": "ValidatingAdmissionPolicy", "spec": spec})
    binding = {"policyName": name, "validationActions": ["Deny"]}
    path = f"{group}/validatingadmissionpolicybindings"
    api.post(path, {**head, "kind": "ValidatingAdmissionPolicyBinding", "spec": binding})
    _wait_for_the_rule(api, name, digest)


def _wait_for_the_rule(api: Api, namespace: str, digest: str) -> None:
    path = f"{SELDON}/namespaces/{namespace}/seldondeployments"
    template = api.get(f"{path}/{TEMPLATE}")
    assert template is not None
    metadata = {"name": "tried", "annotations": {CHALLENGER: digest}}
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            api.post(f"{path}?dryRun=All", {**template, "metadata": metadata})
        except ApiException as error:
            if "not welcome" in message(error):
                return
            raise
        time.sleep(0.2)
    raise AssertionError("the API server does not apply the rule")


def test_without_the_template_it_says_what_to_apply(world: ClusterWorld) -> None:
    place = f"/namespaces/{world.settings.namespace}/seldondeployments/{TEMPLATE}"
    world.machine.api.delete(f"{SELDON}{place}")
    bundle = world.bundle(0.1)
    verdict = world.judged(bundle)
    with pytest.raises(DeployError, match="no SeldonDeployment model-template in namespace .*: apply kustomize/"):
        world.deploy(bundle, verdict)


def test_a_namespace_that_is_not_the_deploy_steps_is_refused_by_the_cluster(world: ClusterWorld) -> None:
    world = world.judged_by(namespace="kube-system")
    bundle = world.bundle(0.1)
    verdict = world.judged(bundle)
    with pytest.raises(DeployError, match='refused to show it .* 403 .*in the namespace "kube-system"'):
        world.deploy(bundle, verdict)
