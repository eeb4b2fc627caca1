"""What a rollout sees of Seldon's operator: held true for the real one where it is given, and for the stand-in.

Each is read in operator 1.17.1; the names are what kustomize/, docs/ and the deploy step rely on.
"""

from __future__ import annotations

import copy
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import yaml

from lifeboat.config.errors import DeployError
from lifeboat.deploy.kubernetes import manifest
from lifeboat.deploy.kubernetes.cluster import Cluster
from tests.cluster.api import ISTIO, SELDON, Document
from tests.cluster.conftest import ROOT, ClusterWorld
from tests.cluster.kubelet import NEVER

BLUE = "tiny-blue-0-tiny"


def found(world: ClusterWorld, name: str, group: str = "/apis/apps/v1", kind: str = "deployments") -> Document | None:
    return world.machine.api.get(f"{group}/namespaces/{world.settings.namespace}/{kind}/{name}")


def read(world: ClusterWorld, name: str, group: str = "/apis/apps/v1", kind: str = "deployments") -> Document:
    document = found(world, name, group, kind)
    assert document is not None, f"there is no {name} among the {kind}"
    return document


def weights(world: ClusterWorld) -> list[tuple[str, int, int]]:
    """Host, port and weight of each destination for HTTP."""
    rule = read(world, "tiny", ISTIO, "virtualservices")["spec"]["http"][0]
    parts = [(part["destination"], part.get("weight", 0)) for part in rule["route"]]
    return [(where["host"].split(".")[0], where["port"]["number"], weight) for where, weight in parts]


def until(condition: Callable[[], object], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.1)


def change(world: ClusterWorld, edit: Callable[[list[Document]], None]) -> None:
    """Edits the predictors, past the deploy step."""
    live = world.live
    assert live is not None
    parts = copy.deepcopy(live["spec"]["predictors"])
    edit(parts)
    path = f"{SELDON}/namespaces/{world.settings.namespace}/seldondeployments/tiny"
    world.machine.api.patch(path, {"spec": {"predictors": parts}})


def componented(world: ClusterWorld, name: str) -> None:
    """Makes the template what a component of kustomize/ makes of it."""
    path = f"{SELDON}/namespaces/{world.settings.namespace}/seldondeployments/{manifest.TEMPLATE}"
    template = world.machine.api.get(path)
    assert template is not None
    component = yaml.safe_load((ROOT / f"kustomize/components/{name}/kustomization.yaml").read_text())
    for patch in component["patches"]:
        if patch["target"]["kind"] == "SeldonDeployment":
            for operation in yaml.safe_load(patch["patch"]):
                _apply(template, **operation)
    world.machine.api.replace(path, template)


def _apply(document: Any, op: str, path: str, value: Any = None) -> None:
    """An operation of a JSON patch, of the kinds that our components use."""
    *above, last = [part.replace("~1", "/") for part in path.split("/")[1:]]
    for part in above:
        document = document[int(part) if isinstance(document, list) else part]
    last = int(last) if isinstance(document, list) and last != "-" else last
    if last == "-":
        document.append(value)
    elif op == "add":
        document[last] = value
    elif op == "test":
        assert document[last] == value
    else:
        assert op == "remove"
        del document[last]


def test_names_ports_and_labels_with_the_engine(world: ClusterWorld) -> None:
    world.ship(0.1)
    deployment = read(world, BLUE)
    template = deployment["spec"]["template"]
    assert [box["name"] for box in template["spec"]["containers"]] == ["tiny", "seldon-container-engine"]
    expected = {
        "app.kubernetes.io/name": "model-server",  # the predictor's label, by which pods are monitored and let in
        "app.kubernetes.io/managed-by": "seldon-core",
        "seldon-deployment-id": "tiny",
        "seldon-app": "tiny-blue",
        "version": "blue",
        manifest.PREDICTOR: "blue",
    }
    assert expected.items() <= template["metadata"]["labels"].items()
    ports = {name: _ports(world, name) for name in ("tiny-blue", "tiny-blue-tiny")}
    assert ports == {"tiny-blue": [8000, 5001], "tiny-blue-tiny": [9000, 9500]}
    assert weights(world) == [("tiny-blue", 8000, 100)]
    route = read(world, "tiny", ISTIO, "virtualservices")["spec"]
    assert route["http"][0]["match"] == [{"uri": {"prefix": f"/seldon/{world.settings.namespace}/tiny/"}}]
    assert route["gateways"] == ["istio-system/seldon-gateway"]


