"""A process that loads the steps' libraries once, and forks a process for each step: a fork server.

Loading kfp, scikit-learn and MLflow takes most of a small run. This process is forked from the command line when that
has loaded what both need, loads the rest while the first steps run, and runs no code but imports of this project and of
its libraries: no use case is imported and nothing is computed. So the threads that a fork would lose are only the idle
ones that OpenBLAS and Arrow's allocator start when they are loaded, and both start them again in the child. A step has
a process of its own as before: its memory, its variables and its end are nobody else's.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import logging
import multiprocessing
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Sequence
from multiprocessing import reduction
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from types import FrameType, TracebackType
from typing import Any, TextIO

from lifeboat.config.errors import PipelineError
from lifeboat.pipeline.steps.execution import StepCommand, execute, imports_of, load

_FORK = multiprocessing.get_context("fork")
Handler = Callable[[int, FrameType | None], Any] | int | None
# For the step that runs when the command line ends: first for itself, then after SIGTERM.
GRACE_SECONDS = 5.0


class ForkServer:
    """Forks steps; a context, at whose end no process of it is left.

    Args:
        imports: statements that it executes one by one while it has nothing else to do.
    """

    def __init__(self, imports: Sequence[str]) -> None:
        self._requests, other = _FORK.Pipe()
        self._process = _FORK.Process(target=_serve, args=(other, self._requests, imports), name="lifeboat-fork-server")
        self._process.start()
        other.close()

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._requests.close()
        self._process.join()

    def run(self, command: StepCommand, show: Callable[[str], None]) -> int:
        """Runs a step to its end; gives its exit code, the negative number of the signal that killed it.

        Args:
            command: of the step.
            show: told of each line that the step prints, at once, with its line break.

        Raises:
            PipelineError: the server itself has ended.
        """
        reading, writing = os.pipe()
        with open(reading, encoding="utf-8", errors="replace") as lines:  # noqa: PTH123  # a descriptor
            try:
                self._requests.send(command)
                reduction.send_handle(self._requests, writing, self._process.pid)
            except OSError as error:
                raise PipelineError(f"the process that starts the steps has ended: {error.strerror}") from error
            finally:
                os.close(writing)
            for line in lines:
                show(line)
        try:
            code: int = self._requests.recv()
        except EOFError as error:
            raise PipelineError("the process that starts the steps has ended") from error
        return code


class _Step:
    """A step's process, seen from the server."""

    def __init__(self, command: StepCommand, requests: Connection, interrupt: Handler) -> None:
        output = reduction.recv_handle(requests)

        def run() -> None:
            requests.close()
            signal.signal(signal.SIGINT, interrupt)
            _run(command, output)

        # What is there already is nobody's garbage: not looked at in the child, its pages stay shared.
        gc.freeze()
        self.process: BaseProcess = _FORK.Process(target=run, name=command.name)
        self.process.start()
        os.close(output)

    def end(self) -> int:
        """The exit code of the process, which has ended."""
        self.process.join()
        return self.process.exitcode or 0

    def stop(self) -> None:
        """Gives the process a moment to end: it may have got the same Ctrl-C, and be putting things back."""
        self.process.join(GRACE_SECONDS)
        for ending in (self.process.terminate, self.process.kill):
            if self.process.is_alive():
                ending()
                self.process.join(GRACE_SECONDS)


def _serve(requests: Connection, other: Connection, imports: Sequence[str]) -> None:
    other.close()
    # Ctrl-C is for the command line and the step; this process ends when the command line closes its side.
    interrupt = signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.disable()
    steps: list[_Step] = []
    with contextlib.suppress(EOFError, ConnectionError):
        _answer(requests, deque(imports), steps, interrupt)
    for step in steps:
        step.stop()


def _answer(requests: Connection, loading: deque[str], steps: list[_Step], interrupt: Handler) -> None:
    """Until the other side is closed, which is an error of `requests`; `steps` holds the one that runs."""
    while True:
        awaited: list[Connection | int] = [requests, *(step.process.sentinel for step in steps)]
        ready = wait(awaited, timeout=0 if loading else None)
        if requests in ready:
            command = requests.recv()
            load(imports_of(command.source))
            steps.append(_Step(command, requests, interrupt))
        elif ready:
            requests.send(steps.pop().end())
        elif loading:
            load([loading.popleft()])


def _run(command: StepCommand, output: int) -> None:
    _begin(output)
    code = execute(command)
    # As at an interpreter's end, which multiprocessing leaves out.
    atexit._run_exitfuncs()
    sys.exit(code)


def _begin(output: int) -> None:
    """Makes of a fork what a new interpreter is: output, logging, random numbers and the garbage collector."""
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    sys.stdout, sys.stderr = (_lines_to(number) for number in (1, 2))
    logging.root.handlers.clear()
    logging.root.setLevel(logging.WARNING)
    # Python's own generator is seeded again by every fork, NumPy's is not.
    if "numpy" in sys.modules:
        sys.modules["numpy"].random.seed()
    gc.enable()


def _lines_to(number: int) -> TextIO:
    return open(number, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False)
