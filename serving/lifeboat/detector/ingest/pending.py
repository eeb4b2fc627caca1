"""The room of predictions and feedback that wait for a bundle, in the order in which they came.

Anybody can invent digests, so the room is bounded and costs those that are known nothing. When it is full, whoever has
most in it gives up its oldest, and what the store holds gives way last.
"""

from __future__ import annotations

import sqlite3
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

from lifeboat.detector.ingest.bundles import NotYetError
from lifeboat.detector.ingest.cloudevents import CloudEvent

INSERT = "INSERT INTO held (id, received, model, usecase, digest, first, second, count) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
ALL = """SELECT id, received, model, usecase, digest, length(first) + coalesce(length(second), 0), count FROM held
ORDER BY id"""
# Predictions and feedback that are read at once.
CHUNK = 500
# A feedback waits for any bundle of its model.
ANY = ""
# How much of the room one bundle may take, and how full it is left when something had to go.
SHARE, LEFT = 0.5, 0.9
Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class Item:
    """What waits: request and response, or an event of many predictions or a feedback alone."""

    id: int
    received: float
    first: CloudEvent
    second: CloudEvent | None


@dataclass(frozen=True, slots=True)
class _Held:
    """Of what waits: for what, since when, its share of the room, and as how many predictions it counts."""

    key: Key
    received: float
    share: float
    count: int


@dataclass(slots=True)
class _Queue:
    """What waits for one bundle: ids, oldest first, and the share of the room that they take."""

    ids: deque[int]
    share: float = 0.0


class Pending:
    """What waits, by model, use case and digest.

    Args:
        limit, size: predictions and bytes that the room holds.

    Attributes:
        count: predictions and feedback that wait.
    """

    def __init__(self, limit: int, size: int) -> None:
        self._limit, self._size = limit, size

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads what is in the database."""
        self._queues: dict[Key, _Queue] = {}
        self._items: OrderedDict[int, _Held] = OrderedDict()
        self._share, self._next = 0.0, 1
        self.count = 0
        self._new: dict[int, tuple[object, ...]] = {}
        self._done: list[int] = []
        for id_, received, model, usecase, digest, size, count in connection.execute(ALL):
            self._put(id_, (model, usecase, digest), received, size, count)

    @property
    def keys(self) -> list[Key]:
        """What is waited for."""
        return list(self._queues)

    def check(self, key: Key) -> None:
        """Raises NotYetError where something waits for this already: what comes next waits behind it."""
        if key in self._queues:
            raise NotYetError

    def add(self, key: Key, received: float, first: CloudEvent, second: CloudEvent | None = None) -> None:
        """Puts aside."""
        blobs = first.pack(), None if second is None else second.pack()
        self._new[self._next] = (self._next, received, *key, *blobs, first.count)
        self._put(self._next, key, received, sum(len(blob) for blob in blobs if blob is not None), first.count)

    def next(self, connection: sqlite3.Connection, key: Key) -> list[Item]:
        """The first that wait for a bundle, as they were written."""
        queue = self._queues.get(key)
        items: list[Item] = []
        read = 0
        for id_ in queue.ids if queue else ():
            if read >= CHUNK:
                break
            read += self._items[id_].count
            row = connection.execute("SELECT received, first, second FROM held WHERE id = ?", (id_,)).fetchone()
            received, first, second = row
            items.append(
                Item(id_, received, CloudEvent.unpack(first), None if second is None else CloudEvent.unpack(second))
            )
        return items

    def done(self, key: Key) -> None:
        """The first that waits for this waits no more."""
        self._remove(key)

    def expire(self, before: float) -> int:
        """Gives up what came before a moment; tells how many."""
        number = 0
        while self._items:
            oldest = next(iter(self._items.values()))
            if oldest.received > before:
                break
            number += self._remove(oldest.key)
        return number

    def make_room(self, stored: Callable[[Key], bool]) -> int:
        """Gives up what is beyond the limits; tells how many.

        Args:
            stored: whether the store holds what is waited for.
        """
        number = 0
        for key, queue in list(self._queues.items()):
            while queue.ids and queue.share > SHARE:
                number += self._remove(key)
        if self._share <= 1:
            return number
        most = [(stored(key), -queue.share, queue.ids[0], key) for key, queue in self._queues.items()]
        heapify(most)
        while self._share > LEFT:
            is_stored, _, _, key = most[0]
            number += self._remove(key)
            if left := self._queues.get(key):
                heapreplace(most, (is_stored, -left.share, left.ids[0], key))
            else:
                heappop(most)
        return number

    def flush(self, connection: sqlite3.Connection) -> None:
        """Writes."""
        connection.executemany(INSERT, self._new.values())
        connection.executemany("DELETE FROM held WHERE id = ?", [(id_,) for id_ in self._done])
        self._new, self._done = {}, []

    def _put(self, id_: int, key: Key, received: float, size: int, count: int) -> None:
        share = max(count / self._limit, size / self._size)
        queue = self._queues.setdefault(key, _Queue(deque()))
        queue.ids.append(id_)
        queue.share += share
        self._share += share
        self._items[id_] = _Held(key, received, share, count)
        self.count += count
        self._next = id_ + 1

    def _remove(self, key: Key) -> int:
        """The oldest that waits for this; tells as how many it counts."""
        queue = self._queues[key]
        id_ = queue.ids.popleft()
        held = self._items.pop(id_)
        self.count -= held.count
        queue.share -= held.share
        # From nothing on, sums of fractions that were added and taken away begin anew.
        self._share = self._share - held.share if self._items else 0.0
        if not queue.ids:
            del self._queues[key]
        if self._new.pop(id_, None) is None:
            self._done.append(id_)
        return held.count
