"""The servers' environments: made with uv from a lock that the package carries, once, and kept in the user's cache.

The drift detector needs numpy 1, Python 3.11 and packages whose own bounds uv overrides; the model server is to hold no
library of training. Neither can be the environment in which a user's pipeline runs.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lifeboat
from lifeboat.config.errors import SetupError
from lifeboat.system.files import holding_lock

LOCKS = Path(__file__).parent / "locks"
# Written last: what was installed.
RECORD = "lifeboat.json"


@dataclass(frozen=True)
class Environment:
    """A server's environment, made or not.

    Args:
        name: of its lock, `serving` or `drift`.
        title: whose it is, for people.
        version: of Python, such as 3.11.
        cache: the folder of all of them.
    """

    name: str
    title: str
    version: str
    cache: Path

    @property
    def folder(self) -> Path:
        """Its own, by all that it is made of: another lock or another installation of Lifeboat gets another one."""
        parts = [self.lock.read_text(), self.version, *map(str, _code())]
        return self.cache / f"{self.name}-{hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]}"

    @property
    def lock(self) -> Path:
        """Every package with its version and hashes, as requirements of pip."""
        return LOCKS / f"{self.name}.txt"

    @property
    def python(self) -> Path:
        """Its interpreter, once it is made."""
        return self.folder / "bin" / "python"

    def is_whole(self) -> bool:
        """Whether it was made and nothing that it was made of is missing since."""
        try:
            installed: list[str] = json.loads((self.folder / RECORD).read_text())
        except (OSError, ValueError):
            return False
        return self.python.exists() and all((self.folder / path).exists() for path in installed)

    def make(self, say: Callable[[str], None]) -> None:
        """Makes it, unless it is whole; whoever is second waits for the first.

        Raises:
            SetupError: uv cannot; its own lines, on standard error, say why.
            StorageError: the cache cannot be written.
        """
        if self.is_whole():
            return
        folder = self.folder
        with holding_lock(self.cache / f"{folder.name}.lock"):
            if self.is_whole():
                return
            broken = folder.exists()
            packages = sum(line[:1].isalnum() for line in self.lock.read_text().splitlines())
            say(
                f"{'repairing' if broken else 'setting up'} the {self.title}'s environment"
                f"{'' if broken else ', once'}: {packages} packages, in {folder}"
            )
            temporary = Path(tempfile.mkdtemp(dir=self.cache, prefix=f".{folder.name}-"))
            try:
                self._fill(temporary)
                shutil.rmtree(folder, ignore_errors=True)
                temporary.rename(folder)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)

    def _fill(self, target: Path) -> None:
        uv = _find_uv()
        self._run([uv, "venv", "--quiet", "--allow-existing", "--no-project", "--python", self.version, str(target)])
        self._run(
            [uv, "pip", "install", "--no-deps", "--require-hashes", "--compile-bytecode",
             "--python", str(target / "bin" / "python"), "--requirement", str(self.lock)]
        )  # fmt: skip
        packages = next(target.glob("lib/python3*/site-packages"))
        links = []
        for number, part in enumerate(_code()):
            link = target / "code" / str(number) / "lifeboat"
            link.parent.mkdir(parents=True)
            link.symlink_to(part)
            links.append(link)
        # Its own name is another one until it is whole.
        lines = [str(self.folder / link.parent.relative_to(target)) for link in links]
        (packages / "lifeboat-code.pth").write_text("\n".join(lines) + "\n")
        parts = [*links, *(path / "RECORD" for path in packages.glob("*.dist-info"))]
        (target / RECORD).write_text(json.dumps(sorted(str(path.relative_to(target)) for path in parts), indent=1))

    def _run(self, command: list[str]) -> None:
        try:
            subprocess.run(command, stdout=sys.stderr, check=True)
        except subprocess.CalledProcessError as error:
            raise SetupError(
                f"the {self.title}'s environment could not be made (no package index within reach, no Python "
                f"{self.version}, or a full disk?): uv ended with {error.returncode}; its own lines are above"
            ) from error


def _code() -> list[Path]:
    """The folders of this package `lifeboat`: one in an installed wheel, three in a checkout."""
    return sorted(Path(part).resolve() for part in lifeboat.__path__)


def _find_uv() -> str:
    """The uv that was installed with Lifeboat, else the one on the path."""
    own = Path(sys.executable).with_name("uv")
    found = str(own) if own.exists() else shutil.which("uv")
    if found is None:
        raise SetupError("uv is not there, which makes the servers' environments: pip install uv")
    return found
