"""Forgetting somebody: what the store orders (`lifeboat forget`), carried out in the detector's own file.

A row keeps its place, for windows are counted by rows; what stands in it is then the schema's example, of nobody.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import orjson

from lifeboat.config.errors import LifeboatError, SettingsError
from lifeboat.config.pseudonyms import Pseudonyms
from lifeboat.data.labelled.forgotten import DETECTOR, Order, acknowledge, open_orders, read_order
from lifeboat.detector.database import Database
from lifeboat.detector.ingest.bundles import Bundles, Known, NotYetError
from lifeboat.detector.ingest.rows import RefusedError
from lifeboat.detector.ingest.worker import Worker
from lifeboat.detector.performance.label_export import LabelExport
from lifeboat.detector.performance.labels import FORGOTTEN
from lifeboat.detector.settings import DetectorSettings
from lifeboat.registry.storage import open_storage
from lifeboat.system import log
from lifeboat.usecase.column import entity_name

AGAIN_SECONDS = 1.0
KEPT = """SELECT p.id, p.columns, v.digest FROM predictions p JOIN versions v ON v.id = p.version
WHERE v.model = ? ORDER BY p.id"""
MODELS = "SELECT DISTINCT model FROM versions"
# A truth that comes for such a row later is told from one for a row that is there, and is late.
MARK = """INSERT OR REPLACE INTO labels (prediction, row, version, score, truth, labelled, source, counted, exported)
SELECT ?1, ?2, version, 0, 0, ?3, ?4, 0, 1 FROM predictions WHERE id = ?1"""
# Beyond it the labelled rows are written, whether or not an order could be carried out by then.
PATIENCE = 60.0


class Forgetting:
    """Looks for orders and has them carried out.

    Args:
        settings, database, bundles: see there.
        worker: in whose thread the file is changed.
        export: may hold rows in its hands that are to go.
    """

    def __init__(
        self, settings: DetectorSettings, database: Database, bundles: Bundles, worker: Worker, export: LabelExport
    ) -> None:
        self._settings, self._database, self._bundles = settings, database, bundles
        self._worker, self._export = worker, export
        self._pseudonyms = settings.pseudonyms
        self._connection = database.connect()
        # Until `run` has looked for the first time.
        export.pause()

    async def run(self) -> None:
        """Looks until it is cancelled. At first nothing is exported before it has looked."""
        deadline = time.monotonic() + PATIENCE
        try:
            while not await self._look(paused=True) and time.monotonic() < deadline:
                await asyncio.sleep(min(AGAIN_SECONDS, self._settings.forget_seconds))
        finally:
            self._export.resume()
        while True:
            await asyncio.sleep(self._settings.forget_seconds)
            await self._look()

    async def _look(self, *, paused: bool = False) -> bool:
        """Whether all orders there are have been carried out; one that cannot be does not keep others from it."""
        well = True
        try:
            orders = await asyncio.to_thread(self._orders)
        except (LifeboatError, sqlite3.Error) as error:
            log.error("who is to be forgotten cannot be read", reason=str(error))
            return False
        for usecase, key in orders:
            try:
                await self._carry_out(usecase, key, paused=paused)
            except (LifeboatError, NotYetError, RefusedError, sqlite3.Error) as error:
                log.error("somebody is to be forgotten, and is not yet", usecase=usecase, reason=str(error))
                well = False
        return well

    def close(self) -> None:
        """Lets go of the database."""
        self._connection.close()

    def _orders(self) -> list[tuple[str, str]]:
        storage = open_storage(self._settings.store, self._settings.s3)
        return [one for one in open_orders(storage, DETECTOR) if self._settings.usecase in ("", one[0])]

    async def _carry_out(self, usecase: str, key: str, *, paused: bool) -> None:
        storage = open_storage(self._settings.store, self._settings.s3)
        order = await asyncio.to_thread(read_order, storage, key)
        if order.key != self._pseudonyms.fingerprint:
            raise SettingsError("it was ordered by another personal key than this detector has")
        done: Future[dict[str, int]] = Future()

        def work(connection: sqlite3.Connection) -> dict[str, int]:
            models = [model for (model,) in connection.execute(MODELS) if self._settings.usecase_of(model) == usecase]
            eraser = _Eraser(self._database, self._bundles, self._pseudonyms, connection)
            return eraser.erase(usecase, models, order)

        # What is being written was read before, and what is read later is without the rows.
        if not paused:
            await asyncio.to_thread(self._export.pause)
        try:
            self._worker.submit(work, done)
            did = await asyncio.wrap_future(done)
        finally:
            if not paused:
                self._export.resume()
        await asyncio.to_thread(acknowledge, storage, usecase, order, DETECTOR, did)
        log.info("somebody is forgotten", **did)


class _Eraser:
    """Takes an entity out of the file.

    Args:
        database, bundles: see there.
        pseudonyms: by which an order says whom it means.
        connection: of this thread.
    """

    def __init__(
        self, database: Database, bundles: Bundles, pseudonyms: Pseudonyms, connection: sqlite3.Connection
    ) -> None:
        self._database, self._bundles, self._pseudonyms = database, bundles, pseudonyms
        self._connection = connection

    def erase(self, usecase: str, models: list[str], order: Order) -> dict[str, int]:
        """What was taken out, counted: rows of predictions, labels, and truths that wait.

        Raises:
            NotYetError: a bundle is not here that says what the columns are.
            RefusedError: there is no such bundle.
            sqlite3.Error: among them that somebody reads what is to be written anew; it is tried again.
        """
        did = {"rows": 0, "labels": 0, "truths": 0}
        for model in models:
            found = list(self._find(usecase, model, order))
            with self._database.writing(self._connection) as connection:
                # What is overwritten is not to stay in the file as a page that is free.
                connection.execute("PRAGMA secure_delete = ON")
                for id_, columns, places in found:
                    connection.execute("UPDATE predictions SET columns = ? WHERE id = ?", (orjson.dumps(columns), id_))
                    did["rows"] += len(places)
                    for place in places:
                        gone = connection.execute("DELETE FROM labels WHERE prediction = ? AND row = ?", (id_, place))
                        did["labels"] += gone.rowcount
                        connection.execute(MARK, (id_, place, time.time(), FORGOTTEN))
                did["truths"] += self._forget_names(connection, model, order)
        self._clean()
        return did

    def _find(self, usecase: str, model: str, order: Order) -> Iterator[tuple[int, list[list[Any]], list[int]]]:
        """Of each prediction with rows of the entity its number, its columns without them, and their places."""
        for id_, text, digest in self._connection.execute(KEPT, (model,)):
            known = self._bundles.find(usecase, digest)
            place = known.schema.id_place
            if place is None:
                continue
            columns = orjson.loads(text)
            ids = list(map(entity_name, columns[place]))
            meant = order.means(set(ids), self._pseudonyms)
            if meant:
                places = [row for row, name in enumerate(ids) if name in meant]
                yield id_, _without(known, columns, places), places

    def _forget_names(self, connection: sqlite3.Connection, model: str, order: Order) -> int:
        names = {name for (name,) in connection.execute("SELECT entity FROM entities WHERE model = ?", (model,))}
        waiting = "SELECT DISTINCT name FROM truths WHERE model = ? AND kind = 'entity'"
        names |= {name for (name,) in connection.execute(waiting, (model,))}
        gone = 0
        for name in order.means(names, self._pseudonyms):
            connection.execute("DELETE FROM entities WHERE model = ? AND entity = ?", (model, name))
            which = "DELETE FROM truths WHERE model = ? AND kind = 'entity' AND name = ?"
            gone += connection.execute(which, (model, name)).rowcount
        return gone

    def _clean(self) -> None:
        """Writes the file anew: pages that became free before, such as the inbox's, still hold what they held."""
        with self._database.alone():
            self._connection.execute("PRAGMA secure_delete = OFF")
            self._connection.execute("VACUUM")
            [busy] = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[:1]
        if busy:
            raise sqlite3.OperationalError("the file is being read, and cannot be written anew")


def _without(known: Known, columns: list[list[Any]], places: list[int]) -> list[list[Any]]:
    schema = known.schema
    nobody = [None if column.sample is None else column.parse(column.sample) for column in schema.columns]
    for values, value in zip(columns, [*nobody, *(None for _ in schema.keys)], strict=True):
        for place in places:
            values[place] = value
    return columns
