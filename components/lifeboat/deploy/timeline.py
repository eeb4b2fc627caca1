"""The course of a rollout as a page: what happened when, how long each stage took, and what it measured."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType

from lifeboat.deploy.measured import MeasuredNote, Measurement
from lifeboat.system.pages.templates import render

Say = Callable[[str], None]


@dataclass(frozen=True)
class RolloutEntry:
    """Something that happened.

    Args:
        clock: the time of the day in UTC.
        seconds: since the beginning.
        took: seconds since what happened before it.
        text: a sentence.
        failed: whether it is what ended the rollout.
        measurement: its figures; None without any.
    """

    clock: str
    seconds: float
    took: float
    text: str
    failed: bool
    measurement: Measurement | None


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
        self._entries: list[RolloutEntry] = []

    def note(self, text: str) -> None:
        """Something happened; the figures of a `MeasuredNote` are on the page."""
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
        self._keep(self._page(outcome), outcome)

    def _page(self, outcome: str) -> str:
        """The notes so far."""
        return render(
            "lifeboat.deploy",
            "rollout.html.j2",
            title=self._title,
            outcome=outcome,
            entries=self._entries,
            day=f"{datetime.now(UTC):%-d %b %Y}",
            seconds=time.monotonic() - self._start,
            longest=max((entry.took for entry in self._entries), default=0.0),
            measurements=[entry.measurement for entry in self._entries if entry.measurement],
        )

    def _add(self, text: str, *, failed: bool = False) -> None:
        seconds = time.monotonic() - self._start
        took = seconds - (self._entries[-1].seconds if self._entries else 0.0)
        measurement = text.measurement if isinstance(text, MeasuredNote) else None
        self._entries.append(RolloutEntry(f"{datetime.now(UTC):%H:%M:%S}", seconds, took, text, failed, measurement))