def _ports(world: ClusterWorld, service: str) -> list[int]:
    return [port["port"] for port in read(world, service, "/api/v1", "services")["spec"]["ports"]]


def test_without_the_engine_a_predictor_is_at_its_containers_port(world: ClusterWorld) -> None:
    """As in staging and production, where predictor-url ends in 9000."""
    componented(world, "no-engine")
    place = world.router.url + "/svc/{deployment}-{predictor}:9000"
    world = world.judged_by(at_once=True, predictor_url=place)
    world.ship(0.1)
    second = world.ship(0.2)
    assert world.serving == world.champion == second.digest
    boxes = read(world, "tiny-green-0-tiny")["spec"]["template"]["spec"]["containers"]
    assert [box["name"] for box in boxes] == ["tiny"]
    assert _ports(world, "tiny-green") == [9000, 9500]
    assert weights(world) == [("tiny-green", 9000, 100)]


def test_a_share_moves_without_a_new_pod_and_a_shadow_is_a_new_one(world: ClusterWorld) -> None:
    world.ship(0.1)
    before = read(world, BLUE)["spec"]["template"]

    def share(parts: list[Document]) -> None:
        other = {**copy.deepcopy(parts[0]), "name": "green", "traffic": 25}
        other["componentSpecs"][0]["metadata"]["labels"][manifest.PREDICTOR] = "green"
        parts[:] = [{**parts[0], "traffic": 75}, other]

    change(world, share)
    until(lambda: weights(world) == [("tiny-blue", 8000, 75), ("tiny-green", 8000, 25)], "the weights did not move")
    assert read(world, BLUE)["spec"]["template"] == before
    green = read(world, "tiny-green-0-tiny")["spec"]["template"]

    def cast(parts: list[Document]) -> None:
        parts[0]["traffic"] = 100
        del parts[1]["traffic"]
        parts[1]["shadow"] = True

    change(world, cast)
    until(lambda: weights(world) == [("tiny-blue", 8000, 100)], "the shadow still has a share")
    mirror = read(world, "tiny", ISTIO, "virtualservices")["spec"]["http"][0]["mirror"]
    assert (mirror["subset"], mirror["port"]) == ("green", {"number": 8000})
    shadow = read(world, "tiny-green-0-tiny")["spec"]["template"]
    assert shadow != green
    assert shadow["metadata"]["labels"]["seldon.io/shadow"] == "true"
    assert read(world, BLUE)["spec"]["template"] == before


def test_a_rollout_keeps_one_disruption_budget(world: ClusterWorld) -> None:
    """The operator's budgets select the pods of every predictor, and no pod that two of them select can be evicted."""
    world.ship(0.1)
    assert _budgets(world) == [BLUE]
    seen: list[list[str]] = []
    second = world.bundle(0.2)
    world.deploy(second, world.judged(second, champion=world.champion), lambda _: seen.append(_budgets(world)))
    assert len(seen) > 3
    assert all(len(budgets) == 1 for budgets in seen[:-1]), seen
    until(lambda: _budgets(world) == ["tiny-green-0-tiny"], f"the budgets are {_budgets(world)}")


def _budgets(world: ClusterWorld) -> list[str]:
    found = world.machine.api.items(f"/apis/policy/v1/namespaces/{world.settings.namespace}/poddisruptionbudgets")
    selectors = [budget["spec"]["selector"] for budget in found]
    assert selectors == [{"matchLabels": {"seldon-deployment-id": "tiny"}}] * len(found)
    return [str(budget["metadata"]["name"]) for budget in found]


def test_weights_wait_for_every_pod_and_a_rollout_says_so(world: ClusterWorld) -> None:
    """The operator moves no weight while a pod of any predictor is missing."""
    world.ship(0.1)
    second = world.bundle(0.2)
    world.faults[second.digest] = NEVER

    def share(parts: list[Document]) -> None:
        other = copy.deepcopy(parts[0])
        text = yaml.safe_dump(other).replace(other["annotations"][manifest.DIGEST], second.digest)
        other = {**yaml.safe_load(text), "name": "green", "traffic": 25}
        other["componentSpecs"][0]["metadata"]["labels"][manifest.PREDICTOR] = "green"
        parts[:] = [{**parts[0], "traffic": 75}, other]

    change(world, share)
    until(lambda: found(world, "tiny-green-0-tiny"), "the operator made no Deployment")
    time.sleep(1)
    assert weights(world) == [("tiny-blue", 8000, 100)]
    assert world.live is not None
    assert world.live["status"]["state"] == "Creating"


