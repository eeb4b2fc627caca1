"""A stand-in for Seldon's operator, with what of operator 1.17.1 a rollout can see.

`test_operator.py` holds both to the same: this one, and the real one where `seldon.py` runs it.
"""

from __future__ import annotations

import copy
import json
from typing import Any

from kubernetes.client.exceptions import ApiException

from tests.cluster.api import ISTIO, SELDON, Api, Document

CONTROLLER, NO_ENGINE, LAST = "seldon.io/controller-id", "seldon.io/no-engine", "seldon.io/last-applied"
ENGINE = {"http": 8000, "grpc": 5001}
MODEL = {"http": 9000, "grpc": 9500}


class Operator:
    """Reconciles every SeldonDeployment of one namespace at each call.

    Args:
        api: the API server.
        namespace: to look at.
    """

    def __init__(self, api: Api, namespace: str) -> None:
        self._api, self._namespace = api, namespace

    def __call__(self) -> None:
        for found in self._api.items(f"{SELDON}/namespaces/{self._namespace}/seldondeployments"):
            if CONTROLLER not in found["metadata"].get("labels", {}):
                self._reconcile(found)

    def _reconcile(self, found: Document) -> None:
        name, parts = found["metadata"]["name"], found["spec"]["predictors"]
        for part in parts:
            part["labels"] = {"version": part["name"], **part.get("labels", {})}
        services = {key: service for part in parts for key, service in _services(name, part).items()}
        deployments = [_deployment(found, part) for part in parts]
        for key, service in services.items():
            self._put("/api/v1", "services", key, service, ("labels", "annotations"), ("ports",))
        self._guard(name, deployments, parts)
        status = {"deploymentStatus": {}, "serviceStatus": {}, **copy.deepcopy(found.get("status", {}))}
        status["serviceStatus"].update({key: {"svcName": key} for key in services})
        looks = [self._is_ready(document, status["deploymentStatus"]) for document in deployments]
        ready = all(looks)
        status |= {"state": "Available" if ready else "Creating", "description": ""}
        if ready:
            self._share(found)
            lost = self._clear(status, {document["metadata"]["name"] for document in deployments}, set(services))
            if lost:
                status |= {"state": "Failed", "description": f'Service "{lost}" not found'}
        if status != found.get("status"):
            self._report({**found, "status": status})

    def _is_ready(self, wanted: Document, known: Document) -> bool:
        """Brings a Deployment up to date; whether all its pods are up, as far as its status tells.

        What a status says is noted for the SeldonDeployment's, unless it has no pod at all.
        """
        name = wanted["metadata"]["name"]
        path = f"{self._path('/apis/apps/v1', 'deployments')}/{name}"
        wanted["metadata"]["annotations"][LAST] = text = json.dumps(wanted["spec"], sort_keys=True)
        found = self._api.get(path)
        if found is None:
            self._api.post(self._path("/apis/apps/v1", "deployments"), wanted)
            return False
        if found["metadata"].get("annotations", {}).get(LAST) != text:
            # The whole of it is put in place of the old one, but replicas that an autoscaler sets.
            spec = {"replicas": found["spec"]["replicas"], **wanted["spec"]}
            self._api.replace(path, {**found, "metadata": {**found["metadata"], **wanted["metadata"]}, "spec": spec})
            return False
        status = found.get("status", {})
        counts = {key: status.get(key, 0) for key in ("replicas", "availableReplicas")}
        if counts != {"replicas": 0, "availableReplicas": 0, **known.get(name, {})}:
            known[name] = counts
        return status.get("readyReplicas", 0) > 0 and not status.get("unavailableReplicas", 0)

    def _guard(self, name: str, deployments: list[Document], parts: list[Document]) -> None:
        """A disruption budget by Deployment, each over the pods of all. (The real one removes some a little later.)"""
        path = self._path("/apis/policy/v1", "poddisruptionbudgets")
        chosen = {"matchLabels": {"seldon-deployment-id": name}}
        wanted = {
            document["metadata"]["name"]: {"selector": chosen, **part["componentSpecs"][0]["pdbSpec"]}
            for document, part in zip(deployments, parts, strict=True)
            if "pdbSpec" in part["componentSpecs"][0]
        }
        for key, spec in wanted.items():
            self._api.ensure(path, _head("/apis/policy/v1", "PodDisruptionBudget", key, spec))
        for budget in self._api.items(path):
            if budget["metadata"]["name"] not in wanted:
                self._api.delete(f"{path}/{budget['metadata']['name']}")

    def _share(self, found: Document) -> None:
        """Only here do the weights move: while a pod is missing they stay what they are."""
        name = found["metadata"]["name"]
        spec = _virtual_service(self._namespace, found)
        self._put(ISTIO, "virtualservices", name, _head(ISTIO, "VirtualService", name, spec), (), ("http",))

    def _clear(self, status: Document, deployments: set[str], services: set[str]) -> str | None:
        """Removes what the status names and no predictor asks for: Deployments, and once they are gone, Services.

        Gives the name of a Service that is gone already: its end was not written into the status.
        """
        known = status["deploymentStatus"]
        gone = [key for key in known if key not in deployments]
        for key in gone:
            path = f"{self._path('/apis/apps/v1', 'deployments')}/{key}"
            found = self._api.get(path)
            if found is None:
                del known[key]
            elif "deletionTimestamp" not in found["metadata"]:
                self._api.delete(path, "Foreground")
        for key in [key for key in status["serviceStatus"] if key not in services and not gone]:
            path = f"{self._path('/api/v1', 'services')}/{key}"
            if self._api.get(path) is None:
                return str(key)
            self._api.delete(path)
            del status["serviceStatus"][key]
        return None

    def _put(
        self, group: str, kind: str, name: str, wanted: Document, notes: tuple[str, ...], keys: tuple[str, ...]
    ) -> None:
        """Makes an object, or brings those keys of its metadata and its spec up to date."""
        path = self._path(group, kind)
        found = self._api.get(f"{path}/{name}")
        if found is None:
            self._api.post(path, wanted)
            return
        change = {
            "metadata": {key: wanted["metadata"][key] for key in notes},
            "spec": {key: wanted["spec"][key] for key in keys},
        }
        if any(found[part].get(key) != value for part in change for key, value in change[part].items()):
            self._api.patch(f"{path}/{name}", change)

    def _report(self, changed: Document) -> None:
        """Its status, unless somebody has written to it since it was read."""
        path = f"{self._path(SELDON, 'seldondeployments')}/{changed['metadata']['name']}/status"
        try:
            self._api.replace(path, changed)
        except ApiException as error:
            if error.status != 409:
                raise

    def _path(self, group: str, kind: str) -> str:
        return f"{group}/namespaces/{self._namespace}/{kind}"


