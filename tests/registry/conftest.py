"""One database, made once and copied for each test: MLflow takes seconds to make one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from components.core.settings import LIBRARIES, Settings

# As `read_settings` does in a program's main, and before MLflow is imported.
for name, value in LIBRARIES.items():
    os.environ.setdefault(name, value)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty MLflow database."""
    from components.core.registry import Registry

    home = tmp_path_factory.mktemp("template")
    Registry(Settings(home=str(home))).aliased("none", "champion")
    return home / "mlflow.db"


@pytest.fixture
def settings(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a home of this test's own, with an empty registry."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")  # MLflow sets it
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(template, home / "mlflow.db")
    return Settings(home=str(home))
