"""Requests and responses that wait for one another."""

from __future__ import annotations

import sqlite3
from collections import deque
from dataclasses import dataclass
from typing import Literal

from lifeboat.detector.counters import Counters
from lifeboat.detector.ingest.cloudevents import CloudEvent

Side = Literal["request", "response"]
Key = tuple[str, str, str]
ALL = "SELECT id, side, received, length(event), puid, model, version FROM halves ORDER BY id"
MISSING: dict[Side, str] = {"request": "no response", "response": "no request"}


@dataclass(slots=True)
class _Waiting:
    """One side; its event is in the database only, with its size, once it was written."""

    id: int
    side: Side
    received: float
    key: Key
    event: CloudEvent | None
    size: int = 0


class RequestJoiner:
    """Joins the two events of a prediction by request id, model and version, whichever comes first.

    Of several that wait the newest is meant: Seldon's executor logs a request that is refused, too, and its client may
    send a better one under the same id.

    Args:
        counters: count what never finds its other half.
        seconds: that a half waits.
        limit, size: how many, and bytes of them, wait at most; beyond either the oldest goes.
    """

    def __init__(self, counters: Counters, seconds: float, limit: int, size: int) -> None:
        self._counters, self._seconds, self._limit, self._size = counters, seconds, limit, size

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads what is in the database."""
        self._connection = connection
        self._by_key: dict[Key, deque[_Waiting]] = {}
        self._waiting: dict[int, _Waiting] = {}
        self._finished: list[int] = []
        self._next, self._bytes = 1, 0
        for id_, side, received, size, *key in connection.execute(ALL):
            self._add(_Waiting(id_, side, received, (key[0], key[1], key[2]), None, size))
            self._bytes += size
            self._next = id_ + 1

    def join(self, side: Side, event: CloudEvent, received: float) -> tuple[CloudEvent, CloudEvent] | None:
        """Gives request and response if the other half was there, else keeps this one."""
        key = event.puid, event.model, event.version
        halves = self._by_key.get(key)
        if halves and halves[-1].side != side:
            other = self._take(halves[-1])
            return (event, other) if side == "request" else (other, event)
        self._add(_Waiting(self._next, side, received, key, event))
        self._next += 1
        return None

    def expire(self, now: float) -> None:
        """Drops what has waited too long, or is too much; counted."""
        while self._waiting:
            oldest = next(iter(self._waiting.values()))
            fits = len(self._waiting) <= self._limit and self._bytes <= self._size
            if fits and oldest.received + self._seconds > now:
                return
            self._remove(oldest)
            self._counters.refuse(MISSING[oldest.side])

    def flush(self, connection: sqlite3.Connection) -> None:
        """Writes the new halves that still wait and deletes the joined ones."""
        new = []
        for half in reversed(self._waiting.values()):
            if half.event is None:
                break  # it and all before it were written
            blob = half.event.pack()
            new.append((half.id, half.received, half.side, *half.key, blob))
            half.event, half.size = None, len(blob)
            self._bytes += half.size
        connection.executemany("INSERT INTO halves VALUES (?, ?, ?, ?, ?, ?, ?)", new)
        connection.executemany("DELETE FROM halves WHERE id = ?", [(id_,) for id_ in self._finished])
        self._finished = []

    def _add(self, half: _Waiting) -> None:
        self._by_key.setdefault(half.key, deque()).append(half)
        self._waiting[half.id] = half

    def _take(self, half: _Waiting) -> CloudEvent:
        event = half.event
        if event is None:
            row = self._connection.execute("SELECT event FROM halves WHERE id = ?", (half.id,)).fetchone()
            event = CloudEvent.unpack(row[0])
        self._remove(half)
        return event

    def _remove(self, half: _Waiting) -> None:
        """The oldest or the newest of its key."""
        del self._waiting[half.id]
        self._bytes -= half.size
        halves = self._by_key[half.key]
        (halves.pop if halves[-1] is half else halves.popleft)()
        if not halves:
            del self._by_key[half.key]
        if half.event is None:
            self._finished.append(half.id)