def _deployment(found: Document, part: Document) -> Document:
    component, shadow = part["componentSpecs"][0], {"seldon.io/shadow": "true"} if part.get("shadow") else {}
    name, key = found["metadata"]["name"], f"{found['metadata']['name']}-{part['name']}"
    model = component["spec"]["containers"][0]["name"]
    full = f"{key}-0-{model}"
    chosen = {"seldon-deployment-id": name, f"seldon-app-svc-{model}": f"{key}-{model}", "seldon-app": key}
    own = {"app": full, "fluentd": "true", "seldon.io/model": "true", **shadow}
    labels = {**own, **part["labels"], **component["metadata"].get("labels", {}), **chosen}
    labels["app.kubernetes.io/managed-by"] = "seldon-core"
    given = (found["spec"].get("annotations"), part.get("annotations"), component["metadata"].get("annotations"))
    annotations = {key: value for some in given for key, value in (some or {}).items()}
    template = {"metadata": {"labels": labels, "annotations": dict(annotations)}, "spec": _pod(part, component)}
    spec = {"selector": {"matchLabels": chosen}, "template": template, "replicas": part.get("replicas", 1)}
    if "hpaSpec" in component:  # an autoscaler's to set; the API server makes it 1 at first
        del spec["replicas"]
    metadata = {"name": full, "labels": labels, "annotations": annotations}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


