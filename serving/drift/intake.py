"""Posts are acknowledged when they are on the disk: whatever arrived while one commit ran shares the next."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from serving.drift.cloudevents import Post
from serving.drift.counters import COUNT
from serving.drift.database import Database
from serving.server import log

Finish = Callable[[bool], None]
INSERT = "INSERT INTO inbox (received, mode, events, head, body) VALUES (?, ?, ?, ?, ?)"


@dataclass(slots=True)
class _Job:
    """A post and who waits for it, or a refusal to count."""

    received: float
    post: Post | None
    finish: Finish | None
    refusal: str = ""


class Intake:
    """The thread that commits posts.

    Args:
        database: takes them.
        loop: on which `finish` is called.
        committed: is called in the thread after each commit.
    """

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop, committed: Callable[[], None]) -> None:
        self._database, self._loop, self._committed = database, loop, committed
        self._connection = database.connect(durable=True)
        self.submitted = self._connection.execute("SELECT coalesce(sum(events), 0) FROM inbox").fetchone()[0]
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Begins to commit."""
        self._thread.start()

    def submit(self, post: Post, finish: Finish) -> None:
        """Takes a post; `finish` is told whether it is on the disk."""
        self.submitted += post.events
        self._queue.put(_Job(time.time(), post, finish))

    def refuse(self, reason: str) -> None:
        """Counts a post that was not taken."""
        self._queue.put(_Job(time.time(), None, None, reason))

    def stop(self) -> None:
        """Ends after what was submitted."""
        self._queue.put(None)
        self._thread.join()
        self._connection.close()

    def _run(self) -> None:
        while True:
            jobs = [self._queue.get()]
            while not self._queue.empty():
                jobs.append(self._queue.get())
            self._commit([job for job in jobs if job is not None])
            if None in jobs:
                return

    def _commit(self, jobs: list[_Job]) -> None:
        try:
            with self._database.writing(self._connection) as connection:
                connection.executemany(INSERT, [_row(job.received, job.post) for job in jobs if job.post is not None])
                connection.executemany(COUNT, [(f"refused:{job.refusal}", 1) for job in jobs if job.refusal])
        except sqlite3.Error as error:
            log.error("events cannot be written", reason=str(error))
            self._loop.call_soon_threadsafe(self._finish, jobs, False)
            return
        self._committed()
        self._loop.call_soon_threadsafe(self._finish, jobs, True)

    def _finish(self, jobs: list[_Job], done: bool) -> None:
        for job in jobs:
            if job.post is not None and job.finish is not None:
                self.submitted -= 0 if done else job.post.events
                job.finish(done)


def _row(received: float, post: Post) -> tuple[float, str, int, bytes, bytes]:
    return received, post.mode, post.events, post.head, post.body
