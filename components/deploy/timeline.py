"""The course of a rollout as a page: what happened when."""

from __future__ import annotations

import html
import time
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

from components.core.files import write_text
from components.deploy.step import Say

STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2em;color:#222}td{padding:.3em 1em .3em 0;border-bottom:1px solid #ddd}"
    "td:first-child,td:nth-child(2){text-align:right;white-space:nowrap;color:#666}.failed td{color:#b00020}"
)


class Timeline:
    """Passes each note on, and writes all of them as HTML when the block ends, however it ends.

    Args:
        file: the page.
        title: of it.
        say: is told as well.
    """

    def __init__(self, file: Path, title: str, say: Say) -> None:
        self._file, self._title, self._say = file, title, say
        self._start = time.monotonic()
        self._rows: list[tuple[str, float, str, bool]] = []

    def note(self, text: str) -> None:
        """Something happened."""
        self._add(text)
        self._say(text)

    def __enter__(self) -> Timeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._add(f"failed: {error or type(error).__name__}", failed=True)
        write_text(self._file, self.page())

    def page(self) -> str:
        """The notes so far."""
        head = f"<!doctype html><meta charset=utf-8><title>{html.escape(self._title)}</title><style>{STYLE}</style>"
        return f"{head}<h1>{html.escape(self._title)}</h1><table>{''.join(map(_row, self._rows))}</table>\n"

    def _add(self, text: str, *, failed: bool = False) -> None:
        self._rows.append((f"{datetime.now(UTC):%H:%M:%S}", time.monotonic() - self._start, text, failed))


def _row(row: tuple[str, float, str, bool]) -> str:
    clock, seconds, text, failed = row
    mark = ' class="failed"' if failed else ""
    return f"<tr{mark}><td>{clock}</td><td>{seconds:.1f} s</td><td>{html.escape(text)}</td></tr>"
