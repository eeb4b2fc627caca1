"""What was found of a use case's candidates, kept in a home until a line of its source changes."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any, Protocol

from numpy.typing import NDArray

from lifeboat.config.errors import StorageError
from lifeboat.system.files import write_text
from lifeboat.usecase.importing import source_digest
from lifeboat.usecase.usecase import UseCase

FOLDER = "checks"


class Examine(Protocol):
    """How a search learns which candidates cannot be used: candidate to what is wrong with it."""

    def __call__(self, usecase: UseCase, X: Any, y: NDArray[Any], *, seed: int = 0) -> dict[str, str]: ...


def examine_anew(usecase: UseCase, X: Any, y: NDArray[Any], *, seed: int = 0) -> dict[str, str]:
    """`lifeboat.train.preflight.examine` as `Examine` has it."""
    # Imported here: the converters take a second, which those who find an answer need not pay.
    from lifeboat.train.preflight import examine

    return {finding.candidate: finding.problem for finding in examine(usecase, X, y, seed=seed)}


class KeptFindings:
    """That all candidates of one use case's source can be used, once it was found out.

    That one cannot is not kept: it may be the table's doing, and the next one is another.

    Args:
        module: that holds the use case.
        usecase: its name is in the file's.
        home: directory of the state; one that is not there keeps nothing.
    """

    def __init__(self, module: ModuleType, usecase: UseCase, home: Path) -> None:
        self._home, self._name = home, usecase.name
        self._file = home / FOLDER / f"{usecase.name}-{source_digest(module)[:32]}"

    @property
    def all_usable(self) -> bool:
        """Whether it was found out before."""
        return self._file.is_file()

    def examine(self, usecase: UseCase, X: Any, y: NDArray[Any], *, seed: int = 0) -> dict[str, str]:
        """`examine_anew`, unless all can be used."""
        if self.all_usable:
            return {}
        found = examine_anew(usecase, X, y, seed=seed)
        if not found:
            self._keep()
        return found

    def _keep(self) -> None:
        if not self._home.is_dir():
            return
        try:
            write_text(self._file, "all candidates of this source can be trained, exported and served\n")
        except StorageError:  # it is a convenience: the next run finds it out again
            return
        for old in self._file.parent.glob(f"{self._name}-*"):
            if old != self._file:
                old.unlink(missing_ok=True)
