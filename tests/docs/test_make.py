"""The verbs of the Makefile that start a program of ours, as make itself would run them."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.docs.documents import ROOT

PROGRAMS = ("run", "status", "serve", "stop", "ui", "mlflow-ui", "notebook", "trigger", "loop")


def shown(verb: str, *variables: str, **environment: str) -> str:
    """The last command of a verb; nothing is run."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LIFEBOAT_", "MAKE"))}
    command = ["make", "--dry-run", verb, *variables]
    done = subprocess.run(command, cwd=ROOT, env={**clean, **environment}, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("verb", PROGRAMS)
def test_what_is_given_as_args_reaches_the_program(verb: str) -> None:
    assert shown(verb, "ARGS=--given yes").endswith(" --given yes")


def test_the_registry_that_is_browsed_is_that_of_the_settings() -> None:
    assert f"='sqlite:///{ROOT}/.lifeboat/mlflow.db' " in shown("mlflow-ui")
    assert "='sqlite:////srv/home/mlflow.db' " in shown("mlflow-ui", LIFEBOAT_HOME="/srv/home")
    assert f"='sqlite:///{ROOT}/a home/mlflow.db' " in shown("mlflow-ui", LIFEBOAT_HOME="a home")
    assert r"='sqlite:////srv/d'\''État à part/mlflow.db' " in shown("mlflow-ui", LIFEBOAT_HOME="/srv/d'État à part")
    assert "='http://registry:5000' " in shown("mlflow-ui", LIFEBOAT_TRACKING_URI="http://registry:5000")
