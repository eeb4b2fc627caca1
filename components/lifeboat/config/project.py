"""A project: the folder of whoever uses Lifeboat, whose pyproject.toml has a table `[tool.lifeboat]`.

The table holds settings by their names, such as `usecase = "species"`: what an environment variable or a flag does not
say. Paths in it start from the project's folder, and `.lifeboat`, the home, stands there, from whichever folder of the
project a verb is called.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeboat.config.errors import SettingsError

FILE = "pyproject.toml"
_PATHS = ("home", "store", "environments", "kfp_token_file", "log_level_file")


@dataclass(frozen=True)
class Project:
    """A project's folder and what its table says.

    Args:
        root: of the project.
        table: `[tool.lifeboat]`.
    """

    root: Path
    table: Mapping[str, Any]

    @property
    def file(self) -> Path:
        """Where the table stands."""
        return self.root / FILE

    def texts(self, known: Mapping[str, bool], home: str) -> dict[str, str]:
        """The settings as texts, as the environment would give them.

        Args:
            known: the settings by name, and whether one is a secret.
            home: unless the table names one.

        Raises:
            SettingsError: it names no setting, a secret, or something that is no text, number or switch.
        """
        for name, value in self.table.items():
            where = f"{self.file}: [tool.lifeboat] {name}"
            if name not in known:
                raise SettingsError(f"{where} is no setting; the settings are {', '.join(sorted(known))}")
            if known[name]:
                raise SettingsError(f"{where} may hold a password, which is for the environment and not for a file")
            if not isinstance(value, str | int | float):
                raise SettingsError(f"{where} is neither text nor number nor true or false")
        texts = {name: str(value).lower() if isinstance(value, bool) else str(value)
                 for name, value in {"home": home, **self.table}.items()}  # fmt: skip
        return {name: self._absolute(text) if name in _PATHS else text for name, text in texts.items()}

    def _absolute(self, path: str) -> str:
        return path if "://" in path else str(self.root / path)


def find_project(folder: Path) -> Project | None:
    """The project that a folder lies in; None where it lies in none.

    Raises:
        SettingsError: its pyproject.toml cannot be read.
    """
    for root in (folder, *folder.parents):
        try:
            content = tomllib.loads((root / FILE).read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError, PermissionError):
            continue
        except (OSError, ValueError) as error:
            raise SettingsError(f"{root / FILE} cannot be read: {error}") from error
        table = content.get("tool", {}).get("lifeboat")
        if isinstance(table, dict):
            return Project(root, table)
    return None
