"""What works in one namespace: the kubelet on its Deployments, the router on its Services and VirtualServices."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.cluster.api import ISTIO, Api, Document
from tests.cluster.kubelet import Kubelet
from tests.cluster.router import Route, Router

COLLECTED = (
    "/apis/apps/v1/namespaces/{namespace}/deployments",
    "/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets",
    "/apis/autoscaling/v2/namespaces/{namespace}/horizontalpodautoscalers",
)


class Nodes:
    """Looks at a namespace again and again, until closed.

    Args:
        api: the API server.
        namespace: to look at.
        kubelet: runs the Deployments.
        router: takes the traffic.
        targets: the file that names the metrics ports to Prometheus.
        before: called before each look; the stand-in for Seldon's operator works there.
    """

    def __init__(
        self, api: Api, namespace: str, kubelet: Kubelet, router: Router, targets: Path, before: Callable[[], None]
    ) -> None:
        self._api, self._namespace, self._kubelet = api, namespace, kubelet
        self._router, self._targets, self._before = router, targets, before
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
                self._before()
                self._look()
            except Exception:  # shown by close
                self.errors.append(traceback.format_exc())
                return

    def _look(self) -> None:
        up: list[tuple[Document, int]] = []
        deployments = self._api.items(f"/apis/apps/v1/namespaces/{self._namespace}/deployments")
        for deployment in deployments:
            if "deletionTimestamp" in deployment["metadata"]:
                self._kubelet.remove(self._namespace, deployment["metadata"]["name"])
            elif ports := self._kubelet.sync(self._namespace, deployment):
                up.append((deployment["spec"]["template"], ports[0]))
        services = self._api.items(f"/api/v1/namespaces/{self._namespace}/services")
        self._router.services = {name: port for service in services for name, port in _endpoints(service, up)}
        virtual = self._api.items(f"{ISTIO}/namespaces/{self._namespace}/virtualservices")
        self._router.routes = dict(Route.of(found) for found in virtual)
        self._collect()
        self._publish()

    def _collect(self) -> None:
        """As the garbage collector: takes off the mark that keeps an object until what belongs to it is gone."""
        for kind in COLLECTED:
            path = kind.format(namespace=self._namespace)
            for found in self._api.items(path):
                if "deletionTimestamp" in found["metadata"]:
                    self._api.patch(f"{path}/{found['metadata']['name']}", {"metadata": {"finalizers": []}})

    def _publish(self) -> None:
        units = [unit for unit in self._kubelet.units.values() if unit.ports]
        text = json.dumps([{"targets": [f"127.0.0.1:{unit.ports[1]}" for unit in units if unit.ports]}])
        if not self._targets.exists() or self._targets.read_text() != text:
            temporary = self._targets.with_suffix(".new")
            temporary.write_text(text)
            temporary.replace(self._targets)


def _endpoints(service: Document, up: list[tuple[Document, int]]) -> list[tuple[str, int]]:
    """`NAME:PORT` of a Service and the server behind it: its pods have the labels it asks for, and the port."""
    found, chosen = [], service["spec"]["selector"].items()
    for template, server in up:
        if chosen <= template["metadata"]["labels"].items():
            open_ = {port["containerPort"] for box in template["spec"]["containers"] for port in box.get("ports", [])}
            targets = [port for port in service["spec"]["ports"] if port["targetPort"] in open_]
            found += [(f"{service['metadata']['name']}:{port['port']}", server) for port in targets]
    return found
