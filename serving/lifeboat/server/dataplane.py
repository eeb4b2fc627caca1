"""The model behind every protocol: predictions, feedback and what the model is, without HTTP and without JSON.

An adapter (`protocols/`) reads a request into columns, names it by `ids`, and hands it over with two callbacks that
write and send the answer. Nothing here is awaited: a small request is read, joined with those beside it, scored and
answered within one pass of the loop; a large one is read and scored in a thread, and answered on the loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence, Sized
from dataclasses import replace
from functools import partial
from typing import TypeVar

from lifeboat.http.errors import RequestError, unavailable
from lifeboat.model.bundle import Bundle
from lifeboat.server.asked import Asked
from lifeboat.server.cloudevents import Content
from lifeboat.server.columnar import ColumnarWriter
from lifeboat.server.events import Events
from lifeboat.server.explained import Explained
from lifeboat.server.explanations import Explanations
from lifeboat.server.identity import ModelMetadata
from lifeboat.server.large_requests import SMALL, LargeRequests
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.model.batcher import Batcher, Job, shares
from lifeboat.server.model.onnx_model import Answers, Model
from lifeboat.server.protocols.row_parser import Columns, Reader
from lifeboat.server.request_id import RequestId, RequestIds
from lifeboat.server.settings import ServerSettings
from lifeboat.server.stored_features import StoredFeatures
from lifeboat.system import log
from lifeboat.system.tracing import ROWS, Span, Tracer, part_of, untraced_parent

C = TypeVar("C")
T = TypeVar("T")
R = TypeVar("R")


class DataPlane:
    """One model, ready or not.

    Args:
        model: verified.
        settings: limits and names.
        metrics: counts what happens.
        loop: on which the predictions run.
        queues: requests that wait before they come here; they count as load.
        tracer: of the requests; None for no traces.

    Attributes:
        ready: whether it takes requests; set by whoever opens its listeners.
        events: sends them; None where nobody wants them.
        explanations: asks for the reasons of answers, elsewhere.
        max_body: bytes of a request's body.
        ids: makes the names of requests.
        reader: of rows.
        tracer: as it was given.
    """

    def __init__(
        self,
        model: Model,
        settings: ServerSettings,
        metrics: ServerMetrics,
        loop: asyncio.AbstractEventLoop,
        queues: Sequence[Sized] = (),
        tracer: Tracer | None = None,
    ) -> None:
        self.ready, self.tracer = False, tracer
        self.max_body = settings.max_body
        self.ids = RequestIds()
        self._features = _open_features(model.bundle, settings, metrics, loop)
        asked = model.bundle.views if self._features is not None else {}
        self.reader = Reader(model.schema, settings.max_rows, {name: view["keys"] for name, view in asked.items()})
        self._model, self._settings, self._metrics = model, settings, metrics
        self._metadata = ModelMetadata.of(model.bundle, settings)
        self.identity = self._metadata.identity
        self.events = self._open_events(settings) if settings.events_url else None
        self.explanations = Explanations(self._metadata, settings)
        self._large = LargeRequests(loop)
        failed, traced = partial(log.error, "the model failed"), None if tracer is None else _trace_run
        self._batcher = Batcher(loop, model.predict, failed, self._watch, self._large, traced=traced)
        self._queues: tuple[Sized, ...] = (self._batcher.waiting, self._large.waiting, *queues)
        if self._features is not None:
            self._queues += (self._features.load,)

    @property
    def prediction_events(self) -> Events | None:
        """Those that are told of predictions, and of feedback over HTTP; None where Seldon's executor tells of them."""
        return None if self._settings.events_by_executor else self.events

    def metadata(self) -> ModelMetadata:
        """What the model is."""
        return self._metadata

    def check_ready(self) -> None:
        """Raises a 503 unless requests are taken."""
        if not self.ready:
            raise unavailable("the server is not ready")

    def check_load(self) -> None:
        """Raises a 503 under too much load, before any work on a request: an overload is answered quickly, or it would
        be none."""
        waiting = max(map(len, self._queues))
        if waiting >= self._settings.max_pending:
            raise unavailable(f"{waiting} requests are waiting, which is the limit")

    def read(
        self,
        request: C,
        size: int,
        read: Callable[[C], T],
        then: Callable[[C, T], R],
        resume: Callable[[C, Callable[[], R]], None],
    ) -> R | None:
        """Reads a request and goes on with it: at once or, where it is large, when it was read in the thread.

        Args:
            request: of any protocol; it is passed on and not looked at.
            size: its bytes.
            read: gives what it says; touches nothing that the loop changes.
            then: goes on.
            resume: calls what it is given, on the loop, and answers the request with what that gives or raises.

        Returns:
            What `then` gives; None where the request is resumed later.

        Raises:
            RequestError: what `read` or `then` raise, or 503 where too many large requests wait.
        """
        if size <= SMALL:
            return then(request, read(request))
        self.check_load()
        self._large.run(partial(read, request), lambda future: resume(request, lambda: then(request, future.result())))
        return None

    def in_thread(self, work: Callable[[], T], then: Callable[[asyncio.Future[T]], None]) -> None:
        """Does what would hold the loop in the thread of large requests; the loop then takes what came of it."""
        self._large.run(work, then)

    def infer(
        self,
        asked: Asked,
        write: Callable[[Answers], T],
        error: Callable[[RequestError], T],
        send: Callable[[T], object],
    ) -> None:
        """Predicts rows.

        Args:
            asked: the rows, and whose they are.
            write: makes the answer of the model's, [n, width].
            error: makes it of what went wrong; must not raise.
            send: takes that answer.
        """
        if asked.span is not None:
            asked.span.attributes[ROWS] = asked.rows
        job = Job(asked, partial(self._finish, write, error, send))
        if self._features is None:
            self._batcher.submit(job)
        else:
            self._features.fill(asked.columns, asked.span, partial(self._batcher.submit, job))

    async def explain(self, asked: Asked, outputs: list[str] | bool) -> Explained:
        """The reasons of the answers to rows, of a process that is not this one.

        Args:
            asked: the rows.
            outputs: names of the answer's numbers, or True for the usual ones.

        Raises:
            RequestError: see `Explanations.ask`.
        """
        wanted = None if isinstance(outputs, bool) else outputs
        if self._features is not None:
            await self._features.filled(asked.columns, asked.span)
        with part_of(asked.span, "ask for reasons", "client") as span:
            parent = span.traceparent if span is not None else "" if self.tracer is None else untraced_parent()
            return await self.explanations.ask(asked.columns, wanted, parent, asked.fields)

    def score(self, columns: Columns) -> Answers:
        """Predicts rows at once and alone, counted and watched by nobody: the warm-up."""
        return self._model.predict(columns)

    def feedback(
        self,
        truth: Sequence[float],
        reward: float,
        id_: RequestId,
        source: str,
        content: Content | None,
        span: Span | None = None,
    ) -> None:
        """Takes what was true of an earlier prediction.

        Args:
            truth: the label of each row.
            reward: as the client judges it.
            id_: of the request.
            source: who says so.
            content: what its event is to carry; None for no event.
            span: of the request, where it is traced.
        """
        self._metrics.judged(self._metadata.task.count_truths(truth), reward)
        if self.events is not None and content is not None:
            self.events.judged(content, id_, source, span)

    def send_events(self, url: str) -> None:
        """Sends events, also those that wait, to another URL.

        Raises:
            SettingsError: the URL is none.
        """
        if self.events is None:
            self.events = self._open_events(replace(self._settings, events_url=url))
        else:
            self.events.send_to(url)

    def _open_events(self, settings: ServerSettings) -> Events:
        schema, task, decision = self._model.schema, self._metadata.task, self._metadata.decision
        writer = ColumnarWriter(schema, task, decision, self.identity.tags)
        return Events.of(settings, self.identity, writer, self._metrics)

    def _finish(
        self,
        write: Callable[[Answers], T],
        error: Callable[[RequestError], T],
        send: Callable[[T], object],
        answers: Answers | None,
    ) -> bool:
        """Answers a request; tells whether by a prediction."""
        if answers is None:
            send(error(RequestError(500, "the model failed on this request")))
            return False
        try:
            answer = write(answers)
        except Exception as problem:  # the others of this run must still be answered
            log.error("an answer cannot be written", problem)
            send(error(RequestError(500, "internal error")))
            return False
        send(answer)
        return True

    def _watch(self, jobs: list[Job], columns: Columns, answers: Answers) -> None:
        """Counts a run of the model, and tells the events."""
        self._metrics.predicted(*self._metadata.task.counted(answers, self._metadata.decision))
        events = self.prediction_events
        if events is None:
            return
        watched = [job.asked for job in jobs if job.asked.is_watched]
        if len(watched) == len(jobs):
            events.predicted(watched, columns, answers, self.tracer is not None)
            return
        for job, own in shares(jobs, answers):
            if job.asked.is_watched:
                events.predicted([job.asked], job.asked.columns, own, self.tracer is not None)


def _open_features(
    bundle: Bundle, settings: ServerSettings, metrics: ServerMetrics, loop: asyncio.AbstractEventLoop
) -> StoredFeatures | None:
    """None where a model has no stored features, or where nobody is asked for them."""
    if not bundle.views or not settings.features_url:
        return None
    seconds = settings.features_milliseconds / 1000
    return StoredFeatures(bundle.schema, bundle.views, settings.features_url, seconds, metrics, loop)


def _trace_run(jobs: Sequence[Job], rows: int, begun: int, failed: str) -> None:
    """A span in the trace of each request of a run, which says how many were run together: who reads one trace wants to
    see the model's time in it, and a link from a span of its own would be seen from the other side only."""
    for job in jobs:
        if job.asked.span is not None:
            together = {"lifeboat.run.requests": len(jobs), "lifeboat.run.rows": rows}
            job.asked.span.child("run the model", "internal", begun, **together).end(failed)
