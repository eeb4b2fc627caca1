"""What is asked of every pod, name and permission, whatever the overlay."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from tests.infra.kustomize.build import (
    KUSTOMIZE,
    OVERLAYS,
    containers,
    model,
    one,
    overlay,
    pods,
    predictor,
)
from tests.infra.tools import checkov

EACH = pytest.mark.parametrize("name", OVERLAYS)
OURS = {"components", "drift-detector", "explainer", "model-server", "retrain-trigger", "tracking"}
IMAGE = re.compile(r"(?P<name>[^:@]+(?:/[^:@]+)+):(?P<tag>[^@]+)(?P<digest>@sha256:[0-9a-f]{64})?")


@EACH
def test_every_container_is_locked_as_restricted_wants_it(name):
    seen = 0
    for who, _, _, pod in pods(overlay(name)):
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True, who
        assert context["runAsUser"] > 0, who
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}, who
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod), who
        assert all("hostPath" not in volume for volume in pod.get("volumes", [])), who
        for container in containers(pod):
            locked = {
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
            assert container["securityContext"] == locked, (who, container["name"])
            seen += 1
    assert seen >= 5


@EACH
def test_restricted_is_enforced_where_seldons_own_container_is_not(name):
    """Its container drops no capability, which `restricted` refuses."""
    level = one(overlay(name), "Namespace", "lifeboat")["metadata"]["labels"]["pod-security.kubernetes.io/enforce"]
    with_engine = predictor(overlay(name)).get("annotations", {}).get("seldon.io/no-engine") != "true"
    assert level == ("baseline" if with_engine else "restricted")
    assert with_engine is (name == "kind")


@EACH
def test_every_container_says_what_it_needs_and_is_probed(name):
    for who, _, _, pod in pods(overlay(name)):
        for container in containers(pod):
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]), who
            assert "memory" in resources["limits"], who
            assert "cpu" not in resources["limits"], who
        for container in pod["containers"]:
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container), who
        assert pod["automountServiceAccountToken"] is False, who


@EACH
def test_every_image_has_a_tag_that_cannot_move_or_a_digest(name):
    for who, _, _, pod in pods(overlay(name)):
        for container in containers(pod):
            image = IMAGE.fullmatch(container["image"])
            assert image, (who, container["image"])
            assert image["tag"] != "latest"
            ours = image["name"].rpartition("/")[2] in OURS
            assert ours or image["digest"] or image["name"].startswith("gcr.io/cloud-sql-connectors/"), container[
                "image"
            ]


@EACH
def test_no_secret_holds_a_value(name):
    for resource in overlay(name):
        if resource["kind"] == "Secret":
            assert (resource["metadata"]["name"], set(resource["data"])) == (
                "lifeboat-alertmanager",
                {"alertmanager.yaml"},
            )
    text = "\n".join(path.read_text() for path in KUSTOMIZE.rglob("*.yaml") if path.name != "rules.yaml")
    assert not re.search(r"(?i)(password|secret-?key|access-?key|token): *['\"]?[A-Za-z0-9+/]{16,}", text)


def test_the_deploy_step_may_do_what_it_does_and_no_more():
    roles = [r for r in overlay("production") if r["kind"] in ("Role", "ClusterRole", "ClusterRoleBinding")]
    assert [(r["kind"], r["metadata"]["namespace"], r["metadata"]["name"]) for r in roles] == [
        ("Role", "lifeboat", "deploy-step")
    ]
    allowed = {resource: set(rule["verbs"]) for rule in roles[0]["rules"] for resource in rule["resources"]}
    read = {"get", "list", "watch"}
    assert allowed == {
        "seldondeployments": read | {"create", "patch"},
        "leases": {"get", "create", "update"},
        "deployments": read,
        "replicasets": read,
        "pods": read,
        "events": read,
        "pods/log": {"get"},
        "virtualservices": {"get"},
    }


@EACH
def test_everything_is_denied_but_what_is_named(name):
    resources = overlay(name)
    for namespace in ("lifeboat", "mlflow"):
        policy = one(resources, "NetworkPolicy", "default-deny", namespace)["spec"]
        assert policy == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for policy in (r for r in resources if r["kind"] == "NetworkPolicy"):
        for rule in [*policy["spec"].get("ingress", []), *policy["spec"].get("egress", [])]:
            assert rule.get("from") or rule.get("to"), policy["metadata"]["name"]
            assert rule["ports"], policy["metadata"]["name"]


@EACH
def test_checkov_finds_nothing_that_is_not_excused_in_place_with_a_reason(name, tmp_path: Path):
    """The model's pod as well, in the Deployment that Seldon's operator makes of it."""
    resources = [resource for resource in overlay(name) if resource["kind"] != "SeldonDeployment"]
    ((_, where, labels, pod),) = [found for found in pods(overlay(name)) if found[0] == "model-template"]
    own = model(overlay(name))["metadata"]["annotations"]
    meta = {"name": "model", "namespace": where, "labels": labels, "annotations": own}
    template = {"metadata": {"labels": labels}, "spec": pod}
    spec = {"selector": {"matchLabels": labels}, "template": template}
    resources.append({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": meta, "spec": spec})
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(resources))
    assert checkov("kubernetes", "--file", tmp_path / "all.yaml")["summary"]["passed"] > 250
    notes = [note for resource in resources for note in resource["metadata"].get("annotations", {}).items()]
    excuses = [text for key, text in notes if key.startswith("checkov.io/skip")]
    assert excuses
    assert all(re.fullmatch(r"CKV\w+=.{30,}", text) for text in excuses)
