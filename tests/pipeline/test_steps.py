"""The processes of a local run's steps, with real components, kfp.local and its executor.

Annotations are no strings here: kfp reads them.
"""

import inspect
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kfp import dsl, local

from lifeboat.config.errors import DataError, LifeboatError, PipelineError
from lifeboat.pipeline.local_run import SUCCESS, RunEvent, RunLog, local_steps
from lifeboat.pipeline.steps import fork_server
from lifeboat.pipeline.steps.events import EventFile
from lifeboat.pipeline.steps.execution import StepCommand, ending, imports_of
from lifeboat.pipeline.steps.fork_server import ForkServer
from lifeboat.pipeline.steps.handler import steps_run_by
from lifeboat.pipeline.steps.processes import FreshInterpreters, StepProcesses

component = dsl.component(base_image="any/python", install_kfp_package=False)


@component
def make(text: str, table: dsl.Output[dsl.Dataset]) -> bool:
    import os
    from pathlib import Path

    print(f"made {text} in {os.getpid()}")
    os.environ["LEFT_BEHIND"] = text
    Path(table.path).write_text(text)
    table.metadata["rows"] = 3
    return text == "good"


@component
def read(table: dsl.Input[dsl.Dataset]) -> str:
    import os
    from pathlib import Path

    return f"{Path(table.path).read_text()} {table.metadata['rows']} {os.environ.get('LEFT_BEHIND')}"


@component
def skipped() -> None:
    print("skipped nothing")


@dsl.pipeline(name="tiny")
def tiny(text: str) -> None:
    made = make(text=text)
    with dsl.If(made.outputs["Output"] == True):  # noqa: E712  # KFP compiles the comparison
        read(table=made.outputs["table"])
    with dsl.Else():
        skipped()


def fail_with_our_own() -> None:
    from lifeboat.config.errors import DataError

    raise DataError("label holds 7", file="a.csv", row=3)


def fail_within_a_library() -> None:
    import json

    json.loads("{\n")


def kill_itself() -> None:
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


def exit_at_once() -> None:
    import os

    os._exit(7)


def say_what_is_loaded() -> None:
    import sys

    print("loaded" if "wave" in sys.modules else "not loaded", flush=True)
    import wave

    print(wave.__name__)


def compute() -> None:
    import numpy as np
    from sklearn.ensemble import HistGradientBoostingClassifier

    rng = np.random.default_rng(0)
    square = rng.normal(size=(400, 400))
    X = square @ square
    HistGradientBoostingClassifier(max_iter=5).fit(X, X[:, 0] > 0)
    print("computed")


def wait_for_ever() -> None:
    import os
    import time

    print(os.getpid(), flush=True)
    time.sleep(600)


def draw() -> None:
    import random

    import numpy as np

    print(random.random(), np.random.random())  # noqa: S311


# What `tell` notes, and the first line that each is in the output.
NOTES = {"first": "lifeboat> first\n", "two\nlines": "lifeboat> two\n"}


def tell() -> None:
    from lifeboat.system.progress import say

    print("chatter")
    say("first")
    say("two\nlines")


def leave_at_exit() -> None:
    import atexit

    atexit.register(print, "left")


def command(function: Callable[..., Any], folder: Path, **environment: str) -> StepCommand:
    inputs = {"inputs": {}, "outputs": {"outputFile": str(folder / function.__name__ / "executor_output.json")}}
    arguments = ("--executor_input", json.dumps(inputs), "--function_to_execute", function.__name__)
    return StepCommand(textwrap.dedent(inspect.getsource(function)), arguments, environment)


@pytest.fixture(params=[lambda: ForkServer([]), FreshInterpreters], ids=["forked", "fresh"])
def processes(request: pytest.FixtureRequest) -> Iterator[StepProcesses]:
    with request.param() as made:
        yield made


