"""Background services of this machine: started once, found again, ended by name.

A daemon holds a lock for as long as it lives, which no process id can tell: an id may be another program's by now.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from lifeboat.config.errors import DeployError, StorageError
from lifeboat.system.background import start_process
from lifeboat.system.files import is_locked, take_lock, write_text
from lifeboat.system.http_request import Answer, NoAnswerError, ask
from lifeboat.system.markup import terminal_text

LOG_FILE, PID_FILE = "log", "pid"
# One that leaves by itself has done so by then, and nobody looks at a lock for as long.
LEAVING_SECONDS = 2.0
# Of what a service answers when it is asked how it is.
_MOST_READ = 65536


@dataclass(frozen=True)
class Daemon:
    """A service, running or not.

    Args:
        name: for people.
        folder: holds its lock, its process id and its log; made when it is started.
        ready_url: answers 200 once it is ready.
    """

    name: str
    folder: Path
    ready_url: str

    @property
    def log(self) -> Path:
        """Where its output goes."""
        return self.folder / LOG_FILE

    def is_running(self) -> bool:
        """Whether one holds the lock."""
        return is_locked(self.folder / "lock")

    @property
    def pid(self) -> int | None:
        """Of its process; None where none was started, or its file does not say."""
        try:
            return max(0, int((self.folder / PID_FILE).read_text())) or None
        except (FileNotFoundError, ValueError):
            return None

    @property
    def is_expected(self) -> bool:
        """Whether one was started and not stopped since: if it does not run, it ended by itself."""
        return (self.folder / PID_FILE).exists()

    def say_pid(self, pid: int) -> None:
        """Keeps the id of its process; raises StorageError."""
        write_text(self.folder / PID_FILE, str(pid))

    def is_ready(self) -> bool:
        """Whether it does its work."""
        return answers(self.ready_url)

    def ensure(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        seconds: float = 30.0,
        descriptors: Sequence[int] = (),
    ) -> None:
        """Starts it unless it runs, and waits until it is ready.

        Args:
            command, environment: of the process, whole: nothing is inherited.
            seconds: to become ready in.
            descriptors: of open files that it inherits.

        Raises:
            DeployError: it ended or was not ready in time; with the last line of its log.
            StorageError: its folder cannot be written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._ensure(command, environment, seconds, descriptors)
        except OSError as error:
            raise StorageError(f"{error.filename or self.folder} cannot be written: {error.strerror}") from error

    def _ensure(
        self, command: Sequence[str], environment: Mapping[str, str], seconds: float, descriptors: Sequence[int]
    ) -> None:
        deadline, process = time.monotonic() + seconds, None
        with self._lock() as descriptor:
            while process is None or not self.is_ready():
                if process is None and take_lock(descriptor):
                    process = self._start(command, environment, (descriptor, *descriptors))
                elif process is None and self.is_ready():
                    return  # somebody else's, who was first
                self._check(process, deadline - time.monotonic())
                time.sleep(0.05)

    def stop(self, seconds: float = 15.0) -> bool:
        """Asks it to end and waits for that; False if none ran. One that ended by itself counts as stopped from now on.

        Raises:
            DeployError: it did not end in time.
        """
        pid, ran = self.pid, self.is_running()
        if ran and pid is not None:
            ask_to_end(pid)
        deadline = time.monotonic() + (LEAVING_SECONDS if pid is None else seconds)
        while self.is_running():
            if pid is None and (pid := self.pid) is not None:  # it had been started an instant before
                ask_to_end(pid)
                deadline = time.monotonic() + seconds
            if time.monotonic() > deadline:
                raise DeployError(
                    f"the {self.name} runs, but {self.folder / PID_FILE} does not say as what: end it by hand"
                    if pid is None
                    else f"the {self.name} did not end within {seconds:g} s; its log is {self.log}"
                )
            time.sleep(0.05)
        if self.pid == pid:  # else it is another one's, which was started meanwhile
            self.leave()
        return ran

    def leave(self) -> None:
        """Forgets its process: whether it runs on or not, it counts as stopped; raises StorageError."""
        try:
            (self.folder / PID_FILE).unlink(missing_ok=True)
        except OSError as error:
            raise StorageError(
                f"the {self.name} is to stay stopped, but {self.folder / PID_FILE} cannot be removed: {error.strerror}"
            ) from error

    @contextmanager
    def held(self) -> Iterator[None]:
        """This process as the daemon, for the block.

        Raises:
            DeployError: another one is.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        with self._lock() as descriptor:
            if not take_lock(descriptor, LEAVING_SECONDS):  # whoever asks whether it runs holds it for an instant
                raise DeployError(f"another {self.name} runs: process {self.pid}")
            self.say_pid(os.getpid())
            try:
                yield
            finally:
                self.leave()

    @contextmanager
    def _lock(self) -> Iterator[int]:
        descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _start(
        self, command: Sequence[str], environment: Mapping[str, str], inherited: Sequence[int]
    ) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            try:
                # The lock is among what it inherits: that is held until the last copy of its descriptor is closed.
                process = start_process(command, self.folder, log, environment=environment, inherited=inherited)
            except OSError as error:
                raise DeployError(f"the {self.name} cannot be started with {command[0]}: {error.strerror}") from error
        try:
            self.say_pid(process.pid)
        except StorageError:
            process.terminate()  # nobody could end it later
            raise
        return process

    def _check(self, process: subprocess.Popen[bytes] | None, left: float) -> None:
        ended = process.poll() if process is not None else None
        if ended in (0, -signal.SIGTERM):
            raise DeployError(f"the {self.name} was told to end while it started, as by lifeboat stop")
        if ended is not None:
            raise DeployError(f"the {self.name} ended at its start: {self._last_words()}")
        if left < 0:
            if process is not None:
                process.terminate()
            raise DeployError(f"the {self.name} was not ready in time; its log is {self.log}")

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").strip().splitlines()
        return _message(lines[-1]) if lines else f"it said nothing; its log is {self.log}"


def ask_to_end(pid: int) -> None:
    """Sends SIGTERM to a process, which may have ended a moment ago.

    Raises:
        DeployError: it is another user's.
    """
    try:
        os.kill(pid, signal.SIGTERM)
    except ProcessLookupError:
        return
    except PermissionError as error:
        raise DeployError(f"process {pid} is another user's, who alone can end it") from error


def answers(url: str, seconds: float = 2.0) -> bool:
    """Whether a service of this machine answers 200 at a URL in time."""
    return http_status(url, seconds) == 200


def http_status(url: str, seconds: float = 2.0) -> int | None:
    """What a service of this machine answers to a GET; None if it does not in time."""
    found = _answer(url, seconds)
    return found.status if found else None


def _answer(url: str, seconds: float) -> Answer | None:
    try:
        return ask(url, seconds=seconds, most=_MOST_READ)
    except NoAnswerError:  # nobody, too late, or what answers there speaks no HTTP
        return None


def unreadiness(url: str, seconds: float = 2.0) -> str:
    """Why a service of this machine is not ready, in its own words if it has any; empty where it is.

    Args:
        url: that answers 200 once it is.
        seconds: to answer in.
    """
    found = _answer(url, seconds)
    if found is None:
        return "it does not answer"
    if found.status == 200:
        return ""
    try:
        return f"it is not ready: {terminal_text(found.json()['status']['info'], 500)}"
    except (ValueError, KeyError, TypeError):
        return f"it answers {found.status}"


def _message(line: str) -> str:
    """What a line of a log says; of ours, which are JSON, without what is for machines."""
    try:
        return terminal_text(json.loads(line)["message"], 500)
    except (ValueError, KeyError, TypeError):
        return terminal_text(line, 500)
