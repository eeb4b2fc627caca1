"""When a window of predictions closes and what is an alarm: declared by a use case, obeyed by the drift detector."""

from __future__ import annotations

import math
from dataclasses import dataclass

# What keeps to a limit: the setting, whether it does, and the limit in words.
Limit = tuple[str, bool, str]


@dataclass(frozen=True)
class DriftPolicy:
    """The part of a use case's `drift` that the detector goes by.

    Args:
        window: rows in a window; windows do not overlap.
        minimum: rows that a window closed by time must have; with fewer it stays open.
        seconds: since its first row, after which a window closes before it is full.
        alarms, of: an alert needs this many drifted windows among the last `of`, the latest one included.
        online: rows expected between two false alarms of the online detector on the score; 0 turns it off.
        accuracy: the lowest live accuracy, from truths that came back; None sets no bound.
        error: of a number, the highest live mean absolute error; None sets no bound.
    """

    window: int = 200
    minimum: int = 100
    seconds: float = 3600.0
    alarms: int = 2
    of: int = 3
    online: int = 0
    accuracy: float | None = None
    error: float | None = None

    @property
    def problem(self) -> str:
        """The first setting beyond its limit, with both; empty if there is none."""
        broken = ((name, limit) for name, holds, limit in self._limits() if not holds)
        return next((f"{name} is {getattr(self, name)!r}, it must be {limit}" for name, limit in broken), "")

    def _limits(self) -> tuple[Limit, ...]:
        return (
            ("window", self.window >= 1, "at least 1"),
            ("minimum", 1 <= self.minimum <= self.window, f"1 to the window of {self.window}"),
            ("seconds", 0 < self.seconds < math.inf, "above 0 and finite"),
            ("of", self.of >= 1, "at least 1"),
            ("alarms", 1 <= self.alarms <= self.of, f"1 to the last {self.of} windows"),
            ("online", self.online == 0 or 100 <= self.online <= 10_000, "0, or 100 to 10,000"),
            ("accuracy", self.accuracy is None or 0 <= self.accuracy <= 1, "between 0 and 1, or None"),
            ("error", self.error is None or 0 <= self.error < math.inf, "0 or more and finite, or None"),
        )
