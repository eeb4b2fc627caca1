"""A stand-in for Seldon's operator: SeldonDeployments become Deployments and a status, as with operator 1.17.1."""

from __future__ import annotations

import json
import threading
import traceback
from pathlib import Path

from tests.cluster.api import SELDON, Api, Document
from tests.cluster.kubelet import Kubelet
from tests.cluster.router import Route, Router

CONTROLLER = "seldon.io/controller-id"


class Operator:
    """Looks at every SeldonDeployment of one namespace, again and again, until closed.

    Args:
        api: the API server.
        namespace: to look at.
        kubelet: runs the Deployments.
        router: takes the traffic.
        targets: the file that names the metrics ports to Prometheus.
    """

    def __init__(self, api: Api, namespace: str, kubelet: Kubelet, router: Router, targets: Path) -> None:
        self._api, self._namespace, self._kubelet = api, namespace, kubelet
        self._router, self._targets = router, targets
        self.errors: list[str] = []
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends it; an error of its own fails the test."""
        self._done.set()
        self._thread.join()
        self._kubelet.close()
        assert not self.errors, self.errors[0]

    def _run(self) -> None:
        while not self._done.wait(0.1):
            try:
                for found in self._api.items(f"{SELDON}/namespaces/{self._namespace}/seldondeployments"):
                    if CONTROLLER not in found["metadata"].get("labels", {}):
                        self._reconcile(found)
            except Exception:  # shown by close
                self.errors.append(traceback.format_exc())
                return

    def _reconcile(self, found: Document) -> None:
        name = found["metadata"]["name"]
        path = f"/apis/apps/v1/namespaces/{self._namespace}/deployments"
        query = f"{path}?labelSelector=seldon-deployment-id%3D{name}"
        known = {item["metadata"]["name"]: item for item in self._api.items(query)}
        wanted = [(part, self._deployment(name, part)) for part in found["spec"]["predictors"]]
        routes = []
        for part, document in wanted:
            ports = self._bring(path, known.pop(document["metadata"]["name"], None), document)
            if ports:
                self._router.services[f"{name}-{part['name']}"] = ports[0]
                routes.append(Route(ports[0], part.get("traffic", 0), part.get("shadow", False)))
        self._router.routes[f"{self._namespace}/{name}"] = routes
        self._router.services = {
            key: port for key, port in self._router.services.items() if port in {route.port for route in routes}
        }
        for gone in known:
            self._api.delete(f"{path}/{gone}")
            self._kubelet.remove(self._namespace, gone)
        self._publish()
        self._report(found, query, len(wanted))

    def _bring(self, path: str, known: Document | None, wanted: Document) -> tuple[int, int] | None:
        if known is None:
            known = self._api.post(path, wanted)
        elif _differs(known, wanted):
            known = self._api.patch(f"{path}/{wanted['metadata']['name']}", {"spec": wanted["spec"]})
        return self._kubelet.sync(self._namespace, known)

    def _deployment(self, name: str, part: Document) -> Document:
        component = part["componentSpecs"][0]
        box = component["spec"]["containers"][0]["name"]
        labels = {
            **component["metadata"]["labels"],
            "seldon-deployment-id": name,
            "seldon-app": f"{name}-{part['name']}",
        }
        spec = {
            "replicas": part.get("replicas", 1),
            "selector": {"matchLabels": {"seldon-app": labels["seldon-app"]}},
            "template": {"metadata": {"labels": labels}, "spec": component["spec"]},
        }
        metadata = {"name": f"{name}-{part['name']}-0-{box}", "labels": {"seldon-deployment-id": name, "app": name}}
        return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}

    def _publish(self) -> None:
        units = [unit for unit in self._kubelet.units.values() if unit.ports]
        text = json.dumps([{"targets": [f"127.0.0.1:{unit.ports[1]}" for unit in units if unit.ports]}])
        if not self._targets.exists() or self._targets.read_text() != text:
            temporary = self._targets.with_suffix(".new")
            temporary.write_text(text)
            temporary.replace(self._targets)

    def _report(self, found: Document, query: str, wanted: int) -> None:
        """Available where every Deployment has a pod that is up; nobody waits for a rolling update, as in 1.17.1."""
        items = self._api.items(query)
        up = [item for item in items if item["status"].get("availableReplicas", 0) or not item["spec"]["replicas"]]
        state = "Available" if len(up) == len(items) == wanted else "Creating"
        if found.get("status", {}).get("state") != state:
            path = f"{SELDON}/namespaces/{self._namespace}/seldondeployments/{found['metadata']['name']}/status"
            self._api.patch(path, {"status": {"state": state}})


def _differs(known: Document, wanted: Document) -> bool:
    """Replicas, or the environment: all that a rollout changes."""
    env = [[box.get("env") for box in _boxes(document)] for document in (known, wanted)]
    return bool(known["spec"]["replicas"] != wanted["spec"]["replicas"] or _plain(env[0]) != _plain(env[1]))


def _boxes(document: Document) -> list[Document]:
    spec = document["spec"]["template"]["spec"]
    return [*spec.get("initContainers", []), *spec["containers"]]


def _plain(env: list[list[Document] | None]) -> list[tuple[str, str]]:
    return [(entry["name"], entry["value"]) for entries in env for entry in entries or [] if "value" in entry]
