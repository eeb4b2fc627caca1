"""The ends of log files, as they grow."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO


class LogTail:
    """What is written to a file from now on, by lines; the file may come later, and be replaced by a new one.

    Args:
        path: of the file.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._rest = path, b""
        self._file = self._open()
        if self._file is not None:
            self._file.seek(0, os.SEEK_END)

    def lines(self) -> list[str]:
        """Whole lines since the last time, without their ends."""
        if self._file is None:
            self._file = self._open()
        if self._file is None:
            return []
        content = self._file.read()
        if self._is_replaced(self._file):
            content += self._file.read()  # what came between the two
            self._file.close()
            self._file = self._open()
            content += self._file.read() if self._file is not None else b""
        *whole, self._rest = (self._rest + content).split(b"\n")
        return [line.decode(errors="replace") for line in whole]

    def close(self) -> None:
        """Lets go of the file."""
        if self._file is not None:
            self._file.close()

    def _open(self) -> BinaryIO | None:
        try:
            return self._path.open("rb")
        except FileNotFoundError:
            return None

    def _is_replaced(self, file: BinaryIO) -> bool:
        try:
            return not os.path.samestat(os.fstat(file.fileno()), self._path.stat())
        except FileNotFoundError:
            return False
