"""Alertmanager's configuration: by amtool, and by a real Alertmanager with a real webhook."""

from __future__ import annotations

import json
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from lifeboat.demo.rules import alertmanager_config
from tests.infra.alerts.monitoring import ALERTMANAGER, alerts, load, passes
from tests.infra.tools import tool
from tests.ports import free_port

# What is not told while the first fires; in each case beside alerts of every other kind.
INHIBITED = {
    "LifeboatServerDown": {
        "LifeboatLatencyP99", "LifeboatLatencyBudgetBurn", "LifeboatOverload", "LifeboatNoEvents",
        "LifeboatEventsDropped", "LifeboatEventsStale", "LifeboatEventsWithoutPredictions", "LifeboatServerReplicaDown",
    },
    "LifeboatDetectorDown": {
        "LifeboatNoEvents", "LifeboatEventsDropped", "LifeboatEventsStale", "LifeboatJudgeDown",
        "LifeboatFeedbackMissing",
    },
    "LifeboatJudgeDown": {"LifeboatWindowsFailed"},
}  # fmt: skip
INHIBITED |= {
    "LifeboatServerAbsent": INHIBITED["LifeboatServerDown"],
    "LifeboatDetectorAbsent": INHIBITED["LifeboatDetectorDown"],
}
SECONDS = 15.0


def test_amtool_accepts_the_configuration() -> None:
    said = passes("amtool", "check-config", ALERTMANAGER)
    assert "SUCCESS" in said
    assert "4 receivers" in said


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_an_alert_goes_where_it_should(rule: dict[str, Any]) -> None:
    labels = {"alertname": rule["alert"], "model": "titanic", "version": "1", **rule["labels"]}
    receivers = (["retrain"] if "action" in labels else []) + [labels["severity"]]
    pairs = [f"{name}={value}" for name, value in labels.items()]
    said = passes("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *pairs)
    assert said.strip() == ",".join(receivers)


# What kube-prometheus-stack's own rules send: Watchdog fires for ever, InfoInhibitor beside each hint.
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("alertname=Other", "ticket"),
        ("alertname=KubePodCrashLooping severity=warning", "ticket"),
        ("alertname=KubeAPIDown severity=critical", "ticket"),
        ("alertname=Watchdog severity=none", "nobody"),
        ("alertname=InfoInhibitor severity=none", "nobody"),
        ("alertname=CPUThrottlingHigh severity=info", "nobody"),
    ],
)
def test_an_alert_of_the_platform_becomes_a_ticket_or_nothing(labels: str, receiver: str) -> None:
    said = passes("amtool", "config", "routes", "test", f"--config.file={ALERTMANAGER}", *labels.split())
    assert said.strip() == receiver


def test_no_secret_stands_in_the_configuration() -> None:
    def keys(node: Any) -> Iterator[str]:
        for name, value in (
            node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
        ):
            yield str(name)
            yield from keys(value)

    secret = {"credentials", "password", "bearer_token", "api_url", "routing_key", "service_key", "client_secret"}
    assert not secret & set(keys(load(ALERTMANAGER)))


def test_retraining_is_asked_for_quickly_once_and_told_when_it_is_over() -> None:
    config = load(ALERTMANAGER)
    assert config["route"]["group_by"] == ["alertname", "model", "version"]
    [hook] = next(one for one in config["receivers"] if one["name"] == "retrain")["webhook_configs"]
    assert hook["send_resolved"] is True
    assert hook["http_config"]["authorization"].keys() == {"type", "credentials_file"}


@dataclass
class World:
    """A real Alertmanager, and what its webhook was sent."""

    url: str
    received: list[tuple[str | None, dict[str, Any]]] = field(default_factory=list)

    def post(self, *labels: dict[str, str], over: bool = False) -> None:
        """Makes alerts fire, or ends them."""
        now = datetime.now(UTC)
        ends = now - timedelta(seconds=1) if over else now + timedelta(hours=1)
        body = [
            {"labels": one, "startsAt": (now - timedelta(minutes=1)).isoformat(), "endsAt": ends.isoformat()}
            for one in labels
        ]
        head = {"Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/api/v2/alerts", json.dumps(body).encode(), head)
        with urllib.request.urlopen(request, timeout=5) as answer:
            assert answer.status == 200

    def inhibited(self) -> set[str]:
        """Names of the alerts that are not told."""
        with urllib.request.urlopen(f"{self.url}/api/v2/alerts", timeout=5) as answer:
            found = json.load(answer)
        return {one["labels"]["alertname"] for one in found if one["status"]["inhibitedBy"]}


