"""A project's own image, as its Makefile builds it from the components' image, and its pipeline's steps run in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lifeboat.model.bundle import open_bundle
from tests.infra.images.engine import LOCKED, WRITABLE, client, docker, image
from tests.infra.images.steps import Steps
from tests.project.penguins import write_penguins

LIFEBOAT = (sys.executable, "-m", "lifeboat.cli.main")


def test_a_projects_steps_run_in_the_image_that_its_makefile_builds(tmp_path: Path) -> None:
    base, project = image("components"), tmp_path / "species"
    path = f"{Path(client()).parent}{os.pathsep}{os.environ['PATH']}"

    def said(*words: str, folder: Path = project) -> str:
        return subprocess.run(
            words, cwd=folder, env={**os.environ, "PATH": path}, capture_output=True, text=True, timeout=600, check=True
        ).stdout

    said(*LIFEBOAT, "init", "species", "--data", str(write_penguins(tmp_path)), "--yes", folder=tmp_path)
    said("make", "image", f"BASE={base}")
    said(*LIFEBOAT, "compile", "pipeline.yaml")
    (tmp_path / "steps").mkdir()
    steps = Steps(tmp_path / "steps", project / "pipeline.yaml")
    own = steps.image_of("train")
    assert own == "species/components:0.1.0"
    try:
        # By its name alone, which is the default that the compiled pipeline has: the package is in the image.
        steps.run("preprocess", own, usecase="species", data="", labelled=False)
        steps.run("train", own, usecase="species", seed=0)
        judged = steps.run("evaluate", own, usecase="species", extra_gates="", reason="a test")
        assert judged["parameterValues"]["Output"] is True
        assert open_bundle(steps.folder / "bundle").usecase == "species"
        steps.run("keep", own)
        # The command line of the image, as the retrain trigger starts it.
        checked = docker("run", "--rm", "--network=none", *LOCKED, *WRITABLE, own, "check", "--usecase", "species")
        assert "(use case species)" in checked.stdout
    finally:
        docker("image", "rm", "--force", own, check=False)
