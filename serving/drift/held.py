"""Predictions and feedback that wait for a bundle, in the order in which they came."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass

from serving.drift.bundles import NotYetError
from serving.drift.cloudevents import Event

INSERT = "INSERT INTO held (received, model, usecase, digest, first, second) VALUES (?, ?, ?, ?, ?, ?)"
CHUNK = 500
# A feedback waits for any bundle of its model.
ANY = ""
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Item:
    """What waits: request and response, or a feedback alone."""

    id: int
    received: float
    first: Event
    second: Event | None


class Held:
    """What waits, by model, use case and digest."""

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads what is in the database."""
        rows = connection.execute("SELECT model, usecase, digest, count(*) FROM held GROUP BY 1, 2, 3")
        self._waiting: Counter[Key] = Counter({(a, b, c): number for a, b, c, number in rows})
        self._new: list[tuple[object, ...]] = []
        self._done: list[int] = []

    @property
    def keys(self) -> list[Key]:
        """What is waited for."""
        return list(self._waiting)

    def check(self, key: Key) -> None:
        """Raises NotYetError where something waits for this already: what comes next waits behind it."""
        if key in self._waiting:
            raise NotYetError

    @property
    def events(self) -> int:
        """How many events wait, about: a feedback counts as two."""
        return 2 * self._waiting.total()

    def add(self, key: Key, received: float, first: Event, second: Event | None = None) -> None:
        """Puts aside."""
        self._waiting[key] += 1
        self._new.append((received, *key, first.pack(), None if second is None else second.pack()))

    def next(self, connection: sqlite3.Connection, key: Key) -> list[Item]:
        """The first that wait for a bundle."""
        rows = connection.execute(
            "SELECT id, received, first, second FROM held WHERE model = ? AND usecase = ? AND digest = ? "
            "ORDER BY id LIMIT ?",
            (*key, CHUNK),
        )
        return [
            Item(id_, received, Event.unpack(first), None if second is None else Event.unpack(second))
            for id_, received, first, second in rows
        ]

    def done(self, key: Key, item: Item) -> None:
        """It waits no more."""
        self._done.append(item.id)
        self._waiting[key] -= 1
        if not self._waiting[key]:
            del self._waiting[key]

    def flush(self, connection: sqlite3.Connection) -> None:
        """Writes."""
        connection.executemany(INSERT, self._new)
        connection.executemany("DELETE FROM held WHERE id = ?", [(id_,) for id_ in self._done])
        self._new, self._done = [], []
