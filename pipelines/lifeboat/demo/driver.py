"""The circle: normal traffic, another world and its truth, alarm, alert, retraining, gate, rolling switch, calm."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from lifeboat.config.errors import LifeboatError, PipelineError
from lifeboat.config.settings import Settings, inherited
from lifeboat.demo.monitoring import Monitoring, Places, make_monitoring
from lifeboat.demo.simulation import Simulation
from lifeboat.demo.steps import StepReader
from lifeboat.demo.timeline import DemoTimeline
from lifeboat.demo.traffic import AnsweredRequest, Traffic
from lifeboat.demo.watch import Document, Watch
from lifeboat.services.daemons import Daemon
from lifeboat.services.detector import ensure_detector
from lifeboat.services.keeper.daemon import stop_home
from lifeboat.system.progress import quiet
from lifeboat.usecase.usecase import UseCase

LIFEBOAT = [sys.executable, "-m", "lifeboat.cli.main"]
ALERT = "LifeboatDrift"
# On a laptop one wants to see what happened at once.
DETECTOR = {"export_seconds": "1", "active_seconds": "10"}
PAUSE = 0.25


@dataclass(frozen=True)
class DemoPlan:
    """How the circle is driven.

    Args:
        rate: requests a second.
        calm: windows without an alarm before the world changes, and after the new model has taken over.
        patience: seconds for each part of the circle before it counts as not closing.
        trigger_port, prometheus_port, alertmanager_port: free ones.
    """

    rate: float
    calm: int
    patience: float
    trigger_port: int
    prometheus_port: int
    alertmanager_port: int


@dataclass(frozen=True)
class DemoResult:
    """What is left of a circle: every answer, every window, every moment, what kept watch, and the word for right."""

    answers: list[AnsweredRequest]
    windows: list[Document]
    timeline: DemoTimeline
    monitoring: str
    truths: dict[str, int]
    rightness: str

    @property
    def failed(self) -> list[AnsweredRequest]:
        """The predictions that were not answered."""
        return [answer for answer in self.answers if answer.error]


class Driver:
    """Drives one circle.

    Args:
        usecase: whose table is the world.
        settings: an own home and own ports.
        plan: see there.
        timeline: told of everything.
    """

    def __init__(self, usecase: UseCase, settings: Settings, plan: DemoPlan, timeline: DemoTimeline) -> None:
        self._usecase, self._settings, self._plan, self._timeline = usecase, settings, plan, timeline
        self._places = Places(
            folder=settings.home_path / "monitoring",
            server_metrics=f"http://{settings.host}:{settings.metrics_port}",
            detector=f"http://{settings.host}:{settings.detector_port}",
            trigger=f"http://{settings.host}:{plan.trigger_port}",
            token_file=settings.home_path / "trigger" / "token",
            prometheus_port=plan.prometheus_port,
            alertmanager_port=plan.alertmanager_port,
        )
        self._watch = Watch(self._places.detector, self._places.trigger, self._places.token_file, timeline)
        self._traffic = Traffic(f"http://{settings.host}:{settings.port}", plan.rate)
        self._steps = StepReader(self._note_step)
        timeline.note("note", "the table is read and split: one half trains, the other is the traffic")
        self._simulation = Simulation.of(usecase, settings.s3, settings.home_path)

    def run(self) -> DemoResult:
        """Closes the circle.

        Raises:
            LifeboatError: it does not close; says at which part. Everything that was started is ended.
        """
        with ExitStack() as stack:
            training = self._start_model(stack)
            self._start_trigger(stack, training)
            monitoring = self._start_monitoring(stack)
            self._traffic.begin(self._simulation.normal(), truth=False)
            stack.callback(self._traffic.end)
            first = self._stay_calm(monitoring)
            self._change_traffic(monitoring)
            second = self._retrain(first)
            self._calm_down(monitoring, second)
            self._traffic.end()
            truths = self._watch.feedback()
        answers, windows, word = self._traffic.answers, self._watch.windows, self._usecase.task.rightness
        return DemoResult(answers, windows, self._timeline, monitoring.name, truths, word)

    def _start_model(self, stack: ExitStack) -> Path:
        """The first model, on one half of the table, and the detector."""
        training = self._settings.home_path / "training.parquet"
        rows = self._simulation.write_training(training)
        self._timeline.note("note", f"the first model is trained on {rows} rows, half of the table")
        stack.callback(stop_home, self._settings, quiet)
        self._timeline.note("step", "the drift detector starts")
        if not ensure_detector(self._settings, DETECTOR):
            raise PipelineError("the loop needs the drift detector's environment, which `make` sets up")
        command = [*LIFEBOAT, "run", "--usecase", self._usecase.name, "--data", str(training), "--require-deploy"]
        self._timeline.note("step", "the first run starts")
        with _child([*command, "--reason", "the first model"], self._environment(), self._log("first-run")) as run:
            self._until(lambda: self._ended(run), "the first training")
        if run.returncode:
            raise PipelineError(f"the first model was not deployed; {self._log('first-run')} says why")
        self._timeline.note("model", "version 1 passed its gate and serves")
        return training

    def _start_trigger(self, stack: ExitStack, training: Path) -> None:
        daemon = Daemon("retrain trigger", self._settings.home_path / "trigger-daemon", f"{self._places.trigger}/ready")
        chosen = {
            "host": self._settings.host,
            "port": str(self._plan.trigger_port),
            "usecase": self._usecase.name,
            "arguments": shlex.join(["--data", str(training)]),
        }
        environment = {f"LIFEBOAT_TRIGGER_{name.upper()}": value for name, value in chosen.items()}
        stack.callback(daemon.stop)
        # What retrains gives way to what serves.
        daemon.ensure(["nice", "-n", "10", *LIFEBOAT, "trigger"], {**self._environment(), **environment})
        stack.callback(self._end_run)

    def _start_monitoring(self, stack: ExitStack) -> Monitoring:
        monitoring = make_monitoring(self._places)
        stack.callback(monitoring.end)
        monitoring.begin()
        self._timeline.note("note", f"watched by {monitoring.name}")
        return monitoring

    def _stay_calm(self, monitoring: Monitoring) -> str:
        self._timeline.note("world", f"normal traffic, {self._plan.rate:g} requests a second")
        self._until(lambda: bool(self._traffic.answers), "the first answer")
        version = self._traffic.answers[0].version
        self._until(lambda: len(self._watch.judged(version)) >= self._plan.calm, "normal traffic")
        if any(window["alarm"] for window in self._watch.judged(version)) or ALERT in monitoring.firing():
            raise PipelineError("the detector gave a false alarm on normal traffic")
        return version

    def _change_traffic(self, monitoring: Monitoring) -> None:
        self._traffic.change(self._simulation.shifted(), truth=True)
        self._timeline.note(
            "world", "the world changes: numbers double, categories swap; the truth follows each prediction"
        )
        self._until(lambda: ALERT in monitoring.firing(), "the alert")
        self._timeline.note("alert", f"{ALERT} fires")

    def _retrain(self, first: str) -> str:
        self._until(lambda: bool(self._watch.runs()), "the start of the retraining")
        run = self._watch.runs()[-1]
        self._timeline.note("retrain", f"the trigger starts a run, because: {run['reason']}")
        self._until(self._has_retrained, "the retraining")
        run = self._watch.runs()[-1]
        self._timeline.note("retrain", f"the run has {run['state']}: {run['result']} {run['why']}".rstrip())
        self._until(lambda: self._traffic.answers[-1].version not in (first, ""), "the switch to a new model")
        version = self._traffic.answers[-1].version
        failed = sum(bool(answer.error) for answer in self._traffic.answers)
        self._timeline.note("model", f"version {version} answers; predictions that failed so far: {failed}")
        return version

    def _has_retrained(self) -> bool:
        run = self._watch.runs()[-1]
        if run["place"]:
            self._steps.look(Path(run["place"]))
        return run["ended"] is not None

    def _ended(self, first: subprocess.Popen[bytes]) -> bool:
        self._steps.look(self._log("first-run"))
        return first.poll() is not None

    def _note_step(self, step: str) -> None:
        self._timeline.note("step", f"the run is at its step {step}")

    def _calm_down(self, monitoring: Monitoring, version: str) -> None:
        def is_calm() -> bool:
            newest = self._watch.judged(version)[-self._plan.calm :]
            return len(newest) == self._plan.calm and not any(window["alarm"] for window in newest)

        self._until(is_calm, "windows without drift for the new model")
        self._until(lambda: ALERT not in monitoring.firing(), "the end of the alert")
        self._timeline.note("alert", f"{ALERT} is over")

    def _until(self, happened: Callable[[], bool], what: str) -> None:
        """Waits, and notes what the detector says meanwhile.

        Raises:
            PipelineError: it does not happen in time.
        """
        deadline = time.monotonic() + self._plan.patience
        while not happened():
            if time.monotonic() > deadline:
                raise PipelineError(f"the circle does not close: {what} took more than {self._plan.patience:g} s")
            self._traffic.check()
            self._watch.look()
            time.sleep(PAUSE)

    def _environment(self) -> dict[str, str]:
        return {**inherited(), **self._settings.environment()}

    def _log(self, name: str) -> Path:
        return self._settings.home_path / f"{name}.log"

    def _end_run(self) -> None:
        """A run outlives its trigger: what is interrupted in the middle of one has to end it by itself."""
        for run in self._watch.runs():
            if run["ended"] is None and run["handle"]:
                os.kill(int(run["handle"]), signal.SIGTERM)
                self._until(lambda: self._watch.runs()[0]["ended"] is not None, "the end of the run")


@contextmanager
def _child(command: list[str], environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block at the latest, and with it those that it started."""
    with log.open("wb") as file:
        try:
            process = subprocess.Popen(command, env=environment, stdout=file, stderr=subprocess.STDOUT, process_group=0)
        except OSError as error:
            raise LifeboatError(f"{command[0]} cannot be started: {error.strerror}") from error
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
        process.wait(30)
