"""Predictions and feedback as CloudEvents to the drift detector: off the request's path, bounded, and never in its way.

A detector that is slow or down fills the buffer; what does not fit is dropped and counted. An event keeps its id when
it is sent again, so that a receiver can count it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from lifeboat.config.errors import SettingsError
from lifeboat.config.token_file import token_headers
from lifeboat.http.http_client import Answer, HttpClient, Target
from lifeboat.server.asked import Asked
from lifeboat.server.cloudevents import (
    PREDICTION_BYTES,
    Content,
    EventWriter,
    FeedbackEvent,
    Post,
    next_feedback,
    next_predictions,
)
from lifeboat.server.columnar import MOST, ColumnarWriter, Predicted
from lifeboat.server.identity import Identity
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.model.onnx_model import Answers
from lifeboat.server.protocols.row_parser import Columns
from lifeboat.server.request_id import RequestId
from lifeboat.server.settings import ServerSettings
from lifeboat.system import log
from lifeboat.system.backoff import pauses
from lifeboat.system.tracing import Span

E = TypeVar("E", Predicted, FeedbackEvent)
# Of what is kept of a prediction beside its request, in bytes.
KEPT_BYTES = 1_000
# Rows from which on an event is written in a thread, as it takes milliseconds.
MANY_ROWS = 1_000
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
# Too slow, too many, a token that it does not know (401, 403), or another program where the receiver was (404, 405):
# that comes back, or we are told where it is.
NOT_NOW = (401, 403, 404, 405, 408, 429)
# A moment in which a batch gathers, unless an event is full before. A post takes about a millisecond of the loop: 50 a
# second were felt at the 99th percentile of a server that is asked 500 times a second.
PAUSE = 0.1
# What a span says of an event that never arrives.
DROPPED = "dropped"


class Events:
    """A bounded buffer and the task that empties it.

    Args:
        target: where events are posted to.
        headers: gives those of a post, such as the token.
        writer: of the events.
        max_events, max_bytes: of the buffer; a prediction is one.
        sent, dropped: are told how many were.
    """

    def __init__(
        self,
        target: Target,
        headers: Callable[[], dict[str, str]],
        writer: EventWriter,
        max_events: int,
        max_bytes: int,
        sent: Callable[[int], None],
        dropped: Callable[[int], None],
    ) -> None:
        self._client, self._headers, self._writer = HttpClient(target), headers, writer
        self._max_events, self._max_bytes = max_events, max_bytes
        self._sent, self._dropped = sent, dropped
        self._predictions: deque[Predicted] = deque()
        self._feedback: deque[FeedbackEvent] = deque()
        # Predictions and feedback that wait, and their bytes.
        self._waiting = self._bytes = 0
        self._arrived, self._full, self._moved = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, settings: ServerSettings, identity: Identity, writer: ColumnarWriter, metrics: ServerMetrics) -> Events:
        """Events as the settings want them.

        Raises:
            SettingsError: the URL is none.
        """
        attributes = {
            "source": f"lifeboat.{settings.deployment}",
            "modelid": identity.name,
            "modelversion": identity.version,
            "inferenceservicename": settings.deployment,
            "namespace": settings.namespace,
            "endpoint": settings.predictor,
        }
        target = _target(settings.events_url)
        limits = (settings.events_buffer, settings.events_bytes)
        headers = token_headers(settings.token_file)
        return cls(
            target, headers, EventWriter(attributes, writer), *limits, metrics.events_sent, metrics.events_dropped
        )

    def predicted(self, asked: Sequence[Asked], columns: Columns, answers: Answers, is_traced: bool = False) -> None:
        """Takes predictions.

        Args:
            asked: the requests.
            columns: inputs and keys of all their rows.
            answers: of the model, [n, width].
            is_traced: whether some request may have a span.
        """
        size = sum([one.size for one in asked]) + KEPT_BYTES * len(asked)
        ids, rows = [one.id for one in asked], [one.rows for one in asked]
        spans = [_span(one.span) for one in asked] if is_traced else ()
        self._put(self._predictions, Predicted(ids, rows, time.time(), columns, answers, size, spans), len(asked))

    def judged(self, feedback: Content, id_: RequestId, source: str, span: Span | None = None) -> None:
        """Takes a feedback, who sent it, and the span of the request, where it is traced."""
        # Without a name: it has none of its own, and whose prediction it is of may stand in its body.
        event = FeedbackEvent(id_.header or id_.alias, time.time(), *feedback, source, _span(span))
        self._put(self._feedback, event, 1)

    def begin(self) -> None:
        """Starts to send; inside a running loop."""
        self._task = asyncio.create_task(self._run())

    def send_to(self, url: str) -> None:
        """Sends what waits, and what comes, to another URL.

        Raises:
            SettingsError: the URL is none.
        """
        target = _target(url)
        self._client.close()
        self._client = HttpClient(target)
        self._moved.set()

    async def end(self, seconds: float) -> None:
        """Sends what is left for at most this time; the rest is dropped."""
        deadline = time.monotonic() + seconds
        while self._waiting and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self._task is not None:
            self._task.cancel()
        self._client.close()
        self._dropped(self._waiting)
        for predicted in self._predictions:
            predicted.end_spans(DROPPED)
        for feedback in self._feedback:
            feedback.end_spans(DROPPED)

    def _put(self, queue: deque[E], event: E, count: int) -> None:
        if self._waiting + count > self._max_events or self._bytes + event.size > self._max_bytes:
            self._dropped(count)
            event.end_spans(DROPPED)
            return
        queue.append(event)
        self._waiting += count
        self._bytes += event.size
        self._arrived.set()
        if self._waiting >= MOST or self._bytes >= PREDICTION_BYTES:
            self._full.set()

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._full.wait(), PAUSE)
            self._full.clear()
            # Predictions first: a feedback finds its own.
            await self._empty(self._predictions, next_predictions, self._writer.predictions)
            await self._empty(self._feedback, next_feedback, self._writer.feedback)
            if not self._waiting:
                self._arrived.clear()

    async def _empty(
        self, queue: deque[E], take: Callable[[deque[E]], list[E]], write: Callable[[list[E]], Post]
    ) -> None:
        """Sends what is there now; what comes meanwhile gathers."""
        left = len(queue)
        while left > 0:
            batch = take(queue)
            count = sum(event.number for event in batch)
            delivered = await self._send(batch, write)
            for event in batch:
                queue.popleft()
                self._bytes -= event.size
            left -= len(batch)
            self._waiting -= count
            self._sent(delivered)
            self._dropped(count - delivered)

    async def _send(self, batch: list[E], write: Callable[[list[E]], Post]) -> int:
        """How many were taken. What is refused together is sent by halves: one event must not cost the others."""
        is_large = sum(event.total for event in batch) > MANY_ROWS
        if await self._deliver(await asyncio.to_thread(write, batch) if is_large else write(batch)):
            for event in batch:
                event.end_spans("")
            return sum(event.number for event in batch)
        if len(batch) == 1:
            batch[0].end_spans(DROPPED)
            return 0
        middle = len(batch) // 2
        return await self._send(batch[:middle], write) + await self._send(batch[middle:], write)

    async def _deliver(self, content: Post) -> bool:
        """Posts until it is taken; False if it never will be."""
        waits = pauses(FIRST_DELAY, LONGEST_DELAY)
        while True:
            try:
                status = (await self._post(content)).status
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                log.error(
                    "events wait: the receiver cannot be reached", url=self._client.target.url, reason=repr(error)
                )
            else:
                if status < 300:
                    return True
                log.error("the receiver refused events", url=self._client.target.url, status=status)
                if 400 <= status < 500 and status not in NOT_NOW:
                    return False
            await self._pause(next(waits))

    async def _post(self, content: Post) -> Answer:
        headers = {**content.headers, **self._headers()}
        return await self._client.post(content.body, content.content_type, headers)

    async def _pause(self, seconds: float) -> None:
        """Waits for a receiver to come back, or for another one."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._moved.wait(), seconds)
        self._moved.clear()


def _span(request: Span | None) -> Span | None:
    """Of an event, from now until it is taken: one for each prediction, as those of a post are of many traces."""
    return None if request is None else request.child("send the event", "producer")


def _target(url: str) -> Target:
    try:
        return Target.of(url)
    except ValueError as error:
        raise SettingsError(f"events_url is {url!r}: {error}") from None
