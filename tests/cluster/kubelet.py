"""A stand-in for the Deployment controller, the scheduler and the kubelet.

For each revision of a Deployment it makes the pods a real one would have, as objects in the real API server, and starts
one real model server that stands for all of them. What it writes into statuses on a fault is what Kubernetes writes.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import ssl
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kubernetes.client.exceptions import ApiException

from tests.cluster.api import Api, Document, message

ROOT = Path(__file__).resolve().parents[2]
PULL, UNSCHEDULABLE, CRASH, SLOW, NEVER = "pull", "unschedulable", "crash", "slow", "never"
NODE = "stand-in"
SLOW_SECONDS = 2.0


@dataclass
class Unit:
    """One revision of a Deployment: its pods, and the process that stands for them."""

    revision: str
    digest: str
    log: Path
    pods: list[str] = field(default_factory=list)
    process: subprocess.Popen[bytes] | None = None
    ports: tuple[int, int] | None = None
    restarts: int = 0
    refused: str = ""
    begun: float = field(default_factory=time.monotonic)

    def stop(self) -> None:
        """SIGTERM, and the process drains by itself."""
        if self.process:
            self.process.send_signal(signal.SIGTERM)


class Kubelet:
    """Runs what Deployments ask for.

    Args:
        api: the API server.
        folder: for logs.
        bundles: where bundles are, by use case and digest.
    """

    def __init__(self, api: Api, folder: Path, bundles: Path, faults: dict[str, str]) -> None:
        self._api, self._folder, self._bundles, self.faults = api, folder, bundles, faults
        self.units: dict[str, Unit] = {}
        self._old: list[Unit] = []
        self._number = 0

    def sync(self, namespace: str, deployment: Document) -> tuple[int, int] | None:
        """Brings a Deployment on by one look; gives the ports of its server once it is up."""
        name, unit = deployment["metadata"]["name"], self.units.get(deployment["metadata"]["name"])
        if not deployment["spec"]["replicas"]:
            self.remove(namespace, name)
            self._report(namespace, deployment)
            return None
        if unit and unit.revision != _revision(deployment):
            return self._roll(namespace, deployment, unit)
        self._stop(namespace, f"{name}/new")
        unit = unit or self._begin(namespace, deployment)
        self.units[name] = unit
        self._advance(namespace, deployment, unit)
        self._report(namespace, deployment, unit)
        return unit.ports

    def remove(self, namespace: str, name: str) -> None:
        """A Deployment is gone, or has no pods."""
        self._stop(namespace, name)
        self._stop(namespace, f"{name}/new")

    def close(self) -> None:
        for unit in (*self.units.values(), *self._old):
            if unit.process:
                unit.process.kill()
                unit.process.wait()

    def _roll(self, namespace: str, deployment: Document, old: Unit) -> tuple[int, int] | None:
        """A rolling update: the new revision beside the old one until it is up."""
        key = f"{deployment['metadata']['name']}/new"
        new = self.units.get(key)
        if new is None or new.revision != _revision(deployment):
            self._stop(namespace, key)
            new = self.units[key] = self._begin(namespace, deployment)
        self._advance(namespace, deployment, new)
        if new.ports:
            self.units[deployment["metadata"]["name"]] = self.units.pop(key)
            self._end(namespace, old)
            self._report(namespace, deployment, new)
            return new.ports
        self._report(namespace, deployment, new, old)
        return old.ports

    def _stop(self, namespace: str, key: str) -> None:
        if unit := self.units.pop(key, None):
            self._end(namespace, unit)

    def _end(self, namespace: str, unit: Unit) -> None:
        for pod in unit.pods:
            self._api.delete(f"/api/v1/namespaces/{namespace}/pods/{pod}")
        threading.Timer(0.3, unit.stop).start()
        self._old.append(unit)

    def _begin(self, namespace: str, deployment: Document) -> Unit:
        self._number += 1
        name = f"{deployment['metadata']['name']}-{self._number}"
        unit = Unit(_revision(deployment), _digest(deployment), self._folder / f"{name}.log")
        unit.log.write_bytes(b"")
        template = deployment["spec"]["template"]
        for index in range(deployment["spec"]["replicas"]):
            metadata = {"name": f"{name}-{index}", "labels": template["metadata"]["labels"]}
            spec = {**template["spec"], **({} if self._fault(unit) == UNSCHEDULABLE else {"nodeName": NODE})}
            body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
            try:
                self._api.post(f"/api/v1/namespaces/{namespace}/pods", body)
            except ApiException as error:
                if error.status != 403:
                    raise
                unit.refused = message(error)
                return unit
            unit.pods.append(f"{name}-{index}")
        return unit

    def _fault(self, unit: Unit) -> str:
        return self.faults.get(unit.digest, "")

    def _advance(self, namespace: str, deployment: Document, unit: Unit) -> None:
        fault = self._fault(unit)
        slow = fault == SLOW and time.monotonic() - unit.begun < SLOW_SECONDS
        if unit.refused or unit.ports or slow or fault in (PULL, UNSCHEDULABLE, NEVER):
            status = _stuck(fault, deployment) if fault in (PULL, UNSCHEDULABLE) else None
        elif unit.process is None:
            self._start(deployment, unit)
            return
        else:
            status = self._look(deployment, unit)
        for pod in unit.pods if status else ():
            self._api.patch(f"/api/v1/namespaces/{namespace}/pods/{pod}/status", {"status": status})

    def _start(self, deployment: Document, unit: Unit) -> None:
        environment = _environment(deployment)
        bundle = self._bundles / environment["LIFEBOAT_FETCH_USECASE"] / unit.digest
        if self._fault(unit) == CRASH:
            bundle = self._broken(bundle)
        command = [
            sys.executable, "-m", "lifeboat.server", "--bundle", str(bundle), "--host", "127.0.0.1", "--port", "0",
            "--metrics-port", "0",
        ]  # fmt: skip
        version = {"LIFEBOAT_SERVER_MODEL_VERSION": environment["LIFEBOAT_SERVER_MODEL_VERSION"]}
        with unit.log.open("ab") as stream:
            unit.process = subprocess.Popen(
                command, cwd=ROOT, stderr=stream, stdout=stream, env={**os.environ, **version}
            )

    def _broken(self, bundle: Path) -> Path:
        """A copy whose model is cut short: the server refuses it and ends."""
        copy = self._folder / f"broken-{bundle.name}"
        if not copy.exists():
            shutil.copytree(bundle, copy)
            (copy / "model.onnx").write_bytes((bundle / "model.onnx").read_bytes()[:100])
        return copy

    def _look(self, deployment: Document, unit: Unit) -> Document | None:
        """The pods' status by what their process does."""
        if unit.process and unit.process.poll() is not None:
            if unit.restarts == 3:
                return None
            unit.restarts += 1
            code = unit.process.returncode
            if unit.restarts < 3:
                unit.process = None
            return _crashed(deployment, unit.restarts, code)
        unit.ports = _ports(unit.log)
        return _running(deployment) if unit.ports else None

    def _report(self, namespace: str, deployment: Document, unit: Unit | None = None, old: Unit | None = None) -> None:
        """As the Deployment controller sums its ReplicaSets up."""
        metadata, replicas = deployment["metadata"], deployment["spec"]["replicas"]
        made, up = (len(unit.pods), bool(unit.ports) * replicas) if unit else (0, 0)
        before, served = (len(old.pods), bool(old.ports) * len(old.pods)) if old else (0, 0)
        status: Document = {
            "observedGeneration": metadata["generation"], "replicas": made + before, "updatedReplicas": made,
            "readyReplicas": up + served, "availableReplicas": up + served,
            "unavailableReplicas": max(made + before, replicas) - up - served,
            "conditions": _conditions(unit, up + served >= replicas),
        }  # fmt: skip
        known = {key: deployment.get("status", {}).get(key, type(value)()) for key, value in status.items()}
        if known != status:
            path = f"/apis/apps/v1/namespaces/{namespace}/deployments/{metadata['name']}/status"
            self._api.patch(path, {"status": status})


