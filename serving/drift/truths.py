"""Truths meet predictions, whichever comes first.

joined         the row had no truth yet
duplicate      it has this truth already; nothing changes
contradictory  it had another; the latest one counts from now on, in the live figures and in the labelled rows
waiting        there is no such prediction yet
late           its prediction was given up before (retention)
unknown        it has waited too long, or too many wait, or the request had fewer rows
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass
from typing import Any

import orjson

from serving.drift.counters import Counters
from serving.drift.feedback import Truth
from serving.drift.gone import Gone
from serving.drift.predictions import Arrived
from serving.drift.settings import Settings
from serving.drift.versions import Versions

BY_PUID = "SELECT id, version, rows, scores FROM predictions WHERE puid = ? ORDER BY id DESC LIMIT 20"
BY_ENTITY = """SELECT p.id, p.version, p.rows, p.scores, e.row FROM entities e JOIN predictions p
ON p.id = e.prediction WHERE e.model = ? AND e.entity = ?"""
LABEL = "INSERT INTO labels (prediction, row, version, score, truth, labelled) VALUES (?, ?, ?, ?, ?, ?)"
CORRECT = "UPDATE labels SET truth = ?, labelled = ?, exported = 0 WHERE id = ?"
WAIT = "INSERT INTO truths (received, model, kind, name, row, truth) VALUES (?, ?, ?, ?, ?, ?)"
Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Row:
    """A row that was predicted."""

    prediction: int
    version: int
    row: int
    score: float


class Truths:
    """Joins truths.

    Args:
        settings: give the limits.
        counters: count what becomes of each.
        versions: say whose a prediction is.
        gone: knows what was given up.
    """

    def __init__(self, settings: Settings, counters: Counters, versions: Versions, gone: Gone) -> None:
        self._settings, self._counters, self._versions, self._gone = settings, counters, versions, gone

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads who waits."""
        self._new: list[Truth] = []
        rows = connection.execute("SELECT model, kind, name, count(*) FROM truths GROUP BY 1, 2, 3")
        self._waiting: Counter[Name] = Counter({(model, kind, name): n for model, kind, name, n in rows})
        self.joined: Counter[int] = Counter()
        self.changed = {id_ for (id_,) in connection.execute("SELECT DISTINCT version FROM labels")}

    def add(self, truths: list[Truth]) -> None:
        """Takes truths, to be joined when this pass is written."""
        self._new += truths

    def flush(self, connection: sqlite3.Connection, arrived: list[Arrived]) -> None:
        """Joins; after the predictions of the pass were written."""
        if self._waiting:
            for prediction in arrived:
                self._wake(connection, (prediction.model, "puid", prediction.puid))
                for entity in prediction.entities:
                    self._wake(connection, (prediction.model, "entity", entity))
        for truth in self._new:
            self._place(connection, truth)
        self._new = []

    def expire(self, connection: sqlite3.Connection, now: float) -> None:
        """Gives up on truths that have waited too long; inside a transaction."""
        found = connection.execute(
            "DELETE FROM truths WHERE received < ? RETURNING model, kind, name", (now - self._settings.late_seconds,)
        ).fetchall()
        for name in found:
            self._leave(name)
        self._count("unknown", len(found))

    def _place(self, connection: sqlite3.Connection, truth: Truth) -> None:
        names = [(truth.model, "puid", puid) for puid in truth.puids] or [(truth.model, "entity", truth.entity)]
        for name in names:
            rows = self._find(connection, name, truth.row)
            if rows is not None:
                self._label(connection, rows, truth.value, truth.received)
                return
        if any(self._gone.has(connection, name) for name in names):
            self._count("late")
        elif not names[0][2] or self._waiting.total() >= self._settings.max_truths:
            self._count("unknown")
        else:
            connection.execute(WAIT, (truth.received, *names[0], truth.row, truth.value))
            self._waiting[names[0]] += 1
            self._count("waiting")

    def _wake(self, connection: sqlite3.Connection, name: Name) -> None:
        if name not in self._waiting:
            return
        del self._waiting[name]
        found = connection.execute(
            "DELETE FROM truths WHERE model = ? AND kind = ? AND name = ? RETURNING id, row, truth, received", name
        ).fetchall()
        for _, row, value, received in sorted(found):
            self._label(connection, self._find(connection, name, row) or [], value, received)

    def _find(self, connection: sqlite3.Connection, name: Name, row: int) -> list[_Row] | None:
        """The newest prediction of each version; None if there is none, empty if it has no such row."""
        model, kind, text = name
        if kind == "entity":
            found = connection.execute(BY_ENTITY, (model, text)).fetchall()
        else:
            found = [(*line, row) for line in connection.execute(BY_PUID, (text,))]
        versions = self._versions.by_id()
        newest: dict[int, tuple[Any, ...]] = {}
        for line in found:
            if line[1] in versions and versions[line[1]].model == model:
                newest.setdefault(line[1], line)
        if not newest:
            return None
        return [_Row(id_, v, at, orjson.loads(scores)[at]) for id_, v, rows, scores, at in newest.values() if at < rows]

    def _label(self, connection: sqlite3.Connection, rows: list[_Row], value: int, now: float) -> None:
        if not rows:
            self._count("unknown")
        for row in rows:
            before = connection.execute(
                "SELECT id, truth FROM labels WHERE prediction = ? AND row = ?", (row.prediction, row.row)
            ).fetchone()
            if before is None:
                connection.execute(LABEL, (row.prediction, row.row, row.version, row.score, value, now))
                self.joined[row.version] += 1
                self._count("joined")
            elif before[1] == value:
                self._count("duplicate")
                continue
            else:
                connection.execute(CORRECT, (value, now, before[0]))
                self._count("contradictory")
            self.changed.add(row.version)

    def _leave(self, name: Name) -> None:
        self._waiting[name] -= 1
        if not self._waiting[name]:
            del self._waiting[name]

    def _count(self, meaning: str, number: int = 1) -> None:
        self._counters.add(f"truth:{meaning}", number)
