"""What a person sees of a local run: starts, notes and ends of steps are events, every line goes to the log.

Notes and errors come from the file that a step's process writes, and nothing from the lines that it prints.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from lifeboat.config.errors import DataError, LifeboatError, PipelineError
from lifeboat.pipeline import local_run as local
from lifeboat.pipeline.local_run import RunEvent, RunLog
from lifeboat.pipeline.steps.events import EventFile
from lifeboat.pipeline.steps.execution import StepCommand
from lifeboat.system.tracing import Span, Tracer

# As kfp.local 2.17.0 prints around a step, colours and all.
BEFORE = "00:00:23.079 - INFO - Executing task \x1b[96m'good'\x1b[0m\n00:00:23.079 - INFO - Streamed logs:\n\n"
CHATTER = """\
    [KFP Executor 2026-11-23 00:00:23,163 INFO]: Got executor_input:
    {
        "inputs": {},
    }
"""
NOTE = "lifeboat> 891 rows read\n"
ENDED = "00:00:23.182 - INFO - Task \x1b[96m'good'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m\n"
RUN = BEFORE + CHATTER + NOTE + ENDED


WRONG = DataError("label holds 7", file="a.csv", row=3)


class Processes:
    """Stand in for processes: a step prints `lines`, those of notes told as events first, and ends as `code` says."""

    def __init__(self, lines: str = "", code: int = 0, error: LifeboatError | None = None) -> None:
        self.lines, self.code, self.error = lines, code, error

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        """Holds nothing."""

    def run(self, command: StepCommand, show: Callable[[str], None]) -> int:
        events = EventFile(command.events)
        # As it may be: the step is faster than who reads its lines.
        if self.error:
            events.end(self.error)
        for line in self.lines.splitlines(keepends=True):
            if line == NOTE:
                events.note("891 rows read")
            show(line)
        return self.code


def step(folder: Path, name: str, **outputs: str) -> StepCommand:
    places = {key: {"artifacts": [{"uri": uri}]} for key, uri in outputs.items()}
    document = {"outputs": {"outputFile": str(folder / name / "executor_output.json"), "artifacts": places}}
    return StepCommand("", ("--executor_input", json.dumps(document)), {})


class World:
    """A RunLog with what it wrote and showed."""

    def __init__(self) -> None:
        self.file, self.events = io.StringIO(), list[RunEvent]()
        self.log = RunLog(self.file, self.events.append)

    @property
    def shown(self) -> list[tuple[str, str, str]]:
        return [(event.kind, event.step, event.text) for event in self.events if event.kind != "line"]


def test_a_steps_start_notes_and_end_become_events(tmp_path: Path) -> None:
    world = World()
    with contextlib.redirect_stdout(world.log):
        assert world.log.run_step(Processes(NOTE), step(tmp_path, "good")) is None
        error = world.log.run_step(Processes(code=1, error=WRONG), step(tmp_path, "bad-step"))
    assert world.shown == [
        ("start", "good", ""),
        ("note", "good", "891 rows read"),
        ("end", "good", "SUCCESS"),
        ("start", "bad-step", ""),
        ("end", "bad-step", "FAILURE"),
    ]
    assert all(event.seconds >= 0 for event in world.events)
    assert (world.log.step, str(error)) == ("bad-step", "a.csv, row 3: label holds 7")


def test_a_note_is_shown_before_the_next_line_and_its_own_line_is_only_in_the_log(tmp_path: Path) -> None:
    world = World()
    with contextlib.redirect_stdout(world.log):
        world.log.run_step(Processes(f"before\n{NOTE}after\n"), step(tmp_path, "good"))
    told = [(event.kind, event.text) for event in world.events if event.text.strip()]
    assert told == [("line", "before"), ("note", "891 rows read"), ("line", "after"), ("end", "SUCCESS")]
    assert NOTE in world.file.getvalue()


def test_a_line_that_looks_like_a_note_is_none(tmp_path: Path) -> None:
    world = World()
    with contextlib.redirect_stdout(world.log):
        world.log.run_step(Processes("lifeboat> a library says so\n"), step(tmp_path, "good"))
    assert ("line", "lifeboat> a library says so") in [(event.kind, event.text) for event in world.events]
    assert not [event for event in world.events if event.kind == "note"]


def test_a_steps_outputs_are_known_by_their_names(tmp_path: Path) -> None:
    world = World()
    with contextlib.redirect_stdout(world.log):
        world.log.run_step(Processes(), step(tmp_path, "good", card="/run/good/card"))
    assert world.log.outputs == {"good": {"card": Path("/run/good/card")}}


@pytest.mark.parametrize("size", [1, 7, 50])
def test_lines_may_come_in_pieces(size: int) -> None:
    world = World()
    for start in range(0, len(RUN), size):
        assert world.log.write(RUN[start : start + size]) == len(RUN[start : start + size])
    assert [event.text for event in world.events] == world.file.getvalue().split("\n")[:-1]


def test_every_line_goes_to_the_file_without_colours() -> None:
    world = World()
    world.log.write(RUN)
    written = world.file.getvalue()
    assert "\x1b" not in written
    assert written.count("\n") == RUN.count("\n")
    assert "Task 'good' finished with status SUCCESS" in written


def test_other_lines_are_events_of_their_own_with_their_indentation(tmp_path: Path) -> None:
    world = World()
    with contextlib.redirect_stdout(world.log):
        world.log.run_step(Processes(CHATTER), step(tmp_path, "good"))
    lines = [event.text for event in world.events if event.kind == "line"]
    assert '        "inputs": {},' in lines
    assert all(event.step == "good" for event in world.events)


def test_a_step_that_ended_well_has_no_error_whatever_it_printed(tmp_path: Path) -> None:
    world = World()
    with contextlib.redirect_stdout(world.log):
        assert world.log.run_step(Processes("ValueError: logged and survived\n"), step(tmp_path, "good")) is None


def run(folder: Path, processes: Processes) -> None:
    local.run_pipeline(folder, {}, list[RunEvent]().append, processes)


def test_a_failed_run_names_the_step_its_sentence_and_the_log(tmp_path: Path) -> None:
    failing = Processes("Traceback (most recent call last):\n", 1, WRONG)
    with pytest.raises(PipelineError) as caught:
        run(tmp_path / "run", failing)
    log = tmp_path / "run" / "run.log"
    assert str(caught.value) == f"step preprocess failed: a.csv, row 3: label holds 7 (log: {log})"
    assert (caught.value.step, caught.value.log) == ("preprocess", str(log))
    cause = caught.value.__cause__
    assert isinstance(cause, DataError)
    assert vars(cause) == vars(WRONG)
    assert "    Traceback" in log.read_text()


def test_a_run_that_kfp_itself_ends_has_its_sentence_without_colours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "Pipeline \x1b[95m'p'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m."
    monkeypatch.setattr(local, "_run", lambda *_: RuntimeError(sentence))
    with pytest.raises(PipelineError, match=r"^step none failed: Pipeline 'p' finished with status FAILURE\. \("):
        run(tmp_path / "run", Processes())


def test_a_run_is_traced_by_step_and_the_steps_know_it(tmp_path: Path) -> None:
    seen: list[tuple[Span, str]] = []
    told: list[StepCommand] = []

    class Told(Processes):
        def run(self, command: StepCommand, show: Callable[[str], None]) -> int:
            told.append(command)
            return super().run(command, show)

    whole = Tracer(lambda span, _, error: seen.append((span, error)), 1.0).begin("", "lifeboat run", "internal")
    assert whole is not None
    with pytest.raises(PipelineError):
        local.run_pipeline(tmp_path / "run", {}, list[RunEvent]().append, Told("", 1, WRONG), whole)
    ((part, error),) = seen
    assert (part.name, part.trace_id, part.parent_id, error) == (
        "preprocess",
        whole.trace_id,
        whole.span_id,
        "DataError",
    )
    assert told[0].fields == {"step": "preprocess", **part.fields}


def test_what_a_step_tells_is_a_line_of_the_log(tmp_path: Path) -> None:
    events = EventFile(tmp_path / "events.jsonl", {"step": "train", "trace_id": "a"})
    events.note("891 rows read")
    events.end(WRONG)
    note, error = map(json.loads, (tmp_path / "events.jsonl").read_text().splitlines())
    assert list(note) == ["time", "level", "pid", "service", "message", "step", "trace_id"]
    assert (note["level"], note["service"], note["message"]) == ("info", "pipeline", "891 rows read")
    assert (error["level"], error["message"], error["error"]) == ("error", str(WRONG), "DataError")
    assert events.new_notes() == ["891 rows read"]
    assert vars(events.error) == vars(WRONG)
