"""The Prometheus rules: by Prometheus' own tools, and by themselves."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from lifeboat.detector import metrics as drift
from lifeboat.detector.performance.performance import NAMES
from lifeboat.server.metrics import LATENCY
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.task import Task
from lifeboat.trigger.metrics import TriggerMetrics
from lifeboat.trigger.state import TriggerState
from lifeboat.usecase.label import BinaryLabel, NumberLabel
from tests.infra.alerts.monitoring import (
    DETECTOR,
    RULES,
    RUNBOOKS,
    TRIGGER,
    alerts,
    exposed,
    load,
    passes,
    rules,
    selectors,
    server_metrics,
    unknown,
)

FILES = sorted(Path(__file__).parent.glob("*.test.yaml"))
KINDS = ("fires", "does not fire", "resolves", "series missing")
DURATION = re.compile(r"\d+[smhd]")


def names(rule: dict[str, Any]) -> str:
    return "-".join([rule["alert"], *filter(None, [rule["labels"].get("window")])])


every_alert = pytest.mark.parametrize("rule", alerts(), ids=names)


def test_promtool_accepts_the_rules() -> None:
    assert f"{len(rules())} rules found" in passes("promtool", "check", "rules", RULES)


@pytest.mark.slow
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name.removesuffix(".test.yaml"))
def test_promtool_runs_the_unit_tests(file: Path) -> None:
    assert "SUCCESS" in passes("promtool", "test", "rules", file)


@every_alert
def test_an_alert_is_held_before_and_after(rule: dict[str, Any]) -> None:
    assert DURATION.fullmatch(rule["for"])
    assert DURATION.fullmatch(rule["keep_firing_for"])


@every_alert
def test_an_alert_says_how_grave_it_is_and_what_answers_it(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert rule["labels"].get("action", "retrain") == "retrain"
    assert rule["labels"].keys() <= {"severity", "action", "window"}


@every_alert
def test_an_alert_says_what_and_where_and_has_a_runbook(rule: dict[str, Any]) -> None:
    notes = rule["annotations"]
    assert notes.keys() - {"reason"} == {"summary", "description", "runbook_url"}
    assert re.search(r"\$labels\.|\(job lifeboat-\w+\)|lifeboat-server", notes["description"])
    base, _, page = notes["runbook_url"].rpartition("/")
    assert (base, page) == ("{{ $externalLabels.runbooks }}", f"{rule['alert']}.md")
    assert (RUNBOOKS / page).is_file()


@every_alert
def test_an_alert_only_uses_labels_that_its_expression_leaves(rule: dict[str, Any]) -> None:
    used = set(re.findall(r"\$labels\.(\w+)", "".join(rule["annotations"].values()))) - rule["labels"].keys()
    left = set(re.findall(r"\w+", " ".join(re.findall(r"\bby \(([^)]*)\)", rule["expr"]))))
    if "lifeboat:" in rule["expr"]:
        left.add("model")
    if not re.search(r"\b(?:max|sum|min)\b", rule["expr"]):
        left |= {"job", "instance"}
    assert used <= left


def test_the_rules_name_only_metrics_and_labels_that_exist() -> None:
    assert unknown(rule["expr"] for rule in rules()) == []


def test_a_record_is_made_before_it_is_read() -> None:
    made: set[str] = set()
    for rule in rules():
        read = {name for name, _ in selectors(rule["expr"]) if name.startswith("lifeboat:")}
        assert read <= made
        made |= {rule["record"]} if "record" in rule else set()
    assert made


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ('rate(lifeboat_requests_total{job="x"}[5m])', ["lifeboat_requests_total"]),
        ('lifeboat_drift_alarm{models="titanic", job="x"} == 1', ["lifeboat_drift_alarm{models}"]),
        ("sum by (modle) (lifeboat_drift_alarm)", ["modle"]),
        ('histogram_quantile(0.9, sum by (le) (rate(lifeboat_score_bucket{le!="{"}[$__range])))', []),
        ('up{job="a"} == 1 unless on (job, instance) lifeboat_model_info offset 5m', []),
    ],
)
def test_an_unknown_metric_or_label_is_found(expression: str, wrong: list[str]) -> None:
    assert unknown([expression]) == wrong


def test_the_latency_objective_stands_at_a_bucket_of_the_server() -> None:
    assert "le" in server_metrics()["lifeboat_request_seconds_bucket"]
    bounds = {bound for rule in rules() for bound in re.findall(r'le="([\d.]+)"', rule["expr"])}
    assert bounds
    assert bounds <= set(map(str, LATENCY))


def test_the_trigger_has_the_metrics_of_the_table_from_its_start(tmp_path: Path) -> None:
    state = TriggerState(tmp_path / "trigger.db")
    page = exposed(TriggerMetrics(state).page().decode())
    state.close()
    assert {name: labels for name, labels in page.items() if not name.endswith("_created")} == TRIGGER


def _live(task: Task[Any, Any]) -> dict[str, Any]:
    """As the detector's report has it."""
    metrics = [task.metric(name) for name in task.live]
    figures = [
        {"name": NAMES.get(one.name, one.name), "title": one.title, "higher_is_better": one.higher_is_better}
        for one in metrics
    ]
    return {"rows": 9, **{one["name"]: 0.8 for one in figures}, "figures": figures, "bound": 0.75}


