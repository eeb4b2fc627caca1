"""The laptop that docs/kubernetes.md asks for has room for what is asked of it: a pod without room waits for ever."""

from __future__ import annotations

import re

import yaml

from tests.infra.kustomize.build import ROOT, WORKLOADS, Resource, overlay

DOCUMENT = ROOT / "docs" / "kubernetes.md"
COMPILED = ROOT / "tests" / "pipeline" / "golden.yaml"
UNITS = {"": 1.0, "m": 1e-3, "Ki": 2.0**10, "Mi": 2.0**20, "Gi": 2.0**30, "M": 1e6, "G": 1e9}
# What the others on the page ask for, in cores and bytes, as read in their manifests.
OTHERS = {
    "the control plane, DNS and network of a cluster of kind's": ("950m", "290Mi"),
    "Kubeflow Pipelines 2.17.0, platform-agnostic": ("704m", "3174Mi"),
    "Argo's container beside a step": ("10m", "32Mi"),
    "Seldon's operator, as the chart 1.17.1 has it": ("100m", "200Mi"),
}


def amount(quantity: str) -> float:
    """A quantity of Kubernetes's."""
    found = re.fullmatch(r"([\d.]+)([A-Za-z]*)", quantity)
    assert found, quantity
    return float(found[1]) * UNITS[found[2]]


def asked(spec: Resource, kind: str) -> float:
    """What the containers of a pod ask for; those that run before are less."""
    boxes = [box["resources"]["requests"][kind] for box in spec["containers"]]
    before = [box["resources"]["requests"][kind] for box in spec.get("initContainers", [])]
    return max(sum(map(amount, boxes)), *map(amount, before), 0.0)


def workloads(kind: str) -> float:
    found = [resource["spec"] for resource in overlay("kind") if resource["kind"] in WORKLOADS]
    return float(sum(spec["replicas"] * asked(spec["template"]["spec"], kind) for spec in found))


def model(kind: str) -> float:
    """One pod of a model, with Seldon's container."""
    spec = next(found["spec"] for found in overlay("kind") if found["kind"] == "SeldonDeployment")
    (part,) = spec["predictors"]
    return asked(part["componentSpecs"][0]["spec"], kind) + amount(part["svcOrchSpec"]["resources"]["requests"][kind])


def steps(kind: str) -> dict[str, float]:
    """What each step of a run asks for."""
    executors = next(yaml.safe_load_all(COMPILED.read_text()))["deploymentSpec"]["executors"]
    key = {"cpu": "resourceCpuRequest", "memory": "resourceMemoryRequest"}[kind]
    return {name: amount(found["container"]["resources"][key]) for name, found in executors.items()}


def test_a_run_and_its_rollout_have_room_on_the_laptop_that_the_page_asks_for() -> None:
    said = re.search(r"(\d+) CPUs and (\d+) GB of memory for the cluster", DOCUMENT.read_text())
    assert said
    for kind, index, room in (("cpu", 0, amount(said[1])), ("memory", 1, amount(f"{said[2]}G"))):
        always = workloads(kind) + sum(amount(others[index]) for others in OTHERS.values())
        known = steps(kind)
        # A first version comes up while its step waits; a second one's two pods stand beside the old one.
        needed = max(*(always + step for step in known.values()), always + known["exec-deploy"] + 3 * model(kind))
        assert needed <= room, f"{kind}: {needed:.5g} are asked for"
        assert needed > 0.8 * room, f"{kind}: {needed:.5g} are enough"
