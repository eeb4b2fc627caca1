"""Jaeger, where it is chosen: as locked as everything else, and each server's traces go to it."""

from __future__ import annotations

from lifeboat.detector.settings import DetectorSettings
from lifeboat.explainer.settings import ExplainerSettings
from lifeboat.server.settings import PREFIX, ServerSettings
from tests.infra.kustomize.build import COMBINATIONS, Resource, combination, containers, one, pods, predictor
from tests.infra.kustomize.test_policy import IMAGE

EVERYTHING = max(COMBINATIONS, key=len)


def variables(container: Resource) -> dict[str, str]:
    return {entry["name"]: entry.get("value", "") for entry in container["env"]}


def test_each_server_sends_its_traces_where_the_service_takes_them() -> None:
    resources = combination(EVERYTHING)
    service = one(resources, "Service", "jaeger", "lifeboat")
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    url = f"http://jaeger.lifeboat.svc.cluster.local:{ports['otlp']}"
    (model,) = predictor(resources)["componentSpecs"][0]["spec"]["containers"]
    assert variables(model)[f"{PREFIX}TRACES"] == url
    assert ServerSettings(trace_share=float(variables(model)[f"{PREFIX}TRACE_SHARE"])).trace_share == 0.01
    for kind, name, prefix in (
        ("Deployment", "explainer", "LIFEBOAT_EXPLAINER_"), ("StatefulSet", "drift-detector", "LIFEBOAT_DRIFT_"),
    ):  # fmt: skip
        (container,) = one(resources, kind, name)["spec"]["template"]["spec"]["containers"]
        assert variables(container)[f"{prefix}TRACES"] == url
    assert {"traces", "trace_share"} <= set(vars(ExplainerSettings(store="s"))) & set(vars(DetectorSettings(store="s")))


def test_the_ways_to_it_are_named_and_its_page_has_none() -> None:
    resources = combination(EVERYTHING)
    servers = {"model-server", "explainer", "drift-detector"}
    to, into = (one(resources, "NetworkPolicy", name)["spec"] for name in ("to-jaeger", "jaeger"))
    assert set(to["podSelector"]["matchExpressions"][0]["values"]) == servers
    (rule,) = into["ingress"]
    assert set(rule["from"][0]["podSelector"]["matchExpressions"][0]["values"]) == servers
    assert rule["ports"] == to["egress"][0]["ports"] == [{"port": 4318}]


def test_its_pod_is_locked_and_its_image_cannot_move() -> None:
    ((_, _, _, pod),) = [found for found in pods(combination(EVERYTHING)) if found[0] == "jaeger"]
    (container,) = containers(pod)
    locked = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}, "readOnlyRootFilesystem": True}
    assert container["securityContext"] == locked
    assert (pod["securityContext"]["runAsNonRoot"], pod["automountServiceAccountToken"]) == (True, False)
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= set(container)
    image = IMAGE.fullmatch(container["image"])
    assert image is not None
    assert image["digest"]


def test_without_it_nobody_traces() -> None:
    (model,) = predictor(combination(()))["componentSpecs"][0]["spec"]["containers"]
    assert f"{PREFIX}TRACES" not in variables(model)
