"""A trigger as a process of its own, and a stand-in for the command `lifeboat` that it starts."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from lifeboat.config.settings import PREFIX

ROOT = Path(__file__).resolve().parents[2]
USECASE = "tests.cli.tiny"
MODEL = "tiny"
GROUP = '{}/{action="retrain"}:{alertname="LifeboatDrift"}'
START = "2026-01-31T12:00:00.123456789Z"

# Says that it was called, waits for as long as the file `hold` is there, and ends as the file `code` says.
STAND_IN = """#!/bin/sh
cd "$(dirname "$0")"
echo "$@" >> calls
echo $$ > pid
while [ -e hold ]; do sleep 0.02; done
echo "lifeboat: told to end so"
exit "$(cat code)"
"""


class World:
    """A home with the stand-in in it; it ends at once and well unless told otherwise."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder, self.home, self.command = folder, folder / "home", folder / "lifeboat"
        self.exits(0)
        self.install()

    def install(self) -> None:
        self.command.write_text(STAND_IN)
        self.command.chmod(0o755)

    def hold(self) -> None:
        (self.folder / "hold").touch()

    def release(self) -> None:
        (self.folder / "hold").unlink(missing_ok=True)

    def exits(self, code: int) -> None:
        (self.folder / "code").write_text(str(code))

    @property
    def calls(self) -> list[str]:
        """The arguments of each call of the stand-in."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    @property
    def pid(self) -> int:
        """Of the stand-in that was called last."""
        return int((self.folder / "pid").read_text())

    def age(self, seconds: float) -> None:
        """Lets that time go by for the oldest run, beside a trigger that lives."""
        with closing(sqlite3.connect(self.home / "trigger" / "trigger.db")) as state, state:
            state.execute(
                "UPDATE runs SET started = started - ? WHERE recorded = (SELECT min(recorded) FROM runs)", (seconds,)
            )

    def trigger(self, **settings: object) -> Trigger:
        return Trigger(self, settings)


class Trigger:
    """The process; a context manager that ends it."""

    def __init__(self, world: World, settings: dict[str, object]) -> None:
        chosen = {
            "port": 0,
            "usecase": USECASE,
            "command": shlex.quote(str(world.command)),
            "cooldown_seconds": 0,
            "daily_limit": 100,
        }
        variables = {f"{PREFIX}TRIGGER_{name.upper()}": str(value) for name, value in {**chosen, **settings}.items()}
        others = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
        self.environment = {**others, f"{PREFIX}HOME": str(world.home), **variables}
        self.errors = world.folder / "errors"
        with self.errors.open("ab") as errors:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "lifeboat.trigger"],
                cwd=ROOT, env=self.environment, stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        assert self.process.stdout
        self.said = self.process.stdout.readline()
        if self.said:
            self.url = self.said.split(" at ")[1].split(",")[0]
            self.token_file = Path(self.said.rpartition(" in ")[2].strip())
            self.token = self.token_file.read_text().strip()

    def __enter__(self) -> Trigger:
        assert self.said, self.errors.read_text()
        return self

    def __exit__(self, *_: object) -> None:
        self.end(signal.SIGTERM)

    def end(self, number: int) -> int:
        """Sends a signal and gives the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(20)
        if self.process.stdout:
            self.process.stdout.close()
        return code

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any, dict[str, str]]:
        """Status, JSON body and headers of an answer."""
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=20)
        authorization = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json"}
        connection.request(method, path, body, authorization if headers is None else headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        is_json = (answer.getheader("content-type") or "").startswith("application/json")
        named = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, json.loads(content) if is_json else content.decode(), named

    def post(self, *alerts: dict[str, Any], group: str = GROUP) -> tuple[int, str]:
        """Sends a webhook; gives the status and the result."""
        status, answer, _ = self.ask("POST", "/alerts", webhook(*alerts, group=group))
        return status, answer["result"]

    def retrain(self, **wish: object) -> tuple[int, str]:
        status, answer, _ = self.ask("POST", "/retrain", json.dumps(wish).encode())
        return status, answer["result"]

    @property
    def shown(self) -> Any:
        return self.ask("GET", "/runs")[1]

    @property
    def runs(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.shown["runs"]
        return found

    def run_is(self, state: str) -> dict[str, Any]:
        """The last run, once it is in that state."""
        wait_for(lambda: bool(self.runs) and self.runs[-1]["state"] == state)
        return self.runs[-1]

    def metric(self, name: str, **labels: str) -> float:
        """A sample's value; fails where there is none."""
        inside = ",".join(f'{key}="{value}"' for key, value in labels.items())
        wanted = f"lifeboat_retrain_{name}" + (f"{{{inside}}} " if inside else " ")
        [line] = [line for line in self.ask("GET", "/metrics")[1].splitlines() if line.startswith(wanted)]
        return float(line.rpartition(" ")[2])


def alert(start: str = START, status: str = "firing", **labels: str) -> dict[str, Any]:
    """As Alertmanager sends it; a label that is given as '' is left out."""
    every = {"alertname": "LifeboatDrift", "action": "retrain", "model": MODEL, "version": "1", **labels}
    return {
        "status": status,
        "labels": {name: value for name, value in every.items() if value},
        "annotations": {"reason": "drift: Age, Fare"},
        "startsAt": start,
        "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus/graph",
        "fingerprint": "c1e9a3f5",
    }


def webhook(*alerts: dict[str, Any], group: str = GROUP, **changes: object) -> bytes:
    document = {
        "version": "4",
        "groupKey": group,
        "status": "firing",
        "receiver": "retrain",
        "truncatedAlerts": 0,
        "alerts": list(alerts or [alert()]),
        **changes,
    }
    return json.dumps(document).encode()


def wait_for(holds: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)
