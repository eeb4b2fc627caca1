"""A home for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from components.core.settings import Settings


@pytest.fixture
def settings(empty_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a home of this test's own, with an empty registry."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")  # MLflow sets it
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(empty_registry, home / "mlflow.db")
    return Settings(home=str(home))
