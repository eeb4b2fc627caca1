"""The comparison with Seldon's wrapper, which needs an environment of its own: `make conformance` makes it."""

from __future__ import annotations

import subprocess

import pytest

from tests.server.world import ROOT

WRAPPER = ROOT / ".venvs" / "wrapper" / "bin" / "python"


@pytest.mark.skipif(not WRAPPER.exists(), reason="Seldon's wrapper is not installed; `make conformance` installs it")
def test_our_answers_are_those_of_seldons_wrapper_but_where_the_table_says_why_not() -> None:
    command = [str(WRAPPER), "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/server/conformance"]
    finished = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert finished.returncode == 0, finished.stdout[-3000:]
