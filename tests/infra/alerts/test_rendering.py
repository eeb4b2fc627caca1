"""The cluster's configuration rendered for a laptop."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from lifeboat.demo.rules import JOBS, alertmanager_config, multiplied, prometheus_config, scaled
from tests.infra.alerts.monitoring import ALERTMANAGER, RULES, passes

RANGE = re.compile(r"\[([^\]]*)\]")


def rules_of(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


@pytest.mark.parametrize(
    ("duration", "factor", "expected"),
    [
        ("1m", 1.0, "60000ms"),
        ("1h30m", 1 / 60, "90000ms"),
        ("2d", 0.5, "86400000ms"),
        ("15ms", 2.0, "30ms"),
        ("0s", 0.1, "0ms"),
        ("1s", 1e-9, "1ms"),
    ],
)
def test_a_duration_is_multiplied_to_the_millisecond(duration: str, factor: float, expected: str) -> None:
    assert multiplied(duration, factor) == expected


@pytest.mark.parametrize(
    ("duration", "factor"), [("", 1.0), ("5", 1.0), ("5 m", 1.0), ("m", 1.0), ("1m", 0.0), ("1m", -1.0)]
)
def test_what_is_no_duration_or_no_factor_is_refused(duration: str, factor: float) -> None:
    with pytest.raises(ValueError, match="duration|factor"):
        multiplied(duration, factor)


def test_every_duration_of_the_rules_is_scaled_and_nothing_else() -> None:
    text = RULES.read_text()
    for before, after in zip(rules_of(text), rules_of(scaled(text, 1 / 60)), strict=True):
        held = [name for name in ("for", "keep_firing_for") if name in before]
        assert [after.pop(name) for name in held] == [multiplied(before.pop(name), 1 / 60) for name in held]
        ranges = RANGE.findall(before["expr"])
        assert RANGE.findall(after["expr"]) == [multiplied(one, 1 / 60) for one in ranges]
        assert RANGE.sub("", after.pop("expr")) == RANGE.sub("", before.pop("expr"))
        assert after == before


def test_the_rules_have_no_duration_that_would_not_be_scaled() -> None:
    for rule in rules_of(RULES.read_text()):
        assert not re.search(r"\boffset\b|\[[^\]]*:[^\]]*\]|@", rule["expr"])


def test_a_class_of_characters_in_a_label_is_no_range() -> None:
    text = """{groups: [{name: a, rules: [{record: b, expr: 'rate(c{d=~"[5m-]x"}[5m])'}]}]}"""
    assert rules_of(scaled(text, 0.5))[0]["expr"] == 'rate(c{d=~"[5m-]x"}[150000ms])'


@pytest.mark.parametrize("factor", [1.0, 1 / 60, 0.25])
def test_promtool_accepts_the_scaled_rules(factor: float, tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(scaled(RULES.read_text(), factor))
    assert "SUCCESS" in passes("promtool", "check", "rules", rules)


def test_scaled_rules_fire_as_much_earlier(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(scaled(RULES.read_text(), 1 / 60))
    firing = 'count(ALERTS{alertname="LifeboatDrift", alertstate="firing"})'
    tests = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": "1s",
        "tests": [
            {
                "interval": "1s",
                "input_series": [
                    {"series": 'lifeboat_drift_alarm{model="titanic", version="1"}', "values": "0x9 1x9 0x60"}
                ],
                "promql_expr_test": [
                    {"expr": firing, "eval_time": "10s", "exp_samples": []},
                    {"expr": firing, "eval_time": "11s", "exp_samples": [{"labels": "{}", "value": 1}]},
                    {"expr": firing, "eval_time": "33s", "exp_samples": [{"labels": "{}", "value": 1}]},
                    {"expr": firing, "eval_time": "37s", "exp_samples": []},
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(tests))
    assert "SUCCESS" in passes("promtool", "test", "rules", tmp_path / "test.yaml")


def test_prometheus_scrapes_each_job_at_its_port(tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(RULES.read_text())
    text = prometheus_config({**JOBS, "lifeboat-server": 6123}, 0.5, str(tmp_path / "rules.yaml"), 9093, "https://x/y")
    (tmp_path / "prometheus.yaml").write_text(text)
    assert "1 rule files found" in passes("promtool", "check", "config", tmp_path / "prometheus.yaml")
    config = yaml.safe_load(text)
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert targets == {
        "lifeboat-server": ["127.0.0.1:6123"],
        "lifeboat-drift": ["127.0.0.1:9010"],
        "lifeboat-trigger": ["127.0.0.1:9020"],
    }
    assert config["global"]["evaluation_interval"] == "500ms"
    assert config["global"]["external_labels"] == {"runbooks": "https://x/y"}


def test_the_rules_and_the_scrape_configuration_name_the_same_jobs() -> None:
    named = {job for rule in rules_of(RULES.read_text()) for job in re.findall(r'job="([^"]*)"', rule["expr"])}
    assert named == set(JOBS)


def test_alertmanager_asks_the_given_trigger_in_scaled_time(tmp_path: Path) -> None:
    original = yaml.safe_load(ALERTMANAGER.read_text())
    text = alertmanager_config(ALERTMANAGER.read_text(), "http://127.0.0.1:1234/alerts", "/run/token", 1 / 60)
    (tmp_path / "alertmanager.yaml").write_text(text)
    assert "SUCCESS" in passes("amtool", "check-config", tmp_path / "alertmanager.yaml")
    config = yaml.safe_load(text)
    [hook] = config["receivers"][0]["webhook_configs"]
    assert hook["url"] == "http://127.0.0.1:1234/alerts"
    assert hook["http_config"]["authorization"] == {"type": "Bearer", "credentials_file": "/run/token"}
    assert config["route"]["group_interval"] == "5000ms"
    assert config["route"]["routes"][0]["repeat_interval"] == "120000ms"
    assert config["inhibit_rules"] == original["inhibit_rules"]


def test_a_configuration_without_a_receiver_for_retraining_is_refused() -> None:
    text = "{route: {receiver: ticket}, receivers: [{name: ticket}]}"
    with pytest.raises(ValueError, match=r"no receiver 'retrain' with a webhook, only \['ticket'\]"):
        alertmanager_config(text, "http://x", "token", 1.0)
