"""Terraform's files copied to where a test may write, and Terraform to run on them."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.infra.tools import ROOT, tool

SOURCE = ROOT / "terraform"

Terraform = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def terraform() -> Terraform:
    """Runs Terraform in a directory, without colour, questions or calls home."""
    binary = tool("terraform")
    environment = {**os.environ, "TF_IN_AUTOMATION": "1", "CHECKPOINT_DISABLE": "1", "TF_INPUT": "0"}

    def run(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [binary, *arguments, "-no-color"],
            cwd=directory, env=environment, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip

    return run


@pytest.fixture(scope="session")
def with_provider(terraform: Terraform, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the folder with Google's provider, from Terraform's registry or, offline, from the directory that
    TERRAFORM_PLUGINS names. Skips where there is neither: it takes a fraction of a second to find out."""
    copy = tmp_path_factory.mktemp("root") / "terraform"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns(".terraform"))
    plugins = os.environ.get("TERRAFORM_PLUGINS")
    arguments = ["-plugin-dir", plugins] if plugins else []
    if plugins:
        # The lock file knows what the registry gives; a provider built by hand has another checksum.
        (copy / ".terraform.lock.hcl").unlink()
    done = terraform(copy, "init", "-backend=false", *arguments)
    if done.returncode and "Failed to query available provider packages" in done.stderr:
        pytest.skip("Google's provider cannot be had: no way to Terraform's registry, and TERRAFORM_PLUGINS is not set")
    assert done.returncode == 0, done.stderr
    return copy
