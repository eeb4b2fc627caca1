"""Runs on this machine: a process of its own session, which the trigger finds again after its own death.

The child and its command hold a lock on one file for as long as either lives. Whoever cannot take the lock knows that a
run goes, whatever became of the trigger that started it; and no process id, which the system gives again, is trusted.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, BinaryIO

from lifeboat.system.background import first_words, start_process
from lifeboat.system.files import take_lock
from lifeboat.trigger.alerts import one_line
from lifeboat.trigger.backend import CannotStart, Ended, Going
from lifeboat.trigger.settings import TriggerSettings
from lifeboat.trigger.state import FAILED, INTERRUPTED, SUCCEEDED, Run

LOCK, LOG, RESULT = "run.lock", "run.log", "result.json"
STARTUP_SECONDS = 20.0
TAIL = 4096


class Local:
    """Starts `lifeboat run`.

    Args:
        folder: of the lock and, below `runs`, of each run's log and result.
        settings: command, use case, further flags and time-out.
    """

    interval = 0.2

    def __init__(self, folder: Path, settings: TriggerSettings) -> None:
        self._folder, self._settings = folder, settings
        self._child: subprocess.Popen[bytes] | None = None

    def refusal(self) -> str:
        command = self._settings.lifeboat[0]
        return "" if shutil.which(command) else f"the command {command} is not there"

    def start(self, run: Run) -> Going:
        if reason := self.refusal():
            raise CannotStart(reason)
        folder = self._folder / "runs" / run.id
        try:
            folder.mkdir(parents=True)
            with (self._folder / LOCK).open("a") as lock, (folder / LOG).open("ab") as log:
                if not take_lock(lock.fileno()):
                    raise CannotStart("a run goes that this state knows nothing of")
                return self._spawn(run, folder, lock.fileno(), log)
        except OSError as error:
            raise CannotStart(f"{error.filename or 'the process'}: {error.strerror}") from error

    def look(self, run: Run) -> Going | Ended:
        if self._child is not None:
            self._child.poll()  # else it stays as a zombie
        folder = self._folder / "runs" / run.id
        with (self._folder / LOCK).open("a") as lock:
            if not take_lock(lock.fileno()):
                return Going(run.handle, str(folder / LOG))
        try:
            return _outcome(json.loads((folder / RESULT).read_text()), folder / LOG)
        except (FileNotFoundError, ValueError):  # none, or what a power failure left of it
            why = "it was not started" if run.started is None else "its process ended without leaving a result"
            return Ended(INTERRUPTED, why=why)

    def _spawn(self, run: Run, folder: Path, lock: int, log: BinaryIO) -> Going:
        chosen = self._settings
        command = [*chosen.lifeboat, "run", "--usecase", chosen.usecase, f"--reason={run.reason}", "--require-deploy",
                   *chosen.words]  # fmt: skip
        child = [sys.executable, "-m", "lifeboat.trigger.run_process", str(lock), str(chosen.timeout_seconds)]
        whole = [*child, str(folder / RESULT), *command]
        self._child = start_process(whole, Path.cwd(), log, output=subprocess.PIPE, inherited=(lock,))
        if problem := _problem(first_words(self._child, STARTUP_SECONDS)):
            self._child.wait()
            raise CannotStart(problem)
        return Going(str(self._child.pid), str(folder / LOG))


def _problem(words: bytes | None) -> str:
    """What the child says of its start: '' for all is well. A child that says nothing in time may still be a run."""
    if words is None:
        return ""
    return (json.loads(words)["error"] or "") if words else "the run's process ended at its start"


def _outcome(result: dict[str, Any], log: Path) -> Ended:
    """The run's end from the exit code of `lifeboat run --require-deploy`."""
    # Imported when a run ended: with it comes what a run needs, which no start of the trigger should wait for.
    from lifeboat.cli.run import NOT_DEPLOYED

    code = int(result["code"])
    if result["late"]:
        return Ended(FAILED, why=f"ended after {result['seconds']:.0f} s, which is too long")
    if code in (0, NOT_DEPLOYED):
        return Ended(SUCCEEDED, "kept" if code else "deployed")
    return Ended(FAILED, why=f"exit code {code}: {_last_words(log)}")


def _last_words(log: Path) -> str:
    """The last line of a log, for a person who reads no log."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        lines = file.read().decode(errors="replace").split("\n")
    return one_line(next((line for line in reversed(lines) if line.strip()), "it said nothing"))
