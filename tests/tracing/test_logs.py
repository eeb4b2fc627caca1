"""Each program's log has the one schema, and a level that a file changes while it runs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.detector.world import Detector, add_bundle, detector, people, request_of
from tests.explainer.world import RunningExplainer, explainer
from tests.server.world import ROOT, Running, call, server
from tests.tracing.collector import collecting

Line = dict[str, Any]
HEAD = ["time", "level", "pid", "service", "message"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def bundle(store: Path) -> Path:
    return store / "bundles" / "tiny" / add_bundle(store)


def lines(log: Path) -> list[Line]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def until(log: Path, holds: Callable[[Line], Any]) -> Line:
    """The first line of which something holds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if found := next(filter(holds, lines(log)), None):
            return found
        time.sleep(0.05)
    raise AssertionError(log.read_text())


@pytest.fixture
def level(tmp_path: Path) -> Path:
    return tmp_path / "level"


Watched = tuple[Running | RunningExplainer | Detector, str, str]


@pytest.fixture(params=["model-server", "explainer", "drift-detector"])
def watched(
    request: pytest.FixtureRequest, store: Path, bundle: Path, level: Path, tmp_path: Path
) -> Iterator[Watched]:
    """A server, what it is, and where it is asked."""
    flags = ("--log-level-file", str(level))
    if request.param == "model-server":
        with server(bundle, *flags) as running:
            yield running, request.param, running.url + "/ready"
    elif request.param == "explainer":
        with explainer(store, *flags) as reasons:
            yield reasons, request.param, f"http://127.0.0.1:{reasons.port}/ready"
    else:
        with detector(store, tmp_path / "drift.db", *flags) as watching:
            yield watching, request.param, watching.url + "/ready"


def test_a_file_changes_the_level_without_a_restart_in_each_server(watched: Watched, level: Path) -> None:
    running, service, url = watched

    def told(name: str) -> list[Line]:
        assert call(url, seldon_puid=name).status == 200
        time.sleep(0.1)
        return [line for line in lines(running.log) if line.get("request_id") == name]

    assert told("at-first") == []
    level.write_text("debug\n")
    found, number = [], 0
    while not found and number < 60:
        found, number = told(f"p{number}"), number + 1
    assert [found[0][name] for name in ("level", "service", "message")] == ["debug", service, "request"]
    level.write_text("loud")
    assert "it holds no level" in until(running.log, lambda line: line["level"] == "error")["reason"]
    assert len(told("after-nonsense")) == 1
    level.write_text("error")
    time.sleep(2.5)
    assert told("quiet") == []
    level.unlink()
    time.sleep(2.5)
    assert told("as-before") == []
    running.stop()
    for line in lines(running.log):
        assert list(line)[:5] == HEAD
        assert (line["service"], line["pid"]) == (service, running.process.pid)
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line["time"])
    assert lines(running.log)[-1]["message"] == "stopped", "info is the level again"


def test_a_line_says_the_trace_and_the_request_that_it_belongs_to(bundle: Path) -> None:
    with collecting() as collector:
        flags = ("--log-requests", "true", "--traces", collector.url, "--explainer-url", "http://127.0.0.1:9/explain")
        with server(bundle, *flags) as running:
            asked = {**request_of(people(1)), "meta": {"tags": {"explain": True}}}
            assert call(running.url + "/predict", request_of(people(1)), seldon_puid="p1").status == 200
            assert call(running.url + "/predict", asked, seldon_puid="p2").status == 503
            assert call(running.url + "/ready").status == 200
            running.stop()
            found = lines(running.log)
        spans = {span.attributes["lifeboat.puid"]: span for span in collector.spans if span.kind == "server"}
    requests = {line.get("request_id"): line for line in found if line["message"] == "request"}
    for name in ("p1", "p2"):
        assert (requests[name]["trace_id"], requests[name]["span_id"]) == (spans[name].trace, spans[name].id)
    assert "trace_id" not in requests[None]
    (failure,) = [line for line in found if line["level"] == "error" and line["message"] != "request"]
    assert (failure["message"], failure["request_id"]) == ("the explainer cannot be asked", "p2")
    assert (failure["trace_id"], spans["p2"].error) == (spans["p2"].trace, "status 503")


def test_the_page_lists_each_field_of_a_line() -> None:
    page = (ROOT / "docs" / "observability.md").read_text()
    assert all(f"`{name}`" in page for name in (*HEAD, "trace_id", "span_id", "request_id"))
