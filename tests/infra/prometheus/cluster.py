"""A real API server with the real Prometheus operator at work on our overlay."""

from __future__ import annotations

import base64
import gzip
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml

from tests.cluster import apiserver
from tests.cluster.api import Api, kubeconfig
from tests.cluster.conftest import configured
from tests.infra.kustomize.build import overlay
from tests.infra.prometheus import programs
from tests.infra.prometheus.platform import ALERTMANAGER, MONITORING, PROMETHEUS, create, installed
from tests.ports import free_port

T = TypeVar("T")
SECONDS = 60.0
# Prometheus's module 0.313.1 is its release 3.13.1, which the chart installs; the operator writes for what it is told.
VERSION = f"v3.{programs.PROMETHEUS.version.removeprefix('0.3')}"


@dataclass(frozen=True)
class Cluster:
    """An API server with the operator's kinds, our overlay, and the operator at work.

    Args:
        api: its administrator.
        kubeconfig: file with the administrator's way in.
        folder: for logs and files.
        url, certificate: of the API server.
        address: of this machine, where pods are said to be.
    """

    api: Api
    kubeconfig: Path
    folder: Path
    url: str
    certificate: Path
    address: str

    def secret(self, name: str) -> dict[str, str]:
        """A Secret of the namespace `monitoring`, unpacked; empty where there is none."""
        found = self.api.get(f"/api/v1/namespaces/monitoring/secrets/{name}") or {}
        return {key: _text(key, value) for key, value in found.get("data", {}).items()}

    @property
    def prometheus(self) -> dict[str, Any]:
        """The configuration that the operator wrote for Prometheus."""
        text = self.secret(f"prometheus-{PROMETHEUS}").get("prometheus.yaml.gz", "")
        return dict(yaml.safe_load(text) or {})

    @property
    def rules(self) -> dict[str, str]:
        """Each rule file that the operator wrote."""
        found = self.api.get(f"/api/v1/namespaces/monitoring/configmaps/prometheus-{PROMETHEUS}-rulefiles-0") or {}
        return dict(found.get("data", {}))

    @property
    def alertmanager(self) -> str:
        """The configuration that the operator wrote for Alertmanager."""
        return self.secret(f"alertmanager-{ALERTMANAGER}-generated").get("alertmanager.yaml.gz", "")


def _text(key: str, value: str) -> str:
    raw = base64.b64decode(value)
    return (gzip.decompress(raw) if key.endswith(".gz") else raw).decode()


def until(found: Callable[[], T], log: Path, seconds: float = SECONDS) -> T:
    """The first answer that is true; fails with the end of a log."""
    deadline = time.monotonic() + seconds
    while not (answer := found()):
        assert time.monotonic() < deadline, log.read_text()[-3000:]
        time.sleep(0.2)
    return answer


def _address() -> str:
    """An address of this machine that an EndpointSlice may hold, which a loopback address is not."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("198.51.100.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but its loopback one")
        return str(probe.getsockname()[0])


def _define(api: Api, log: Path) -> None:
    """The operator's kinds, from its own module."""
    kinds = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    files = (programs.OPERATOR.downloaded("Dir") / "jsonnet" / "prometheus-operator").glob("*-crd.json")
    documents = [json.loads(file.read_text()) for file in files]
    names = [document["metadata"]["name"] for document in documents]
    assert f"prometheuses.{MONITORING.split('/')[2]}" in names
    for document in documents:
        api.ensure(kinds, document)

    def served() -> bool:
        found = [api.get(f"{kinds}/{name}") or {} for name in names]
        states = [{c["type"]: c["status"] for c in one.get("status", {}).get("conditions") or ()} for one in found]
        return all(state.get("Established") == "True" for state in states)

    until(served, log)


@contextmanager
def running(folder: Path) -> Iterator[Cluster]:
    """A cluster whose files are below a folder, made as platform.sh does: the chart first, then our overlay."""
    address, operator = _address(), programs.OPERATOR.build()
    with ExitStack() as stack:
        server = stack.enter_context(apiserver.running(folder))
        admin = configured(server, apiserver.ADMIN)
        api, config = Api(admin), kubeconfig(folder / "kubeconfig", admin)
        made = Cluster(api, config, folder, server.url, server.certificate, address)
        _define(api, folder / "apiserver.log")
        ours = overlay("production")
        create(api, [one for one in ours if one["kind"] == "Namespace"])
        create(api, [{"kind": "Namespace", "metadata": {"name": name}} for name in ("kubeflow", "monitoring")])
        way_in = {"host": made.url, "tlsConfig": {"caFile": str(made.certificate)}}
        credentials = {"authorization": {"credentialsFile": str(_token(folder))}}
        create(api, installed(VERSION, apiserverConfig={**way_in, **credentials}))
        environment = ["env", f"KUBECONFIG={made.kubeconfig}"]
        command = [*environment, str(operator), f"--web.listen-address=127.0.0.1:{free_port()}"]
        log = folder / "operator.log"
        stack.enter_context(apiserver.process(command, log))
        until(lambda: made.prometheus and made.alertmanager, log)
        create(api, [one for one in ours if one["metadata"].get("namespace") == "monitoring"])
        create(api, [one for one in ours if one["kind"] == "Service" and one["metadata"]["namespace"] != "mlflow"])
        until(
            lambda: len(made.prometheus["scrape_configs"]) == 3 and made.rules and "retrain" in made.alertmanager, log
        )
        yield made


def _token(folder: Path) -> Path:
    (folder / "token").write_text(apiserver.ADMIN)
    return folder / "token"