def test_a_split_that_does_not_come_ends_the_rollout(world: ClusterWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with an operator that was installed without Istio: there is no VirtualService."""
    real = Cluster.virtual_service
    monkeypatch.setattr(Cluster, "virtual_service", lambda self: real(Cluster(self._api, self.namespace, "none")))
    bundle = world.bundle(0.1)
    verdict = world.judged(bundle)
    with pytest.raises(DeployError, match="has made no VirtualService within 3 s: it was installed without istio.ena"):
        world.judged_by(at_once=True, rollout_patience=3).deploy(bundle, verdict)
    assert world.serving is None


def test_a_first_version_that_failed_leaves_no_autoscaler_behind(world: ClusterWorld) -> None:
    """Its Deployment has no pod, from which no autoscaler counts up: the next version has to be woken."""
    componented(world, "autoscaling")
    wrong = world.bundle(0.1, golden_off_by=0.2)
    verdict = world.judged(wrong)
    with pytest.raises(DeployError, match="golden"):
        world.deploy(wrong, verdict)
    assert read(world, BLUE)["spec"]["replicas"] == 0
    bundle = world.bundle(0.2)
    world.deploy(bundle, world.judged(bundle))
    assert world.serving == world.champion == bundle.digest
    assert read(world, BLUE)["spec"]["replicas"] == 2
    live = world.live
    assert live is not None
    assert live["spec"]["predictors"][0]["componentSpecs"][0]["hpaSpec"]["maxReplicas"] == 10


def test_an_operator_that_looks_for_a_service_it_deleted_stops_no_rollout(world: ClusterWorld) -> None:
    """Its state is Failed from a write at the wrong moment on, until a predictor of that name comes again."""
    first = world.ship(0.1)
    assert any(_is_lost_after_a_write(world, early=number > 0) for number in range(10))
    world.deploy(first, world.judged(first, champion=first.digest))
    assert _status(world)["state"] == "Failed"
    second = world.ship(0.2)
    # The state may be lost again by this rollout's own sign of life; that it serves may not.
    assert world.serving == world.champion == second.digest


def _is_lost_after_a_write(world: ClusterWorld, *, early: bool) -> bool:
    """Removes a predictor while somebody writes to the SeldonDeployment; whether one of the writes did it.

    The writes begin at once if `early`, else when the operator has noted that the Deployment is gone, so that it goes
    on to the Services: the real one is often too quick for that, the stand-in notes nothing while somebody writes.
    """
    done = threading.Event()

    def write() -> None:
        path = f"{SELDON}/namespaces/{world.settings.namespace}/seldondeployments/tiny"
        while not done.wait(0.01):
            world.machine.api.patch(path, {"metadata": {"annotations": {"tests/now": str(time.monotonic())}}})

    def add(parts: list[Document]) -> None:
        other = {**copy.deepcopy(parts[0]), "name": "green", "traffic": 0}
        other["componentSpecs"][0]["metadata"]["labels"][manifest.PREDICTOR] = "green"
        parts.append(other)

    change(world, add)
    until(lambda: _status(world)["state"] == "Available" and "tiny-green" in _status(world)["serviceStatus"], "not up")
    writer = threading.Thread(target=write)
    if early:
        writer.start()
    change(world, lambda parts: parts.pop())
    if not early:
        until(lambda: not any("-green-" in key for key in _status(world)["deploymentStatus"]), "the Deployment stays")
        writer.start()
    try:
        until(lambda: not found(world, "tiny-green", "/api/v1", "services"), "the operator removed no Service")
        time.sleep(0.5)
    finally:
        done.set()
        writer.join()
    time.sleep(1)
    return "not found" in _status(world).get("description", "")


def _status(world: ClusterWorld) -> Document:
    status: Document = (world.live or {})["status"]
    return status
