"""What names another thing finds it: selectors, monitors, ConfigMaps, Secrets, accounts, modules, settings, ports."""

from __future__ import annotations

import importlib.util
import re
from dataclasses import fields

import pytest

from lifeboat.config import settings as core
from lifeboat.config.options import variable
from lifeboat.detector import settings as drift
from lifeboat.explainer import settings as explainer
from lifeboat.server import fetch
from lifeboat.server import settings as server
from lifeboat.trigger import settings as trigger
from tests.infra.kustomize.build import OVERLAYS, ROOT, WORKLOADS, containers, overlay, pods

EACH = pytest.mark.parametrize("name", OVERLAYS)
DOCUMENT = ROOT / "docs" / "kubernetes.md"


def _selected(selector: dict[str, object], labels: dict[str, str]) -> bool:
    wanted = dict(selector.get("matchLabels", {}))  # type: ignore[call-overload]
    if any(labels.get(key) != text for key, text in wanted.items()):
        return False
    for expression in selector.get("matchExpressions", []):  # type: ignore[attr-defined]
        assert expression["operator"] == "In"
        if labels.get(expression["key"]) not in expression["values"]:
            return False
    return True


@EACH
def test_every_selector_finds_a_pod(name):
    resources = overlay(name)
    places = [(namespace, labels) for _, namespace, labels, _ in pods(resources)]
    selectors = []
    for resource in resources:
        meta, spec = resource["metadata"], resource.get("spec", {})
        kind, where = resource["kind"], meta.get("namespace")
        if kind == "Service" and "selector" in spec:
            selectors.append((kind, meta["name"], where, {"matchLabels": spec["selector"]}))
        if kind in (*WORKLOADS, "PodDisruptionBudget"):
            selectors.append((kind, meta["name"], where, spec["selector"]))
        if kind == "NetworkPolicy":
            selectors.append((kind, meta["name"], where, spec["podSelector"]))
        if kind == "PodMonitor":
            (where,) = spec["namespaceSelector"]["matchNames"]
            selectors.append((kind, meta["name"], where, spec["selector"]))
    assert len(selectors) > 12
    for kind, who, where, selector in selectors:
        assert any(where == place and _selected(selector, labels) for place, labels in places), (kind, who)


@EACH
def test_every_monitor_finds_a_service_with_its_port(name):
    resources = overlay(name)
    for monitor in (r for r in resources if r["kind"] == "ServiceMonitor"):
        (where,) = monitor["spec"]["namespaceSelector"]["matchNames"]
        services = [r for r in resources if r["kind"] == "Service" and r["metadata"].get("namespace") == where]
        found = [s for s in services if _selected(monitor["spec"]["selector"], s["metadata"].get("labels", {}))]
        (endpoint,) = monitor["spec"]["endpoints"]
        assert [port["name"] for service in found for port in service["spec"]["ports"]] == [endpoint["port"]]
        assert endpoint["relabelings"][0]["replacement"] == monitor["metadata"]["name"]


def references(value: object) -> list[tuple[str, str, str | None]]:
    """Kind, name and key of every ConfigMap and Secret that is named in a pod's specification."""
    found: list[tuple[str, str, str | None]] = []
    if isinstance(value, dict):
        for key, item in value.items():
            kind = {"configMapKeyRef": "ConfigMap", "secretKeyRef": "Secret"}.get(key)
            if kind:
                found.append((kind, item["name"], item["key"]))
            elif key == "secret" and "secretName" in item:
                found.append(("Secret", item["secretName"], None))
            elif key == "configMap":
                found.append(("ConfigMap", item["name"], None))
            else:
                found += references(item)
    if isinstance(value, list):
        for item in value:
            found += references(item)
    return found


def external() -> set[tuple[str, str, str]]:
    """The Secrets that docs/kubernetes.md says how to make: namespace, name and key."""
    rows = re.findall(r"^\| `([\w-]+)` \| `([\w-]+)` \| (.+?) \|", DOCUMENT.read_text(), re.MULTILINE)
    return {(where, who, key) for where, who, keys in rows for key in re.findall(r"`([\w.-]+)`", keys)}


@EACH
def test_what_a_pod_names_is_there_or_told_in_the_document(name):
    resources = overlay(name)
    maps = {
        (r["metadata"]["namespace"], r["metadata"]["name"]): r["data"] for r in resources if r["kind"] == "ConfigMap"
    }
    accounts = {(r["metadata"]["namespace"], r["metadata"]["name"]) for r in resources if r["kind"] == "ServiceAccount"}
    secrets = external()
    seen = 0
    for who, where, _, pod in pods(resources):
        assert "serviceAccountName" not in pod or (where, pod["serviceAccountName"]) in accounts, who
        mounted = {volume["name"] for volume in pod.get("volumes", [])}
        for resource in resources:
            if resource["kind"] == "StatefulSet" and resource["metadata"]["name"] == who:
                mounted |= {claim["metadata"]["name"] for claim in resource["spec"]["volumeClaimTemplates"]}
        for container in containers(pod):
            assert {mount["name"] for mount in container.get("volumeMounts", [])} <= mounted, who
        for kind, named, key in references(pod):
            seen += 1
            if kind == "ConfigMap":
                assert key in maps[where, named], (who, named, key)
            else:
                assert any((where, named) == (w, n) and key in (k, None) for w, n, k in secrets), (who, named, key)
    assert seen >= 10


@EACH
def test_every_module_that_a_pod_starts_is_ours(name):
    for who, _, _, pod in pods(overlay(name)):
        for container in containers(pod):
            command = container.get("command", [])
            if "-m" in command:
                assert importlib.util.find_spec(command[command.index("-m") + 1]), (who, command)


@EACH
def test_every_variable_of_ours_is_a_setting(name):
    known = {
        variable(prefix, spec.name)
        for prefix, kind in (
            (core.PREFIX, core.Settings),
            (server.PREFIX, server.ServerSettings),
            (drift.PREFIX, drift.DetectorSettings),
            (explainer.PREFIX, explainer.ExplainerSettings),
            (trigger.PREFIX, trigger.TriggerSettings),
            (fetch.PREFIX, fetch.FetchSettings),
        )
        for spec in fields(kind)
    }
    for who, _, _, pod in pods(overlay(name)):
        for container in containers(pod):
            for given in (item["name"] for item in container.get("env", [])):
                assert not given.startswith("LIFEBOAT_") or given in known, (who, given)


@EACH
def test_each_port_that_a_policy_opens_is_one_that_the_pod_has(name):
    resources = overlay(name)
    for policy in (r for r in resources if r["kind"] == "NetworkPolicy" and r["spec"].get("ingress")):
        has = {
            port["containerPort"]
            for _, where, labels, pod in pods(resources)
            if where == policy["metadata"]["namespace"] and _selected(policy["spec"]["podSelector"], labels)
            for container in pod["containers"]
            for port in container["ports"]
        }
        opened = {port["port"] for rule in policy["spec"]["ingress"] for port in rule["ports"]}
        assert opened - {8000, 5001} <= has, policy["metadata"]["name"]  # of Seldon's executor
