"""The command line in a home of the test's own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import pytest

from lifeboat.cli.main import main
from lifeboat.config.settings import NO_DETECTOR, PREFIX


@dataclass(frozen=True)
class Said:
    """What one call of the program gave."""

    code: int
    output: str
    errors: str

    @property
    def sentence(self) -> str:
        """Of a failure: the one line on standard error."""
        assert (self.code, self.output, self.errors.count("\n")) == (1, "", 1), self
        assert self.errors.startswith("lifeboat: ")
        return self.errors.removeprefix("lifeboat: ").rstrip("\n")


Lifeboat = Callable[..., Said]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """The state directory, also in the environment, which is put back afterwards: `main` adds to it; no detector."""
    with patch.dict(os.environ):
        for name in [name for name in os.environ if name.startswith(PREFIX)]:
            del os.environ[name]
        os.environ["LIFEBOAT_HOME"] = str(tmp_path / "home")
        os.environ["LIFEBOAT_DETECTOR_PYTHON"] = NO_DETECTOR
        yield tmp_path / "home"


@pytest.fixture
def lifeboat(home: Path, capsys: pytest.CaptureFixture[str]) -> Lifeboat:
    """Runs the program in this process."""

    def call(*arguments: str) -> Said:
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as end:  # argparse's
            code = int(end.code or 0)
        return Said(code, *capsys.readouterr())

    return call
