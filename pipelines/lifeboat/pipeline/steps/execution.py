"""One step of a local run, as kfp asks for it and as its own process carries it out."""

from __future__ import annotations

import ast
import contextlib
import json
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lifeboat.config.errors import LifeboatError, PipelineError, first_line
from lifeboat.pipeline.steps.events import EventFile
from lifeboat.system.progress import listen
from lifeboat.system.tracing import Span, SpanContext

# What kfp's shell command calls the file that it writes a component's source to; the source is the next word.
_COMPONENT_FILE = '"$program_path/ephemeral_component.py"'
MAX_ERROR = 4000
# The variable by which programs tell each other of a trace, as OpenTelemetry has it.
PARENT = "TRACEPARENT"


@dataclass(frozen=True)
class StepCommand:
    """What kfp runs for one step.

    Args:
        source: of the component, a Python module.
        arguments: of kfp's executor: the names and paths of inputs and outputs, and the function's name.
        environment: variables beside those of this process.
    """

    source: str
    arguments: tuple[str, ...]
    environment: dict[str, str]

    @classmethod
    def parse(cls, command: Sequence[str], environment: Mapping[str, str]) -> StepCommand:
        """Reads the command of a lightweight component, whose placeholders are filled in.

        Raises:
            ValueError: it is another kind of command.
        """
        script = next((index for index, word in enumerate(command) if _COMPONENT_FILE in word), None)
        if script is None:
            raise ValueError(f"{command[:2]} is no command of a lightweight component")
        source, *arguments = command[script + 1 :]
        return cls(source, tuple(arguments), dict(environment))

    @property
    def name(self) -> str:
        """The task's name, which is also its directory's."""
        return Path(self._outputs["outputFile"]).parent.name

    def within(self, span: Span | None) -> StepCommand:
        """The same, told which span it is, where that is traced."""
        return self if span is None else replace(self, environment={**self.environment, PARENT: span.traceparent})

    @property
    def fields(self) -> dict[str, str]:
        """Of each line of its log."""
        context = SpanContext.read(self.environment.get(PARENT, ""))
        return {"step": self.name, **(context.fields if context is not None else {})}

    @property
    def events(self) -> Path:
        """Where its process writes its events: beside kfp's answer of the executor."""
        return Path(self._outputs["outputFile"]).with_name("events.jsonl")

    @property
    def outputs(self) -> dict[str, Path]:
        """Where each output artifact goes."""
        artifacts = self._outputs.get("artifacts", {})
        return {name: Path(item["artifacts"][0]["uri"]) for name, item in artifacts.items()}

    @property
    def _outputs(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.arguments[self.arguments.index("--executor_input") + 1])["outputs"]
        return found


def ending(code: int, told: LifeboatError | None) -> LifeboatError | None:
    """The error that ended a step's process; None if it did its work.

    Args:
        code: 0 if it did its work; the negative number of the signal that killed it.
        told: the error that the process has left in its events, if it could.
    """
    if not code:
        return None
    if code < 0:
        hint = ", as happens where the machine has no memory left" if code == -signal.SIGKILL else ""
        return PipelineError(f"its process was ended by {signal.Signals(-code).name}{hint}")
    return told or PipelineError(f"its process ended with exit code {code}")


def imports_of(source: str) -> list[str]:
    """The import statements of a component's source, wherever they stand in it, in their order."""
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Import | ast.ImportFrom)]
    return [ast.unparse(node) for node in sorted(nodes, key=lambda node: node.lineno)]


def load(imports: Sequence[str]) -> None:
    """Executes import statements, so that a process forked from this one finds the modules loaded."""
    for statement in imports:
        # A step does the same import: where it fails, that step says so.
        with contextlib.suppress(Exception):
            exec(statement, {})  # noqa: S102  # an import of our own components


def execute(command: StepCommand) -> int:
    """Runs a step in this process with kfp's own executor; gives the exit code.

    Its notes, and the error if there is one, become events. An error's traceback goes to standard output, which is the
    step's log.
    """
    for name, value in {**command.environment, "_KFP_RUNTIME": "true"}.items():
        os.environ[name] = value
    from kfp.dsl.executor_main import executor_main

    events = EventFile(command.events, command.fields)
    listen(events.note)
    with tempfile.TemporaryDirectory(prefix="lifeboat-step-") as folder:
        path = Path(folder) / "ephemeral_component.py"
        path.write_text(command.source, encoding="utf-8")
        sys.argv = ["executor_main", "--component_module_path", str(path), *command.arguments]
        try:
            executor_main()
        except BaseException as error:  # whatever ends a step is its result
            traceback.print_exc(file=sys.stdout)
            events.end(error if isinstance(error, LifeboatError) else PipelineError(describe(error)))
            return 1
    return 0


def describe(error: BaseException) -> str:
    """A library's error as a sentence, its kind in front, which says what the message means."""
    kind = type(error)
    name = kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
    return (f"{name}: {first_line(error)}" if str(error).strip() else name)[:MAX_ERROR]


if __name__ == "__main__":
    # The step's command stands on standard input as JSON.
    sys.exit(execute(StepCommand(**json.load(sys.stdin))))
