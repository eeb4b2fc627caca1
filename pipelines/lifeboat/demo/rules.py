"""The cluster's alerting configuration made fit for a laptop: other addresses, and durations short enough to watch.

The files themselves stay as they are, in kustomize/base/monitoring. What is rendered from them has the same rules,
thresholds, labels and routes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import yaml

# The jobs that the rules name, with the ports of a laptop.
JOBS = {"lifeboat-server": 6000, "lifeboat-drift": 9010, "lifeboat-trigger": 9020}
# The receiver of alerts with action="retrain".
RETRAIN = "retrain"
UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000, "y": 31_536_000_000}
_PART = re.compile(r"(\d+)(ms|[smhdwy])")
_DURATION = re.compile(rf"(?:{_PART.pattern})+")
_RANGE = re.compile(rf"(?<=\[){_DURATION.pattern}(?=\])")


def scaled(text: str, factor: float) -> str:
    """A Prometheus rule file with its durations multiplied: `for`, `keep_firing_for` and the ranges of expressions.

    Names keep the duration they were given, and so do numbers: a threshold in seconds stays. The shortest range of the
    result should hold at least four scrapes.

    Raises:
        ValueError: the factor is not over 0, or a duration is none.
    """
    document = yaml.safe_load(text)
    for rule in (rule for group in document["groups"] for rule in group["rules"]):
        for name in ("for", "keep_firing_for"):
            if name in rule:
                rule[name] = multiplied(str(rule[name]), factor)
        rule["expr"] = _RANGE.sub(lambda match: multiplied(match[0], factor), rule["expr"])
    return _dump(document)


def multiplied(duration: str, factor: float) -> str:
    """A duration as Prometheus writes them, times a factor, to the millisecond; what was over 0 stays so.

    Raises:
        ValueError: it is none, or the factor is not over 0.
    """
    if factor <= 0:
        raise ValueError(f"the factor is {factor}, it has to be over 0")
    if not _DURATION.fullmatch(duration):
        raise ValueError(f"{duration!r} is no duration such as 1h30m")
    milliseconds = sum(int(number) * UNITS[unit] for number, unit in _PART.findall(duration))
    return f"{max(round(milliseconds * factor), 1) if milliseconds else 0}ms"


def alertmanager_config(text: str, trigger_url: str, token_file: str, scale: float) -> str:
    """An Alertmanager configuration that asks this trigger for retraining, with the routes' waiting times multiplied.

    Args:
        text: the cluster's configuration.
        trigger_url: takes the webhook.
        token_file: holds the trigger's bearer token.
        scale: of group_wait, group_interval and repeat_interval.

    Raises:
        ValueError: there is no receiver for retraining, or the scale is not over 0.
    """
    document = yaml.safe_load(text)
    hooks = [
        hook
        for receiver in document["receivers"]
        for hook in receiver.get("webhook_configs", ())
        if receiver["name"] == RETRAIN
    ]
    if not hooks:
        raise ValueError(
            f"no receiver {RETRAIN!r} with a webhook, only {[one['name'] for one in document['receivers']]}"
        )
    for hook in hooks:
        hook["url"] = trigger_url
        hook["http_config"]["authorization"]["credentials_file"] = token_file
    _scale_route(document["route"], scale)
    return _dump(document)


def prometheus_config(
    ports: Mapping[str, int],
    interval: float,
    rules_path: str,
    alertmanager_port: int,
    runbooks: str = "docs/runbooks",
) -> str:
    """A Prometheus configuration for programs of this machine.

    Args:
        ports: of each job's metrics, such as `JOBS`.
        interval: seconds between scrapes, and between evaluations of the rules.
        rules_path: the rule file.
        alertmanager_port: where alerts are sent.
        runbooks: where docs/runbooks is published, for the alerts' links.
    """
    every = f"{round(interval * 1000)}ms"
    document = {
        "global": {
            "scrape_interval": every,
            "scrape_timeout": every,
            "evaluation_interval": every,
            "external_labels": {"runbooks": runbooks},
        },
        "rule_files": [rules_path],
        "alerting": {"alertmanagers": [{"static_configs": _local(alertmanager_port)}]},
        "scrape_configs": [{"job_name": job, "static_configs": _local(port)} for job, port in ports.items()],
    }
    return _dump(document)


def _local(port: int) -> list[dict[str, list[str]]]:
    return [{"targets": [f"127.0.0.1:{port}"]}]


def _scale_route(route: dict[str, Any], factor: float) -> None:
    for name in ("group_wait", "group_interval", "repeat_interval"):
        if name in route:
            route[name] = multiplied(route[name], factor)
    for child in route.get("routes", ()):
        _scale_route(child, factor)


def _dump(document: Any) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=120)
