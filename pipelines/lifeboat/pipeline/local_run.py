"""Running the pipeline on this machine through kfp.local, with the output a person wants to read."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import json
import textwrap
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, TextIO

from rich.text import Text

from lifeboat.config.errors import LifeboatError, PipelineError
from lifeboat.pipeline.kfp_import import import_kfp
from lifeboat.pipeline.run_record import recording
from lifeboat.pipeline.steps.events import EventFile
from lifeboat.pipeline.steps.execution import StepCommand, ending, imports_of
from lifeboat.pipeline.steps.processes import StepProcesses, step_processes
from lifeboat.system.progress import MARK
from lifeboat.system.tracing import Span

SUCCESS, FAILURE = "SUCCESS", "FAILURE"
# MLflow imports these once a registry in a database is opened, which `evaluate` and `deploy` do.
_STORES = ("import mlflow.store.tracking.sqlalchemy_store", "import mlflow.store.model_registry.sqlalchemy_store")
Show = Callable[["RunEvent"], None]


@dataclass(frozen=True)
class RunEvent:
    """Something to show: a step's `start`, a `note` or another `line` from it, or its `end` with status and seconds."""

    kind: str
    step: str
    text: str = ""
    seconds: float = 0.0


@dataclass
class RunLog(io.TextIOBase):
    """Stands for standard output during a run: all of it goes to a file, and is shown; what matters are steps' events.

    Args:
        file: takes every line.
        show: told of each event.
        step: the one that runs, or ran last.
        span: of the run, where it is traced.
        error: that ended the step.
        outputs: where each step's output artifacts are, by the step's name.
    """

    file: TextIO
    show: Show
    span: Span | None = None
    step: str = ""
    error: LifeboatError | None = None
    outputs: dict[str, dict[str, Path]] = field(default_factory=dict)
    _rest: str = ""
    # Lines to come of notes that were shown: a step writes the event, then prints it.
    _noted: list[str] = field(default_factory=list)

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._take(_plain(line).rstrip())
        return len(text)

    def _take(self, line: str) -> None:
        self.file.write(f"{line}\n")
        self.file.flush()
        if line.strip() in self._noted:
            self._noted.remove(line.strip())
        else:
            self.show(RunEvent("line", self.step, line))

    def run_step(self, processes: StepProcesses, command: StepCommand) -> LifeboatError | None:
        """Runs a step, whose lines kfp.local's `print` indents and sends back here; gives the error that ended it."""
        self.step, started, events = command.name, time.perf_counter(), EventFile(command.events)
        self.outputs[command.name] = command.outputs
        self.show(RunEvent("start", command.name))

        def take(line: str) -> None:
            self._note(events.new_notes())
            print(line, end="")

        span, what = self.span.child(command.name) if self.span is not None else None, "it was interrupted"
        try:
            code = processes.run(command.within(span), take)
            self._note(events.new_notes())
            # As kfp.local's own handler: an empty line behind the step's.
            print("\n")
            self.error = ending(code, events.error)
            what = type(self.error).__name__ if self.error is not None else ""
        finally:
            if span is not None:
                span.end(what)
        self.show(RunEvent("end", command.name, FAILURE if code else SUCCESS, time.perf_counter() - started))
        return self.error

    def _note(self, notes: list[str]) -> None:
        for text in notes:
            self.show(RunEvent("note", self.step, text))
            self._noted += [line.strip() for line in f"{MARK}{text}".split("\n")]


@dataclass(frozen=True)
class Result:
    """What a run left behind; None is what it did not get to."""

    folder: Path
    bundle: Path | None
    evaluation: dict[str, Any] | None
    verdict: dict[str, Any] | None
    deployment: dict[str, Any] | None


def local_steps() -> StepProcesses:
    """The processes that `run_pipeline` gives its steps to; a context.

    To be entered before a use case is imported or anything is computed: of this process it takes what is loaded along.
    """
    # Imported here: kfp takes a while, which `lifeboat status` should not pay.
    import_kfp()
    # First: it is built the faster the less is loaded.
    import_module("lifeboat.pipeline.dag")
    from lifeboat.deploy.component import deploy
    from lifeboat.evaluate.component import evaluate
    from lifeboat.preprocess.component import preprocess
    from lifeboat.train.component import train

    sources = [textwrap.dedent(inspect.getsource(step.python_func)) for step in (preprocess, train, evaluate, deploy)]
    return step_processes([*(imports_of(source) for source in sources), _STORES])


def run_pipeline(
    folder: Path, arguments: dict[str, Any], show: Show, processes: StepProcesses, span: Span | None = None
) -> Result:
    """Compiles the pipeline, runs it step by step in processes of their own, and gathers its results.

    Args:
        folder: of this run: the compiled pipeline, the log, every step's outputs, the pages for a person.
        arguments: of the pipeline.
        show: told of each event.
        processes: of `local_steps`.
        span: of the run, where it is traced; each step is a part of it.

    Raises:
        PipelineError: a step failed; the message has the step's own sentence, and its cause is the step's own error.
    """
    from kfp import local

    from lifeboat.pipeline.compile import compile_pipeline
    from lifeboat.pipeline.dag import pipeline
    from lifeboat.pipeline.steps.handler import steps_run_by

    folder.mkdir(parents=True)
    with recording(folder) as record:
        compile_pipeline(folder / "pipeline.yaml")
        local.init(
            runner=local.SubprocessRunner(use_venv=False),
            pipeline_root=str(folder),
            workspace_root=str(folder / "workspace"),
            raise_on_error=True,
        )
        with (folder / "run.log").open("w", encoding="utf-8") as file, warnings.catch_warnings():
            # kfp warns that limits have no effect here, which is known.
            warnings.filterwarnings("ignore", module="kfp.local")
            log = RunLog(file, show, span)
            with contextlib.redirect_stdout(log), steps_run_by(partial(log.run_step, processes)):
                failure = _run(_tried_once(pipeline), arguments)
        result = _collect(folder, log.outputs)
        record.verdict, record.deployment = result.verdict, result.deployment
        if failure is not None:
            reason = str(log.error or _plain(str(failure)))
            raise PipelineError(reason, step=log.step or "none", log=str(folder / "run.log")) from log.error
    return result


def _plain(text: str) -> str:
    """Without the colours that kfp.local writes."""
    return Text.from_ansi(text).plain


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


def _collect(folder: Path, outputs: dict[str, dict[str, Path]]) -> Result:
    """Reads the steps' outputs and puts the pages for a person where one looks for them."""
    pages = {
        "data-profile.html": ("preprocess", "profile"),
        "model-card.html": ("evaluate", "card"),
        "rollout.html": ("deploy", "timeline"),
    }
    for name, (step, output) in pages.items():
        made = outputs.get(step, {}).get(output)
        if made is not None and made.exists():  # of a step that failed it may not be there
            (folder / name).write_bytes(made.read_bytes())
    wanted = (("evaluate", "evaluation"), ("evaluate", "verdict"), ("deploy", "deployment"))
    return Result(
        folder,
        outputs.get("train", {}).get("bundle"),
        *(_read_json(outputs.get(step, {}).get(name)) for step, name in wanted),
    )


def _read_json(path: Path | None) -> dict[str, Any] | None:
    return json.loads(path.read_bytes()) if path and path.exists() else None
