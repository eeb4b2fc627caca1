"""What the README says works after `make run`, run in a home where that was just done."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.docs.documents import README, commands
from tests.pipelines.test_run import Laptop

# Tested where their world is: another training, a second champion, Kubeflow's API, Alertmanager.
ELSEWHERE = {"retrain", "rollback", "run", "submit", "trigger"}
HERE = [command for command in commands(README) if command[0] not in ELSEWHERE]


def into(folder: Path, command: list[str]) -> list[str]:
    """The command with its output in a folder."""
    return [str(folder / word) if word.endswith((".yaml", ".parquet")) else word for word in command]


@pytest.mark.parametrize("command", HERE, ids=lambda command: command[0])
def test_a_command_of_the_readme_does_what_it_says(command: list[str], served: Laptop, tmp_path: Path) -> None:
    said = served.lifeboat(*into(tmp_path, command))
    if command[0] == "predict":
        answer = json.loads(said)
        assert answer["died"] + answer["survived"] == pytest.approx(1)
    elif command[0] == "features":
        assert said.startswith("Feature store of titanic: 0 labelled rows\n")
    elif command[0] == "status":
        assert "titanic" in said
    else:
        [written] = tmp_path.iterdir()
        assert written.stat().st_size > 1000


def test_some_are_run() -> None:
    assert {command[0] for command in HERE} == {"compile", "features", "predict", "score", "status"}
