"""The detector behind HTTP: events in, report, metrics and page out."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

from lifeboat.detector.database import Database
from lifeboat.detector.ingest.cloudevents import Post
from lifeboat.detector.ingest.ingest import RETRY, Ingest
from lifeboat.detector.metrics import CONTENT_TYPE, DetectorMetrics
from lifeboat.detector.page.page import CONTENT_SECURITY_POLICY, render_page
from lifeboat.detector.report import Report
from lifeboat.detector.settings import DetectorSettings
from lifeboat.detector.unready import storage_down
from lifeboat.http.access import MAY_TELL, OPEN, access_of
from lifeboat.http.app import App, Uncounted
from lifeboat.http.errors import RequestError
from lifeboat.http.http_types import JSON, Request, Response
from lifeboat.server.protocols.seldon import SeldonCodec
from lifeboat.system import log

SECURITY = f"content-security-policy: {CONTENT_SECURITY_POLICY}\r\nx-content-type-options: nosniff\r\n".encode()
# What the connection refuses before it is a request; the rest is counted where it is refused.
COUNTED = ("large", "slow")


class Requests(Uncounted):
    """Counts what is refused before it is an event."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest

    def rejected(self, reason: str, /) -> None:
        """A request was refused."""
        if reason in COUNTED:
            self._ingest.refuse(reason)


class DetectorService:
    """Answers.

    Args:
        settings: limits.
        ingest: takes the events.
        waiting: how many events and bytes were taken and are not folded in.
        report, metrics: of everything.
        database: says whether it can be written.
    """

    def __init__(
        self,
        settings: DetectorSettings,
        ingest: Ingest,
        waiting: Callable[[], tuple[int, int]],
        report: Report,
        metrics: DetectorMetrics,
        database: Database,
    ) -> None:
        self.ready = False
        access = access_of(settings, metrics.called)
        self.app = App(Requests(ingest), settings.log_requests, False, SeldonCodec.error, access)
        self._settings, self._ingest, self._waiting = settings, ingest, waiting
        self._report, self._metrics, self._database = report, metrics, database
        self._reading = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        page = Response(200, render_page(settings.home_url.rstrip("/")), b"text/html; charset=utf-8", SECURITY)
        add = self.app.add
        add("POST", f"/ /events {settings.events_path}".rstrip(), self._take, rights=MAY_TELL)
        add("GET", "/", lambda _: page)
        add("GET", "/drift", lambda request: self._later(request, self._describe))
        add("GET", "/metrics", lambda request: self._later(request, self._render))
        add("GET", "/live /livez /health/ping", lambda _: Response(200, b"pong", b"text/plain"), rights=OPEN)
        add("GET", "/ready /readyz", self._readiness, rights=OPEN)

    def _take(self, request: Request) -> None:
        waiting, size = self._waiting()
        limits = self._settings.max_waiting, self._settings.max_waiting_bytes
        if waiting >= limits[0] or size + len(request.body) > limits[1]:
            self._ingest.refuse("overload")
            raise RequestError(503, f"{waiting} events of {size} bytes wait, the limits are {limits}", RETRY)

        def finish(outcome: Post | RequestError) -> None:
            if isinstance(outcome, RequestError):
                self.app.answer(request, self.app.refusal(outcome))
                return
            told = {"refused": outcome.refused, "reason": outcome.reason} if outcome.refused else {}
            self.app.answer(request, Response.of({"accepted": outcome.events - outcome.refused, **told}))

        self._ingest.submit(request, finish)

    def _readiness(self, _request: Request) -> Response:
        if not self.ready:
            raise RequestError(503, "the detector is not ready", RETRY)
        if self._database.problem:
            raise RequestError(503, self._database.problem, RETRY)
        return Response.of({"ready": True})

    def _later(self, request: Request, work: Callable[[], Response]) -> None:
        """Answers from a thread: the database is read, and events go first."""
        task = asyncio.get_running_loop().create_task(self._work(request, work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, request: Request, work: Callable[[], Response]) -> None:
        async with self._reading:
            try:
                response = await asyncio.to_thread(work)
            except sqlite3.Error as error:
                log.error("the database cannot be read", reason=str(error))
                response = self.app.refusal(RequestError(503, "the database cannot be read", RETRY))
        self.app.answer(request, response)

    def _describe(self) -> Response:
        return Response(200, Response.of(self._report.read()).body, JSON, b"cache-control: no-store\r\n")

    def _render(self) -> Response:
        try:
            return Response(200, self._metrics.render(), CONTENT_TYPE)
        except sqlite3.Error as error:
            self._database.note(error)
            return Response(200, storage_down(), CONTENT_TYPE)
