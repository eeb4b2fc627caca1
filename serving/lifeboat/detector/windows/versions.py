"""The versions that predict, and the windows into which their rows fall one after the other.

A version counts its rows from 0 on; a prediction has the numbers from `start` on, a window those from `first` on. A
prediction of many rows can so lie in several windows.

Judging a window takes milliseconds of a processor, whatever the rows: beyond some windows a second more judgements tell
nobody anything sooner, and cost more than the predictions. So a version has an allowance, which grows with time; where
it is used up, a window that closes is skipped: its rows count, and wait for their truth, and are judged by nobody.

Anybody who may send events can invent names of versions. So a new name always gets in, as a newcomer, and costs little
until its first window closes. Newcomers have a large room of their own, the others a small one, since each of those has
metrics and a place on the page. In both, the bundle with most names gives way, with the name that has brought least and
was silent longest; a newcomer never displaces a version that has closed a window.
"""

from __future__ import annotations

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from heapq import heapify, heappop, heapreplace

import orjson

from lifeboat.detector.windows.window_policy import WindowPolicy

WINDOW = (
    "INSERT INTO windows (version, number, first, rows, opened, closed, state) VALUES (?, ?, ?, ?, ?, ?, 'waiting')"
)
VERSION = "INSERT OR REPLACE INTO versions VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
FORGET_NAMES = """DELETE FROM names WHERE (name, prediction) IN
(SELECT j.value, p.id FROM predictions p, json_each(p.requests, '$.{}') j WHERE p.version = ?)"""
TABLES = "windows", "labels", "live", "history", "online", "predictions"
# A row outweighs so many seconds of silence when one of two versions has to give way.
ROW_SECONDS = 10.0
# Windows that may be judged at once.
BURST = 100
# How full the newcomers' room is left when some had to go, so that it is seldom looked through.
LEFT = 0.9


@dataclass
class WatchedVersion:
    """What answers under one name, version and bundle.

    Args:
        id: in the database.
        model, version, digest: as the events name them.
        window_policy: of its windows.
        total: rows so far.
        first, number: of the open window.
        opened: when the open window got its first row, None if it has none.
        last: when the newest row came.
        allowance: windows that may be judged now; all of them after a start.
        allowed: when that was reckoned.
    """

    id: int
    model: str
    version: str
    digest: str
    window_policy: WindowPolicy
    total: int = 0
    first: int = 0
    number: int = 1
    opened: float | None = None
    last: float = 0.0
    allowance: float = BURST
    allowed: float = 0.0

    @property
    def is_newcomer(self) -> bool:
        """No window has closed yet."""
        return self.number == 1

    @property
    def weight(self) -> float:
        """Of two versions the one with less gives way."""
        return self.last + ROW_SECONDS * self.total


