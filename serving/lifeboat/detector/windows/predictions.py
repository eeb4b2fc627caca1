"""The predictions as they are kept for their window and for their truth: those of a pass together, column by column."""

from __future__ import annotations

import secrets
import sqlite3
from dataclasses import dataclass, field

import orjson

from lifeboat.detector.ingest.bundles import Known
from lifeboat.detector.windows.versions import WatchedVersion
from lifeboat.server.columnar import Requests
from lifeboat.server.protocols.row_parser import Columns
from lifeboat.server.request_id import LONGEST
from lifeboat.usecase.column import entity_name

INSERT = """INSERT INTO predictions (id, version, start, rows, received, requests, columns, scores)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
NAME = "INSERT INTO names VALUES (?, ?, ?, ?, ?, ?)"
TAKEN = """SELECT n.name FROM json_each(?) j CROSS JOIN names n ON n.name = j.value
WHERE n.version = ? AND n.alias = 0"""
ENTITY = "INSERT OR REPLACE INTO entities VALUES (?, ?, ?, ?)"
# Rows that are kept together, more or less: all of them are read for one of them.
MOST_ROWS = 2_000


@dataclass(frozen=True, slots=True)
class Arrived:
    """Predictions of this pass, for truths that wait for them."""

    model: str
    puids: list[str]
    entities: list[str]


@dataclass(slots=True)
class _Block:
    """Predictions of a version that came one after the other.

    Args:
        id: in the database.
        version: whose they are.
        start: number of the first row.
        columns, scores: of all rows.
        received: when the last came.
    """

    id: int
    version: int
    start: int
    columns: Columns
    scores: list[object] = field(default_factory=list)
    received: float = 0.0
    requests: Requests = field(default_factory=lambda: Requests([], [], [], []))


class Predictions:
    """Collects the predictions of a pass and writes them."""

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads where the numbers stand."""
        self._connection = connection
        row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'predictions'").fetchone()
        self._next = (row[0] if row else 0) + 1
        self._blocks: list[_Block] = []
        self._open: dict[int, _Block] = {}
        self._names: list[tuple[str, int, int, int, int, int]] = []
        self._entities: list[tuple[str, str, int, int]] = []
        self.arrived: list[Arrived] = []
        self._puids: set[tuple[str, int]] = set()

    def add(
        self, version: WatchedVersion, known: Known, start: int, requests: Requests, columns: Columns,
        scores: list[object], received: float,
    ) -> None:  # fmt: skip
        """Takes predictions.

        Args:
            version, known: whose they are.
            start: number of their first row.
            requests: what each is called, and how many rows it has.
            columns: inputs and keys.
            scores: what is kept of each row's answer.
            received: when their event came.
        """
        block = self._block_for(version.id, start, len(columns), len(scores))
        first = len(block.scores)
        entities = _entities(known, columns)
        self._entities += [(version.model, name, block.id, first + place) for place, name in entities]
        asked = [*filter(None, requests.aliases), *requests.ids]
        self._name(block, requests)
        self.arrived.append(Arrived(version.model, asked, [name for _, name in entities]))
        # A null is NaN among the numbers, which orjson writes as null, and "" among the strings.
        for kept, values in zip(block.columns, columns, strict=True):
            kept += values
        block.scores += scores
        block.received = received

    def flush(self, connection: sqlite3.Connection) -> None:
        """Writes; `arrived` stays for whoever comes after."""
        rows = [
            (
                one.id, one.version, one.start, len(one.scores), one.received, orjson.dumps(one.requests).decode(),
                orjson.dumps(one.columns), orjson.dumps(one.scores),
            )
            for one in self._blocks
        ]  # fmt: skip
        connection.executemany(INSERT, rows)
        connection.executemany(NAME, self._names)
        connection.executemany(ENTITY, self._entities)
        self._blocks, self._open, self._names, self._entities, self._puids = [], {}, [], [], set()

    def _block_for(self, version: int, start: int, width: int, rows: int) -> _Block:
        block = self._open.get(version)
        if block is None or len(block.scores) + rows > MOST_ROWS:
            block = self._open[version] = _Block(self._next, version, start, [[] for _ in range(width)])
            self._blocks.append(block)
            self._next += 1
        return block

    def _name(self, block: _Block, requests: Requests) -> None:
        """What each request is called here: by an id of ours where another of its version has its own.

        Behind Seldon's executor a client may say the same id each time. Each is a prediction of its own, and a truth by
        that id is of neither (`truths`).
        """
        version, first, kept = block.version, len(block.scores), block.requests
        found = self._connection.execute(TAKEN, (orjson.dumps(requests.ids).decode(), version))
        taken = {name for (name,) in found}
        for puid, alias, rows in zip(requests.ids, requests.aliases, requests.rows, strict=True):
            if puid in taken or (puid, version) in self._puids:
                puid, alias = secrets.token_hex(16), puid
            alias = alias if alias != puid and len(alias) <= LONGEST else ""
            self._puids.add((puid, version))
            self._names.append((puid, block.id, first, rows, version, 0))
            if alias:
                self._names.append((alias, block.id, first, rows, version, 1))
            kept.ids.append(puid)
            kept.aliases.append(alias)
            first += rows
        kept.times.extend(requests.times)
        kept.rows.extend(requests.rows)


def _entities(known: Known, columns: Columns) -> list[tuple[int, str]]:
    """Place and name of the rows that say which entity they are about."""
    place_of_id = known.schema.id_place
    if place_of_id is None:
        return []
    values = columns[place_of_id]
    return [(place, name) for place, value in enumerate(values) if (name := entity_name(value))]
