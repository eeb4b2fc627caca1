"""A laptop where a model is deployed that nobody trained, and what runs there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lifeboat.config.errors import DeployError
from lifeboat.config.settings import Settings
from lifeboat.deploy.deployed import Deployed, read_deployed
from lifeboat.deploy.local import LocalTarget
from lifeboat.deploy.probe import ask
from lifeboat.model.bundle import open_bundle
from lifeboat.registry.versions import Version
from lifeboat.services.daemons import answers
from lifeboat.services.detector import detector_service
from lifeboat.services.keeper.daemon import KeeperDaemon, find_keeper
from lifeboat.supervisor.control import Serving, Status, find_supervisor
from lifeboat.system.files import is_locked
from tests.detector.world import add_bundle
from tests.pipeline.laptop import ROOT, Laptop
from tests.server.world import ROW, call

MODEL = "ship"


def eventually(happened: Callable[[], Any], seconds: float = 20.0) -> float:
    """Waits until something is true, and gives how long that took."""
    start = time.monotonic()
    while not happened():
        assert time.monotonic() < start + seconds, f"{happened} did not come true in {seconds} s"
        time.sleep(0.02)
    return time.monotonic() - start


class Kept(Laptop):
    """The processes of a home, by what they are."""

    def deploy(self, model: str = MODEL, settings: Settings | None = None) -> None:
        """Rolls a model out, as a run's last step does."""
        store = Path(self.settings.bundle_store)
        digest = add_bundle(store, model)
        bundle = open_bundle(store / "bundles" / model / digest)
        target = LocalTarget(settings or self.settings)
        target.roll_out(bundle, Version(model, "1", digest, ""), lambda: None, lambda _: None)

    @property
    def state(self) -> Path:
        return self.settings.serving_state(MODEL)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def detector_url(self) -> str:
        return f"http://127.0.0.1:{self.settings.detector_port}"

    @property
    def keeper(self) -> KeeperDaemon:
        return find_keeper(self.settings)

    @property
    def deployed(self) -> Deployed:
        found = read_deployed(self.state)
        assert found is not None
        return found

    def status(self) -> Status:
        control = find_supervisor(self.state)
        if control is None:
            raise DeployError(f"no supervisor of {MODEL} runs")
        with control:
            return control.status()

    def serving(self) -> Serving:
        found = self.status().serving
        assert found is not None
        return found

    def server(self) -> int:
        pid = self.serving().pid
        assert pid is not None
        return pid

    def supervisor(self) -> int:
        return self.status().pid

    def detector(self) -> int:
        pid = detector_service(self.settings).find().pid
        assert pid is not None
        return pid

    def replaced(self, what: str, killed: int) -> bool:
        """Whether another process does by now what one that was killed did: server, supervisor or detector."""
        try:
            status = self.status()  # once: a server may end between two
        except DeployError:  # it is gone while it is asked
            return False
        if status.serving is None or not status.serving.pid:
            return False
        pids = {"server": status.serving.pid, "supervisor": status.pid, "detector": self.detector()}
        return pids[what] != killed and self.serves()

    def serves(self) -> bool:
        """Whether a prediction is answered, and the detector ready."""
        return answers(f"{self.url}/ready") and answers(f"{self.detector_url}/ready")

    def nothing_runs(self) -> bool:
        locks = (self.state / "supervisor.lock", self.home / "detector" / "lock", self.home / "keeper" / "lock")
        return not any(map(is_locked, locks))

    def predict(self, rows: int) -> None:
        ask(self.url, [ROW] * rows)

    def counted(self) -> int:
        """Predictions of which the detector has taken the events."""
        return sum(model["rows"] for model in call(f"{self.detector_url}/drift").json["models"])

    def restarts(self) -> dict[str, int]:
        found = self.keeper.state()
        assert found is not None
        return found.restarts

    def reboot(self) -> None:
        """Ends every process of the home as a power cut does."""
        keeper = self.keeper.pid if self.keeper.is_running() else None
        pids = [keeper, self.supervisor(), self.serving().pid, self.detector()]
        for pid in filter(None, pids):
            os.kill(pid, signal.SIGKILL)
        eventually(self.nothing_runs)

    @contextmanager
    def serve(self, *arguments: str) -> Iterator[Foreground]:
        """`lifeboat serve` in a terminal."""
        with Foreground(self, *arguments) as terminal:
            yield terminal


class Foreground:
    """A verb that stays, its output and its end."""

    def __init__(self, laptop: Laptop, *arguments: str) -> None:
        self.log = laptop.home.parent / f"terminal-{time.monotonic_ns()}"
        with self.log.open("wb") as file:
            self.process = subprocess.Popen(
                laptop.command("serve", *arguments), cwd=ROOT, env=laptop.environment, stdout=file, stderr=file
            )

    def __enter__(self) -> Foreground:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.terminate()
        self.process.wait(60)

    @property
    def said(self) -> str:
        return self.log.read_text()

    def says(self, text: str) -> Callable[[], bool]:
        return lambda: text in self.said

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Interrupts it and gives its exit code."""
        self.process.send_signal(number)
        return self.process.wait(60)


def tell(state: Path, **changed: str | None) -> None:
    """Changes the record of what is deployed by hand."""
    path = state / "deployed.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changed}))
