"""What watches the loop: Prometheus and Alertmanager where they are installed, else a stand-in for both."""

from __future__ import annotations

import shutil
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from lifeboat.config.settings import inherited
from lifeboat.demo.rules import JOBS, alertmanager_config, prometheus_config, scaled
from lifeboat.services.daemons import Daemon
from lifeboat.system.files import write_text
from lifeboat.system.http_request import NoAnswerError, ask

# The cluster's own files.
MONITORING = Path(__file__).resolve().parents[3] / "kustomize" / "base" / "monitoring"
# Their durations are a cluster's; here a minute becomes a second.
SCALE, INTERVAL = 1 / 60, 1.0
PROGRAMS = {"prometheus": ("prometheus",), "alertmanager": ("prometheus-alertmanager", "alertmanager")}


@dataclass(frozen=True)
class Places:
    """Where everything is.

    Args:
        folder: of configuration, logs and data.
        server_metrics, detector, trigger: URLs without a path.
        token_file: holds the trigger's bearer token.
        prometheus_port, alertmanager_port: free ones.
    """

    folder: Path
    server_metrics: str
    detector: str
    trigger: str
    token_file: Path
    prometheus_port: int
    alertmanager_port: int


class Monitoring(Protocol):
    """Turns a drift alarm into a webhook."""

    name: str

    def begin(self) -> None:
        """Starts to watch."""

    def firing(self) -> list[str]:
        """Names of the alerts that fire now."""

    def end(self) -> None:
        """Ends what was started."""


def make_monitoring(places: Places) -> Monitoring:
    """The real programs where both are on the path, else the embedded evaluator."""
    found = {name: next(filter(None, map(shutil.which, names)), None) for name, names in PROGRAMS.items()}
    prometheus, alertmanager = found["prometheus"], found["alertmanager"]
    if prometheus and alertmanager:
        return Installed(places, prometheus, alertmanager)
    return Embedded(places)


class Installed:
    """The machine's own Prometheus and Alertmanager, with the cluster's rules.

    Args:
        places: see there.
        prometheus, alertmanager: the programs.
    """

    def __init__(self, places: Places, prometheus: str, alertmanager: str) -> None:
        self.name = f"{Path(prometheus).name} and {Path(alertmanager).name}"
        self._places, self._programs = places, (prometheus, alertmanager)
        self._urls = [f"http://127.0.0.1:{port}" for port in (places.prometheus_port, places.alertmanager_port)]
        self._daemons = [
            Daemon(name, places.folder / name, f"{url}/-/ready") for name, url in zip(PROGRAMS, self._urls, strict=True)
        ]

    def begin(self) -> None:
        """Writes the configuration and starts both.

        Raises:
            DeployError: one of them does not become ready.
        """
        for daemon, command in zip(self._daemons, (self._prometheus(), self._alertmanager()), strict=True):
            daemon.ensure(command, inherited())

    def firing(self) -> list[str]:
        """As Prometheus says; empty where it does not answer."""
        document = _get(f"{self._urls[0]}/api/v1/alerts")
        alerts = document["data"]["alerts"] if document else []
        return sorted(alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing")

    def end(self) -> None:
        """Ends both."""
        for daemon in self._daemons:
            daemon.stop()

    def _prometheus(self) -> list[str]:
        places, folder = self._places, self._daemons[0].folder
        rules, config = folder / "rules.yaml", folder / "prometheus.yaml"
        write_text(rules, scaled((MONITORING / "rules.yaml").read_text(), SCALE))
        urls = (places.server_metrics, places.detector, places.trigger)
        ports = {job: int(url.rpartition(":")[2]) for job, url in zip(JOBS, urls, strict=True)}
        write_text(config, prometheus_config(ports, INTERVAL, str(rules), places.alertmanager_port))
        listen = f"--web.listen-address=127.0.0.1:{places.prometheus_port}"
        return [self._programs[0], f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", listen]

    def _alertmanager(self) -> list[str]:
        places, folder = self._places, self._daemons[1].folder
        config = folder / "alertmanager.yaml"
        text = (MONITORING / "alertmanager.yaml").read_text()
        write_text(config, alertmanager_config(text, f"{places.trigger}/alerts", str(places.token_file), SCALE))
        listen = f"--web.listen-address=127.0.0.1:{places.alertmanager_port}"
        storage = f"--storage.path={folder / 'data'}"
        # One alone: no gossip with others.
        return [self._programs[1], f"--config.file={config}", storage, listen, "--cluster.listen-address="]


class Embedded:
    """A stand-in for both programs: the condition of the rule LifeboatDrift, and Alertmanager's webhook.

    It knows no other rule, and neither groups nor silences.

    Args:
        places: see there.
    """

    name = "an embedded evaluator of the drift rule (prometheus and prometheus-alertmanager are not installed)"
    PAUSE, REPEAT = 0.5, 5.0

    def __init__(self, places: Places) -> None:
        self._places = places
        self._since: dict[str, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)

    def begin(self) -> None:
        """Starts to ask the detector."""
        self._thread.start()

    def firing(self) -> list[str]:
        """The drift alert, while a model that answers has an alarm."""
        return ["LifeboatDrift"] if self._since else []

    def end(self) -> None:
        """Stops asking."""
        self._ended.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        told = 0.0
        while not self._ended.wait(self.PAUSE):
            alarmed = self._alarmed()
            self._since = {version: self._since.get(version, time.time()) for version in alarmed}
            if self._since and time.monotonic() - told > self.REPEAT:
                self._tell(alarmed)
                told = time.monotonic()

    def _alarmed(self) -> dict[str, dict[str, Any]]:
        report = _get(f"{self._places.detector}/drift")
        models = report["models"] if report else []
        return {model["version"]: model for model in models if model["active"] and model["alarm"]}

    def _tell(self, alarmed: dict[str, dict[str, Any]]) -> None:
        alerts = [
            {
                "status": "firing",
                "labels": {"alertname": "LifeboatDrift", "action": "retrain",
                           "model": model["model"], "version": version},
                "annotations": {},
                "startsAt": datetime.fromtimestamp(self._since[version], UTC).isoformat(),
                "endsAt": "0001-01-01T00:00:00Z",
                "fingerprint": f"embedded-{version}",
            }
            for version, model in alarmed.items()
        ]  # fmt: skip
        body = {"version": "4", "groupKey": '{}:{alertname="LifeboatDrift"}', "status": "firing",
                "receiver": "retrain", "alerts": alerts}  # fmt: skip
        token = self._places.token_file.read_text().strip()
        with suppress(NoAnswerError):  # as with Alertmanager: it is sent again, as it is after any status
            ask(f"{self._places.trigger}/alerts", body, {"Authorization": f"Bearer {token}"})


def _get(url: str) -> Any:
    """The document at a URL, None where it is not to be had."""
    try:
        answer = ask(url, seconds=5.0)
    except NoAnswerError:  # it is not up yet, or ends: as when Prometheus scrapes nothing
        return None
    return answer.json() if answer.status == 200 else None
