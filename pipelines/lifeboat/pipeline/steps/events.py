"""What a step tells beside its outputs: its notes, and the error that ended it, as JSON lines in a file of its own.

They are lines of a log as every program of ours writes them.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lifeboat.config.errors import LifeboatError, StorageError
from lifeboat.system import log

# In the log and the traces of the steps.
SERVICE = "pipeline"


class EventFile:
    """The events of one step; its process writes them, the command line reads them while it runs.

    Args:
        path: of the file, which the first event makes.
        fields: of each line, such as the step's name.

    Attributes:
        error: that ended the step, if it was read by now.
    """

    def __init__(self, path: Path, fields: Mapping[str, str] | None = None) -> None:
        self._path, self._fields, self._read = path, fields or {}, 0
        self.error: LifeboatError | None = None

    def note(self, text: str) -> None:
        """Adds a progress note; raises StorageError."""
        self._add("info", text, {})

    def end(self, error: LifeboatError) -> None:
        """Adds the error that ended the step; raises StorageError."""
        self._add("error", str(error), error.to_document())

    def new_notes(self) -> list[str]:
        """Reads on; gives the notes since it was last called."""
        notes = []
        for event in self._lines():
            if "error" in event:
                self.error = LifeboatError.from_document(event)
            else:
                notes.append(event["message"])
        return notes

    def _add(self, level: str, message: str, more: Mapping[str, Any]) -> None:
        event = log.line_of(SERVICE, time.time(), level, message, {**self._fields, **more})
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered, so that who reads meanwhile finds it once this returns.
            with self._path.open("ab", buffering=0) as file:
                file.write(json.dumps(event).encode() + b"\n")
        except OSError as error:
            raise StorageError(f"{self._path} cannot be written: {error.strerror or error}") from error

    def _lines(self) -> list[dict[str, Any]]:
        """Whole lines only: a step may have been killed while it wrote one."""
        if not self._path.exists():
            return []
        with self._path.open("rb") as file:
            file.seek(self._read, os.SEEK_SET)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._read += len(whole)
        return [json.loads(line) for line in whole.splitlines()]