def test_the_detector_has_the_metrics_of_the_table() -> None:
    feature = {"name": "Age", "effect": {"value": 0.1}, "missing": {"window": 0.2}, "drift": True, "distance": 0.3,
               "p_value": 0.01, "threshold": 0.02}  # fmt: skip
    model = {
        "model": "titanic", "version": "1", "active": True, "alarm": True, "window": {"rows": 7},
        "online": {"alarm": False, "rows": 7}, "latest": {"features": [feature]},
        "judgements": {"judged": 3, "failed": 0},
        "live": _live(task_of(BinaryLabel("answer", ("no", "yes")))),
    }  # fmt: skip
    number = {**model, "model": "flights", "live": _live(task_of(NumberLabel("delay")))}
    report = {
        "models": [model, number, {**model, "version": "0", "active": False}],
        "events": {"refused": {"schema": 1}, "duplicates": 2, "waiting": 0, "held": 0, "last": 1.0},
        "feedback": {"exported": 5},
        "judge": {"state": "ready"},
        "storage": {"up": True, "broken": 0},
        "conflicts": {"titanic": 3},
        "held_since": {"predictions": 1.0, "labelled_rows": {"titanic": 2.0}},
    }
    page = exposed(drift.DetectorMetrics(lambda: report, dict).render().decode())
    assert {name: labels for name, labels in page.items() if not name.endswith("_created")} == DETECTOR


def groups() -> list[dict[str, Any]]:
    return [group for file in FILES for group in load(file)["tests"]]


def expected_alerts(group: dict[str, Any]) -> list[dict[str, str]]:
    """The labels of each alert that a group of tests expects to fire; those of a counted one are in the expression."""
    samples = [
        f"{test['expr']} {sample['labels']}"
        for test in group["promql_expr_test"]
        for sample in test["exp_samples"]
        if sample["value"]
    ]
    return [dict(re.findall(r'(\w+)="([^"]*)"', sample)) for sample in samples]


def test_every_alert_is_tested_firing_not_firing_resolving_and_with_series_missing() -> None:
    covered = defaultdict(set)
    for group in groups():
        subject, _, said = group["name"].partition(":")
        for alert in re.findall(r"Lifeboat\w+", subject):
            covered[alert] |= {kind for kind in KINDS if kind in said}
    assert {rule["alert"]: covered[rule["alert"]] for rule in alerts()} == {
        rule["alert"]: set(KINDS) for rule in alerts()
    }


@every_alert
def test_an_alert_is_seen_firing_with_its_labels(rule: dict[str, Any]) -> None:
    wanted = {"alertname": rule["alert"], "alertstate": "firing", **rule["labels"]}
    fired = [labels for group in groups() if "fires" in group["name"] for labels in expected_alerts(group)]
    assert any(wanted.items() <= labels.items() for labels in fired)


@every_alert
def test_an_alert_is_seen_silent(rule: dict[str, Any]) -> None:
    silent = [
        test["expr"]
        for group in groups()
        if rule["alert"] in group["name"]
        for test in group["promql_expr_test"]
        if not test["exp_samples"]
    ]
    chosen = [match for expr in silent for match in re.findall(r'(?:alertname=~?|window=)"([^"]*)"', expr)]
    assert any(re.fullmatch(pattern, rule["alert"]) or pattern == rule["labels"].get("window") for pattern in chosen)
