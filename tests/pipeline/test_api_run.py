"""A run from Python that does not get to its end; those that do are in test_titanic.py, with the notebooks."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from lifeboat.api import run
from lifeboat.config.errors import PipelineError, SettingsError, UseCaseError
from lifeboat.config.settings import NO_DETECTOR, Settings
from lifeboat.usecase.importing import reference_of
from lifeboat.usecases.titanic import USECASE
from tests.pipeline.laptop import ROOT, Laptop
from tests.usecases import breast_cancer

INTERRUPTED = """
from lifeboat.api import run
try:
    run("titanic", say=lambda line: print(line, flush=True))
except KeyboardInterrupt:
    print("interrupted here", flush=True)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=str(tmp_path / "home"), detector_python=NO_DETECTOR)


def test_what_would_stop_it_is_raised_with_every_line_shown(settings: Settings, tmp_path: Path) -> None:
    lines: list[str] = []
    missing = tmp_path / "nowhere.csv"
    with pytest.raises(PipelineError, match=f"{missing}: no such file"):
        run(USECASE, data=missing, settings=settings, say=lines.append)
    assert lines[-1].startswith(f"lifeboat: {missing}")


def test_a_wrong_gate_is_an_error_of_its_own_kind(settings: Settings) -> None:
    with pytest.raises(Exception, match="roc_auc>0.9") as raised:
        run("titanic", require="roc_auc>0.9", settings=settings, say=lambda _: None)
    assert type(raised.value).__name__ == "GateError"


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"as_of": "yesterday"}, "as_of: 'yesterday' is no moment"),
        ({"as_of": datetime(2026, 1, 1)}, "as_of: '2026-01-01T00:00:00' is no moment"),  # noqa: DTZ001
        ({"seed": -1}, "seed is -1, it must be 0 to 4294967295"),
        ({"seed": "1"}, "seed is '1', not a whole number"),
        ({"data": pa.table({"a": [1]})}, "data is a Table, not a text or a path"),
        ({"data": "a\0b"}, "data holds a null character"),
        ({"require": 0.9}, "require is a float, not a text"),
    ],
)
def test_an_argument_that_is_none_is_refused_before_anything_runs(
    settings: Settings, given: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(sentence)):
        run("titanic", **given, settings=settings, say=lambda _: None)


def test_a_moment_may_be_a_datetime_and_its_rows_are_asked_for(settings: Settings) -> None:
    with pytest.raises(SettingsError, match="--as-of is of the labelled rows"):
        run("titanic", as_of=datetime(2026, 1, 1, tzinfo=UTC), labelled=False, settings=settings, say=lambda _: None)


@pytest.mark.slow
def test_an_interruption_ends_it_and_nothing_of_it_goes_on(tmp_path: Path) -> None:
    laptop = Laptop(tmp_path / "home")
    with subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED], cwd=ROOT, env=laptop.environment, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout
        for line in program.stdout:
            if "1. preprocess" in line:
                break
        group = int(subprocess.check_output(["ps", "-o", "pgid=", "--ppid", str(program.pid)], text=True).split()[0])
        assert group != os.getpgid(program.pid)
        program.send_signal(signal.SIGINT)
        assert program.stdout.read().endswith("interrupted here\n")
    with pytest.raises(ProcessLookupError):
        os.killpg(group, 0)


@pytest.mark.slow
def test_it_ends_with_the_one_who_reads_its_lines_also_where_interruptions_are_ignored(
    settings: Settings, tmp_path: Path
) -> None:
    def refuse(line: str) -> None:
        if "1. preprocess" in line:
            raise ValueError("enough")

    # As a script's background job has it.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(ValueError, match="enough"):
            run("titanic", settings=settings, say=refuse)
    finally:
        signal.signal(signal.SIGINT, before)
    [log] = (tmp_path / "home" / "runs").glob("*/run.log")
    assert "evaluate" not in log.read_text()


def test_a_use_case_that_nobody_can_import_is_refused(settings: Settings) -> None:
    with pytest.raises(UseCaseError, match=r"no imported module holds this as its USECASE.*a \.py file"):
        run(replace(USECASE, title="changed here"), settings=settings)


def test_a_use_case_is_found_by_name_by_the_projects_word_or_by_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    # This module holds both as well.
    assert reference_of(USECASE, "breast-cancer") == "titanic"
    assert reference_of(USECASE, "lifeboat.usecases.titanic") == "lifeboat.usecases.titanic"
    place = breast_cancer.__file__
    assert reference_of(breast_cancer.USECASE, "") == place
    dotted = "tests.usecases.breast_cancer"
    # Python has it in this process alone, as in a notebook of a project that is not installed.
    assert reference_of(breast_cancer.USECASE, dotted) == place
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    assert reference_of(breast_cancer.USECASE, dotted) == dotted


def test_the_result_of_a_run_before_is_not_left_for_this_ones(tmp_path: Path) -> None:
    laptop, result = Laptop(tmp_path / "home"), tmp_path / "result.json"
    result.write_text('{"url": "http://127.0.0.1:1"}')
    laptop.lifeboat("run", "--data", "nowhere.csv", "--result", str(result), code=1)
    assert json.loads(result.read_text())["error"] == "PipelineError"
    nowhere = tmp_path / "none" / "result.json"
    said = laptop.lifeboat("run", "--data", "nowhere.csv", "--result", str(nowhere), code=1)
    assert "cannot be written: its folder is none" in said
