"""Running the pipeline on this machine through kfp.local, with the output a person wants to read."""

from __future__ import annotations

import contextlib
import copy
import io
import json
import re
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from components.core.errors import PipelineError
from components.core.progress import MARK

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_START = re.compile(r"Executing task '([\w-]+)'")
_END = re.compile(r"Task '([\w-]+)' finished with status (\w+)")
# The last line of a traceback: our own errors are a sentence, any other needs its type to mean something.
_ERROR = re.compile(r"^components\.core\.errors\.\w+: (.+)|^([A-Za-z_][\w.]*(?:Error|Exception|Interrupt)(?:: .+)?)$")
Show = Callable[["Event"], None]


@dataclass(frozen=True)
class Event:
    """Something to show: a step's `start`, a `note` or another `line` from it, or its `end` with status and seconds."""

    kind: str
    step: str
    text: str = ""
    seconds: float = 0.0


@dataclass
class RunLog(io.TextIOBase):
    """Stands for standard output during a run: all of it goes to a file, and what matters becomes events.

    Args:
        file: takes every line.
        show: told of each event.
    """

    file: TextIO
    show: Show
    step: str = ""
    error: str = ""
    steps: list[str] = field(default_factory=list)
    _rest: str = ""
    _started: float = 0.0

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._take(_COLOUR.sub("", line).rstrip())
        return len(text)

    def _take(self, line: str) -> None:
        self.file.write(f"{line}\n")
        self.file.flush()
        bare = line.strip()
        if bare.startswith(MARK):
            self.show(Event("note", self.step, bare.removeprefix(MARK)))
        elif started := _START.search(bare):
            self.step, self.error, self._started = started[1], "", time.perf_counter()
            self.steps.append(self.step)
            self.show(Event("start", self.step))
        elif ended := _END.search(bare):
            self.show(Event("end", ended[1], ended[2], time.perf_counter() - self._started))
        else:
            if failed := _ERROR.match(bare):
                self.error = failed[1] or failed[2]
            self.show(Event("line", self.step, line))


@dataclass(frozen=True)
class Result:
    """What a run left behind; `deployment` and `verdict` are None where the run did not get so far."""

    folder: Path
    evaluation: dict[str, Any] | None
    verdict: dict[str, Any] | None
    deployment: dict[str, Any] | None


def run_pipeline(folder: Path, arguments: dict[str, Any], show: Show) -> Result:
    """Compiles the pipeline, runs it step by step in subprocesses, and gathers its results.

    Args:
        folder: of this run: the compiled pipeline, the log, every step's outputs, the pages for a person.
        arguments: of the pipeline.
        show: told of each event.

    Raises:
        PipelineError: a step failed; the message is the step's own sentence.
    """
    # Imported here: kfp takes more than a second, which `lifeboat status` should not pay.
    from kfp import local

    from pipelines.compile import compile_pipeline
    from pipelines.pipeline import pipeline

    folder.mkdir(parents=True)
    compile_pipeline(folder / "pipeline.yaml")
    local.init(
        runner=local.SubprocessRunner(use_venv=False),
        pipeline_root=str(folder),
        workspace_root=str(folder / "workspace"),
        raise_on_error=True,
    )
    with (folder / "run.log").open("w", encoding="utf-8") as file, warnings.catch_warnings():
        # kfp warns that limits have no effect here and that the image is not named after Python: both are known.
        warnings.filterwarnings("ignore", module="kfp.local")
        log = RunLog(file, show)
        with contextlib.redirect_stdout(log):
            failure = _run(_tried_once(pipeline), arguments)
    if failure is not None:
        reason = log.error or _COLOUR.sub("", str(failure))
        raise PipelineError(f"step {log.step or 'none'} failed: {reason} (log: {folder / 'run.log'})")
    return _collect(folder)


def _tried_once(pipeline: Any) -> Any:
    """The pipeline without retries: what fails on this machine fails again, and waiting for it teaches nobody."""
    once = copy.copy(pipeline)
    once.component_spec = copy.deepcopy(pipeline.component_spec)
    graph = once.component_spec.implementation.graph
    for dag in (graph.root.dag, *(part.dag for part in graph.components.values())):
        for task in dag.tasks.values():
            task.ClearField("retry_policy")
    return once


def _run(pipeline: Any, arguments: dict[str, Any]) -> RuntimeError | None:
    try:
        pipeline(**arguments)
    except RuntimeError as error:  # what kfp.local raises when a task fails
        return error
    return None


def _collect(folder: Path) -> Result:
    """Reads the steps' outputs and puts the pages for a person where one looks for them."""
    pages = {"preprocess/profile": "data-profile.html", "evaluate/card": "model-card.html"}
    for source, name in pages.items():
        for path in folder.glob(f"*/{source}"):
            (folder / name).write_bytes(path.read_bytes())
    return Result(
        folder,
        *(_read_json(folder, name) for name in ("evaluate/evaluation", "evaluate/verdict", "deploy/deployment")),
    )


def _read_json(folder: Path, name: str) -> dict[str, Any] | None:
    found = list(folder.glob(f"*/{name}"))
    return json.loads(found[0].read_bytes()) if found else None
