"""The thread that folds posts in, closes windows by time, keeps live figures and gives up what is old."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from lifeboat.detector.compaction import Compaction
from lifeboat.detector.database import Database
from lifeboat.detector.ingest.bundles import Bundles
from lifeboat.detector.ingest.cloudevents import Mode, Post
from lifeboat.detector.ingest.processor import Processor, describe
from lifeboat.detector.performance.performance import PerformanceFigures
from lifeboat.detector.settings import DetectorSettings
from lifeboat.detector.windows.window_policy import WindowPolicy
from lifeboat.system import log
from lifeboat.system.tracing import Tracer

# Events and bytes of a pass: enough for few transactions, and few enough that its objects, which the garbage collector
# goes through at a stretch, keep nobody waiting.
EVENTS, BYTES = 1_000, 512 << 10
TICK_SECONDS, COMPACT_SECONDS, BROKEN_SECONDS = 0.5, 5.0, 2.0
PATIENCE_SECONDS, SAY_SECONDS = 2.0, 60.0
READ = "SELECT id, received, mode, events, head, body FROM inbox ORDER BY id"
Work = Callable[[sqlite3.Connection], Any]
Row = tuple[int, float, Mode, int, bytes, bytes]


class Worker:
    """Runs `Processor`.

    Args:
        settings: limits.
        database: is read and written.
        bundles: say what a payload means.
        closed: is called in the thread when a window waits for its judgement.
        tracer: of the events; None for no traces.
    """

    def __init__(
        self,
        settings: DetectorSettings,
        database: Database,
        bundles: Bundles,
        closed: Callable[[], None],
        tracer: Tracer | None = None,
    ) -> None:
        self._database, self._bundles, self._closed, self._tracer = database, bundles, closed, tracer
        self._connection = database.connect()
        self._processor = Processor(settings, bundles)
        self._performance, self._compaction = PerformanceFigures(settings.live_rows), Compaction(settings, database)
        self._awake, self._stopping = threading.Event(), False
        self._orders: SimpleQueue[tuple[Work, Future[Any]]] = SimpleQueue()
        self._ticked = self._compacted = self._said = 0.0
        self._waits_since = time.time()
        self.processed = self.processed_bytes = 0
        self.problem = ""
        self._thread = threading.Thread(target=self._run, name="worker", daemon=True)
        self._processor.load(self._connection)

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def wake(self) -> None:
        """There is something to do."""
        self._awake.set()

    def retry(self) -> None:
        """A bundle may have come; from any thread."""
        self._ticked = 0.0
        self._awake.set()

    def submit(self, work: Work, done: Future[Any]) -> None:
        """Has something done between two passes; `done` is told what came of it. From any thread."""
        self._orders.put((work, done))
        self._awake.set()

    def stop(self) -> None:
        """Ends after the pass under way; the rest is on the disk."""
        self._stopping = True
        self._awake.set()
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while not self._stopping:
            self._awake.clear()
            self._database.look_again()
            try:
                busy = self._pass()
                self._tick()
            except sqlite3.Error as error:
                self._database.note(error)
                log.error("the database fails; events wait", reason=str(error))
                self._recover()
                busy = False
                self._awake.wait(BROKEN_SECONDS)
            except Exception as error:  # nothing may end this thread while the process goes on acknowledging
                log.error("processing failed", **describe(error))
                self._recover()
                busy = False
                self._awake.wait(BROKEN_SECONDS)
            if not busy:
                self._awake.wait(TICK_SECONDS)

    def _pass(self) -> bool:
        """Processes some posts; False if there were none."""
        rows = self._read()
        if rows and not self._process(rows):
            # One of them breaks what nobody thought of: each alone, so that only that one is lost.
            for row in rows:
                if not self._process([row]):
                    self._drop(row)
        return bool(rows)

    def _read(self) -> list[Row]:
        """The oldest posts: those that hold EVENTS events together."""
        rows: list[Row] = []
        events = size = 0
        cursor = self._connection.execute(READ)
        while events < EVENTS and size < BYTES and (row := cursor.fetchone()) is not None:
            rows.append(row)
            events, size = events + row[3], size + len(row[5])
        cursor.close()
        return rows

    def _process(self, rows: list[Row]) -> bool:
        now = time.time()
        try:
            for _, received, mode, events, head, body in rows:
                self._processor.take(Post(mode, events, head, body), received, now)
            self._write(rows[-1][0], now)
        except sqlite3.Error:
            raise
        except Exception as error:  # whatever a payload can do, it must not end the thread
            log.error("events cannot be processed", **describe(error))
            self._recover()
            return False
        self.processed += sum(row[3] for row in rows)
        self.processed_bytes += sum(len(row[5]) for row in rows)
        return True

    def _write(self, last: int | None, now: float) -> None:
        self._processor.joiner.expire(now)
        with self._database.writing(self._connection) as connection:
            closed = self._processor.flush(connection)
            connection.execute("DELETE FROM inbox WHERE id <= ?", (last or 0,))
            if last is not None:
                connection.execute("INSERT OR REPLACE INTO counters VALUES ('last', ?)", (now,))
        if closed:
            self._closed()
        if self._tracer is not None:
            self._trace(self._tracer)

    def _trace(self, tracer: Tracer) -> None:
        """A span for each prediction and feedback that its sender traces: from its arrival until it is kept, and in its
        own trace, for a post holds those of many."""
        for event in self._processor.traced:
            span = tracer.follow(event.parent, "take the event", "consumer", int(event.received * 1e9))
            if span is not None:
                span.attributes |= event.about
                span.end()
        self._processor.traced.clear()

    def _drop(self, row: Row) -> None:
        self._processor.counters.refuse("internal error", row[3])
        self._write(row[0], time.time())
        self.processed += row[3]
        self.processed_bytes += len(row[5])

    def _recover(self) -> None:
        """Back to what is in the database."""
        self._processor.load(self._connection)

    def _tick(self) -> None:
        now = time.time()
        if now - self._ticked < TICK_SECONDS:
            return
        self._ticked = now
        while not self._orders.empty():
            self._obey(*self._orders.get())
        self._processor.versions.tick(now)
        self._processor.retry(self._connection, now)
        self._write(None, now)
        self._say_what_waits(now)
        self._update_performance(now)
        if now - self._compacted >= COMPACT_SECONDS:
            self._compacted = now
            self._compaction.run(self._connection, self._processor, now)
            self._bundles.keep(self._compaction.used(self._processor))

    def _obey(self, work: Work, done: Future[Any]) -> None:
        try:
            done.set_result(work(self._connection))
        except Exception as error:  # it is whoever ordered it that has to know
            done.set_exception(error)
        finally:
            # What it changed, the processor may have in memory.
            self._recover()

    def _say_what_waits(self, now: float) -> None:
        """Once a minute and with a count: anybody can send what has no bundle."""
        held, self.problem = self._processor.pending, ""
        if not held.count:
            self._waits_since = now
        elif now - self._waits_since > PATIENCE_SECONDS:
            self.problem = f"{held.count} predictions and truths wait for {len(held.keys)} bundles that are not here"
            if now - self._said >= SAY_SECONDS:
                self._said = now
                log.error(self.problem)

    def _update_performance(self, now: float) -> None:
        labels = self._processor.labels
        with self._database.writing(self._connection) as connection:
            labels.expire(connection, now)
            self._processor.counters.flush(connection)
            known = self._processor.versions.by_id()
            for version in labels.changed:
                # One that was given up has no labels either, and no figures to decide.
                policy = known[version].window_policy if version in known else WindowPolicy()
                self._performance.update(connection, version, policy, labels.joined.pop(version, 0), now)
        labels.changed = set()
