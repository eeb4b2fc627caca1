"""The detector's life: open, listen, watch, drain."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
import sqlite3
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from typing import Any

import uvloop

from lifeboat.detector.database import Database
from lifeboat.detector.disk import DiskError, is_disk
from lifeboat.detector.drift_test.scheduler import Scheduler
from lifeboat.detector.drift_test.test_client import DriftTestClient
from lifeboat.detector.forgetting import Forgetting
from lifeboat.detector.ingest.bundles import Bundles
from lifeboat.detector.ingest.ingest import Ingest
from lifeboat.detector.ingest.worker import Worker
from lifeboat.detector.metrics import DetectorMetrics
from lifeboat.detector.notifier import Notifier
from lifeboat.detector.performance.label_export import LabelExport
from lifeboat.detector.report import Now, Report
from lifeboat.detector.service import DetectorService
from lifeboat.detector.settings import SERVICE, DetectorSettings
from lifeboat.detector.unready import Unready
from lifeboat.http.listener import Listener
from lifeboat.http.sockets import bind, listen
from lifeboat.registry.storage import open_storage
from lifeboat.system import log
from lifeboat.system.tracing import FLUSH_SECONDS, Tracer, open_tracer

# Threads hand work to one another for each post: the default of 5 ms would be most of its time.
SWITCH_SECONDS = 0.0005
# Of the garbage collector: posts are parsed into many objects that live shortly and are in no circle. Looking through
# them at each 700 took longer than parsing them, at a stretch that the loop waited for.
COLLECT = 100_000, 20, 100
# Between two looks at a disk that was full.
AGAIN_SECONDS = 1.0


class Detector:
    """Everything, put together; must be made inside a running loop.

    Args:
        settings: see there.
        database: opened.
        environment: of the drift test's process.
        tracer: of the events; None for no traces.
    """

    def __init__(
        self, settings: DetectorSettings, database: Database, environment: dict[str, str], tracer: Tracer | None
    ) -> None:
        loop = asyncio.get_running_loop()
        open_storage(settings.store, settings.s3)  # a wrong address is said now
        self._database = database
        self._bundles = Bundles(settings, lambda: self._worker.retry())
        self._test_client = DriftTestClient(settings.judge, settings.judge_seconds, environment)
        self._reader = database.connect()
        report = Report(self._reader, settings.active_seconds, settings.max_versions, self._now)
        metrics = DetectorMetrics(report.read, report.counters)
        self._scheduler = Scheduler(settings, database, self._bundles, self._test_client, metrics.tested)
        self._worker = Worker(settings, database, self._bundles, self._scheduler.wake, tracer)
        self._ingest = Ingest(database, loop, self._worker.wake)
        self._export = LabelExport(settings, database, self._bundles)
        self._forgetting = Forgetting(settings, database, self._bundles, self._worker, self._export)
        self._notifier = Notifier(settings.reply_url, database) if settings.reply_url else None
        self._service = DetectorService(settings, self._ingest, self._waiting, report, metrics, database)
        app = self._service.app
        self._listener = Listener(loop, settings.listener_limits, app.handle, app.refusal)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, listening: socket.socket) -> None:
        """Begins to take events."""
        self._ingest.start()
        self._worker.start()
        works: list[Coroutine[Any, Any, None]] = [self._scheduler.run(), self._export.run(), self._forgetting.run()]
        if self._notifier is not None:
            self._scheduler.after.append(self._notifier.wake)
            works.append(self._notifier.run())
        self._tasks = [asyncio.create_task(work) for work in works]
        self._listener.open(listening)
        self._service.ready = True

    async def end(self) -> None:
        """Answers what was begun; what was acknowledged and not processed is on the disk."""
        self._service.ready = False
        await self._listener.drain()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._test_client.end()
        await asyncio.to_thread(self._ingest.stop)
        await asyncio.to_thread(self._worker.stop)
        self._bundles.close()
        for part in (self._scheduler, self._export, self._forgetting, self._notifier, self._reader, self._database):
            if part is not None:
                part.close()

    def _waiting(self) -> tuple[int, int]:
        ingest, worker = self._ingest, self._worker
        return (
            max(0, ingest.events + ingest.coming - worker.processed),
            max(0, ingest.bytes + ingest.coming_bytes - worker.processed_bytes),
        )

    def _now(self) -> Now:
        client, database = self._test_client, self._database
        problems = [*filter(None, [database.problem, self._worker.problem]), *self._bundles.problems]
        if database.broken:
            problems.append(f"what was counted before is in {database.broken[-1]}: that database is broken")
        up, broken, export = not database.problem, len(database.broken), self._export
        return Now(
            self._waiting()[0], client.state, client.reason, problems, up, broken, export.conflicts, export.oldest
        )


def watch(settings: DetectorSettings, environment: dict[str, str]) -> None:
    """Runs until SIGTERM or SIGINT.

    Raises:
        SettingsError: it cannot run.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECT)
    log.choose_level(settings)
    tracer = open_tracer(SERVICE, settings)
    bound = socket.socket(fileno=settings.descriptor) if settings.descriptor else bind(settings.host, settings.port)
    uvloop.run(_watch(partial(_make, settings, environment, tracer), settings, bound))
    if tracer is not None:
        tracer.close(FLUSH_SECONDS)


async def _open(
    make: Callable[[], Detector], settings: DetectorSettings, bound: socket.socket, stopping: asyncio.Event
) -> Detector | None:
    """The detector, once the disk allows it; None if it is to end before. Meanwhile it says that it is not ready."""
    unready = None
    while not stopping.is_set():
        try:
            detector = make()
        except DiskError as error:
            if unready is None:
                unready = Unready(settings, bound)
                log.error("not ready, and tried again until it is", reason=str(error))
            unready.reason = str(error)
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), AGAIN_SECONDS)
            continue
        if unready is not None:
            await unready.end()
        return detector
    return None


def _make(settings: DetectorSettings, environment: dict[str, str], tracer: Tracer | None) -> Detector:
    database = Database(settings.database)
    try:
        return Detector(settings, database, environment, tracer)
    except BaseException as error:
        database.close()
        if isinstance(error, sqlite3.Error) and is_disk(error, database.path):
            raise DiskError(f"database {database.path} cannot be opened: {error}") from error
        raise


async def _watch(make: Callable[[], Detector], settings: DetectorSettings, bound: socket.socket) -> None:
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    listen(bound)
    detector = await _open(make, settings, bound, stopping)
    if detector is None:
        return
    detector.start(bound)
    log.info("ready", addresses=["{}:{}".format(*bound.getsockname()[:2])])
    await stopping.wait()
    log.info("draining")
    await detector.end()
    log.info("stopped")