def until(true: Callable[[], bool]) -> bool:
    end = time.monotonic() + SECONDS
    while not (done := true()) and time.monotonic() < end:
        time.sleep(0.05)
    return done


def is_ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/-/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder, url = tmp_path_factory.mktemp("alertmanager"), f"http://127.0.0.1:{free_port()}"
    program, found = tool("prometheus-alertmanager"), World(url)

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found.received.append((self.headers["Authorization"], body))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Webhook) as webhook:
        threading.Thread(target=webhook.serve_forever).start()
        (folder / "token").write_text("s3cret")
        trigger = f"http://127.0.0.1:{webhook.server_port}/alerts"
        text = alertmanager_config(ALERTMANAGER.read_text(), trigger, str(folder / "token"), 1 / 60)
        (folder / "alertmanager.yaml").write_text(text)
        flags = [f"--config.file={folder}/alertmanager.yaml", f"--storage.path={folder}/data",
                 f"--web.listen-address={url.removeprefix('http://')}", "--cluster.listen-address="]  # fmt: skip
        with (folder / "log").open("wb") as log, subprocess.Popen([program, *flags], stdout=log, stderr=log) as process:
            try:
                assert until(lambda: is_ready(url)), (folder / "log").read_text()
                yield found
            finally:
                process.kill()
                webhook.shutdown()


def test_a_real_alertmanager_asks_the_trigger_with_its_token_and_tells_it_the_end(world: World) -> None:
    drift = {
        "alertname": "LifeboatDrift",
        "model": "titanic",
        "version": "1",
        "severity": "ticket",
        "action": "retrain",
    }
    page = {"alertname": "LifeboatServerAbsent", "severity": "page", "job": "lifeboat-server"}
    world.post(drift, page)
    assert until(lambda: len(world.received) == 1)
    authorization, body = world.received[0]
    assert authorization == "Bearer s3cret"
    assert (body["version"], body["status"], body["receiver"]) == ("4", "firing", "retrain")
    assert [alert["labels"] for alert in body["alerts"]] == [drift]
    assert body["groupLabels"] == {"alertname": "LifeboatDrift", "model": "titanic", "version": "1"}
    world.post(drift, page, over=True)
    assert until(lambda: len(world.received) == 2)
    assert world.received[1][1]["status"] == "resolved"


@pytest.mark.parametrize("source", INHIBITED)
def test_a_real_alertmanager_keeps_quiet_about_what_follows(world: World, source: str) -> None:
    # Each of a model of its own: that a burn quiets the ticket of the same model is another matter.
    others = {rule["alert"]: {"alertname": rule["alert"], "model": rule["alert"]} for rule in alerts()}
    others = {name: labels for name, labels in others.items() if name == source or name not in INHIBITED}
    # The judge is a source of its own, and quiet beside a detector that is down.
    if "Detector" in source:
        others["LifeboatJudgeDown"] = {"alertname": "LifeboatJudgeDown"}
        others.pop("LifeboatWindowsFailed")
    world.post(*others.values())
    told = until(lambda: world.inhibited() == INHIBITED[source])
    found = world.inhibited()
    world.post(*others.values(), over=True)
    assert told, found
    assert until(lambda: not world.inhibited())


def test_a_page_makes_the_ticket_of_the_same_burn_and_model_quiet(world: World) -> None:
    burn = {"alertname": "LifeboatLatencyBudgetBurn", "model": "titanic"}
    fired = [
        {**burn, "severity": "page", "window": "1h"},
        {**burn, "severity": "ticket", "window": "3d"},
        {"alertname": "LifeboatLatencyP99", "model": "titanic", "severity": "ticket"},
        {"alertname": "LifeboatErrorBudgetBurn", "model": "titanic", "severity": "ticket", "window": "3d"},
        {**burn, "model": "cancer", "severity": "ticket", "window": "3d"},
    ]
    world.post(*fired)
    told = until(lambda: world.inhibited() == {"LifeboatLatencyBudgetBurn", "LifeboatLatencyP99"})
    with urllib.request.urlopen(f"{world.url}/api/v2/alerts", timeout=5) as answer:
        quiet = [one["labels"] for one in json.load(answer) if one["status"]["inhibitedBy"]]
    world.post(*fired, over=True)
    assert told
    assert sorted(quiet, key=str) == sorted(fired[1:3], key=str)
