"""Rows whose truth is known go to the store, where the next training finds them.

At least once: they are marked as written after they were, and a row that is written again is the same row.
"""

from __future__ import annotations

import asyncio
import math
import sqlite3
import threading
import time
from bisect import bisect_right
from collections import defaultdict
from itertools import accumulate
from typing import Any

import numpy as np
import orjson

from lifeboat.config.errors import DataError, LifeboatError
from lifeboat.data.labelled.hidden_columns import LABELLED_AT, PREDICTED_AT, PUID, ROW, SCORE, SOURCE, VERSION
from lifeboat.data.labelled.labelled_rows import day_of, part_keys, write_labelled
from lifeboat.data.labelled.trust import read_conflicts
from lifeboat.detector.counters import COUNT
from lifeboat.detector.database import Database
from lifeboat.detector.ingest.bundles import Bundles, Known, NotYetError
from lifeboat.detector.ingest.rows import RefusedError
from lifeboat.detector.performance.packed_answers import unpack
from lifeboat.detector.settings import DetectorSettings
from lifeboat.registry.storage import open_storage
from lifeboat.server.columnar import Requests
from lifeboat.system import log
from lifeboat.tasks.kinds import task_of

PENDING = """SELECT l.id, l.labelled, l.prediction, l.row, l.truth, l.score, v.model, v.version, v.digest, l.source
FROM labels l JOIN versions v ON v.id = l.version
WHERE l.exported = 0 ORDER BY l.id LIMIT ?"""
ASKED = "SELECT requests, columns FROM predictions WHERE id = ?"
# Only what was written: a truth that was corrected meanwhile is written again.
DONE = "UPDATE labels SET exported = 1 WHERE id = ? AND labelled = ?"
LOOK_SECONDS = 0.5
# Between two looks at the note of a run, which come seldom.
CONFLICTS_SECONDS = 30.0
# Between two lists of all parts of a use case: the oldest one changes once a day at most.
OLDEST_SECONDS = 3600.0


class LabelExport:
    """The task that writes.

    Args:
        settings, database, bundles: see there.
    """

    def __init__(self, settings: DetectorSettings, database: Database, bundles: Bundles) -> None:
        self._settings, self._database, self._bundles = settings, database, bundles
        self._connection, self._writing = database.connect(), threading.Lock()
        # By use case: truths that contradict the table or one another, as the last run and whoever settles left them.
        self.conflicts: dict[str, int] = {}
        # By use case: of which day the oldest labelled row is, in seconds since 1970.
        self.oldest: dict[str, float] = {}
        self._listed: dict[str, float] = {}

    async def run(self) -> None:
        """Writes until it is cancelled."""
        written, looked = time.monotonic(), -math.inf
        while True:
            await asyncio.sleep(min(LOOK_SECONDS, self._settings.export_seconds))
            due = time.monotonic() - written >= self._settings.export_seconds
            if not due and await asyncio.to_thread(self._pending) < self._settings.export_rows:
                continue
            written = time.monotonic()
            try:
                while await asyncio.to_thread(self.write):
                    pass
            except (LifeboatError, NotYetError, RefusedError, sqlite3.Error) as error:
                log.error("labelled rows wait: they cannot be written", reason=str(error))
            if written >= looked + CONFLICTS_SECONDS:
                looked = written
                await self._look_at_store()

    def pause(self) -> None:
        """Waits until nothing is being written, and keeps it so until `resume`; from any thread."""
        self._writing.acquire()

    def resume(self) -> None:
        """Ends `pause`."""
        self._writing.release()

    def write(self) -> bool:
        """Writes one part for each bundle; False if nothing is left."""
        with self._writing:
            return self._write()

    def _write(self) -> bool:
        groups: dict[tuple[str, str], list[Any]] = defaultdict(list)
        for line in self._connection.execute(PENDING, (self._settings.export_rows,)):
            groups[line[6], line[8]].append(line)
        for (model, digest), lines in groups.items():
            usecase = self._settings.usecase_of(model)
            # By prediction: what was asked of one is read once for its rows.
            lines.sort(key=lambda line: (line[2], line[3]))
            self._write_part(usecase, self._bundles.find(usecase, digest), lines)
        return len(groups) > 0 and self._pending() >= self._settings.export_rows

    def close(self) -> None:
        """Lets go of the database."""
        self._connection.close()

    async def _look_at_store(self) -> None:
        try:
            self.conflicts = await asyncio.to_thread(self._read_store)
        except (LifeboatError, sqlite3.Error) as error:
            log.error("what the store says of labelled rows cannot be read", reason=str(error))

    def _read_store(self) -> dict[str, int]:
        storage = open_storage(self._settings.store, self._settings.s3)
        models = self._connection.execute("SELECT DISTINCT model FROM versions").fetchall()
        names = sorted({self._settings.usecase_of(model) for (model,) in models})
        for name in names:
            if name not in self.oldest or time.monotonic() >= self._listed[name] + OLDEST_SECONDS:
                self._listed[name] = time.monotonic()
                parts = part_keys(storage, name)
                # A new one each time: a report may be reading it.
                others = {one: at for one, at in self.oldest.items() if one != name}
                self.oldest = {**others, name: day_of(parts[0])} if parts else others
        return {name: read_conflicts(storage, name) for name in names}

    def _write_part(self, usecase: str, known: Known, lines: list[Any]) -> None:
        rows = _Rows(known, self._connection)
        storage = open_storage(self._settings.store, self._settings.s3)
        written = len(lines)
        try:
            write_labelled(storage, usecase, known.schema, [rows.of(line) for line in lines])
        except DataError as error:
            # One row spoils its part: written one by one, only that one is left out.
            if len(lines) > 1:
                for line in lines:
                    self._write_part(usecase, known, [line])
                return
            log.error("a labelled row is left out", column=error.column)  # not its value: it is somebody's
            written = 0
        with self._database.writing(self._connection) as connection:
            connection.executemany(DONE, [(line[0], line[1]) for line in lines])
            connection.execute(COUNT, ("exported", written))

    def _pending(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM labels WHERE exported = 0").fetchone()[0])


class _Rows:
    """Makes rows of the labelled dataset."""

    def __init__(self, known: Known, connection: sqlite3.Connection) -> None:
        schema, self._connection = known.schema, connection
        self._asked = [*schema.columns, *schema.keys]
        self._label, self._is_float = schema.label.name, schema.label.stored_column.kind == "float"
        self._task = task_of(schema.label)
        self._read = 0

    def of(self, line: Any) -> dict[str, Any]:
        """One row of the query."""
        _, labelled, prediction, row, truth, score, _, version, _, source = line
        if self._read != prediction:
            requests, columns = self._connection.execute(ASKED, (prediction,)).fetchone()
            self._requests, self._columns = Requests(**orjson.loads(requests)), orjson.loads(columns)
            self._starts = [0, *accumulate(self._requests.rows)]
            self._read = prediction
        place = bisect_right(self._starts, row) - 1
        # In JSON of Seldon's a whole number is an integer, also where the label is none.
        truth = float(truth) if self._is_float else truth
        values = (column[row] for column in self._columns)
        return {
            **{column.name: column.written(value) for column, value in zip(self._asked, values, strict=True)},
            self._label: truth, PUID: self._requests.ids[place], ROW: row - self._starts[place], VERSION: version,
            SCORE: self._followed(score), PREDICTED_AT: self._requests.times[place], LABELLED_AT: labelled,
            SOURCE: source,
        }  # fmt: skip

    def _followed(self, score: float | str) -> float:
        """The one number that stands for what is kept of an answer."""
        kept = np.asarray([unpack(score)])
        return float(self._task.followed(self._task.watched(kept))[0])
