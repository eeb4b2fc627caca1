"""With Debian's Alertmanager: an alert posted to it starts one run, and a 503 is sent again."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from tests.ports import free_port
from tests.trigger.world import MODEL, Trigger, World, wait_for

ALERTMANAGER = shutil.which("prometheus-alertmanager")
CONFIGURATION = """
route:
  receiver: nobody
  group_by: [alertname]
  group_wait: 10ms
  group_interval: 500ms
  repeat_interval: 500ms
  routes:
    - matchers: ['action = "retrain"']
      receiver: retrain
receivers:
  - name: nobody
  - name: retrain
    webhook_configs:
      - url: {url}/alerts
        http_config:
          authorization:
            credentials_file: {token_file}
"""

pytestmark = pytest.mark.skipif(ALERTMANAGER is None, reason="needs Debian's package prometheus-alertmanager")


@contextmanager
def alertmanager(world: World, trigger: Trigger) -> Iterator[Callable[..., None]]:
    """Gives a function that posts a firing alert with these labels."""
    configuration = world.folder / "alertmanager.yaml"
    configuration.write_text(CONFIGURATION.format(url=trigger.url, token_file=trigger.token_file))
    place = f"127.0.0.1:{free_port()}"
    flags = [f"--config.file={configuration}", f"--storage.path={world.folder / 'am'}", f"--web.listen-address={place}"]
    with (world.folder / "alertmanager.log").open("wb") as log:
        process = subprocess.Popen([str(ALERTMANAGER), *flags, "--cluster.listen-address="], stderr=log, stdout=log)
    try:
        wait_for(lambda: answers(f"http://{place}/-/ready"))
        yield lambda **labels: send(f"http://{place}/api/v2/alerts", labels)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(20)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def send(url: str, labels: dict[str, str]) -> None:
    now = datetime.now(UTC)
    body = [
        {
            "labels": {"alertname": "LifeboatDrift", "action": "retrain", "model": MODEL, "version": "1", **labels},
            "annotations": {"reason": "drift: Age, Fare"},
            "startsAt": now.isoformat(),
            "endsAt": (now + timedelta(minutes=10)).isoformat(),
        }
    ]
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    urllib.request.urlopen(request, timeout=5).close()


def test_one_run_for_an_alert_that_is_sent_again_and_again(world: World) -> None:
    world.command.unlink()
    with world.trigger() as trigger, alertmanager(world, trigger) as fire:
        fire(alertname="Other", action="")
        fire()
        # The run cannot start: Alertmanager is told so, and tries again.
        wait_for(lambda: trigger.metric("requests_total", result="failed") >= 2)
        assert trigger.runs == []
        world.install()
        run = trigger.run_is("succeeded")
        assert run["reason"] == "drift: Age, Fare (LifeboatDrift tiny 1)"
        # It fires on, and is repeated.
        wait_for(lambda: trigger.metric("requests_total", result="duplicate") >= 2)
        assert (len(world.calls), len(trigger.runs)) == (1, 1)
        for result in ("unauthorized", "ignored", "busy"):
            assert trigger.metric("requests_total", result=result) == 0
        fire(alertname="LifeboatLiveAccuracyLow")
        wait_for(lambda: len(world.calls) == 2)
        assert trigger.metric("requests_total", result="started") == 2