class Lines(list[str]):
    """What a step printed."""

    def run(self, processes: StepProcesses, given: StepCommand) -> LifeboatError | None:
        """Runs a step; gives the error that ended it."""
        events = EventFile(given.events)
        code = processes.run(given, self.append)
        events.new_notes()
        return ending(code, events.error)


def run_tiny(text: str, folder: Path, processes: StepProcesses) -> tuple[RunLog, list[RunEvent]]:
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=str(folder), raise_on_error=True)
    events = list[RunEvent]()
    with (folder / "run.log").open("w") as file:
        log = RunLog(file, events.append)
        with pytest.MonkeyPatch.context() as patch, steps_run_by(lambda given: log.run_step(processes, given)):
            patch.setattr("sys.stdout", log)
            tiny(text=text)
    return log, events


def test_a_pipeline_runs_as_kfp_says(tmp_path: Path, processes: StepProcesses) -> None:
    log, events = run_tiny("good", tmp_path, processes)
    ends = [(event.step, event.text) for event in events if event.kind == "end"]
    assert ends == [("make", SUCCESS), ("read", SUCCESS)]
    assert log.outputs["make"]["table"].read_text() == "good"
    assert log.outputs["read"] == {}
    [answer] = tmp_path.glob("tiny-*/read/executor_output.json")
    # The artifact with its metadata; and nothing of what another step did to its environment.
    assert json.loads(answer.read_text())["parameterValues"]["Output"] == "good 3.0 None"


def test_a_condition_that_does_not_hold_leaves_its_step_out(tmp_path: Path, processes: StepProcesses) -> None:
    log, _ = run_tiny("bad", tmp_path, processes)
    assert list(log.outputs) == ["make", "skipped"]


def test_the_runs_log_has_kfps_lines_and_the_steps(tmp_path: Path, processes: StepProcesses) -> None:
    run_tiny("good", tmp_path, processes)
    written = (tmp_path / "run.log").read_text()
    assert "Executing task 'make'" in written
    assert "\n    made good in " in written
    assert "    [KFP Executor " in written
    assert "Task 'read' finished with status SUCCESS" in written


def test_an_error_of_ours_is_the_same_here_and_its_traceback_a_part_of_the_output(
    tmp_path: Path, processes: StepProcesses
) -> None:
    lines = Lines()
    error = lines.run(processes, command(fail_with_our_own, tmp_path))
    assert isinstance(error, DataError)
    assert str(error) == "a.csv, row 3: label holds 7"
    assert (error.problem, error.file, error.row, error.column) == ("label holds 7", "a.csv", 3, None)
    assert "Traceback (most recent call last):\n" in lines
    assert any('raise DataError("label holds 7"' in line for line in lines)


def test_a_librarys_error_has_its_kind_in_front(tmp_path: Path, processes: StepProcesses) -> None:
    error = Lines().run(processes, command(fail_within_a_library, tmp_path))
    assert isinstance(error, PipelineError)
    assert str(error).startswith("json.decoder.JSONDecodeError: Expecting property name")


def test_notes_are_events_before_they_are_lines(tmp_path: Path, processes: StepProcesses) -> None:
    given, known, late = command(tell, tmp_path), list[str](), list[str]()
    events = EventFile(given.events)

    def take(line: str) -> None:
        known.extend(events.new_notes())
        late.extend(note for note, first in NOTES.items() if line == first and note not in known)

    assert processes.run(given, take) == 0
    assert (known, late) == (list(NOTES), [])


def test_an_event_that_a_killed_step_has_half_written_is_none(tmp_path: Path) -> None:
    events = EventFile(tmp_path / "events.jsonl")
    assert events.new_notes() == []
    events.note("whole")
    with (tmp_path / "events.jsonl").open("a") as file:
        file.write('{"message": "ha')
    assert events.new_notes() == ["whole"]
    assert events.new_notes() == []


