"""Programs built from Go modules.

A build takes minutes once; its result is kept in $XDG_CACHE_HOME/lifeboat (or ~/.cache/lifeboat).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Program:
    """A command of a Go module.

    Args:
        name: of the program.
        module, version: of its module.
        command: its package below the module.
        stamp: the linker's words that tell it its version.
        tags: of its build.
    """

    name: str
    module: str
    version: str
    command: str
    stamp: str
    tags: str = ""

    @property
    def binary(self) -> Path:
        """Where the built program is kept."""
        home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
        return Path(home) / "lifeboat" / f"{self.name}-{self.version}"

    def build(self, more: str = "") -> Path:
        """Builds it if it is not there yet, with the versions that its module asks for.

        Args:
            more: lines of go.mod besides that which asks for the module.
        """
        if not self.binary.exists():
            folder = self.binary.with_name(f"build-{self.name}-{self.version}")
            folder.mkdir(parents=True, exist_ok=True)
            required = f"require {self.module} v{self.version}\n"
            (folder / "go.mod").write_text(f"module lifeboat/{self.name}\n\n{required}{more}")
            made = Path(f"{self.binary}.new")
            words = ["-trimpath", f"-tags={self.tags}", "-ldflags", f"-s -w {self.stamp}", "-o", str(made)]
            _go("build", *words, f"{self.module}/{self.command}", folder=folder)
            made.replace(self.binary)
        return self.binary

    def downloaded(self, what: str) -> Path:
        """What Go says of the module once it has it: `Dir` is its folder, `GoMod` its go.mod."""
        folder = self.binary.parent
        folder.mkdir(parents=True, exist_ok=True)
        answer = _go("mod", "download", "-json", f"{self.module}@v{self.version}", folder=folder)
        return Path(json.loads(answer)[what])


def path() -> str:
    """PATH, and where Go's own installer puts it."""
    return f"{os.environ['PATH']}:/usr/local/go/bin"


def lacking(names: Iterable[str]) -> list[str]:
    """The programs that are needed and not here."""
    return [name for name in names if not shutil.which(name, path=path())]


def _go(*words: str, folder: Path) -> str:
    environment = {**os.environ, "PATH": path(), "GOFLAGS": "-mod=mod"}
    done = subprocess.run(["go", *words], cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout
