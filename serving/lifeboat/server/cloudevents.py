"""Predictions and feedback as CloudEvents: how they are written, and how many fit into one post.

Predictions go by columns, many in one event (`columnar`), feedback in batches (`application/cloudevents-batch+json`), a
large one alone and in binary mode. The attributes are those of Seldon's payload logger.
"""

from __future__ import annotations

from base64 import b64encode
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, ClassVar, NamedTuple
from urllib.parse import quote
from uuid import uuid4

import orjson

from lifeboat.http.http_types import JSON
from lifeboat.server.columnar import COUNT, MOST, PREDICTIONS, ColumnarWriter, Predicted
from lifeboat.system.tracing import HEADER, Span

FEEDBACK = "io.seldon.serving.feedback"
# Attributes beside Seldon's, of others' events: how the client calls its request; and (of CloudEvents' extension for
# it) who sent a truth.
CLIENT_ID, SOURCE = "clientid", "authid"
BATCH_TYPE = "application/cloudevents-batch+json"
MAX_BATCH = 200
# Of predictions in one event the bytes, more or less, and the rows: a receiver parses them in one piece. One prediction
# may have more.
PREDICTION_BYTES, MOST_ROWS = 1 << 20, 2_000
# Of the attributes that are the same in every event, in JSON.
HEAD_BYTES = 400
# Of the events in a batch; a body longer than LARGE has a post of its own.
BATCH_BYTES, LARGE = 128 * 1024, 64 * 1024
# Of a binary event's attributes; the rest, spaces, quotes and the percent sign included, is percent-encoded.
PLAIN = "!#$&'()*+,-./:;<=>?@[]^_`{|}~"


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
        span: of the event, where it is traced.
        size: bytes of it, more or less: the names of a client may be longer than its body.
    """

    puid: str
    time: float
    content_type: bytes
    body: bytes
    source: str
    span: Span | None = None
    number: ClassVar[int] = 1
    total: ClassVar[int] = 0
    size: int = field(init=False)

    def __post_init__(self) -> None:
        chosen = len(self.puid) + len(self.content_type) + len(self.source)
        self.size = HEAD_BYTES + chosen + len(self.body)

    def end_spans(self, error: str) -> None:
        """It is sent, or what kept it from it."""
        if self.span is not None:
            self.span.end(error)


class EventWriter:
    """Writes posts.

    Args:
        attributes: of every event: whose model it is.
        columns: writes predictions.
    """

    def __init__(self, attributes: dict[str, str], columns: ColumnarWriter) -> None:
        self._attributes, self._columns = attributes, columns

    def predictions(self, batch: list[Predicted]) -> Post:
        """One event of many predictions."""
        head = {**self._head(PREDICTIONS, batch[-1].time), COUNT: str(sum(one.number for one in batch))}
        return Post(self._columns.write(batch), JSON.decode(), _as_headers(head))

    def feedback(self, batch: list[FeedbackEvent]) -> Post:
        """A batch of events, or a large one alone."""
        [first, *others] = batch
        if others or len(first.body) <= LARGE:
            return Post(orjson.dumps([self._format(event) for event in batch]), BATCH_TYPE, {})
        return Post(first.body, first.content_type.decode("latin-1"), _as_headers(self._head_of(first)))

    def _head(self, type_: str, seconds: float) -> dict[str, str]:
        """The attributes."""
        made = datetime.fromtimestamp(seconds, UTC).isoformat()
        return {"specversion": "1.0", "id": str(uuid4()), "type": type_, "time": made, **self._attributes}

    def _head_of(self, event: FeedbackEvent) -> dict[str, str]:
        named = {"requestid": event.puid} if event.puid else {}
        traced = {HEADER: event.span.traceparent} if event.span is not None else {}
        return {**self._head(FEEDBACK, event.time), **named, **traced, SOURCE: event.source}

    def _format(self, event: FeedbackEvent) -> dict[str, Any]:
        document = {**self._head_of(event), "datacontenttype": event.content_type.decode("latin-1")}
        if event.content_type.startswith(JSON):
            # Checked when it was read, so it goes in as it is.
            return {**document, "data": orjson.Fragment(event.body)}
        return {**document, "data_base64": b64encode(event.body).decode()}


def next_predictions(queue: deque[Predicted]) -> list[Predicted]:
    """The oldest that fit into one event."""
    batch: list[Predicted] = []
    size = rows = count = 0
    for one in queue:
        size, rows, count = size + one.size, rows + one.total, count + one.number
        if batch and (size > PREDICTION_BYTES or rows > MOST_ROWS or count > MOST):
            break
        batch.append(one)
    return batch


def next_feedback(queue: deque[FeedbackEvent]) -> list[FeedbackEvent]:
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
