"""Each prediction as CloudEvents to the drift detector: off the request's path, bounded, and never in its
way.

The attributes are those of Seldon's payload logger. Events are posted in batches (`application/cloudevents-
batch+json`), a large one alone and in binary mode, so that a receiver need not parse megabytes in one piece. A
detector that is slow or down fills the buffer; what does not fit is dropped and counted. An event keeps its id when it
is sent again, so that a receiver can count it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import orjson

from lifeboat.config.errors import SettingsError
from lifeboat.http.http_client import Target, post
from lifeboat.http.http_types import JSON
from lifeboat.server.identity import Identity
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.request_id import RequestId
from lifeboat.server.settings import ServerSettings
from lifeboat.system import log
from lifeboat.system.backoff import pauses

REQUEST = "io.seldon.serving.inference.request"
RESPONSE = "io.seldon.serving.inference.response"
FEEDBACK = "io.seldon.serving.feedback"
# Attributes beside Seldon's: how the client calls its request, and (of CloudEvents' extension for it) who sent a truth.
CLIENT_ID, SOURCE = "clientid", "authid"
BATCH_TYPE = "application/cloudevents-batch+json"
MAX_BATCH = 200
# Of the attributes that are the same in every event, in JSON.
HEAD_BYTES = 400
# Of the events in a batch; a body longer than LARGE has a post of its own.
BATCH_BYTES, LARGE = 128 * 1024, 64 * 1024
FIRST_DELAY, LONGEST_DELAY = 0.5, 30.0
# Too slow, too many, or (404, 405) another program where the receiver was: that comes back, or we are told where it is.
NOT_NOW = (404, 405, 408, 429)
# Of a binary event's attributes; the rest, spaces, quotes and the percent sign included, is percent-encoded.
PLAIN = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"
# A moment in which a batch gathers.
PAUSE = 0.2


class Content(NamedTuple):
    """What an event carries of a request or an answer; what is called JSON is JSON, or it would spoil its batch.

    Args:
        content_type: of HTTP.
        body: as it went over the wire.
    """

    content_type: bytes
    body: bytes


class Exchange(NamedTuple):
    """A prediction as an adapter shows it to the events."""

    request: Content
    answer: Content


@dataclass(slots=True)
class PredictionEvent:
    """What waits to be sent.

    Args:
        type: of CloudEvents.
        puid: of the request it belongs to.
        time: in seconds since 1970.
        content_type, body: of its content.
        more: further attributes.
        size: bytes of it, more or less: the names of a client may be longer than its body.
    """

    type: str
    puid: str
    time: float
    content_type: bytes
    body: bytes
    more: dict[str, str]
    size: int = field(init=False)

    def __post_init__(self) -> None:
        chosen = len(self.puid) + len(self.content_type) + sum(map(len, self.more.values()))
        self.size = HEAD_BYTES + chosen + len(self.body)


class Events:
    """A bounded buffer and the task that empties it.

    Args:
        target: where events are posted to.
        attributes: of every event: whose model it is.
        max_events, max_bytes: of the buffer.
        sent, dropped: are told how many events were.
    """

    def __init__(
        self,
        target: Target,
        attributes: dict[str, str],
        max_events: int,
        max_bytes: int,
        sent: Callable[[int], None],
        dropped: Callable[[int], None],
    ) -> None:
        self._target, self._attributes = target, attributes
        self._max_events, self._max_bytes = max_events, max_bytes
        self._sent, self._dropped = sent, dropped
        self._buffer: deque[PredictionEvent] = deque()
        self._bytes = 0
        self._arrived, self._moved = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @classmethod
    def of(cls, settings: ServerSettings, identity: Identity, metrics: ServerMetrics) -> Events:
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
        return cls(target, attributes, *limits, metrics.events_sent, metrics.events_dropped)

    def predicted(self, exchange: Exchange, id_: RequestId) -> None:
        """Takes a prediction."""
        now, alias = time.time(), {CLIENT_ID: id_.alias} if id_.alias else {}
        self._put(PredictionEvent(REQUEST, id_.puid, now, *exchange.request, alias))
        self._put(PredictionEvent(RESPONSE, id_.puid, now, *exchange.answer, {}))

    def judged(self, feedback: Content, id_: RequestId, source: str) -> None:
        """Takes a feedback and who sent it."""
        # Without a name: it has none of its own, and whose prediction it is of may stand in its body.
        self._put(PredictionEvent(FEEDBACK, id_.header or id_.alias, time.time(), *feedback, {SOURCE: source}))

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
        while self._buffer and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        if self._task is not None:
            self._task.cancel()
        self._dropped(len(self._buffer))

    def _put(self, event: PredictionEvent) -> None:
        if len(self._buffer) >= self._max_events or self._bytes + event.size > self._max_bytes:
            self._dropped(1)
            return
        self._buffer.append(event)
        self._bytes += event.size
        self._arrived.set()

    async def _run(self) -> None:
        while True:
            await self._arrived.wait()
            await asyncio.sleep(PAUSE)
            while self._buffer:
                batch = self._next_batch()
                delivered = await self._send(batch)
                for event in batch:
                    self._buffer.popleft()
                    self._bytes -= event.size
                self._sent(delivered)
                self._dropped(len(batch) - delivered)
            self._arrived.clear()

    async def _send(self, batch: list[PredictionEvent]) -> int:
        """How many were taken. What is refused together is sent by halves: one event must not cost the others."""
        if await self._deliver(*self._write(batch)):
            return len(batch)
        if len(batch) == 1:
            return 0
        middle = len(batch) // 2
        return await self._send(batch[:middle]) + await self._send(batch[middle:])

    def _next_batch(self) -> list[PredictionEvent]:
        """The oldest events that fit into one post."""
        batch: list[PredictionEvent] = []
        size = 0
        for event in islice(self._buffer, MAX_BATCH):
            size += event.size
            if batch and (len(event.body) > LARGE or size > BATCH_BYTES):
                break
            batch.append(event)
            if len(event.body) > LARGE:
                break
        return batch

    def _write(self, batch: list[PredictionEvent]) -> tuple[bytes, str, dict[str, str]]:
        """Body, content type and further headers of a post."""
        [first, *others] = batch
        if others or len(first.body) <= LARGE:
            return orjson.dumps([self._format(event) for event in batch]), BATCH_TYPE, {}
        head = self._head(first)
        content_type = head.pop("datacontenttype")
        # As the HTTP binding has it: percent-encoded, so that no value ends its line.
        return first.body, content_type, {f"ce-{name}": quote(value, safe=PLAIN) for name, value in head.items()}

    async def _deliver(self, body: bytes, content_type: str, headers: dict[str, str]) -> bool:
        """Posts until it is taken; False if it never will be."""
        waits = pauses(FIRST_DELAY, LONGEST_DELAY)
        while True:
            try:
                status = await post(self._target, body, content_type, headers)
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

    def _head(self, event: PredictionEvent) -> dict[str, str]:
        """The attributes."""
        return {
            "specversion": "1.0",
            "id": str(uuid4()),
            "type": event.type,
            "time": datetime.fromtimestamp(event.time, UTC).isoformat(),
            "datacontenttype": event.content_type.decode("latin-1"),
            **self._attributes,
            **({"requestid": event.puid} if event.puid else {}),
            **event.more,
        }

    def _format(self, event: PredictionEvent) -> dict[str, Any]:
        document = self._head(event)
        if event.content_type.startswith(JSON):
            # Checked when it was read or written, so it goes in as it is.
            return {**document, "data": orjson.Fragment(event.body)}
        return {**document, "data_base64": b64encode(event.body).decode()}


def _target(url: str) -> Target:
    try:
        return Target.of(url)
    except ValueError as error:
        raise SettingsError(f"events_url is {url!r}: {error}") from None
