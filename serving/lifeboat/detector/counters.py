"""What has been counted since the database began; written in the transaction of what was counted."""

from __future__ import annotations

import sqlite3
from collections import Counter

COUNT = "INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value"

SOURCE = "source:"


class Counters:
    """Counts of one pass, until it is written."""

    def __init__(self) -> None:
        self._pending: Counter[str] = Counter()

    def load(self, connection: sqlite3.Connection) -> None:
        """Forgets what was not written."""
        self._pending.clear()
        self.sources = read_sources(read_counters(connection))

    def add(self, name: str, number: int = 1) -> None:
        """Counts."""
        self._pending[name] += number

    def refuse(self, reason: str, number: int = 1) -> None:
        """Counts what was acknowledged and then found to be of no use."""
        self._pending[f"refused:{reason}"] += number

    def add_source(self, name: str) -> None:
        """Counts a truth of a source."""
        self.sources[name] += 1
        self.add(SOURCE + name)

    def flush(self, connection: sqlite3.Connection) -> None:
        """Writes."""
        connection.executemany(COUNT, list(self._pending.items()))
        self._pending.clear()


def read_counters(connection: sqlite3.Connection) -> dict[str, int]:
    """All counts by name."""
    return dict(connection.execute("SELECT name, value FROM counters"))


def read_sources(counters: dict[str, int]) -> Counter[str]:
    """How many truths each source has sent."""
    return Counter({name.removeprefix(SOURCE): n for name, n in counters.items() if name.startswith(SOURCE)})
