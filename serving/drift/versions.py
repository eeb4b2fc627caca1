"""The versions that predict, and the windows into which their rows fall one after the other.

A version counts its rows from 0 on; a prediction has the numbers from `start` on, a window those from `first` on. A
prediction of many rows can so lie in several windows.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import orjson

from serving.drift.rows import RefusedError
from serving.drift.rule import Rule

WINDOW = (
    "INSERT INTO windows (version, number, first, rows, opened, closed, state) VALUES (?, ?, ?, ?, ?, ?, 'waiting')"
)
VERSION = "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass
class Version:
    """What answers under one name, version and bundle.

    Args:
        id: in the database.
        model, version, digest: as the events name them.
        rule: of its windows.
        total: rows so far.
        first, number: of the open window.
        opened: when the open window got its first row, None if it has none.
        last: when the newest row came.
    """

    id: int
    model: str
    version: str
    digest: str
    rule: Rule
    total: int = 0
    first: int = 0
    number: int = 1
    opened: float | None = None
    last: float = 0.0


class Versions:
    """All versions and their open windows.

    Args:
        limit: how many at most.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads what is in the database."""
        self._changed: dict[int, Version] = {}
        self._closed: list[tuple[int, int, int, int, float | None, float]] = []
        self._known: dict[tuple[str, str, str], Version] = {}
        self._next = 1
        for id_, model, version, digest, rule, *rest in connection.execute("SELECT * FROM versions ORDER BY id"):
            made = Version(id_, model, version, digest, Rule(**orjson.loads(rule)), *rest)
            self._known[model, version, digest] = made
            self._next = id_ + 1

    def find(self, model: str, version: str, digest: str, rule: Rule) -> Version:
        """Gives a version, which may be new; raises RefusedError where there are too many."""
        found = self._known.get((model, version, digest))
        if found is None:
            if len(self._known) >= self._limit:
                raise RefusedError("too many versions")
            found = self._known[model, version, digest] = Version(self._next, model, version, digest, rule)
            self._next += 1
            self._changed[found.id] = found
        return found

    def of_model(self, model: str) -> list[Version]:
        """The versions of a model, the one heard of last at the end."""
        return sorted((one for one in self._known.values() if one.model == model), key=lambda one: one.last)

    def by_id(self) -> dict[int, Version]:
        """All versions."""
        return {version.id: version for version in self._known.values()}

    def add(self, version: Version, rows: int, now: float) -> int:
        """Takes rows into the open window, closing each that is full; gives the number of the first one."""
        start = version.total
        version.total += rows
        version.last = now
        if version.opened is None:
            version.opened = now
        while version.total - version.first >= version.rule.window:
            self._close(version, version.rule.window, now)
        self._close_old(version, now)
        self._changed[version.id] = version
        return start

    def tick(self, now: float) -> None:
        """Closes the windows whose time has come."""
        for version in self._known.values():
            self._close_old(version, now)

    def forget(self, version: Version) -> None:
        """Leaves out a version that is no longer in the database."""
        del self._known[version.model, version.version, version.digest]

    def flush(self, connection: sqlite3.Connection) -> bool:
        """Writes what has changed; tells whether a window was closed."""
        for one in self._changed.values():
            rule = orjson.dumps(one.rule.to_dict())
            state = (one.total, one.first, one.number, one.opened, one.last)
            connection.execute(VERSION, (one.id, one.model, one.version, one.digest, rule, *state))
        connection.executemany(WINDOW, self._closed)
        closed = bool(self._closed)
        self._changed, self._closed = {}, []
        return closed

    def _close_old(self, version: Version, now: float) -> None:
        rows = version.total - version.first
        if version.opened is not None and now - version.opened >= version.rule.seconds and rows >= version.rule.minimum:
            self._close(version, rows, now)

    def _close(self, version: Version, rows: int, now: float) -> None:
        self._closed.append((version.id, version.number, version.first, rows, version.opened, now))
        version.number += 1
        version.first += rows
        version.opened = now if version.total > version.first else None
        self._changed[version.id] = version
