"""The autoscaler's metric: the name that it asks for, the series behind it, and the way to both."""

from __future__ import annotations

import re
from typing import Any

from lifeboat.config.settings import Settings
from lifeboat.server.metrics import PROTOCOLS
from lifeboat.server.settings import ServerSettings
from tests.infra.alerts.monitoring import TARGET, selectors, server_metrics
from tests.infra.kustomize.build import combination, overlay, predictor
from tests.infra.terraform.conftest import SOURCE
from tests.infra.terraform.sides import documents
from tests.infra.terraform.test_places import exempts

# What the operator's monitors add to every series of a pod.
OF_THE_POD = TARGET | {"namespace", "pod"}
IMAGE = "registry.k8s.io/prometheus-adapter/prometheus-adapter:v0.12.0"


def values() -> dict[str, Any]:
    """The adapter's."""
    (found,) = documents("prometheus-adapter.yaml")
    return dict(found)


def signs(resources: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """What the autoscaler looks at, by kind."""
    return {one["type"]: one for one in predictor(resources)["componentSpecs"][0]["hpaSpec"]["metricsv2"]}


def test_the_autoscaler_asks_for_the_metric_that_the_adapter_makes() -> None:
    (rule,) = values()["rules"]["custom"]
    for resources in (overlay("production"), combination(("autoscaling",))):
        found = signs(resources)
        assert set(found) == {"Pods", "Resource"}
        assert found["Pods"]["pods"]["metric"] == {"name": rule["name"]["as"]}
        target = found["Pods"]["pods"]["target"]
        assert target["type"] == "AverageValue"
        # An early sign, long before the server refuses.
        assert 1 < int(target["averageValue"]) * 8 < ServerSettings().max_pending


def test_the_metric_is_made_of_a_series_that_the_server_has() -> None:
    (rule,) = values()["rules"]["custom"]
    ((series, labels),) = selectors(rule["seriesQuery"])
    assert labels == {"namespace", "pod"} == set(rule["resources"]["overrides"])
    query = rule["metricsQuery"]
    assert "<<.LabelMatchers>>" in query
    assert "<<.GroupBy>>" in query
    known = server_metrics()[series]
    assert set(re.findall(r"(\w+)[=!][~=]?\"", query)) <= known | OF_THE_POD
    # Every protocol counts, but "explain", which waits for the explainer; a probe or a scrape, "other", is no load.
    assert re.findall(r"protocol([^,}]+)", query) == ['!~"explain|other"']
    assert "other" in PROTOCOLS


def test_the_adapter_asks_the_prometheus_that_the_deploy_step_asks() -> None:
    asked = values()["prometheus"]
    assert f"{asked['url']}:{asked['port']}" == Settings().prometheus_url
    assert values()["rules"]["default"] is False


def test_the_control_plane_reaches_the_adapter_and_its_image_may_run() -> None:
    ports = re.findall(r"ports    = \[(.*?)\]", (SOURCE / "network.tf").read_text())
    opened = {int(port) for listed in ports for port in re.findall(r'"(\d+)"', listed)}
    # GKE opens these two by itself; a port under 1024 is not for a program without rights.
    assert values()["listenPort"] in ({443, 10250} | opened) - set(range(1024))
    assert exempts(IMAGE)
