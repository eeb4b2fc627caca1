"""Where the steps of a local run get their processes from."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from types import TracebackType
from typing import Protocol

from lifeboat.pipeline.steps.execution import StepCommand, load
from lifeboat.pipeline.steps.fork_server import ForkServer

# Steps whose libraries the command line loads for itself as well: kfp, and scikit-learn for the use case.
SHARED = 2


class StepProcesses(Protocol):
    """Runs steps, one at a time and each in a process of its own; a context, at whose end none of them is left."""

    def __enter__(self) -> StepProcesses:
        """Gives itself."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Ends what is left."""

    def run(self, command: StepCommand, show: Callable[[str], None]) -> int:
        """Runs a step to its end; gives its exit code, the negative number of the signal that killed it.

        Args:
            command: of the step.
            show: told of each line that the step prints, at once, with its line break.

        Raises:
            PipelineError: there is no process to be had.
        """


class FreshInterpreters:
    """A new Python for each step, where a fork of a process that has loaded libraries is not safe, as on macOS."""

    def __enter__(self) -> FreshInterpreters:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is left: `run` waits for its process whatever happens."""

    def run(self, command: StepCommand, show: Callable[[str], None]) -> int:
        """As StepProcesses says."""
        with subprocess.Popen(
            [sys.executable, "-m", "lifeboat.pipeline.steps.execution"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, encoding="utf-8", errors="replace", bufsize=1,
        ) as process:  # fmt: skip
            assert process.stdin is not None and process.stdout is not None  # noqa: S101, PT018  # pipes, as asked for
            process.stdin.write(json.dumps(asdict(command)))
            process.stdin.close()
            for line in process.stdout:
                show(line)
            return process.wait()


def step_processes(imports: Sequence[Sequence[str]]) -> StepProcesses:
    """The processes for a pipeline's steps on this system.

    Args:
        imports: the import statements of each step, in the order of the steps.
    """
    if sys.platform != "linux":
        return FreshInterpreters()
    # Nothing of what is loaded becomes garbage: neither now nor later is it looked through for some.
    gc.disable()
    for statements in imports[:SHARED]:
        load(statements)
    gc.freeze()
    gc.enable()
    return ForkServer([statement for statements in imports[SHARED:] for statement in statements])
