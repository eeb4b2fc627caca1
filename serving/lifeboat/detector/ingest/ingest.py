"""Posts are checked and acknowledged off the loop: whatever arrived while one commit ran shares the next."""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from lifeboat.detector.counters import COUNT
from lifeboat.detector.database import Database
from lifeboat.detector.ingest.cloudevents import Post, receive
from lifeboat.http.errors import RequestError
from lifeboat.http.http_types import Request
from lifeboat.system import log

Finish = Callable[[Post | RequestError], None]
INSERT = "INSERT INTO inbox (received, mode, events, head, body) VALUES (?, ?, ?, ?, ?)"
WAITING = "SELECT coalesce(sum(events), 0), coalesce(sum(length(body)), 0) FROM inbox"
RETRY = b"retry-after: 1\r\n"
# Of a commit: more than this waits for the next.
BYTES = 4 << 20


@dataclass(slots=True)
class _Job:
    """A request and who waits for it, or a refusal to count; then what became of it."""

    received: float
    request: Request | None
    finish: Finish | None
    refusal: str = ""
    outcome: Post | RequestError | None = None


class Ingest:
    """The thread that checks and commits posts.

    Args:
        database: takes them.
        loop: on which `finish` is called.
        committed: is called in the thread after each commit.
    """

    def __init__(self, database: Database, loop: asyncio.AbstractEventLoop, committed: Callable[[], None]) -> None:
        self._database, self._loop, self._committed = database, loop, committed
        self._connection = database.connect(durable=True)
        # Events and bytes on the disk since the beginning, and posts and bytes that are not there yet.
        self.events, self.bytes = self._connection.execute(WAITING).fetchone()
        self.coming = self.coming_bytes = 0
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="intake", daemon=True)

    def start(self) -> None:
        """Begins to commit."""
        self._thread.start()

    def submit(self, request: Request, finish: Finish) -> None:
        """Takes a request; `finish` is given the post that is on the disk, or why it is not."""
        self.coming += 1
        self.coming_bytes += len(request.body)
        self._queue.put(_Job(time.time(), request, finish))

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
            jobs, size = [self._queue.get()], 0
            while size < BYTES and None not in jobs and not self._queue.empty():
                jobs.append(job := self._queue.get())
                size += len(job.request.body) if job and job.request else 0
            self._commit([job for job in jobs if job is not None])
            if None in jobs:
                return

    def _commit(self, jobs: list[_Job]) -> None:
        for job in jobs:
            if job.request is not None:
                self._check(job, job.request)
        posts = [(job.received, job.outcome) for job in jobs if isinstance(job.outcome, Post) and job.outcome.events]
        try:
            with self._database.writing(self._connection) as connection:
                connection.executemany(INSERT, [_row(*post) for post in posts])
                connection.executemany(COUNT, [(f"refused:{job.refusal}", 1) for job in jobs if job.refusal])
        except sqlite3.Error as error:
            log.error("events cannot be written", reason=str(error))
            for job in jobs:
                if isinstance(job.outcome, Post):
                    job.outcome = RequestError(503, f"the events cannot be written: {error}", RETRY)
        else:
            self.events += sum(post.events for _, post in posts)
            self.bytes += sum(len(post.body) for _, post in posts)
            self._committed()
        self._loop.call_soon_threadsafe(self._finish, jobs)

    def _check(self, job: _Job, request: Request) -> None:
        try:
            job.outcome = receive(request)
        except RequestError as error:
            job.outcome = error
            job.refusal = "envelope" if error.status == 400 else ""
        except Exception as error:  # whatever a client can send, it must not end the thread
            log.error("a post cannot be checked", error)
            job.outcome = RequestError(500, "internal error")

    def _finish(self, jobs: list[_Job]) -> None:
        for job in jobs:
            if job.request is not None and job.finish is not None and job.outcome is not None:
                self.coming -= 1
                self.coming_bytes -= len(job.request.body)
                job.finish(job.outcome)


def _row(received: float, post: Post) -> tuple[float, str, int, bytes, bytes]:
    return received, post.mode, post.events, post.head, post.body
