"""Payloads that Seldon's executor passed on over gRPC: messages, which are read as the documents they stand for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from google.protobuf.message import DecodeError

from lifeboat.detector.ingest.cloudevents import BINARY, PROTOBUF, REQUEST, RESPONSE, CloudEvent
from lifeboat.detector.ingest.rows import RefusedError
from lifeboat.http.errors import RequestError
from lifeboat.server.cloudevents import FEEDBACK
from lifeboat.server.rpc.documents import feedback_document, inference_document, seldon_document
from lifeboat.server.rpc.messages import message


def _inference(said: Any) -> dict[str, Any] | bytes:
    document, binary = inference_document(said)
    return orjson.dumps(document) + binary if binary else document


# Of the executor's protocol and an event's type: which message its content is, and how that is read.
READERS: dict[tuple[str, str], tuple[str, Callable[[Any], dict[str, Any] | bytes]]] = {
    ("seldon", REQUEST): ("seldon.protos.SeldonMessage", seldon_document),
    ("seldon", RESPONSE): ("seldon.protos.SeldonMessage", seldon_document),
    ("seldon", FEEDBACK): ("seldon.protos.Feedback", feedback_document),
    ("v2", REQUEST): ("inference.ModelInferRequest", _inference),
    ("v2", RESPONSE): ("inference.ModelInferResponse", _inference),
}  # fmt: skip


def read_message(event: CloudEvent) -> None:
    """Puts in the place of a message the JSON, or the JSON with binary data behind it, that HTTP would have brought.

    Raises:
        RefusedError: payload.
    """
    if not event.content_type.startswith(PROTOBUF) or not isinstance(event.content, bytes):
        return
    if (found := READERS.get((event.protocol, event.type))) is None:
        raise RefusedError("payload")
    name, read = found
    try:
        event.content = read(message(name).FromString(event.content))
    except (DecodeError, RequestError):
        raise RefusedError("payload") from None
    event.content_type = BINARY if isinstance(event.content, bytes) else ""