@pytest.mark.parametrize(
    ("function", "end"),
    [
        (kill_itself, "its process was ended by SIGKILL, as happens where the machine has no memory left"),
        (exit_at_once, "its process ended with exit code 7"),
    ],
)
def test_a_step_that_dies_without_a_word_is_reported_and_the_next_one_runs(
    function: Callable[[], None], end: str, tmp_path: Path, processes: StepProcesses
) -> None:
    error = Lines().run(processes, command(function, tmp_path))
    assert isinstance(error, PipelineError)
    assert str(error) == end
    assert Lines().run(processes, command(compute, tmp_path)) is None


def test_what_a_step_registers_for_its_exit_is_run(tmp_path: Path, processes: StepProcesses) -> None:
    lines = Lines()
    assert lines.run(processes, command(leave_at_exit, tmp_path)) is None
    assert lines[-1] == "left\n"


def test_two_steps_draw_different_random_numbers(tmp_path: Path, processes: StepProcesses) -> None:
    first, second = Lines(), Lines()
    for lines in (first, second):
        assert lines.run(processes, command(draw, tmp_path)) is None
    assert not set(first[-2].split()) & set(second[-2].split())


def test_a_forked_step_finds_its_imports_loaded(tmp_path: Path) -> None:
    for processes, found in ((ForkServer([]), "loaded\n"), (FreshInterpreters(), "not loaded\n")):
        lines = Lines()
        with processes:
            assert lines.run(processes, command(say_what_is_loaded, tmp_path)) is None
        assert found in lines


def test_linear_algebra_and_openmp_work_in_a_fork_again_and_again(tmp_path: Path) -> None:
    with ForkServer(imports_of(inspect.getsource(compute))) as server:
        for _ in range(3):
            lines = Lines()
            assert lines.run(server, command(compute, tmp_path)) is None
            assert "computed\n" in lines


def test_an_interrupt_leaves_no_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fork_server, "GRACE_SECONDS", 0.2)
    pids = list[int]()

    def interrupt(line: str) -> None:
        if line.strip().isdigit():
            pids.append(int(line))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), ForkServer([]) as server:
        server.run(command(wait_for_ever, tmp_path), interrupt)
    [pid] = pids
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    assert not multiprocessing.active_children()


def test_a_server_that_was_killed_is_reported(tmp_path: Path) -> None:
    with ForkServer([]) as server:
        [process] = multiprocessing.active_children()
        os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        with pytest.raises(Exception, match="the process that starts the steps has ended"):
            server.run(command(compute, tmp_path), print)


def test_nothing_but_openblas_and_arrow_has_a_thread_where_steps_are_forked(tmp_path: Path) -> None:
    """What else starts one when it is imported would hang in a step: it may not be loaded before the fork."""
    with local_steps() as server:
        [process] = multiprocessing.active_children()
        # It serves a request only once the request's imports are loaded.
        given = command(say_what_is_loaded, tmp_path)
        source = "import lifeboat.evaluate.publish, lifeboat.deploy.step, lifeboat.train.step\n" + given.source
        assert server.run(StepCommand(source, given.arguments, {}), print) == 0
        threads = len(list(Path(f"/proc/{process.pid}/task").iterdir()))
    cores = len(os.sched_getaffinity(0))
    # Its own, one of Arrow's allocator, and OpenBLAS's for each core but one: numpy's and SciPy's.
    assert threads <= 2 + 2 * (cores - 1)


def test_the_pipeline_is_built_before_much_is_loaded() -> None:
    """kfp looks through all modules that are loaded, over and over: with scikit-learn's a run began a second later."""
    code = "import sys, lifeboat.cli.run; print([name for name in ('kfp', 'sklearn', 'pandas') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_imports_are_read_from_the_sources_in_their_order() -> None:
    assert imports_of(textwrap.dedent(inspect.getsource(compute))) == [
        "import numpy as np",
        "from sklearn.ensemble import HistGradientBoostingClassifier",
    ]


def test_a_command_that_is_no_lightweight_components_is_refused() -> None:
    with pytest.raises(ValueError, match="no command of a lightweight component"):
        StepCommand.parse(["python", "train.py"], {})
