"""A real API server, a real Prometheus, and stand-ins for the kubelet, the network and Seldon's operator.

`make test-cluster` runs these tests; `make test` leaves them out, since the first run builds kube-apiserver. With
$TEST_CLUSTER_OPERATOR, a file, that program is Seldon's operator in place of the stand-in: `seldon.py` says more. With
$KUBECONFIG set, that API server is used. It must be without controllers and nodes of its own, as one of envtest's is:
real ones would work against the stand-ins.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from kubernetes import client, config

from lifeboat.config.errors import DeployError
from lifeboat.config.settings import NO_DETECTOR, Settings
from lifeboat.deploy.kubernetes.manifest import annotation
from lifeboat.deploy.kubernetes.plan import Pace, RolloutPlan
from lifeboat.deploy.kubernetes.target import KubernetesTarget
from lifeboat.deploy.probe import ask
from lifeboat.registry.registry import Registry
from tests.cluster import apiserver, istio, seldon
from tests.cluster.api import ISTIO, SELDON, Api, Document
from tests.cluster.kubelet import NODE, Kubelet, log_server
from tests.cluster.nodes import Nodes
from tests.cluster.operator import Operator
from tests.cluster.router import Router
from tests.deploy.conftest import World
from tests.documents import read_all
from tests.ports import free_port
from tests.server.world import ROW, call, ndarray

ROOT = Path(__file__).resolve().parents[2]
ASKED = "TEST_CLUSTER"
PACE = Pace(poll=0.1, grace=1.0, room=4.0, lease=3.0, spread=0.5)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips, naming what is missing."""
    why = "" if os.environ.get(ASKED) else "run by make test-cluster"
    lacking = [name for name in ("prometheus",) if not shutil.which(name)]
    if "KUBECONFIG" not in os.environ:
        lacking += apiserver.missing()
    if lacking:
        why = why or f"not installed: {', '.join(lacking)} (Debian: etcd-server, prometheus; Go from go.dev)"
    for item in items:
        if why and Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.skip(reason=why))


@dataclass
class Machine:
    """What all tests share: the API server, Prometheus, the kubelet's log port."""

    api: Api
    deployer: client.ApiClient
    prometheus: str
    targets: Path
    logs: Path


@dataclass
class ClusterWorld(World):
    """One namespace."""

    machine: Machine
    router: Router
    faults: dict[str, str]

    @property
    def url(self) -> str:
        """Where clients ask: at the mesh, or where there is none at the first predictor's own Service."""
        if self.settings.ingress_url:
            return f"{self.settings.ingress_url}/seldon/{self.settings.namespace}/tiny"
        return self.settings.predictor_url.format(deployment="tiny", predictor="blue")

    @property
    def serving(self) -> str | None:
        try:
            return str(ask(self.url, [ROW])[1]["bundle_digest"])
        except DeployError:
            if not self.router.leads_somewhere(self.url):
                return None
            raise

    @property
    def candidates_running(self) -> bool:
        return len(self.live["spec"]["predictors"]) > 1 if self.live else False

    @property
    def live(self) -> Document | None:
        """The SeldonDeployment."""
        return self.machine.api.get(f"{SELDON}/namespaces/{self.settings.namespace}/seldondeployments/tiny")

    @property
    def pods_wanted(self) -> dict[str, int]:
        """By Deployment, those without any left out."""
        found = self.machine.api.items(f"/apis/apps/v1/namespaces/{self.settings.namespace}/deployments")
        wanted = {str(item["metadata"]["name"]): int(item["spec"]["replicas"]) for item in found}
        return {name: count for name, count in wanted.items() if count}

    def note(self, key: str) -> str:
        """An annotation of it."""
        return annotation(self.live, key)

    @property
    def lease(self) -> Document:
        """The spec of its Lease."""
        path = f"/apis/coordination.k8s.io/v1/namespaces/{self.settings.namespace}/leases/tiny"
        found = self.machine.api.get(path)
        assert found is not None
        spec: Document = found["spec"]
        return spec

    def judged_by(self, *, at_once: bool = False, **course: object) -> ClusterWorld:
        """The same namespace with another rollout, or with none: then a version that came up takes over."""
        settings = replace(self.settings, **course)  # type: ignore[arg-type]
        plan = RolloutPlan.from_settings(settings, PACE)
        plan = plan.at_once() if at_once else plan
        return replace(self, settings=settings, target=KubernetesTarget(settings, plan, self.machine.deployer))

    @contextmanager
    def traffic(self, a_second: int = 60, ages: tuple[float, ...] = (10.0, 30.0, 50.0, 70.0)) -> Iterator[list[int]]:
        """Asks the public URL all the time; gives the statuses seen."""
        done, seen = threading.Event(), list[int]()
        bodies = [ndarray(list({**ROW, "age": age}.values()), names=list(ROW)) for age in ages]

        def send() -> None:
            while not done.wait(4 / a_second):
                seen.append(call(f"{self.url}/api/v1.0/predictions", bodies[len(seen) % len(bodies)]).status)

        threads = [threading.Thread(target=send) for _ in range(4)]
        for thread in threads:
            thread.start()
        try:
            yield seen
        finally:
            done.set()
            for thread in threads:
                thread.join()


