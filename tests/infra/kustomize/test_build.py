"""Every overlay and every combination of components is built, and is what Kubernetes and Seldon's operator take."""

from __future__ import annotations

from functools import cache
from typing import Any

import jsonschema
import pytest
import yaml

from tests.infra.kustomize.build import (
    BESIDE,
    COMBINATIONS,
    KUSTOMIZE,
    OPTIONAL,
    OVERLAYS,
    ROOT,
    Resource,
    combination,
    model,
    one,
    overlay,
    predictor,
)
from tests.slow import first_of

EACH = pytest.mark.parametrize("name", OVERLAYS)
# GKE's regular channel when the platform's versions were chosen.
KUBERNETES = "1.33.0"
CRD = ROOT / "tests" / "infra" / "crds" / "seldondeployments.machinelearning.seldon.io.yaml"
# The Prometheus operator's own kinds: no schema of theirs is here.
UNCHECKED = {"PodMonitor", "PrometheusRule", "ServiceMonitor"}


@cache
def seldon_schema() -> dict[str, Any]:
    """That of the operator's version 1.17.1, which refuses what it does not know."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    versions = yaml.load(CRD.read_text(), loader)["spec"]["versions"]  # noqa: S506  # a safe loader, either of them
    schema: dict[str, Any] = next(v["schema"]["openAPIV3Schema"] for v in versions if v["name"] == "v1")
    _close(schema)
    schema["properties"]["metadata"] = {}
    return schema


def _close(schema: Any) -> None:
    """Kubernetes drops a field that the schema does not know; here it is an error."""
    if isinstance(schema, dict):
        if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
            schema.setdefault("additionalProperties", False)
        if schema.pop("x-kubernetes-int-or-string", False):
            schema.pop("type", None)
            schema.pop("format", None)
        for value in schema.values():
            _close(value)
    if isinstance(schema, list):
        for value in schema:
            _close(value)


def check(resources: list[Resource]) -> None:
    for resource in resources:
        if resource["kind"] == "SeldonDeployment":
            jsonschema.validate(resource, seldon_schema())


@EACH
def test_an_overlay_is_as_the_operator_wants_it(name):
    check(overlay(name))


@pytest.mark.parametrize(
    "chosen", first_of(sorted(COMBINATIONS, key=len, reverse=True), 2), ids=lambda chosen: "+".join(chosen) or "none"
)
def test_every_combination_of_components_is_built_and_as_the_operator_wants_it(chosen):
    resources = combination(chosen)
    check(resources)
    item = predictor(resources)
    assert ("logger" in item["graph"]) is ("no-engine" not in chosen)
    assert ("hpaSpec" in item["componentSpecs"][0]) is ("autoscaling" in chosen)
    assert ("seldon.io/istio-gateway" in model(resources)["spec"]["annotations"]) is ("canary-istio" in chosen)
    policies = [r["metadata"]["name"] for r in resources if r["kind"] == "NetworkPolicy"]
    assert ("default-deny" in policies) is ("network-policies" in chosen)
    assert [r["kind"] for r in resources].count("SeldonDeployment") == 1


def test_the_schema_refuses_a_field_that_is_mistyped():
    wrong = {**model(overlay("kind")), "spec": {"predictors": [], "protocal": "seldon"}}
    with pytest.raises(jsonschema.ValidationError, match="protocal"):
        jsonschema.validate(wrong, seldon_schema())


@EACH
def test_an_overlay_is_as_kubernetes_wants_it(name):
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    checked = 0
    for resource in overlay(name):
        if resource["kind"] not in UNCHECKED | {"SeldonDeployment"}:
            validate.validate(resource, KUBERNETES, strict=True)
            checked += 1
    assert checked > 25


def test_the_models_pod_is_as_kubernetes_wants_it():
    """The pod that the operator makes of the template, with names that the deploy step gives."""
    validate = pytest.importorskip("kubernetes_validate", reason="kubernetes-validate is not installed")
    for name in OVERLAYS:
        spec = predictor(overlay(name))["componentSpecs"][0]["spec"]
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "m"}, "spec": spec}
        validate.validate(pod, KUBERNETES, strict=True)


@EACH
def test_an_overlay_holds_only_what_differs(name):
    lines = {path.name: len(path.read_text().splitlines()) for path in (KUSTOMIZE / "overlays" / name).iterdir()}
    assert set(lines) <= {"kustomization.yaml", "settings.yaml"}
    assert max(lines.values()) <= 45


def test_no_folder_of_the_base_or_the_components_is_left_out():
    """Each folder is built by some overlay, or is a component that the combinations build."""
    reached, waiting = (
        {KUSTOMIZE / "components" / name for name in (*OPTIONAL, *BESIDE)},
        [KUSTOMIZE / "overlays" / name for name in OVERLAYS],
    )
    while waiting:
        folder = waiting.pop().resolve()
        reached.add(folder)
        kustomization = yaml.safe_load((folder / "kustomization.yaml").read_text())
        parts = [*kustomization.get("resources", []), *kustomization.get("components", [])]
        waiting += [folder / part for part in parts if (folder / part).is_dir()]
    known = {path.parent for kind in ("base", "components") for path in (KUSTOMIZE / kind).glob("*/kustomization.yaml")}
    assert known - reached == set()


def test_the_operator_leaves_the_template_alone():
    assert model(overlay("production"))["metadata"]["labels"] == {"seldon.io/controller-id": "template"}


def test_the_rules_that_are_applied_are_the_ones_that_are_tested():
    monitoring = KUSTOMIZE / "base" / "monitoring"
    applied = one(overlay("production"), "PrometheusRule", "lifeboat")["spec"]
    assert applied == yaml.safe_load((monitoring / "rules.yaml").read_text()), "run prometheus-rule.sh"
    data = one(overlay("production"), "ConfigMap", "lifeboat-dashboards")["data"]
    assert data == {path.name: path.read_text() for path in (monitoring / "dashboards").iterdir()}


def test_kubeflow_is_of_one_version():
    ours = yaml.safe_load((KUSTOMIZE / "kubeflow-pipelines" / "kustomization.yaml").read_text())["resources"]
    assert [part.rpartition("?ref=")[2] for part in ours] == ["4a3592cb2dd0a91a4652ab93893ec8beda1f3158"]
    text = (KUSTOMIZE / "kubeflow-pipelines" / "kustomization.yaml").read_text()
    assert "of the tag 2.17.0" in text
    assert "KFP_VERSION=2.17.0" in (ROOT / "terraform" / "platform.sh").read_text()
    assert "kfp==2.17.0" in (ROOT / "pyproject.toml").read_text()
