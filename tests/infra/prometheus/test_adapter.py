"""The metric that pods are added by: from model servers under load, by a real Prometheus, out of the real adapter."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster import apiserver
from tests.infra.kustomize.build import overlay
from tests.infra.kustomize.test_autoscaling import signs, values
from tests.infra.prometheus import programs
from tests.infra.prometheus.cluster import Cluster, until
from tests.infra.prometheus.world import Monitored
from tests.ports import free_port
from tests.server.world import ROW, ROW_VALUES, Running, ndarray

BUSY, IDLE = "tiny-blue-0", "tiny-blue-1"
CLIENTS = 4
# Seconds that the mean is over; a minute on a cluster.
WINDOW = 10
SELECTOR = "labelSelector=seldon-app%3Dtiny-blue"


def metric() -> str:
    """What the autoscaler asks for."""
    return str(signs(overlay("production"))["Pods"]["pods"]["metric"]["name"])


@dataclass(frozen=True)
class Adapter:
    """The adapter's own port, as the API server hands requests on to it."""

    port: int

    def ask(self, path: str, token: str = apiserver.ADMIN) -> tuple[int, Any]:
        """Status and body of an answer of the API of custom metrics."""
        # Its certificate is one of its own making, which the chart does not let the API server check, either.
        context = ssl._create_unverified_context()  # noqa: S323
        address = f"https://127.0.0.1:{self.port}/apis/custom.metrics.k8s.io/v1beta1{path}"
        request = urllib.request.Request(address, headers={"Authorization": f"Bearer {token}"})
        try:
            with urllib.request.urlopen(request, timeout=10, context=context) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:  # not yet
            return 0, None

    def listed(self) -> set[str]:
        """Every metric that it has; none before its first look at Prometheus."""
        status, found = self.ask("")
        return {one["name"] for one in found["resources"]} if status == 200 else set()

    def in_flight(self) -> dict[str, float]:
        """The metric that the autoscaler asks for, of each pod, as it asks; empty where there is none yet."""
        status, found = self.ask(f"/namespaces/lifeboat/pods/*/{metric()}?{SELECTOR}")
        assert status in (0, 200, 404), (status, found)
        items = found["items"] if status == 200 else []
        return {one["describedObject"]["name"]: quantity(one["value"]) for one in items}


def quantity(text: str) -> float:
    """A number of Kubernetes's: 1500m is 1.5."""
    return float(text.removesuffix("m")) / 1000 if text.endswith("m") else float(text)


@contextmanager
def adapter(cluster: Cluster, world: Monitored, folder: Path) -> Iterator[Adapter]:
    """The adapter with our rules, asking a Prometheus and an API server."""
    config, port = folder / "adapter.yaml", free_port()
    config.write_text(yaml.safe_dump({"rules": values()["rules"]["custom"]}).replace("[1m]", f"[{WINDOW}s]"))
    ways = ("lister", "authentication", "authorization")
    command = [
        str(programs.ADAPTER.build()), f"--secure-port={port}", f"--cert-dir={folder / 'certificates'}",
        f"--prometheus-url={world.url}", f"--config={config}", "--metrics-relist-interval=1s", "--v=4",
        *(f"--{way}-kubeconfig={cluster.kubeconfig}" for way in ways),
    ]  # fmt: skip
    with apiserver.process(command, folder / "adapter.log"):
        yield Adapter(port)


@contextmanager
def load(server: Running) -> Iterator[None]:
    """Clients that each ask for many rows at a time, and again as soon as they have the answer."""
    body = json.dumps(ndarray(*[ROW_VALUES] * 500, names=list(ROW)))
    done = threading.Event()

    def ask() -> None:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
        while not done.is_set():
            connection.request("POST", "/api/v1.0/predictions", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            assert answer.status == 200
            answer.read()
        connection.close()

    threads = [threading.Thread(target=ask) for _ in range(CLIENTS)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def seconds(server: Running) -> float:
    """What predictions took so far, as the server itself says."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith('lifeboat_request_seconds_sum{protocol="s'))


def test_the_adapter_tells_each_pods_requests_in_flight(cluster: Cluster, world: Monitored, tmp_path: Path) -> None:
    with adapter(cluster, world, tmp_path) as found, load(world.servers[BUSY]):
        until(lambda: set(found.in_flight()) == {BUSY, IDLE}, tmp_path / "adapter.log")
        time.sleep(2.0)
        begun, before = time.monotonic(), seconds(world.servers[BUSY])
        time.sleep(WINDOW + 2.0)
        told, mean = found.in_flight(), (seconds(world.servers[BUSY]) - before) / (time.monotonic() - begun)
    assert told[IDLE] == 0.0
    assert 0.5 < mean <= CLIENTS
    assert told[BUSY] == pytest.approx(mean, rel=0.3)


def test_the_adapter_tells_nobody_whom_the_api_server_does_not_let(
    cluster: Cluster, world: Monitored, tmp_path: Path
) -> None:
    with adapter(cluster, world, tmp_path) as found:
        listed = until(found.listed, tmp_path / "adapter.log")
        assert listed == {f"{kind}/{metric()}" for kind in ("namespaces", "pods")}
        assert found.ask(f"/namespaces/lifeboat/pods/*/{metric()}", apiserver.DEPLOYER)[0] == 403
        assert found.ask(f"/namespaces/lifeboat/pods/*/{metric()}", "nobody's")[0] == 401
