"""What a person sees of a local run: kfp's own lines become events, all of them go to the log."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from components.core.errors import PipelineError
from pipelines import local
from pipelines.local import Event, RunLog

# As kfp.local 2.17.0 prints them, colours and all.
STARTED = "00:00:23.079 - INFO - Executing task \x1b[96m'good'\x1b[0m\n"
CHATTER = """\
00:00:23.079 - INFO - Streamed logs:

    [KFP Executor 2026-11-23 00:00:23,163 INFO]: Got executor_input:
    {
        "inputs": {},
    }
"""
NOTE = "    lifeboat> 891 rows read\n"
ENDED = "00:00:23.182 - INFO - Task \x1b[96m'good'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m\n"
NO_OUTPUTS = "00:00:23.182 - INFO - Task \x1b[96m'good'\x1b[0m has no outputs\n"
BAD_STARTED = "00:00:23.183 - INFO - Executing task \x1b[96m'bad-step'\x1b[0m\n"
TRACEBACK = """\
    Traceback (most recent call last):
      File "ephemeral_component.py", line 8, in bad
        raise ValueError("the first one")
    ValueError: the first one

    The above exception was the direct cause of the following exception:

    Traceback (most recent call last):
      File "ephemeral_component.py", line 9, in bad
        raise DataError('label holds 7', file='a.csv', row=3)
    components.core.errors.DataError: a.csv, row 3: label holds 7

"""
BAD_ENDED = "00:00:23.350 - ERROR - Task \x1b[96m'bad-step'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m\n"
RUN = STARTED + CHATTER + NOTE + ENDED + NO_OUTPUTS + BAD_STARTED + TRACEBACK + BAD_ENDED


class World:
    """A RunLog with what it wrote and showed."""

    def __init__(self) -> None:
        self.file, self.events = io.StringIO(), list[Event]()
        self.log = RunLog(self.file, self.events.append)

    @property
    def shown(self) -> list[tuple[str, str, str]]:
        return [(event.kind, event.step, event.text) for event in self.events if event.kind != "line"]


EXPECTED = [
    ("start", "good", ""),
    ("note", "good", "891 rows read"),
    ("end", "good", "SUCCESS"),
    ("start", "bad-step", ""),
    ("end", "bad-step", "FAILURE"),
]


def test_kfps_lines_become_events() -> None:
    world = World()
    world.log.write(RUN)
    assert world.shown == EXPECTED
    assert world.log.steps == ["good", "bad-step"]
    assert all(event.seconds >= 0 for event in world.events)


@pytest.mark.parametrize("size", [1, 7, 50])
def test_lines_may_come_in_pieces(size: int) -> None:
    world = World()
    for start in range(0, len(RUN), size):
        assert world.log.write(RUN[start : start + size]) == len(RUN[start : start + size])
    assert world.shown == EXPECTED
    assert world.log.error == "a.csv, row 3: label holds 7"


def test_every_line_goes_to_the_file_without_colours() -> None:
    world = World()
    world.log.write(RUN)
    written = world.file.getvalue()
    assert "\x1b" not in written
    assert written.count("\n") == RUN.count("\n")
    assert "Task 'good' finished with status SUCCESS" in written


def test_other_lines_are_events_of_their_own_with_their_indentation() -> None:
    world = World()
    world.log.write(STARTED + CHATTER)
    lines = [event.text for event in world.events if event.kind == "line"]
    assert '        "inputs": {},' in lines
    assert all(event.step == "good" for event in world.events)


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("components.core.errors.GateError: no verdict: it cannot be read", "no verdict: it cannot be read"),
        ("KeyError: 'Sex'", "KeyError: 'Sex'"),
        ("sqlalchemy.exc.OperationalError: (x) locked", "sqlalchemy.exc.OperationalError: (x) locked"),
        ("MemoryError", "MemoryError"),
        ("KeyboardInterrupt", "KeyboardInterrupt"),
        ("an Error: of prose", ""),
        ("UserWarning: nothing wrong", ""),
    ],
)
def test_an_errors_sentence_is_the_tracebacks_last_line(line: str, sentence: str) -> None:
    world = World()
    world.log.write(BAD_STARTED + f"    Traceback (most recent call last):\n    {line}\n" + BAD_ENDED)
    assert world.log.error == sentence


def test_an_error_that_an_earlier_step_survived_is_not_blamed_on_a_later_one() -> None:
    world = World()
    world.log.write(STARTED + "    ValueError: logged and survived\n" + ENDED + BAD_STARTED + BAD_ENDED)
    assert world.log.error == ""


@pytest.fixture
def failing_run(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """`run_pipeline` with a pipeline that prints the texts of the list and then fails as kfp.local does."""
    texts: list[str] = []

    def fail(*_: object) -> RuntimeError:
        print("".join(texts), end="")
        return RuntimeError("Pipeline \x1b[95m'p'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m.")

    monkeypatch.setattr(local, "_run", fail)
    return texts


def test_a_failed_run_names_the_step_its_sentence_and_the_log(tmp_path: Path, failing_run: list[str]) -> None:
    failing_run += [RUN]
    with pytest.raises(PipelineError) as caught:
        local.run_pipeline(tmp_path / "run", {}, list[Event]().append)
    log = tmp_path / "run" / "run.log"
    assert str(caught.value) == f"step bad-step failed: a.csv, row 3: label holds 7 (log: {log})"
    assert "Traceback" in log.read_text()


def test_a_step_that_dies_without_a_word_gives_kfps_sentence_without_colours(
    tmp_path: Path, failing_run: list[str]
) -> None:
    failing_run += [BAD_STARTED, BAD_ENDED]
    with pytest.raises(PipelineError, match=r"^step bad-step failed: Pipeline 'p' finished with status FAILURE\. \("):
        local.run_pipeline(tmp_path / "run", {}, list[Event]().append)
