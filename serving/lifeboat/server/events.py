"""Predictions and feedback as CloudEvents to the drift detector: off the request's path, bounded, and never in its way.

Predictions leave by columns, many in one event (`columnar`), feedback in batches (`application/cloudevents-
batch+json`), a large one alone and in binary mode. The attributes are those of Seldon's payload logger. A detector that
is slow or down fills the buffer; what does not fit is dropped and counted. An event keeps its id when it is sent again,
so that a receiver can count it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar
from urllib.parse import quote
from uuid import uuid4

import orjson

from lifeboat.config.errors import SettingsError
from lifeboat.http.http_client import Target, post
from lifeboat.http.http_types import JSON
from lifeboat.server.asked import Asked
from lifeboat.server.columnar import COUNT, MOST, PREDICTIONS, ColumnarWriter, Predicted
from lifeboat.server.identity import Identity
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.protocols.row_parser import Columns
from lifeboat.server.request_id import RequestId
from lifeboat.server.settings import ServerSettings
from lifeboat.system import log
from lifeboat.system.backoff import pauses

if TYPE_CHECKING:
    # Not at run time: the drift detector has no ONNX Runtime, and knows these names.
    from lifeboat.server.model.onnx_model import Answers

E = TypeVar("E", "Predicted", "FeedbackEvent")
FEEDBACK = "io.seldon.serving.feedback"
# Attributes beside Seldon's, of others' events: how the client calls its request; and (of CloudEvents' extension for
# it) who sent a truth.
CLIENT_ID, SOURCE = "clientid", "authid"
BATCH_TYPE = "application/cloudevents-batch+json"
MAX_BATCH = 200
# Of predictions in one event the bytes, more or less, and the rows: a receiver parses them in one piece. One prediction
# may have more.
PREDICTION_BYTES, MOST_ROWS = 1 << 20, 2_000
# Rows from which on an event is written in a thread, as it takes milliseconds.
MANY_ROWS = 1_000
# Of the attributes that are the same in every event, in JSON; and of what is kept of a prediction beside its request.
HEAD_BYTES, KEPT_BYTES = 400, 1_000
# Of the events in a batch; a body longer than LARGE has a post of its own.
BATCH_BYTES, LARGE = 128 * 1024, 64 * 1024
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
# Too slow, too many, or (404, 405) another program where the receiver was: that comes back, or we are told where it is.
NOT_NOW = (404, 405, 408, 429)
# Of a binary event's attributes; the rest, spaces, quotes and the percent sign included, is percent-encoded.
PLAIN = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
# A moment in which a batch gathers, unless an event is full before. A post takes about a millisecond of the loop: 50 a
# second were felt at the 99th percentile of a server that is asked 500 times a second.
PAUSE = 0.1


class Content(NamedTuple):
    """What an event carries of a feedback; what is called JSON is JSON, or it would spoil its batch.

    Args:
        content_type: of HTTP.
        body: as it went over the wire.
    """

    content_type: bytes
    body: bytes


class Post(NamedTuple):
    """A request of HTTP.

    Args:
        body, content_type, headers: of it.
    """

    body: bytes
    content_type: str
    headers: dict[str, str]


@dataclass(slots=True)
class FeedbackEvent:
    """A feedback that waits to be sent.

    Args:
        puid: of the prediction it may be of.
        time: in seconds since 1970.
        content_type, body: of its content.
        source: who sent it.
        size: bytes of it, more or less: the names of a client may be longer than its body.
    """

    puid: str
    time: float
    content_type: bytes
    body: bytes
    source: str
    number: ClassVar[int] = 1
    total: ClassVar[int] = 0
    size: int = field(init=False)

    def __post_init__(self) -> None:
        chosen = len(self.puid) + len(self.content_type) + len(self.source)
        self.size = HEAD_BYTES + chosen + len(self.body)


class Events:
    """A bounded buffer and the task that empties it.

    Args:
        target: where events are posted to.
        attributes: of every event: whose model it is.
        writer: of predictions.
        max_events, max_bytes: of the buffer; a prediction is one.
        sent, dropped: are told how many were.
    """

    def __init__(
        self,
        target: Target,
        attributes: dict[str, str],
        writer: ColumnarWriter,
        max_events: int,
        max_bytes: int,
        sent: Callable[[int], None],
        dropped: Callable[[int], None],
    ) -> None:
        self._target, self._attributes, self._writer = target, attributes, writer
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
        return cls(target, attributes, writer, *limits, metrics.events_sent, metrics.events_dropped)

    def predicted(self, asked: Sequence[Asked], columns: Columns, answers: Answers) -> None:
        """Takes predictions.

        Args:
            asked: the requests.
            columns: inputs and keys of all their rows.
            answers: of the model, [n, width].
        """
        size = sum([one.size for one in asked]) + KEPT_BYTES * len(asked)
        ids, rows = [one.id for one in asked], [one.rows for one in asked]
        self._put(self._predictions, Predicted(ids, rows, time.time(), columns, answers, size), len(asked))

    def judged(self, feedback: Content, id_: RequestId, source: str) -> None:
        """Takes a feedback and who sent it."""
        # Without a name: it has none of its own, and whose prediction it is of may stand in its body.
        self._put(self._feedback, FeedbackEvent(id_.header or id_.alias, time.time(), *feedback, source), 1)

    def begin(self) -> None:
        """Starts to send; inside a running loop."""
        self._task = asyncio.create_task(self._run())

    def send_to(self, url: str) -> None:
        """Sends what waits, and what comes, to another URL.

        Raises:
            SettingsError: the URL is none.
        """
        self._target = _target(url)
        self._moved.set()

    async def end(self, seconds: float) -> None:
        """Sends what is left for at most this time; the rest is dropped."""
        deadline = time.monotonic() + seconds
        while self._waiting and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self._task is not None:
            self._task.cancel()
        self._dropped(self._waiting)

    def _put(self, queue: deque[E], event: E, count: int) -> None:
        if self._waiting + count > self._max_events or self._bytes + event.size > self._max_bytes:
            self._dropped(count)
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
            await self._empty(self._predictions, _next_predictions, self._write_predictions)
            await self._empty(self._feedback, _next_feedback, self._write_feedback)
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
            return sum(event.number for event in batch)
        if len(batch) == 1:
            return 0
        middle = len(batch) // 2
        return await self._send(batch[:middle], write) + await self._send(batch[middle:], write)

    def _write_predictions(self, batch: list[Predicted]) -> Post:
        head = {**self._head(PREDICTIONS, batch[-1].time), COUNT: str(sum(one.number for one in batch))}
        return Post(self._writer.write(batch), JSON.decode(), _as_headers(head))

    def _write_feedback(self, batch: list[FeedbackEvent]) -> Post:
        [first, *others] = batch
        if others or len(first.body) <= LARGE:
            return Post(orjson.dumps([self._format(event) for event in batch]), BATCH_TYPE, {})
        return Post(first.body, first.content_type.decode("latin-1"), _as_headers(self._head_of(first)))

    async def _deliver(self, content: Post) -> bool:
        """Posts until it is taken; False if it never will be."""
        waits = pauses(FIRST_DELAY, LONGEST_DELAY)
        while True:
            try:
                status = await post(self._target, *content)
            except (OSError, ValueError, asyncio.IncompleteReadError) as error:
                log.error("events wait: the receiver cannot be reached", url=self._target.url, reason=repr(error))
            else:
                if status < 300:
                    return True
                log.error("the receiver refused events", url=self._target.url, status=status)
                if 400 <= status < 500 and status not in NOT_NOW:
                    return False
            await self._pause(next(waits))

    async def _pause(self, seconds: float) -> None:
        """Waits for a receiver to come back, or for another one."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._moved.wait(), seconds)
        self._moved.clear()

    def _head(self, type_: str, seconds: float) -> dict[str, str]:
        """The attributes."""
        made = datetime.fromtimestamp(seconds, UTC).isoformat()
        return {"specversion": "1.0", "id": str(uuid4()), "type": type_, "time": made, **self._attributes}

    def _head_of(self, event: FeedbackEvent) -> dict[str, str]:
        named = {"requestid": event.puid} if event.puid else {}
        return {**self._head(FEEDBACK, event.time), **named, SOURCE: event.source}

    def _format(self, event: FeedbackEvent) -> dict[str, Any]:
        document = {**self._head_of(event), "datacontenttype": event.content_type.decode("latin-1")}
        if event.content_type.startswith(JSON):
            # Checked when it was read, so it goes in as it is.
            return {**document, "data": orjson.Fragment(event.body)}
        return {**document, "data_base64": b64encode(event.body).decode()}


def _next_predictions(queue: deque[Predicted]) -> list[Predicted]:
    """The oldest that fit into one event."""
    batch: list[Predicted] = []
    size = rows = count = 0
    for one in queue:
        size, rows, count = size + one.size, rows + one.total, count + one.number
        if batch and (size > PREDICTION_BYTES or rows > MOST_ROWS or count > MOST):
            break
        batch.append(one)
    return batch


def _next_feedback(queue: deque[FeedbackEvent]) -> list[FeedbackEvent]:
    """The oldest that fit into one post."""
    batch: list[FeedbackEvent] = []
    size = 0
    for event in islice(queue, MAX_BATCH):
        size += event.size
        if batch and (len(event.body) > LARGE or size > BATCH_BYTES):
            break
        batch.append(event)
        if len(event.body) > LARGE:
            break
    return batch


def _as_headers(head: dict[str, str]) -> dict[str, str]:
    """As the HTTP binding has it: percent-encoded, so that no value ends its line."""
    return {f"ce-{name}": quote(value, safe=PLAIN) for name, value in head.items()}


def _target(url: str) -> Target:
    try:
        return Target.of(url)
    except ValueError as error:
        raise SettingsError(f"events_url is {url!r}: {error}") from None
