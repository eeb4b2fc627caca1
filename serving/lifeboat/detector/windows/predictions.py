"""The predictions as they are kept for their window and for their truth."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass
from typing import Any

import orjson

from lifeboat.detector.ingest.bundles import Known
from lifeboat.detector.windows.versions import WatchedVersion
from lifeboat.server.protocols.row_parser import Columns
from lifeboat.server.request_id import LONGEST
from lifeboat.usecase.column import entity_name

INSERT = """INSERT INTO predictions (id, version, start, rows, puid, alias, time, received, columns, scores)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
# By the index that is said: of two that fit alike SQLite took that of the version, and went through all its rows.
TAKEN = "SELECT 1 FROM predictions INDEXED BY predictions_puid WHERE puid = ? AND version = ?"
ENTITY = "INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Arrived:
    """A prediction of this pass, for truths that wait for it."""

    model: str
    puids: list[str]
    entities: list[str]


class Predictions:
    """Collects the predictions of a pass and writes them."""

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads where the numbers stand."""
        self._connection = connection
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'predictions'").fetchone()
        self._next = (row[0] if row else 0) + 1
        self._rows: list[tuple[Any, ...]] = []
        self._entities: list[tuple[str, str, int, int]] = []
        self.arrived: list[Arrived] = []
        self._puids: set[tuple[str, int]] = set()

    def add(
        self, version: WatchedVersion, known: Known, start: int, names: tuple[str, str], times: tuple[float, float],
        columns: Columns, scores: list[Any],
    ) -> None:  # fmt: skip
        """Takes a prediction.

        Args:
            version, known: whose it is.
            start: number of its first row.
            names: the request's id and how its client calls it, "" if it does not.
            times: when it was made, and when its event came.
            columns: inputs and keys.
            scores: what is kept of each row's answer.
        """
        # A null is NaN among the numbers, which orjson writes as null, and "" among the strings.
        puid, alias = self._name(version.id, *names)
        row = (version.id, start, len(scores), puid, alias, *times, orjson.dumps(columns), orjson.dumps(scores))
        self._rows.append((self._next, *row))
        entities = _entities(known, columns)
        self._entities += [(version.model, name, self._next, place) for place, name in entities]
        asked = list(dict.fromkeys(filter(None, (*names, puid))))
        self.arrived.append(Arrived(version.model, asked, [name for _, name in entities]))
        self._next += 1

    def flush(self, connection: sqlite3.Connection) -> None:
        """Writes; `arrived` stays for whoever comes after."""
        connection.executemany(INSERT, self._rows)
        connection.executemany(ENTITY, self._entities)
        self._rows, self._entities, self._puids = [], [], set()

    def _name(self, version: int, puid: str, alias: str) -> tuple[str, str]:
        """What the prediction is called here: by an id of ours where another of its version has the request's.

        Behind Seldon's executor a client may say the same id each time. Each is a prediction of its own, and a truth by
        that id is of neither (`truths`).
        """
        alias = alias if alias != puid and len(alias) <= LONGEST else ""
        if (puid, version) in self._puids or self._connection.execute(TAKEN, (puid, version)).fetchone():
            puid, alias = secrets.token_hex(16), puid
        self._puids.add((puid, version))
        return puid, alias


def _entities(known: Known, columns: Columns) -> list[tuple[int, str]]:
    """Place and name of the rows that say which entity they are about."""
    names = [*known.schema.names, *(key.name for key in known.schema.keys)]
    if known.schema.id is None:
        return []
    values = columns[names.index(known.schema.id)]
    return [(place, name) for place, value in enumerate(values) if (name := entity_name(value))]
