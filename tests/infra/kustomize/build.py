"""Overlays and components as Kustomize builds them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.documents import read_all

ROOT = Path(__file__).resolve().parents[3]
KUSTOMIZE = ROOT / "kustomize"
OVERLAYS = ("kind", "staging", "production")
# May be chosen freely; the other two say where stores are, and each overlay has one of them.
OPTIONAL = ("autoscaling", "canary-istio", "network-policies", "no-engine")
# As well, and they stand in the way of none of these: each is built alone and with all.
BESIDE = ("retention", "tracing")
COMBINATIONS = [chosen for size in range(len(OPTIONAL) + 1) for chosen in combinations(OPTIONAL, size)]
COMBINATIONS += [*((name,) for name in BESIDE), (*OPTIONAL, *BESIDE)]
WORKLOADS = ("Deployment", "StatefulSet", "DaemonSet", "Job", "CronJob")

Resource = dict[str, Any]


@cache
def _command() -> tuple[str, ...]:
    if path := shutil.which("kustomize"):
        return (path, "build")
    if path := shutil.which("kubectl"):
        return (path, "kustomize")
    pytest.skip("neither kustomize nor kubectl is installed")


def build(folder: Path) -> list[Resource]:
    """The resources of a kustomization; fails on a warning, too."""
    done = subprocess.run([*_command(), str(folder)], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return read_all(done.stdout)


@cache
def overlay(name: str) -> list[Resource]:
    """The resources of an overlay."""
    return build(KUSTOMIZE / "overlays" / name)


@cache
def combination(chosen: tuple[str, ...]) -> list[Resource]:
    """The base, the stores of a laptop, and the components that are named."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(KUSTOMIZE, place := Path(folder) / "kustomize")
        target = place / "overlays" / "chosen"
        target.mkdir()
        shutil.copy(place / "overlays" / "kind" / "settings.yaml", target)
        parts = [f"../../components/{name}" for name in ("in-cluster-stores", *chosen)]
        kustomization = {
            "apiVersion": "kustomize.config.k8s.io/v1beta1",
            "kind": "Kustomization",
            "resources": ["../../base/platform", "settings.yaml"],
            "components": parts,
        }
        (target / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return build(target)


def one(resources: list[Resource], kind: str, name: str, namespace: str | None = None) -> Resource:
    """The one resource of a kind and a name."""
    found = [r for r in resources if r["kind"] == kind and r["metadata"]["name"] == name]
    found = [r for r in found if namespace in (None, r["metadata"].get("namespace"))]
    assert len(found) == 1, (kind, name, len(found))
    return found[0]


def model(resources: list[Resource]) -> Resource:
    """What the deploy step applies."""
    return one(resources, "SeldonDeployment", "model-template")


def predictor(resources: list[Resource]) -> Resource:
    """The one predictor of it."""
    (found,) = model(resources)["spec"]["predictors"]
    return dict(found)


def pods(resources: list[Resource]) -> Iterator[tuple[str, str, dict[str, str], Resource]]:
    """Name, namespace, labels and specification of each pod."""
    for resource in resources:
        meta = resource["metadata"]
        if resource["kind"] in WORKLOADS:
            spec = resource["spec"]["jobTemplate"]["spec"] if resource["kind"] == "CronJob" else resource["spec"]
            template = spec["template"]
            yield meta["name"], meta["namespace"], template["metadata"]["labels"], template["spec"]
        if resource["kind"] == "SeldonDeployment":
            for item in resource["spec"]["predictors"]:
                for component in item["componentSpecs"]:
                    labels = {**item["labels"], **component["metadata"]["labels"]}
                    yield meta["name"], meta["namespace"], labels, component["spec"]


def containers(pod: Resource) -> list[Resource]:
    """Those of a pod, with the ones before it."""
    return [*pod.get("initContainers", []), *pod["containers"]]
