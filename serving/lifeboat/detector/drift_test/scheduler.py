"""Closed windows go to the drift test in their order, and scores to the online detectors that a bundle asks for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from lifeboat.detector.counters import COUNT
from lifeboat.detector.database import Database
from lifeboat.detector.drift_test.test_client import DriftTestClient, DriftTestDiedError, DriftTestRefusedError
from lifeboat.detector.ingest.bundles import Bundles, Known, NotYetError
from lifeboat.detector.ingest.rows import RefusedError
from lifeboat.detector.settings import DetectorSettings
from lifeboat.detector.windows.windows import Window, next_window, read_rows, read_scores, write_failure, write_verdict
from lifeboat.system import log

# How often the drift test's process may die on one window before it is given up.
TRIES = 5
LOOK_SECONDS, NOT_YET_SECONDS = 1.0, 1.0
# From the least rows of a window on: names of versions with a row each can be invented, and each has a detector.
ONLINE = """SELECT v.id, v.model, v.digest, coalesce(o.rows, 0), v.total, json_extract(v.rule, '$.online')
FROM versions v LEFT JOIN online o ON o.version = v.id
WHERE json_extract(v.rule, '$.online') > 0 AND v.total > coalesce(o.rows, 0)
AND v.total >= json_extract(v.rule, '$.minimum') ORDER BY v.id LIMIT 1"""
FED = """INSERT INTO online VALUES (?1, ?2, CASE WHEN ?3 THEN ?2 END)
ON CONFLICT (version) DO UPDATE SET rows = ?2, alarmed = CASE WHEN ?3 THEN ?2 ELSE alarmed END"""
# Rows for the online detectors at a time, and how many an online detector is shown again after a restart.
PIECE, PAST = 500, 500


class Scheduler:
    """The task that has windows tested.

    Args:
        settings, database, bundles: see there.
        client: of the drift test.
        judged: is told how long each judgement took.
    """

    def __init__(
        self, settings: DetectorSettings, database: Database, bundles: Bundles, client: DriftTestClient,
        judged: Callable[[float], None],
    ) -> None:  # fmt: skip
        self._settings, self._database, self._bundles, self._test_client = settings, database, bundles, client
        self._judged = judged
        self._connection = database.connect()
        self._loop = asyncio.get_running_loop()
        self._awake = asyncio.Event()
        self._tries = 0
        self.after: list[Callable[[], None]] = []

    def wake(self) -> None:
        """A window was closed; from any thread."""
        self._loop.call_soon_threadsafe(self._awake.set)

    async def run(self) -> None:
        """Runs until it is cancelled."""
        while True:
            self._awake.clear()
            try:
                busy = await self._test_next() or await self._feed_next()
            except DriftTestDiedError:
                await self._test_client.pause()
                busy = True
            except NotYetError as reason:
                log.error("a window waits for its bundle", reason=str(reason))
                await asyncio.sleep(NOT_YET_SECONDS)
                busy = True
            except Exception as error:  # a failing disk; the window is still there
                log.error("judging failed", error)
                await asyncio.sleep(NOT_YET_SECONDS)
                busy = True
            if not busy:
                await self._wait()

    def close(self) -> None:
        """Lets go of the database."""
        self._connection.close()

    async def _wait(self) -> None:
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await self._awake.wait()
        except TimeoutError:
            return

    async def _test_next(self) -> bool:
        window = await asyncio.to_thread(next_window, self._connection)
        if window is None:
            await self._load()
            return False
        try:
            known = await self._bundle(window.model, window.digest)
            columns, scores = await asyncio.to_thread(read_rows, self._connection, window, known.schema)
            begun = time.perf_counter()
            verdict = await self._test_client.ask("window", bundle=str(known.directory), columns=columns, scores=scores)
        except DriftTestDiedError as reason:
            self._tries += 1
            if self._tries >= TRIES:
                await self._give_up(window, f"the judge died {TRIES} times, last: {reason}")
            raise
        except (DriftTestRefusedError, RefusedError) as reason:
            await self._give_up(window, str(reason))
            return True
        self._judged(time.perf_counter() - begun)
        await self._keep(window, verdict)
        return True

    async def _keep(self, window: Window, verdict: dict[str, Any]) -> None:
        self._tries = 0
        await self._write(write_verdict, window, verdict)
        drifted = [feature["name"] for feature in verdict["features"] if feature["drift"]]
        log.info(
            "judged", model=window.model, version=window.version, window=window.number, drift=verdict["drift"],
            features=drifted,
        )  # fmt: skip
        for call in self.after:
            call()

    async def _give_up(self, window: Window, reason: str) -> None:
        self._tries = 0
        await self._write(write_failure, window, reason)
        log.error("a window cannot be judged", model=window.model, window=window.number, reason=reason)

    async def _write(self, write: Callable[..., None], window: Window, content: Any) -> None:
        def work() -> None:
            with self._database.writing(self._connection) as connection:
                write(connection, window, content)
                state = "judged" if write is write_verdict else "failed"
                connection.execute(COUNT, (f"windows:{window.id}:{state}", 1))

        await asyncio.to_thread(work)

    async def _load(self) -> None:
        """Starts the drift test when the first rows are there, so that it is ready for their window."""
        if self._test_client.state != "idle":
            return
        found = await asyncio.to_thread(lambda: self._connection.execute("SELECT 1 FROM versions LIMIT 1").fetchone())
        if found is not None:
            await self._test_client.ask("load")

    async def _bundle(self, model: str, digest: str) -> Known:
        return await asyncio.to_thread(self._bundles.find, self._settings.usecase_of(model), digest)

    async def _feed_next(self) -> bool:
        """Feeds some scores of a version with an online detector."""
        row = await asyncio.to_thread(lambda: self._connection.execute(ONLINE).fetchone())
        if row is None:
            return False
        id_, model, digest, fed, total, expected = row
        known = await self._bundle(model, digest)
        last = min(total, fed + PIECE)
        past = await asyncio.to_thread(read_scores, self._connection, id_, max(0, fed - PAST), fed)
        scores = await asyncio.to_thread(read_scores, self._connection, id_, fed, last)
        bundle = str(known.directory)
        try:
            alarmed = await self._test_client.ask(
                "online", bundle=bundle, version=id_, expected=expected, past=past, scores=scores
            )
        except DriftTestRefusedError as reason:
            log.error("the online detector refuses", model=model, reason=str(reason))
            alarmed = False
        await asyncio.to_thread(self._note_fed, id_, last, alarmed)
        return True

    def _note_fed(self, version: int, rows: int, alarmed: bool) -> None:
        with self._database.writing(self._connection) as connection:
            connection.execute(FED, (version, rows, alarmed))
