"""The pipeline run once, from the images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.infra.images.steps import Steps


@pytest.fixture(scope="package")
def steps(tmp_path_factory: pytest.TempPathFactory) -> Steps:
    """After preprocess and train."""
    steps = Steps(tmp_path_factory.mktemp("steps"))
    steps.run("preprocess", usecase="titanic", data="", labelled=False)
    steps.run("train", usecase="titanic", seed=0)
    return steps


@pytest.fixture(scope="package")
def bundle(steps: Steps) -> Path:
    """The bundle that the image of `train` made."""
    return steps.folder / "bundle"


@pytest.fixture(scope="package")
def judged(steps: Steps) -> dict[str, Any]:
    """What evaluate tells Kubeflow."""
    return steps.run("evaluate", usecase="titanic", extra_gates="", reason="a test")