def log_server(logs: Path, certificate: Path, key: Path) -> ThreadingHTTPServer:
    """The kubelet's port that the API server asks for a container's log."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            address = urlsplit(self.path)
            pod = address.path.split("/")[3]
            tail = int(parse_qs(address.query)["tailLines"][0])
            text = (logs / f"{pod.rpartition('-')[0]}.log").read_text()
            body = "\n".join(text.splitlines()[-tail:]).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """No line for each request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def _environment(deployment: Document) -> dict[str, str]:
    spec = deployment["spec"]["template"]["spec"]
    boxes = [*spec.get("initContainers", []), *spec["containers"]]
    return {entry["name"]: entry["value"] for box in boxes for entry in box.get("env", []) if "value" in entry}


def _revision(deployment: Document) -> str:
    """A Deployment has a new revision, and new pods, where anything in its template differs."""
    return json.dumps(deployment["spec"]["template"], sort_keys=True)


def _digest(deployment: Document) -> str:
    return _environment(deployment)["LIFEBOAT_FETCH_DIGEST"]


def _ports(log: Path) -> tuple[int, int] | None:
    for line in log.read_text().splitlines():
        document: dict[str, Any] = json.loads(line) if line.startswith("{") else {}
        if document.get("message") == "ready":
            first, second = (int(address.rpartition(":")[2]) for address in document["addresses"])
            return first, second
    return None


def _containers(deployment: Document, **state: Any) -> Document:
    box = deployment["spec"]["template"]["spec"]["containers"][0]
    known = {"name": box["name"], "image": box["image"], "imageID": "", "ready": False, "restartCount": 0}
    return {"phase": "Pending", "containerStatuses": [{**known, **state}]}


def _running(deployment: Document) -> Document:
    return {**_containers(deployment, ready=True, state={"running": {}}), "phase": "Running"}


def _crashed(deployment: Document, restarts: int, code: int) -> Document:
    last = {"terminated": {"exitCode": code, "reason": "Error"}}
    why = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 40s restarting failed container"}}
    return _containers(deployment, restartCount=restarts, state=why, lastState=last)


def _stuck(fault: str, deployment: Document) -> Document:
    if fault == PULL:
        text = 'Back-off pulling image "lifeboat/model-server": not found'
        return _containers(deployment, state={"waiting": {"reason": "ImagePullBackOff", "message": text}})
    text = "0/3 nodes are available: 3 Insufficient cpu."
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": text}
    return {"phase": "Pending", "conditions": [condition]}


def _conditions(unit: Unit | None, available: bool) -> list[Document]:
    """As the Deployment controller writes them; it takes a refusal from its ReplicaSet."""
    found = [
        {
            "type": "Available",
            "status": str(available),
            "reason": f"MinimumReplicas{'A' if available else 'Una'}vailable",
        },
        {"type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated"},
    ]
    if unit and unit.refused:
        refusal = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": unit.refused}
        found.append(refusal)
    return found
