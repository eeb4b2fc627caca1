"""The labelled rows of a home, as they were counted last."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifeboat.config.settings import Settings, inherited

# Each count is a process of about a second: rows that come every few seconds are counted once in so many.
COUNT_SECONDS = 60.0
# A store elsewhere does not tell cheaply whether it has changed.
ELSEWHERE_SECONDS = 300.0
PATIENCE_SECONDS = 60.0
_FOLDERS = ("labelled", "trust")
Signature = tuple[tuple[str, int], ...]


@dataclass
class LabelledView:
    """The labelled rows of a use case, as a page shows them.

    Args:
        counts: as `lifeboat.ui.labelled_counts` prints them; None before the first time.
        at: when they were counted, in seconds since 1970.
        trouble: why they could not be, the last time.
    """

    counts: dict[str, Any] | None = None
    at: float = 0.0
    trouble: str = ""


@dataclass
class _Counted:
    view: LabelledView = field(default_factory=LabelledView)
    signature: Signature | None = None
    begun: float = 0.0
    counting: bool = False


class LabelledReader:
    """Counts in the background whenever somebody looks and the store has changed.

    Args:
        settings: of the home.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._known: dict[str, _Counted] = {}

    def view(self, usecase: str, bundle: Path | None) -> LabelledView:
        """What is known now; a count is begun where it is due.

        Args:
            usecase: its name.
            bundle: one of its bundles; None where none is on this machine, and nothing can be counted.
        """
        if bundle is None:
            return LabelledView(trouble="no bundle on this machine says which columns the rows have")
        with self._lock:
            known = self._known.setdefault(usecase, _Counted())
            signature = self._signature(usecase)
            if not known.counting and self._is_due(known, signature):
                known.counting, known.begun, known.signature = True, time.monotonic(), signature
                threading.Thread(target=self._count, args=(usecase, bundle, known), daemon=True).start()
            return known.view

    def _is_due(self, known: _Counted, signature: Signature | None) -> bool:
        age = time.monotonic() - known.begun
        if not known.begun:
            return True
        if signature is None:
            return age > ELSEWHERE_SECONDS
        return age > COUNT_SECONDS and (signature != known.signature or bool(known.view.trouble))

    def _signature(self, usecase: str) -> Signature | None:
        """What changes with the store; None where that is not on this machine."""
        if "://" in self._settings.bundle_store:
            return None
        return tuple(sorted(self._files(usecase)))

    def _files(self, usecase: str) -> Iterator[tuple[str, int]]:
        for folder in _FOLDERS:
            place = Path(self._settings.bundle_store) / folder
            for path in (place / f"{usecase}.json", *(place / usecase).rglob("*")):
                try:
                    yield str(path), path.stat().st_mtime_ns
                except OSError:  # it is not there, or not any more
                    continue

    def _count(self, usecase: str, bundle: Path, known: _Counted) -> None:
        command = [sys.executable, "-m", "lifeboat.ui.labelled_counts", usecase, str(bundle)]
        counts, trouble = None, ""
        try:
            done = subprocess.run(
                command, env={**inherited(), **self._settings.environment()}, capture_output=True, text=True,
                timeout=PATIENCE_SECONDS, check=False, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            if done.returncode:
                trouble = (done.stderr.strip().splitlines() or ["the count ended without a word"])[-1]
            else:
                counts = json.loads(done.stdout)
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            trouble = f"they could not be counted: {error}"
        with self._lock:
            known.view = LabelledView(counts or known.view.counts, time.time() if counts else known.view.at, trouble)
            known.counting = False
