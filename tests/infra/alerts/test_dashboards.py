"""The Grafana dashboards: valid, of one Prometheus, and about metrics that exist."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.infra.alerts.monitoring import DASHBOARDS, passes, unknown

BUILT_IN = {"timeseries", "stat", "table", "bargauge", "heatmap", "state-timeline"}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
every_dashboard = pytest.mark.parametrize("path", DASHBOARDS, ids=lambda path: path.stem)


def read(path: Path) -> dict[str, Any]:
    return dict(json.loads(path.read_text()))


def expressions(board: dict[str, Any]) -> Iterator[str]:
    for panel in board["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (annotation["expr"] for annotation in board["annotations"]["list"])
    for variable in board["templating"]["list"]:
        if variable["type"] == "query":
            yield re.fullmatch(r"label_values\((.*), \w+\)", variable["query"]["query"])[1]


def test_there_are_three() -> None:
    assert [path.stem for path in DASHBOARDS] == ["drift", "loop", "serving"]


@every_dashboard
def test_a_dashboard_is_known_by_its_name_and_needs_no_plugin(path: Path) -> None:
    board = read(path)
    assert board["uid"] == f"lifeboat-{path.stem}"
    assert board["schemaVersion"] >= 41
    assert {panel["type"] for panel in board["panels"]} <= BUILT_IN
    assert "__inputs" not in board


@every_dashboard
def test_a_dashboard_asks_the_chosen_prometheus_only(path: Path) -> None:
    board = read(path)
    assert [one["name"] for one in board["templating"]["list"] if one["type"] == "datasource"] == ["datasource"]
    sources = [panel["datasource"] for panel in board["panels"]]
    sources += [target["datasource"] for panel in board["panels"] for target in panel["targets"]]
    sources += [one["datasource"] for one in board["annotations"]["list"]]
    assert all(source == SOURCE for source in sources)


@every_dashboard
def test_panels_have_their_own_ids_words_and_places(path: Path) -> None:
    panels = read(path)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    assert len({panel["title"] for panel in panels}) == len(panels)
    assert all(panel["title"] and panel["description"] and panel["targets"] for panel in panels)
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) < 24


@every_dashboard
def test_a_dashboard_names_only_metrics_and_labels_that_exist(path: Path) -> None:
    assert unknown(expressions(read(path))) == []


@every_dashboard
def test_promtool_parses_every_expression(path: Path, tmp_path: Path) -> None:
    found = [re.sub(r"\$__\w+", "5m", expr) for expr in expressions(read(path))]
    records = [{"record": f"panel:{number}", "expr": expr} for number, expr in enumerate(found)]
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"groups": [{"name": path.stem, "rules": records}]}))
    assert f"{len(found)} rules found" in passes("promtool", "check", "rules", rules)


@every_dashboard
def test_a_dashboard_uses_each_of_its_variables(path: Path) -> None:
    board = read(path)
    used = " ".join(expressions(board))
    assert all(f"${one['name']}" in used for one in board["templating"]["list"] if one["type"] == "query")