def _pod(part: Document, component: Document) -> Document:
    model, *others = component["spec"]["containers"]
    known = {port["name"] for port in model.get("ports", [])}
    ports = [{"name": name, "containerPort": port} for name, port in MODEL.items() if name not in known]
    boxes = [{**model, "ports": [*model.get("ports", []), *ports]}, *others]
    if _has_engine(part):
        # It knows the whole predictor but how much it gets, so that a change of its share starts no new pod.
        predictor = json.dumps({**part, "traffic": 0, "replicas": 0}, sort_keys=True)
        engine = {"name": "seldon-container-engine", "image": "docker.io/seldonio/seldon-core-executor:1.17.1"}
        ports = [{"name": name, "containerPort": port} for name, port in ENGINE.items()]
        boxes.append({**engine, "env": [{"name": "ENGINE_PREDICTOR", "value": predictor}], "ports": ports})
    return {**component["spec"], "containers": boxes}


def _services(name: str, part: Document) -> dict[str, Document]:
    """That of the model's container, and that of the predictor, which leads to the engine where there is one."""
    model, key = part["componentSpecs"][0]["spec"]["containers"][0]["name"], f"{name}-{part['name']}"
    chosen = {
        f"{key}-{model}": (f"seldon-app-svc-{model}", MODEL),
        key: ("seldon-app", ENGINE if _has_engine(part) else MODEL),
    }
    made = {}
    for service, (label, ports) in chosen.items():
        spec = {
            "selector": {label: service},
            "ports": [{"name": at, "port": port, "targetPort": port, "protocol": "TCP"} for at, port in ports.items()],
        }
        made[service] = _head("/api/v1", "Service", service, spec)
        made[service]["metadata"]["labels"] = {"seldon-deployment-id": name, "seldon-app": key}
        made[service]["metadata"]["annotations"] = part.get("annotations", {})
    return made


def _virtual_service(namespace: str, found: Document) -> Document:
    """Weights, and the mirror, for HTTP and for gRPC."""
    name, annotations = found["metadata"]["name"], found["spec"].get("annotations", {})
    rules: list[dict[str, Any]] = [
        {"match": [{"uri": {"prefix": f"/seldon/{namespace}/{name}/"}}], "rewrite": {"uri": "/"}},
        {"match": [{"headers": {"seldon": {"exact": name}, "namespace": {"exact": namespace}}}]},
    ]
    for rule, protocol in zip(rules, MODEL, strict=True):
        rule["route"] = []
        for part in found["spec"]["predictors"]:
            port = (ENGINE if _has_engine(part) else MODEL)[protocol]
            host = f"{name}-{part['name']}.{namespace}.svc.cluster.local"
            destination = {"host": host, "subset": part["name"], "port": {"number": port}}
            if part.get("shadow"):
                rule["mirror"] = destination
            else:
                share = {"weight": part["traffic"]} if part.get("traffic") else {}
                rule["route"].append({"destination": destination, **share})
    gateway = annotations.get("seldon.io/istio-gateway", "istio-system/seldon-gateway")
    return {"gateways": [gateway], "hosts": ["*"], "http": rules}


def _has_engine(part: Document) -> bool:
    return str(part.get("annotations", {}).get(NO_ENGINE, "")).lower() != "true"


def _head(group: str, kind: str, name: str, spec: Document) -> Document:
    version = group.removeprefix("/apis/").removeprefix("/api/")
    return {"apiVersion": version, "kind": kind, "metadata": {"name": name}, "spec": spec}
