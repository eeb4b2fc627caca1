"""How kfp.local runs a step here: kfp resolves its inputs and reads its outputs, a process of ours runs it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from kfp.local import subprocess_task_handler
from kfp.local.status import Status

from lifeboat.config.errors import LifeboatError
from lifeboat.pipeline.steps.execution import StepCommand

# Gives the error that ended the step, if one did.
Run = Callable[[StepCommand], LifeboatError | None]


class StepHandler(subprocess_task_handler.SubprocessTaskHandler):
    """A task of `kfp.local.SubprocessRunner`.

    Args:
        run_step: runs a step to its end; what it prints is the step's log.
        task: as kfp.local gives it.
    """

    def __init__(self, run_step: Run, **task: Any) -> None:
        self._run_step = run_step
        super().__init__(**task)

    def validate_image(self, image: str) -> None:
        """Takes every image: none is used here."""

    def run(self) -> Status:
        """As kfp.local's own, which starts a shell that starts a Python."""
        error = self._run_step(StepCommand.parse(self.full_command, self.env_vars))
        return Status.FAILURE if error else Status.SUCCESS


@contextmanager
def steps_run_by(run_step: Run) -> Iterator[None]:
    """Within the block, kfp.local's subprocess runner gives each step to `run_step`.

    kfp.local has no place to put a handler of one's own in: it looks its class up in this module for each task.
    """
    own = subprocess_task_handler.SubprocessTaskHandler
    subprocess_task_handler.SubprocessTaskHandler = partial(StepHandler, run_step)
    try:
        yield
    finally:
        subprocess_task_handler.SubprocessTaskHandler = own
