"""Pods of our overlay in the API server, and the processes of this machine that stand for them."""

from __future__ import annotations

import copy
from typing import Any

from tests.cluster.api import Api, Document
from tests.infra.kustomize.build import Resource, pods
from tests.infra.prometheus.platform import create

ENGINE = "seldon-container-engine"


def place(
    api: Api, ours: list[Resource], workload: str, name: str, address: str, ports: dict[str, int], **labels: str
) -> None:
    """Makes a running pod of a workload, whose ports are a process's.

    Args:
        api: where to.
        ours: the overlay's resources.
        workload: whose labels and containers the pod has.
        name: of the pod.
        address: the pod's.
        ports: the process's, by the names that the workload gives.
        labels: more of them, as Seldon's operator adds.
    """
    (_, namespace, own, specification) = next(found for found in pods(ours) if found[0] == workload)
    containers = [_container(one, ports) for one in specification["containers"]]
    metadata = {"name": name, "namespace": namespace, "labels": {**own, **labels}}
    locked = {"securityContext": specification["securityContext"]}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {**locked, "containers": containers}}
    create(api, [document])
    state = {"phase": "Running", "podIP": address, "podIPs": [{"ip": address}]}
    ready = {"conditions": [{"type": "Ready", "status": "True"}]}
    api.patch(f"/api/v1/namespaces/{namespace}/pods/{name}/status", {"status": {**state, **ready}})


def _container(own: Resource, ports: dict[str, int]) -> Document:
    kept = {name: copy.deepcopy(own[name]) for name in ("name", "image", "securityContext")}
    return {**kept, "ports": [{**port, "containerPort": ports[port["name"]]} for port in own["ports"]]}


def with_engine(ours: list[Resource]) -> list[Resource]:
    """The same with Seldon's own container beside the model's, which has a port of the same name as ours."""
    changed = copy.deepcopy(ours)
    for workload, _, _, specification in pods(changed):
        if workload == "model-template":
            (port,) = (port for port in specification["containers"][0]["ports"] if port["name"] == "metrics")
            engine = {**specification["containers"][0], "name": ENGINE, "ports": [port]}
            specification["containers"].append(engine)
    return changed


def serve(api: Api, service: tuple[str, str], pod: str, address: str, **ports: int) -> None:
    """Puts a pod behind a Service, as Kubernetes does with one that is ready."""
    namespace, name = service
    labels: dict[str, Any] = (api.get(f"/api/v1/namespaces/{namespace}/services/{name}") or {})["metadata"]["labels"]
    target = {"kind": "Pod", "namespace": namespace, "name": pod}
    subset = {
        "addresses": [{"ip": address, "targetRef": target}],
        "ports": [{"name": key, "port": port} for key, port in ports.items()],
    }
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    create(api, [{"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": [subset]}])
