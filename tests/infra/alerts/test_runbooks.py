"""The runbooks: one an alert, in one form, and with commands, metrics and settings that exist."""

from __future__ import annotations

import argparse
import re
from dataclasses import fields
from pathlib import Path

import pytest

from lifeboat.cli.verbs import build_parser
from lifeboat.config.settings import PREFIX, Settings
from lifeboat.detector import settings as drift
from lifeboat.explainer import settings as explainer
from lifeboat.server import settings as server
from lifeboat.trigger import settings as trigger
from tests.infra.alerts.monitoring import RUNBOOKS, alert_names, alerts, known_metrics

PAGES = sorted(path for path in RUNBOOKS.glob("*.md") if path.name != "README.md")
SETTINGS = {
    PREFIX: Settings,
    server.PREFIX: server.ServerSettings,
    drift.PREFIX: drift.DetectorSettings,
    explainer.PREFIX: explainer.ExplainerSettings,
    trigger.PREFIX: trigger.TriggerSettings,
}
every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


def verbs() -> set[str]:
    actions = build_parser()._actions
    return {name for one in actions if isinstance(one, argparse._SubParsersAction) for name in one.choices}


def test_there_is_one_page_an_alert() -> None:
    assert [page.stem for page in PAGES] == sorted(alert_names())


@every_page
def test_a_page_says_what_it_is_who_feels_it_what_to_do_and_when_it_ends(page: Path) -> None:
    text = page.read_text()
    assert text.startswith(f"# {page.stem}\n\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Look", "Do", "What closes it"]
    assert "\n**Users feel:** " in text
    assert all(len(part.strip()) > 10 for part in re.split(r"^## .*$", text, flags=re.MULTILINE))


@every_page
def test_a_page_names_verbs_metrics_and_alerts_that_exist(page: Path) -> None:
    text = page.read_text()
    assert set(re.findall(r"`lifeboat (\w+)", text)) <= verbs()
    assert set(re.findall(r"Lifeboat[A-Z]\w+", text)) <= set(alert_names())
    known = known_metrics()
    named = set(re.findall(r"\blifeboat_\w+(?<!_)", text))
    assert {name for name in named if name not in known} == set()


@every_page
def test_links_lead_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)]+)\)", page.read_text())
    assert [link for link in links if not (RUNBOOKS / link).exists()] == []


@every_page
def test_a_page_names_settings_that_exist(page: Path) -> None:
    text = page.read_text()
    known = {prefix + spec.name.upper() for prefix, settings in SETTINGS.items() for spec in fields(settings)}
    assert set(re.findall(r"`(LIFEBOAT_[A-Z0-9_]*[A-Z0-9])`", text)) <= known
    # Those named in small letters, as in `max_pending`, are some program's.
    names = {spec.name for settings in SETTINGS.values() for spec in fields(settings)}
    assert set(re.findall(r"`(max_\w+|events_\w+|retention_\w+|\w+_seconds)`", text)) <= names


def test_the_index_lists_each_alert_with_its_severity() -> None:
    rows = dict(
        re.findall(r"^\| \[(\w+)\]\(\1\.md\) \| ([^|]*) \|", (RUNBOOKS / "README.md").read_text(), re.MULTILINE)
    )
    assert list(rows) == alert_names()
    for rule in alerts():
        assert rule["labels"]["severity"] in rows[rule["alert"]]
        assert ("retrain" in rows[rule["alert"]]) == ("action" in rule["labels"])