class WatchedVersions:
    """All versions and their open windows.

    Args:
        limit: versions that have closed a window, at most.
        newcomers: versions that have not, at most.
        rows: that newcomers may hold together.
        judge_rate: windows of a version judged a second, over time.

    Attributes:
        skipped: windows of this pass that are not judged, by version.
    """

    def __init__(self, limit: int, newcomers: int, rows: int, judge_rate: float) -> None:
        self._limit, self._newcomers, self._rows, self._judge_rate = limit, newcomers, rows, judge_rate

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads what is in the database."""
        self._changed: dict[int, WatchedVersion] = {}
        self.skipped: Counter[int] = Counter()
        self._closed: list[tuple[int, int, int, int, float | None, float]] = []
        self._known: dict[tuple[str, str, str], WatchedVersion] = {}
        self._newest: dict[str, WatchedVersion] = {}
        self._next = 1
        for id_, model, version, digest, window_policy, *rest in connection.execute(
            "SELECT * FROM versions ORDER BY id"
        ):
            made = WatchedVersion(
                id_, model, version, digest, WindowPolicy.of_document(orjson.loads(window_policy)), *rest
            )
            self._known[model, version, digest] = made
            self._next = id_ + 1
        for one in sorted(self._known.values(), key=lambda one: one.last):
            self._newest[one.model] = one

    def find(self, model: str, version: str, digest: str, window_policy: WindowPolicy) -> WatchedVersion:
        """Gives a version, which may be new."""
        found = self._known.get((model, version, digest))
        if found is None:
            found = self._known[model, version, digest] = WatchedVersion(
                self._next, model, version, digest, window_policy
            )
            self._next += 1
            self._changed[found.id] = found
        return found

    def newest(self, model: str) -> WatchedVersion | None:
        """The version of a model that was heard of last."""
        return self._newest.get(model)

    def by_id(self) -> dict[int, WatchedVersion]:
        """All versions."""
        return {version.id: version for version in self._known.values()}

    def add(self, version: WatchedVersion, rows: int, now: float) -> int:
        """Takes rows into the open window, closing each that is full; gives the number of the first one."""
        start = version.total
        version.total += rows
        version.last = now
        self._newest[version.model] = version
        if version.opened is None:
            version.opened = now
        while version.total - version.first >= version.window_policy.window:
            self._close(version, version.window_policy.window, now)
        self._close_old(version, now)
        self._changed[version.id] = version
        return start

    def tick(self, now: float) -> None:
        """Closes the windows whose time has come."""
        for version in self._known.values():
            self._close_old(version, now)

    def crowded(self) -> list[WatchedVersion]:
        """Versions beyond the limits, which have to be forgotten."""
        newcomers = [one for one in self._known.values() if one.is_newcomer]
        found = _least(newcomers, self._newcomers, LEFT, lambda _: 1)
        found = found or _least(newcomers, self._rows, LEFT, lambda one: one.total)
        if len(self._known) - len(newcomers) > self._limit:
            found += _least([one for one in self._known.values() if not one.is_newcomer], self._limit, 1, lambda _: 1)
        return found

    def forget(self, connection: sqlite3.Connection, version: WatchedVersion) -> int:
        """Takes a version out of the database, with all that it brought; tells how many predictions that were."""
        connection.execute(
            "DELETE FROM entities WHERE prediction IN (SELECT id FROM predictions WHERE version = ?)", (version.id,)
        )
        deleted = connection.execute(FORGET_NAMES.format("ids"), (version.id,)).rowcount
        connection.execute(FORGET_NAMES.format("aliases"), (version.id,))
        for table in TABLES:
            connection.execute(f"DELETE FROM {table} WHERE version = ?", (version.id,))  # noqa: S608  # our names
        connection.execute("DELETE FROM versions WHERE id = ?", (version.id,))
        connection.execute("DELETE FROM counters WHERE name GLOB ?", (f"windows:{version.id}:*",))
        del self._known[version.model, version.version, version.digest]
        self._changed.pop(version.id, None)
        if self._newest[version.model] is version:
            left = [one for one in self._known.values() if one.model == version.model]
            if left:
                self._newest[version.model] = max(left, key=lambda one: one.last)
            else:
                del self._newest[version.model]
        return deleted

    def flush(self, connection: sqlite3.Connection) -> bool:
        """Writes what has changed; tells whether a window was closed."""
        for one in self._changed.values():
            window_policy = orjson.dumps(one.window_policy.to_dict())
            state = (one.total, one.first, one.number, one.opened, one.last)
            connection.execute(VERSION, (one.id, one.model, one.version, one.digest, window_policy, *state))
        connection.executemany(WINDOW, self._closed)
        closed = bool(self._closed)
        self._changed, self._closed = {}, []
        return closed

    def _close_old(self, version: WatchedVersion, now: float) -> None:
        rows = version.total - version.first
        if (
            version.opened is not None
            and now - version.opened >= version.window_policy.seconds
            and rows >= version.window_policy.minimum
        ):
            self._close(version, rows, now)

    def _close(self, version: WatchedVersion, rows: int, now: float) -> None:
        version.allowance = min(BURST, version.allowance + self._judge_rate * max(0.0, now - version.allowed))
        version.allowed = now
        if version.allowance >= 1:
            version.allowance -= 1
            self._closed.append((version.id, version.number, version.first, rows, version.opened, now))
            version.number += 1
        else:
            self.skipped[version.id] += 1
        version.first += rows
        version.opened = now if version.total > version.first else None
        self._changed[version.id] = version


def _least(
    versions: list[WatchedVersion], limit: int, left: float, size: Callable[[WatchedVersion], int]
) -> list[WatchedVersion]:
    """Those that have to go where the sizes sum up to more than the limit, until they fill a share of it.

    Of the bundle with most, the version with the least weight goes first.
    """
    total = sum(map(size, versions))
    if total <= limit:
        return []
    excess = total - int(left * limit)
    groups: dict[str, list[WatchedVersion]] = defaultdict(list)
    for one in sorted(versions, key=lambda one: one.weight, reverse=True):
        groups[one.digest].append(one)
    most = [(-sum(map(size, group)), digest) for digest, group in groups.items()]
    heapify(most)
    found = []
    while excess > 0:
        total, digest = most[0]
        found.append(groups[digest].pop())
        excess -= size(found[-1])
        if groups[digest]:
            heapreplace(most, (total + size(found[-1]), digest))
        else:
            heappop(most)
    return found
