"""Truths meet predictions, whichever comes first.

joined         the row had no truth yet
duplicate      it has this truth already, of this source or a trusted one; no figure changes
contradictory  its source said otherwise before: its latest word holds, in the live figures and in the labelled rows
conflict       another source said otherwise before: the first one's stands, this one is kept apart
untrusted      its source is not trusted: kept, shown and in no figure
waiting        there is no such prediction yet
late           its prediction was given up before (retention), or whoever it is about has been forgotten
ambiguous      more than one prediction of a version goes by this name: it is of none
unknown        it has waited too long, or too many wait, or the request had fewer rows
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from lifeboat.detector.counters import Counters
from lifeboat.detector.performance.feedback import Truth
from lifeboat.detector.performance.packed_answers import pack
from lifeboat.detector.performance.tombstones import Tombstones
from lifeboat.detector.settings import DetectorSettings
from lifeboat.detector.windows.predictions import Arrived
from lifeboat.detector.windows.versions import WatchedVersions
from lifeboat.server.request_id import LONGEST

# In place of a source: the row was somebody's who has been forgotten.
FORGOTTEN = ""
MEANINGS = (
    "joined", "waiting", "duplicate", "contradictory", "conflict", "untrusted", "late", "ambiguous", "unknown",
)  # fmt: skip
# More than one of a version is too many, and of versions there are fewer.
MOST = 200
BY_NAME = """SELECT prediction, version, first, rows FROM names WHERE name = ? ORDER BY prediction DESC, first DESC
LIMIT ?"""
BY_ENTITY = """SELECT p.id, p.version, e.row FROM entities e JOIN predictions p
ON p.id = e.prediction WHERE e.model = ? AND e.entity = ?"""
SCORES = "SELECT scores FROM predictions WHERE id = ?"
# Predictions whose scores are remembered: truths come about in their order, and each of them is of many rows.
REMEMBERED = 64
FOUND = "SELECT id, source, truth, counted FROM labels WHERE prediction = ? AND row = ? ORDER BY id"
LABEL = """INSERT INTO labels (prediction, row, version, score, truth, labelled, source, counted)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
CORRECT = "UPDATE labels SET truth = ?, labelled = ?, exported = 0 WHERE id = ?"
WAIT = "INSERT INTO truths (received, model, kind, name, row, truth, source) VALUES (?, ?, ?, ?, ?, ?, ?)"
LEAVE = "DELETE FROM truths WHERE {} RETURNING id, model, kind, name, row, truth, received, source"
OLDEST_OF = "id = (SELECT min(id) FROM truths WHERE source = ?)"
Name = tuple[str, str, str]
Key = TypeVar("Key")


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that was predicted."""

    prediction: int
    version: int
    row: int


class _AmbiguousError(Exception):
    """A name of several predictions."""


class Labels:
    """Joins truths.

    Args:
        settings: give the limits, and who is trusted.
        counters: count what becomes of each.
        versions: say whose a prediction is.
        gone: knows what was given up.
    """

    def __init__(
        self, settings: DetectorSettings, counters: Counters, versions: WatchedVersions, tombstones: Tombstones
    ) -> None:
        self._settings, self._counters, self._versions, self._tombstones = settings, counters, versions, tombstones
        self._trusted = settings.trusted

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads who waits."""
        self._new: list[Truth] = []
        self._scores: dict[int, list[Any]] = {}
        self._waiting: Counter[Name] = Counter()
        self._by_source: Counter[str] = Counter()
        for *name, source, number in connection.execute(
            "SELECT model, kind, name, source, count(*) FROM truths GROUP BY 1, 2, 3, 4"
        ):
            self._waiting[name[0], name[1], name[2]] += number
            self._by_source[source] += number
        self.joined: Counter[int] = Counter()
        self.changed = {id_ for (id_,) in connection.execute("SELECT DISTINCT version FROM labels")}

    def add(self, truths: list[Truth]) -> None:
        """Takes truths, to be joined when this pass is written."""
        self._new += truths

    def flush(self, connection: sqlite3.Connection, arrived: list[Arrived]) -> None:
        """Joins; after the predictions of the pass were written."""
        if self._waiting:
            for prediction in arrived:
                for puid in prediction.puids:
                    self._wake(connection, (prediction.model, "puid", puid))
                for entity in prediction.entities:
                    self._wake(connection, (prediction.model, "entity", entity))
        for truth in self._new:
            sources = self._counters.sources
            full = len(sources) >= self._settings.max_sources
            if full and truth.source not in sources and truth.source not in self._trusted:
                self._counters.refuse("too many sources")
                continue
            self._counters.add_source(truth.source)
            self._place(connection, truth)
        self._new, self._scores = [], {}

    def expire(self, connection: sqlite3.Connection, now: float) -> None:
        """Gives up on truths that have waited too long; inside a transaction."""
        found = self._leave(connection, "received < ?", (now - self._settings.late_seconds,))
        self._count("unknown", len(found))

    def _place(self, connection: sqlite3.Connection, truth: Truth) -> None:
        named = [(truth.model, "puid", puid) for puid in truth.puids] or [(truth.model, "entity", truth.entity)]
        names = [name for name in named if 0 < len(name[2]) <= LONGEST]
        for name in names:
            try:
                rows = self._find(connection, name, truth.row)
            except _AmbiguousError:
                self._count("ambiguous")
                return
            if rows is not None:
                self._label(connection, rows, truth.value, truth.received, truth.source)
                return
        if any(self._tombstones.has(connection, name) for name in names):
            self._count("late")
        elif not names:
            self._count("unknown")
        else:
            self._wait(connection, names[0], truth)

    def _wait(self, connection: sqlite3.Connection, name: Name, truth: Truth) -> None:
        """Keeps an early truth; where there is no room, the oldest of the source that holds most of it goes.

        So truths for predictions that were never made push out one another, and a genuine one finds its prediction.
        """
        if self._waiting.total() >= self._settings.max_truths:
            (source, _), *_ = self._by_source.most_common(1)
            self._count("unknown", len(self._leave(connection, OLDEST_OF, (source,))))
        connection.execute(WAIT, (truth.received, *name, truth.row, truth.value, truth.source))
        self._waiting[name] += 1
        self._by_source[truth.source] += 1
        self._count("waiting")

    def _wake(self, connection: sqlite3.Connection, name: Name) -> None:
        if name not in self._waiting:
            return
        for _, _, _, _, row, value, received, source in self._leave(
            connection, "model = ? AND kind = ? AND name = ?", name
        ):
            try:
                rows = self._find(connection, name, row) or []
            except _AmbiguousError:
                self._count("ambiguous")
            else:
                self._label(connection, rows, value, received, source)

    def _leave(self, connection: sqlite3.Connection, which: str, values: Iterable[Any]) -> list[tuple[Any, ...]]:
        """Takes truths out of those that wait, in the order in which they came."""
        found = sorted(connection.execute(LEAVE.format(which), tuple(values)).fetchall())
        for _, model, kind, name, _, _, _, source in found:
            _take_one(self._waiting, (model, kind, name))
            _take_one(self._by_source, source)
        return found

    def _find(self, connection: sqlite3.Connection, name: Name, row: int) -> list[_Row] | None:
        """Of each version the prediction of this name; None if there is none, empty if it has no such row.

        An entity may be asked about again and again: its newest prediction is meant. A request is one.

        Raises:
            _AmbiguousError: two requests of a version go by this name.
        """
        model, kind, text = name
        if kind == "entity":
            found = [(*line, True) for line in connection.execute(BY_ENTITY, (model, text))]
        else:
            lines = connection.execute(BY_NAME, (text, MOST))
            found = [(id_, version, first + row, row < rows) for id_, version, first, rows in lines]
        versions = self._versions.by_id()
        newest: dict[int, tuple[_Row, bool]] = {}
        for id_, version, at, is_there in found:
            if version in versions and versions[version].model == model:
                if version in newest:
                    raise _AmbiguousError
                newest[version] = _Row(id_, version, at), is_there
        return [one for one, is_there in newest.values() if is_there] if newest else None

    def _score(self, connection: sqlite3.Connection, row: _Row) -> float | str:
        """What is kept of the answer to a row, packed."""
        scores = self._scores.get(row.prediction)
        if scores is None:
            if len(self._scores) >= REMEMBERED:
                del self._scores[next(iter(self._scores))]
            [found] = connection.execute(SCORES, (row.prediction,)).fetchone()
            scores = self._scores[row.prediction] = orjson.loads(found)
        return pack(scores[row.row])

    def _label(self, connection: sqlite3.Connection, rows: list[_Row], value: float, now: float, source: str) -> None:
        if not rows:
            self._count("unknown")
        for row in rows:
            self._count(self._say(connection, row, value, now, source))

    def _say(self, connection: sqlite3.Connection, row: _Row, value: float, now: float, source: str) -> str:
        """Keeps what a source says of a row, one word for each source, and gives what that means.

        In the figures is the first trusted source's word.
        """
        said = connection.execute(FOUND, (row.prediction, row.row)).fetchall()
        if any(source == FORGOTTEN for _, source, _, _ in said):
            return "late"
        standing = next((truth for _, _, truth, counted in said if counted), None)
        own = next((line for line in said if line[1] == source), None)
        if own is not None:
            if own[2] == value:
                return "duplicate"
            connection.execute(CORRECT, (value, now, own[0]))
            counted, meaning = own[3], "contradictory"
        else:
            counted = source in self._trusted and standing is None
            place = (row.prediction, row.row, row.version, self._score(connection, row), value, now, source, counted)
            connection.execute(LABEL, place)
            meaning = self._meaning(said, standing, value, source)
        if counted:
            self.joined[row.version] += own is None
            self.changed.add(row.version)
        return meaning

    def _meaning(self, said: list[tuple[Any, ...]], standing: float | None, value: float, source: str) -> str:
        """What a source's first word on a row means."""
        if source not in self._trusted:
            return "conflict" if any(line[2] != value for line in said) else "untrusted"
        if standing is None:
            return "joined"
        return "duplicate" if standing == value else "conflict"

    def _count(self, meaning: str, number: int = 1) -> None:
        if number:
            self._counters.add(f"truth:{meaning}", number)


def _take_one(counter: Counter[Key], key: Key) -> None:
    """One less; what is not there any more is no key."""
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
