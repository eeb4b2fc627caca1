"""A home for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lifeboat.config.settings import Settings
from lifeboat.registry.registry import Registry
from lifeboat.registry.versions import Version
from tests.registry.world import make_bundle, register


@pytest.fixture
def settings(empty_registry: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of a home of this test's own, with an empty registry."""
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", "")  # MLflow sets it
    home = tmp_path / "home"
    home.mkdir()
    shutil.copy(empty_registry, home / "mlflow.db")
    return Settings(home=str(home))


@pytest.fixture
def registry(settings: Settings, request: pytest.FixtureRequest) -> Registry:
    """The registry of this test's home, opened after `versions` has filled it."""
    if "versions" in request.fixturenames:
        request.getfixturevalue("versions")
    return Registry(settings)


@pytest.fixture(scope="module")
def three(empty_registry: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Version]]:
    """A home with three versions of three bundles, to be copied."""
    folder = tmp_path_factory.mktemp("three")
    (folder / "home").mkdir()
    shutil.copy(empty_registry, folder / "home" / "mlflow.db")
    registry = Registry(Settings(home=str(folder / "home")))
    return folder / "home", [register(registry, make_bundle(folder / f"{bias}", bias / 100)) for bias in range(3)]


@pytest.fixture
def versions(three: tuple[Path, list[Version]], settings: Settings) -> list[Version]:
    """Versions 1 to 3, registered in this test's home."""
    home, registered = three
    shutil.copytree(home, settings.home_path, dirs_exist_ok=True)
    return registered
