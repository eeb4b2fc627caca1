"""What the real Prometheus operator makes of our monitors, rules and routes, in a real Prometheus and Alertmanager."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import yaml

from lifeboat.deploy.kubernetes.prometheus import Prometheus
from tests.infra.alerts.monitoring import DASHBOARDS, RULES, load, rules
from tests.infra.prometheus.cluster import Cluster, until
from tests.infra.prometheus.pods import ENGINE
from tests.infra.prometheus.world import Monitored
from tests.server.world import ROW_VALUES, call, ndarray

REQUESTS = 40
# What Grafana puts in the place of its variables.
VARIABLES = {"$__rate_interval": "1m", "$__range": "1h", "$model": ".*", "$version": ".*"}


@pytest.fixture(scope="module", autouse=True)
def asked(world: Monitored) -> None:
    """The model servers have answered, before a scrape and after it."""
    log = world.folder / "prometheus.log"
    for _ in range(2):
        (before,) = [value for _, value in world.vector("sum(lifeboat_score_count)")] or [0.0]
        for server in world.servers.values():
            for _ in range(REQUESTS):
                assert call(f"{server.url}/api/v1.0/predictions", ndarray(ROW_VALUES)).status == 200
        counted = f"sum(lifeboat_score_count) >= {before + len(world.servers) * REQUESTS}"
        until(partial(world.vector, counted), log)
    until(lambda: world.vector("lifeboat:answers:rate5m > 0"), log)


def test_the_operator_leaves_every_rule_as_it_is_tested(cluster: Cluster) -> None:
    (text,) = cluster.rules.values()
    assert yaml.safe_load(text) == load(RULES)


def test_every_program_is_scraped_as_the_rules_name_it_and_nothing_else_is(world: Monitored) -> None:
    found = {(one["job"], one["namespace"], one["pod"], one["container"]) for one, value in world.vector("up") if value}
    assert found == {
        ("lifeboat-drift", "lifeboat", "drift-detector-0", "drift-detector"),
        ("lifeboat-server", "lifeboat", "tiny-blue-0", "model"),
        ("lifeboat-server", "lifeboat", "tiny-blue-1", "model"),
        ("lifeboat-trigger", "kubeflow", "retrain-trigger-0", "retrain-trigger"),
    }
    assert not world.vector("up == 0")
    dropped = world.ask("targets", state="dropped")["droppedTargets"]
    engines = [one["discoveredLabels"].get("__meta_kubernetes_pod_container_name") for one in dropped]
    assert ENGINE in engines


def test_no_label_of_a_target_hides_one_of_ours(world: Monitored) -> None:
    series = world.ask("series", **{"match[]": '{__name__=~"lifeboat_.*|seldon_.*"}'})
    assert len(series) > 50
    assert not {label for one in series for label in one if label.startswith("exported_")}
    info = [one for one in series if one["__name__"] == "lifeboat_model_info"]
    named = {"name": "tiny", "version": "3", "digest": world.digest, "predictor": "tiny-blue"}
    assert [{key: one[key] for key in named} for one in info] == [named, named]


def test_every_rule_runs_and_every_record_has_the_model(world: Monitored) -> None:
    ran = [rule for group in world.ask("rules")["groups"] for rule in group["rules"]]
    assert len(ran) == len(rules())
    assert {(rule["health"], rule.get("lastError", "")) for rule in ran} == {("ok", "")}
    for record in {rule["record"] for rule in rules() if "record" in rule}:
        assert {one["model"] for one, _ in world.vector(record)} == {"tiny"}, record


@pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)
def test_every_panel_can_be_drawn(world: Monitored, path: Path) -> None:
    queries = [
        target["expr"] for panel in json.loads(path.read_text())["panels"] for target in panel.get("targets", ())
    ]
    assert queries
    for query in queries:
        for name, value in VARIABLES.items():
            query = query.replace(name, value)
        assert isinstance(world.vector(query), list), query


def test_the_deploy_step_reads_what_a_version_did(world: Monitored) -> None:
    sample = Prometheus(world.url).sample(world.digest, 60)
    assert sample.requests > 2 * REQUESTS
    # At least the scores of the second turn: a histogram of scores is there from its first row on.
    assert sum(sample.scores) > REQUESTS
    assert sample.failed == 0.0
    # Asked one after the other while time goes on.
    assert sum(count for _, count in sample.latency) == pytest.approx(sample.requests, rel=0.05)
    assert Prometheus(world.url).sample("0" * 64, 60).requests == 0.0
