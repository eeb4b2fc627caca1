"""The course of a rollout as a page: what happened when."""

from __future__ import annotations

import html
import time
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType

Say = Callable[[str], None]

STYLE = (
    "body{font:14px system-ui,sans-serif;margin:2em;color:#222}td{padding:.3em 1em .3em 0;border-bottom:1px solid #ddd}"
    "td:first-child,td:nth-child(2){text-align:right;white-space:nowrap;color:#666}.failed td{color:#b00020}"
)


class RolloutTimeline:
    """Passes each note on, and hands all of them over when the block ends, however it ends.

    Args:
        title: of the page.
        say: is told each note as well.
        keep: takes the page, HTML, and how it ended: `passed` or `failed: ` and why.
    """

    def __init__(self, title: str, say: Say, keep: Callable[[str, str], None]) -> None:
        self._title, self._say, self._keep = title, say, keep
        self._start = time.monotonic()
        self._rows: list[tuple[str, float, str, bool]] = []

    def note(self, text: str) -> None:
        """Something happened."""
        self._add(text)
        self._say(text)

    def __enter__(self) -> RolloutTimeline:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        outcome = "passed"
        if error is not None:
            # An exit's text is its code, an interruption has none.
            why = str(error) if isinstance(error, Exception) else "it was ended"
            outcome = f"failed: {why or type(error).__name__}"
            self._add(outcome, failed=True)
        self._keep(self._page(), outcome)

    def _page(self) -> str:
        """The notes so far."""
        head = f"<!doctype html><meta charset=utf-8><title>{html.escape(self._title)}</title><style>{STYLE}</style>"
        return f"{head}<h1>{html.escape(self._title)}</h1><table>{''.join(map(_row, self._rows))}</table>\n"

    def _add(self, text: str, *, failed: bool = False) -> None:
        self._rows.append((f"{datetime.now(UTC):%H:%M:%S}", time.monotonic() - self._start, text, failed))


def _row(row: tuple[str, float, str, bool]) -> str:
    clock, seconds, text, failed = row
    mark = ' class="failed"' if failed else ""
    return f"<tr{mark}><td>{clock}</td><td>{seconds:.1f} s</td><td>{html.escape(text)}</td></tr>"
