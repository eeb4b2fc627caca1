"""A user's machine: a home and ports of its own, and the command line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lifeboat.config.settings import PORTS, Settings
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]


class Laptop:
    """A home, its ports, and the command line.

    Args:
        home: its folder.
        explainer, ui: whether it has them: a process more each, of which most tests want nothing.
    """

    def __init__(self, home: Path, *, explainer: bool = False, ui: bool = False) -> None:
        self.home = home
        ports = {name: free_port() for name in PORTS}
        self.settings = Settings(home=str(home), explainer=explainer, ui=ui, **ports)
        self.environment = {
            **os.environ,
            "LIFEBOAT_HOME": str(home),
            "LIFEBOAT_EXPLAINER": str(explainer),
            "LIFEBOAT_UI": str(ui),
            **{f"LIFEBOAT_{name.upper()}": str(port) for name, port in ports.items()},
            "COLUMNS": "200",
        }

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "lifeboat.cli.main", *arguments]

    def lifeboat(self, *arguments: str, code: int = 0) -> str:
        """Runs a verb, asserts its exit code and gives all it printed."""
        done = subprocess.run(
            self.command(*arguments), cwd=ROOT, env=self.environment, capture_output=True, text=True, timeout=300
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    @property
    def last_run(self) -> Path:
        return max((self.home / "runs").iterdir(), key=lambda folder: folder.stat().st_mtime)

    def output(self, name: str) -> Path:
        """An output of a step of the last run."""
        [found] = self.last_run.glob(f"*/{name}")
        return found

    @property
    def steps(self) -> set[str]:
        """Steps of the last run that left anything."""
        return {path.name for path in self.last_run.glob("lifeboat-*/*") if path.is_dir()}
