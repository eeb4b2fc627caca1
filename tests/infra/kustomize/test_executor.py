"""What Seldon's executor 1.17.1 needs of our manifests, or must not find there; seen on the real one."""

from __future__ import annotations

from typing import Any

import pytest

from lifeboat.deploy.kubernetes import manifest
from lifeboat.registry.versions import Version
from lifeboat.server.rpc.server import FRAME
from lifeboat.server.settings import ServerSettings
from tests.infra.kustomize.build import COMBINATIONS, OVERLAYS, Resource, combination, containers, model, overlay

EVENTS_URL, BY_EXECUTOR = "LIFEBOAT_SERVER_EVENTS_URL", "LIFEBOAT_SERVER_EVENTS_BY_EXECUTOR"
DETECTOR = "http://drift-detector.lifeboat.svc.cluster.local:9010/"
EACH = [
    *(pytest.param(overlay, name, id=name) for name in OVERLAYS),
    *(pytest.param(combination, chosen, id="+".join(chosen) or "none") for chosen in COMBINATIONS),
]
every = pytest.mark.parametrize(("build", "which"), EACH)


def deployed(resources: list[Resource]) -> Resource:
    """What the deploy step makes of the template."""
    part = manifest.predictor(model(resources), "blue", Version("titanic", "7", "d" * 64, "run"))
    return manifest.compose(model(resources), "titanic", [part], {})


def pod_annotations(resource: Resource) -> dict[str, Any]:
    """Those that the operator puts at the model's pod."""
    (item,) = resource["spec"]["predictors"]
    (component,) = item["componentSpecs"]
    parts = (resource["spec"], item, component["metadata"])
    return {name: text for part in parts for name, text in part.get("annotations", {}).items()}


@every
def test_the_executor_can_read_the_pods_annotations(build: Any, which: Any) -> None:
    """It splits each line at every "=": with one too many it has none of them, and waits for the server for ever."""
    notes = pod_annotations(deployed(build(which)))
    assert [text for pair in notes.items() for text in pair if "=" in text or "\n" in text] == []


@every
def test_either_the_executor_or_the_server_sends_events_and_never_both(build: Any, which: Any) -> None:
    (item,) = deployed(build(which))["spec"]["predictors"]
    pod = item["componentSpecs"][0]["spec"]
    told = [(entry["name"], entry.get("value")) for box in containers(pod) for entry in box.get("env", [])]
    events = [entry for entry in told if entry[0] in (EVENTS_URL, BY_EXECUTOR)]
    logger = item["graph"].get("logger")
    if item.get("annotations", {}).get("seldon.io/no-engine") == "true":
        assert (logger, events) == (None, [(EVENTS_URL, DETECTOR)])
    else:
        assert logger == {"url": DETECTOR, "mode": "all"}
        assert events == [(EVENTS_URL, DETECTOR), (BY_EXECUTOR, "true")]


@every
def test_only_where_there_is_an_executor_it_has_settings(build: Any, which: Any) -> None:
    resource = deployed(build(which))
    notes = pod_annotations(resource)
    engine = notes.get("seldon.io/no-engine") != "true"
    assert ("seldon.io/rest-timeout" in notes) is engine
    assert ("seldon.io/executor-logger-queue-size" in notes) is engine
    assert ("seldon.io/grpc-timeout" in notes) is engine
    # What the server takes of a message: a body, and what gRPC needs beside it.
    assert notes.get("seldon.io/grpc-max-message-size") == (str(ServerSettings().max_body + FRAME) if engine else None)
    assert ("svcOrchSpec" in resource["spec"]["predictors"][0]) is engine
