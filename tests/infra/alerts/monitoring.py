"""The monitoring files, and which metrics the programs have that they may name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml
from prometheus_client.parser import text_string_to_metric_families

from lifeboat.explainer.metrics import ExplainerMetrics
from lifeboat.server.explained import EXPLAIN
from lifeboat.server.metrics import ServerMetrics
from lifeboat.tasks.kinds import task_of
from lifeboat.usecase.label import BinaryLabel
from tests.infra.tools import ROOT, tool

MONITORING = ROOT / "kustomize" / "base" / "monitoring"
RULES, ALERTMANAGER = MONITORING / "rules.yaml", MONITORING / "alertmanager.yaml"
DASHBOARDS = sorted((MONITORING / "dashboards").glob("*.json"))
RUNBOOKS = ROOT / "docs" / "runbooks"

MODEL = {"model", "version"}
FEATURE = MODEL | {"feature"}
DETECTOR: dict[str, set[str]] = {
    "lifeboat_drift_events_total": {"type"},
    "lifeboat_drift_duplicates_total": set(),
    "lifeboat_drift_refused_total": {"reason"},
    "lifeboat_drift_waiting": set(),
    "lifeboat_drift_held": set(),
    "lifeboat_drift_storage_up": set(),
    "lifeboat_drift_broken_databases": set(),
    "lifeboat_drift_last_event_timestamp_seconds": set(),
    "lifeboat_drift_windows_total": MODEL | {"result"},
    "lifeboat_drift_window_rows": MODEL,
    "lifeboat_drift_alarm": MODEL,
    "lifeboat_drift_online_alarm": MODEL,
    "lifeboat_drift_judge_up": set(),
    "lifeboat_drift_judge_seconds_bucket": {"le"},
    "lifeboat_drift_judge_seconds_sum": set(),
    "lifeboat_drift_judge_seconds_count": set(),
    "lifeboat_drift_effect": FEATURE,
    "lifeboat_drift_missing": FEATURE,
    "seldon_metric_drift_is_drift": FEATURE,
    "seldon_metric_drift_distance": FEATURE,
    "seldon_metric_drift_p_val": FEATURE,
    "seldon_metric_drift_threshold": FEATURE,
    "lifeboat_feedback_rows_total": {"result"},
    "lifeboat_held_since_timestamp_seconds": {"what", "model"},
    "lifeboat_label_conflicts": {"model"},
    "lifeboat_labelled_rows_total": set(),
    "lifeboat_live_accuracy": MODEL,
    "lifeboat_live_log_loss": MODEL,
    "lifeboat_live_calibration_error": MODEL,
    "lifeboat_live_rows": MODEL,
    "lifeboat_live_accuracy_bound": MODEL,
    "lifeboat_live_mae": MODEL,
    "lifeboat_live_rmse": MODEL,
    "lifeboat_live_coverage": MODEL,
    "lifeboat_live_mae_bound": MODEL,
}
TRIGGER: dict[str, set[str]] = {
    "lifeboat_retrain_requests_total": {"result"},
    "lifeboat_retrain_runs_total": {"result"},
    "lifeboat_retrain_running": set(),
    "lifeboat_retrain_last_start_timestamp_seconds": set(),
    "lifeboat_retrain_last_success_timestamp_seconds": set(),
}
PROMETHEUS: dict[str, set[str]] = {"up": set(), "ALERTS": {"alertname", "alertstate", *MODEL}}
# Labels that Prometheus itself adds to whatever it scrapes.
TARGET = {"job", "instance"}

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_GROUPING = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_NAME = re.compile(r"(?<![\w.$:])([a-zA-Z_:][\w:]*)\s*(\{[^}]*\}|\()?")
_WORDS = {"and", "or", "unless", "bool", "offset", "by", "on"}


def load(path: Path) -> Any:
    """A YAML file."""
    return yaml.safe_load(path.read_text())


def rules() -> list[dict[str, Any]]:
    """All rules, in the order of their evaluation."""
    return [rule for group in load(RULES)["groups"] for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    """The alerting ones."""
    return [rule for rule in rules() if "alert" in rule]


def alert_names() -> list[str]:
    """Each alert once."""
    return list(dict.fromkeys(rule["alert"] for rule in alerts()))


def exposed(text: str) -> dict[str, set[str]]:
    """The labels of each metric of a page of metrics."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def server_metrics() -> dict[str, set[str]]:
    """What the model server really renders once it has answered a request."""
    metrics = ServerMetrics({"name": "m", "version": "1", "digest": "d"}, task_of(BinaryLabel("answer", ("no", "yes"))))
    metrics.watch_views(["weather"])
    metrics.looked_up(0.001)
    metrics.begin()
    metrics.end("seldon", 200, 0.001)
    metrics.predicted([0.3], [False])
    metrics.called("desk", "taken")
    return exposed(metrics.render().decode())


def explainer_metrics() -> dict[str, set[str]]:
    """What the explainer really renders once it has answered a request."""
    metrics = ExplainerMetrics(lambda: 0)
    metrics.end(EXPLAIN, 200, 0.001)
    return exposed(metrics.render().decode())


def known_metrics() -> dict[str, set[str]]:
    """All that a rule or a panel may name, with its labels."""
    recorded = {rule["record"]: {"model", "le"} for rule in rules() if "record" in rule}
    return {**server_metrics(), **explainer_metrics(), **DETECTOR, **TRIGGER, **PROMETHEUS, **recorded}


def selectors(expression: str) -> Iterator[tuple[str, set[str]]]:
    """Each metric of a PromQL expression, with the labels it is selected by."""
    bare = re.sub(r"\[[^\]]*\]", "", _STRING.sub('""', expression))
    for name, behind in _NAME.findall(_GROUPING.sub("", bare)):
        if behind != "(" and name not in _WORDS:
            yield name, set(re.findall(r"(\w+)\s*[=!]", behind))


def groupings(expression: str) -> set[str]:
    """The labels that a PromQL expression groups or matches by."""
    return {label for found in _GROUPING.findall(_STRING.sub('""', expression)) for label in re.findall(r"\w+", found)}


def unknown(expressions: Iterable[str]) -> list[str]:
    """The metrics and labels in expressions that no program has."""
    known = known_metrics()
    labels = TARGET.union(*known.values())
    wrong = []
    for expression in expressions:
        for name, chosen in selectors(expression):
            extra = chosen - known.get(name, chosen) - TARGET
            wrong += [name] if name not in known else [f"{name}{{{label}}}" for label in sorted(extra)]
        wrong += sorted(groupings(expression) - labels)
    return wrong


def passes(name: str, *arguments: str | Path) -> str:
    """Runs a tool, which has to succeed, and gives what it said."""
    done = subprocess.run([tool(name), *map(str, arguments)], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
