"""The objects of the namespace `monitoring`: those of our overlay, and those that the chart makes of our values."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.api import Api, Document

ROOT = Path(__file__).resolve().parents[3]
VALUES = ROOT / "terraform" / "platform" / "prometheus.yaml"
MONITORING = "/apis/monitoring.coreos.com/v1"
# Names that kube-prometheus-stack gives in the release `monitoring`.
PROMETHEUS = "monitoring-kube-prometheus-prometheus"
ALERTMANAGER = "monitoring-kube-prometheus-alertmanager"

_PATHS = {
    "Alertmanager": (MONITORING, "alertmanagers"),
    "ConfigMap": ("/api/v1", "configmaps"),
    "Endpoints": ("/api/v1", "endpoints"),
    "Namespace": ("/api/v1", "namespaces"),
    "Pod": ("/api/v1", "pods"),
    "PodMonitor": (MONITORING, "podmonitors"),
    "Prometheus": (MONITORING, "prometheuses"),
    "PrometheusRule": (MONITORING, "prometheusrules"),
    "Secret": ("/api/v1", "secrets"),
    "Service": ("/api/v1", "services"),
    "ServiceMonitor": (MONITORING, "servicemonitors"),
}


def path(resource: Document) -> str:
    """The collection in the API server that a resource belongs to."""
    group, plural = _PATHS[resource["kind"]]
    namespace = resource["metadata"].get("namespace")
    return f"{group}/namespaces/{namespace}/{plural}" if namespace else f"{group}/{plural}"


def create(api: Api, resources: Iterable[Document]) -> None:
    """Makes resources; the API server refuses what their schema does not know, which it would drop otherwise."""
    for resource in resources:
        api.ensure(f"{path(resource)}?fieldValidation=Strict", resource)


def installed(version: str, **prometheus: Any) -> list[Document]:
    """What the chart makes of our values, as far as it decides what the operator takes up.

    Args:
        version: of Prometheus, for whose configuration the operator writes.
        prometheus: more of its specification.
    """
    values = yaml.safe_load(VALUES.read_text())
    wanted, told = values["prometheus"]["prometheusSpec"], values["alertmanager"]["alertmanagerSpec"]
    selectors = {
        f"{name}Selector": {} if wanted.get(f"{name}SelectorNilUsesHelmValues") is False else _OF_THE_CHART
        for name in ("podMonitor", "rule", "serviceMonitor")
    }
    everywhere = {f"{name}NamespaceSelector": {} for name in ("podMonitor", "rule", "serviceMonitor")}
    send = {"namespace": "monitoring", "name": ALERTMANAGER, "port": "http-web", "apiVersion": "v2"}
    specification = {
        "version": version,
        "replicas": wanted["replicas"],
        "externalLabels": {"runbooks": "docs/runbooks"},
        "alerting": {"alertmanagers": [send]},
        **selectors,
        **everywhere,
        **prometheus,
    }
    kept = {name: told[name] for name in ("alertmanagerConfigMatcherStrategy", "configSecret", "replicas", "secrets")}
    selected = {"alertmanagerConfigSelector": {}, "alertmanagerConfigNamespaceSelector": {}}
    return [
        _object("Prometheus", PROMETHEUS, specification),
        _object("Alertmanager", ALERTMANAGER, {**kept, **selected}),
    ]


_OF_THE_CHART = {"matchLabels": {"release": "monitoring"}}


def _object(kind: str, name: str, specification: Document) -> Document:
    metadata = {"name": name, "namespace": "monitoring"}
    return {"apiVersion": "monitoring.coreos.com/v1", "kind": kind, "metadata": metadata, "spec": specification}
