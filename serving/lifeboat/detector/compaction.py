"""Bounded disk: what is no longer needed is removed, a little at a time.

Predictions that are kept together stay until the windows of their rows are judged, their labelled rows are exported,
and they are older than the retention or beyond its number of rows. Of a judged window the verdict stays, of a version
the newest ones.
"""

from __future__ import annotations

import sqlite3

import orjson

from lifeboat.detector.database import Database
from lifeboat.detector.ingest.processor import Processor
from lifeboat.detector.settings import DetectorSettings
from lifeboat.detector.windows.versions import WatchedVersion

# Requests whose predictions are removed in one transaction, and predictions that are looked at together.
REQUESTS, CHUNK = 2_000, 100
VACUUM_PAGES = 500
OLDEST = "SELECT id, version, start, rows, requests, received FROM predictions WHERE id > ? ORDER BY id LIMIT ?"
# A version's rows from here on belong to a window without verdict.
OPEN = "SELECT version, min(first) FROM windows WHERE state = 'waiting' GROUP BY version"
UNWRITTEN = "SELECT DISTINCT prediction FROM labels WHERE exported = 0"


class _Due:
    """Goes through the predictions that may be removed, oldest first."""

    def __init__(self, connection: sqlite3.Connection, processor: Processor, before: float, kept: int) -> None:
        self._connection, self._before, self._last = connection, before, 0
        self._versions = processor.versions.by_id()
        self._open = {id_: version.first for id_, version in self._versions.items()}
        self._open |= dict(connection.execute(OPEN).fetchall())
        self._unwritten = {id_ for (id_,) in connection.execute(UNWRITTEN)}
        self._excess = sum(map(self._rows, self._versions.values())) - kept

    def next(self) -> list[tuple[int, str, list[str]]]:
        """Id, model, and names of the requests of some; empty at the end."""
        found: list[tuple[int, str, list[str]]] = []
        requests = 0
        while requests < REQUESTS:
            chunk = self._connection.execute(OLDEST, (self._last, CHUNK)).fetchall()
            for id_, version, start, rows, asked, received in chunk:
                if requests >= REQUESTS or (received >= self._before and self._excess < rows):
                    return found
                self._last = id_
                if start + rows <= self._open.get(version, 0) and id_ not in self._unwritten:
                    document = orjson.loads(asked)
                    names = [*document["ids"], *filter(None, document["aliases"])]
                    found.append((id_, self._versions[version].model, names))
                    requests += len(document["ids"])
                    self._excess -= rows
            if len(chunk) < CHUNK:
                break
        return found

    def _rows(self, version: WatchedVersion) -> int:
        if version.is_newcomer:
            return version.total  # its one window is open, so all of it is there
        first = self._connection.execute("SELECT min(start) FROM predictions WHERE version = ?", (version.id,))
        start = first.fetchone()[0]
        return 0 if start is None else version.total - int(start)


class Compaction:
    """Removes.

    Args:
        settings: say how much is kept.
        database: where.
    """

    def __init__(self, settings: DetectorSettings, database: Database) -> None:
        self._settings, self._database = settings, database

    def run(self, connection: sqlite3.Connection, processor: Processor, now: float) -> None:
        """Removes all that is due, in transactions short enough for the intake."""
        due = _Due(connection, processor, now - self._settings.retention_seconds, self._settings.retention_rows)
        while found := due.next():
            self._remove(connection, processor, found)
        with self._database.writing(connection):
            for version in processor.versions.by_id().values():
                if not version.is_newcomer:
                    self._trim(connection, version)
                if version.last <= now - self._settings.retention_seconds:
                    processor.versions.forget(connection, version)
        self._shrink(connection)

    def used(self, processor: Processor) -> set[tuple[str, str]]:
        """Use case and digest of the bundles that are needed."""
        versions = processor.versions.by_id().values()
        return {(self._settings.usecase_of(version.model), version.digest) for version in versions}

    def _remove(
        self, connection: sqlite3.Connection, processor: Processor, found: list[tuple[int, str, list[str]]]
    ) -> None:
        """Removes predictions (id, model, names) and remembers their names."""
        names = [(model, "puid", name) for _, model, named in found for name in named]
        with self._database.writing(connection):
            for id_, _, _ in found:
                rows = connection.execute(
                    "DELETE FROM entities WHERE prediction = ? RETURNING model, entity", (id_,)
                ).fetchall()
                names += [(model, "entity", entity) for model, entity in rows]
            connection.executemany(
                "DELETE FROM names WHERE name = ? AND prediction = ?",
                [(name, id_) for id_, _, named in found for name in named],
            )
            connection.executemany("DELETE FROM predictions WHERE id = ?", [(id_,) for id_, _, _ in found])
            processor.tombstones.add(connection, names)

    def _trim(self, connection: sqlite3.Connection, version: WatchedVersion) -> None:
        """Old verdicts, and labels that neither live figures nor a prediction need."""
        connection.execute(
            "DELETE FROM windows WHERE version = ? AND state != 'waiting' AND number <= ?",
            (version.id, version.number - 1 - self._settings.history),
        )
        connection.execute(
            "DELETE FROM labels WHERE version = ?1 AND exported = 1 AND (counted = 0 OR id < (SELECT id FROM labels "
            "WHERE version = ?1 AND counted = 1 ORDER BY id DESC LIMIT 1 OFFSET ?2)) "
            "AND NOT EXISTS (SELECT 1 FROM predictions WHERE id = prediction)",
            (version.id, self._settings.live_rows),
        )

    def _shrink(self, connection: sqlite3.Connection) -> None:
        """Gives free pages back to the file system when they are more than the used ones."""
        free = connection.execute("PRAGMA freelist_count").fetchone()[0]
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        if free > max(VACUUM_PAGES, pages // 2):
            self._database.shrink(connection, VACUUM_PAGES)