def configured(server: apiserver.Server, token: str) -> client.ApiClient:
    chosen = client.Configuration()
    chosen.host, chosen.ssl_ca_cert = server.url, str(server.certificate)
    chosen.api_key, chosen.api_key_prefix = {"authorization": token}, {"authorization": "Bearer"}
    return client.ApiClient(chosen)


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    folder = tmp_path_factory.mktemp("cluster")
    logs = folder / "pods"
    logs.mkdir()
    kubelet = log_server(logs, *apiserver.self_signed(folder))
    with _prometheus(folder) as (prometheus, targets), _clients(folder) as (admin, deployer):
        api = Api(admin)
        _install(api, kubelet.server_port)
        with seldon.running(folder, admin):
            yield Machine(api, deployer, prometheus, targets, logs)
    kubelet.shutdown()
    kubelet.server_close()


@contextmanager
def _clients(folder: Path) -> Iterator[tuple[client.ApiClient, client.ApiClient]]:
    """The administrator's client and the deploy step's."""
    if "KUBECONFIG" in os.environ:
        loaded = config.new_client_from_config()
        nodes = [node for node in Api(loaded).items("/api/v1/nodes") if node["metadata"]["name"] != NODE]
        if nodes:
            pytest.skip("the cluster of $KUBECONFIG has nodes of its own, which would work against the stand-ins")
        yield loaded, loaded
        return
    with apiserver.running(folder) as server:
        yield configured(server, apiserver.ADMIN), configured(server, apiserver.DEPLOYER)


@contextmanager
def _prometheus(folder: Path) -> Iterator[tuple[str, Path]]:
    targets, port = folder / "targets.json", free_port()
    targets.write_text("[]")
    scraped = {"job_name": "pods", "file_sd_configs": [{"files": [str(targets)], "refresh_interval": "1s"}]}
    document = {"global": {"scrape_interval": "1s"}, "scrape_configs": [scraped]}
    (folder / "prometheus.yml").write_text(yaml.safe_dump(document))
    command = [
        "prometheus", f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'tsdb'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]  # fmt: skip
    with apiserver.process(command, folder / "prometheus.log"):
        yield f"http://127.0.0.1:{port}", targets


def _install(api: Api, kubelet: int) -> None:
    """The CRDs, and the node that pods are said to run on."""
    [crd] = read_all(next((ROOT / "tests/infra/crds").glob("*.yaml")).read_text())
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    for document in (crd, *istio.definitions()):
        api.ensure(path, document)
    api.ensure("/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}})
    address = {"addresses": [{"type": "InternalIP", "address": "127.0.0.1"}]}
    status = {**address, "daemonEndpoints": {"kubeletEndpoint": {"Port": kubelet}}}
    api.patch(f"/api/v1/nodes/{NODE}/status", {"status": status})
    for kind in (f"{SELDON}/seldondeployments", f"{ISTIO}/virtualservices", f"{ISTIO}/destinationrules"):
        api.wait_for(kind, 30)


@pytest.fixture
def world(tmp_path: Path, empty_registry: Path, machine: Machine) -> Iterator[ClusterWorld]:
    """A namespace of its own, with the template and the deploy step's Role that stand in kustomize/base."""
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(empty_registry, home / "mlflow.db")
    namespace = f"test-{time.monotonic_ns():x}"
    _furnish(machine.api, namespace)
    router, faults = Router(), dict[str, str]()
    settings = Settings(
        home=str(home),
        detector_python=NO_DETECTOR,
        namespace=namespace,
        predictor_url=router.url + "/svc/{deployment}-{predictor}:8000",
        ingress_url=router.url,
        prometheus_url=machine.prometheus,
        rollout_window=4,
        rollout_patience=40,
        rollout_requests=20,
    )
    kubelet = Kubelet(machine.api, machine.logs, home / "store" / "bundles", faults)
    operator = Operator(machine.api, namespace) if seldon.program() is None else lambda: None
    nodes = Nodes(machine.api, namespace, kubelet, router, machine.targets, operator)
    target = KubernetesTarget(settings, RolloutPlan.from_settings(settings, PACE).at_once(), machine.deployer)
    try:
        yield ClusterWorld(tmp_path, settings, Registry(settings), target, machine, router, faults)
    finally:
        router.close()
        nodes.close()


def _with_istio() -> Document:
    """The rule that kustomize/components/canary-istio adds to the Role."""
    component = yaml.safe_load((ROOT / "kustomize/components/canary-istio/kustomization.yaml").read_text())
    patch = next(found["patch"] for found in component["patches"] if found["target"]["kind"] == "Role")
    rule: Document = yaml.safe_load(patch)[0]["value"]
    return rule


def _furnish(api: Api, namespace: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    metadata = {"name": namespace, "labels": labels}
    api.post("/api/v1/namespaces", {"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
    template = yaml.safe_load((ROOT / "kustomize/base/model/model-template.yaml").read_text())
    api.post(f"{SELDON}/namespaces/{namespace}/seldondeployments", template)
    for document in yaml.safe_load_all((ROOT / "kustomize/base/deploy-step/role.yaml").read_text()):
        document["metadata"]["namespace"] = namespace
        if document["kind"] == "Role":
            document["rules"].append(_with_istio())
        kinds = {"Role": "roles", "RoleBinding": "rolebindings"}
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}/{kinds[document['kind']]}"
        api.post(path, document)
