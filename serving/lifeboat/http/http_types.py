"""One HTTP request and one response, as plain as the connection and the handlers need them."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Protocol

import orjson

if TYPE_CHECKING:
    from lifeboat.http.access import Caller
    from lifeboat.system.tracing import Span

# Characters of what a client chooses in a line of the log.
LOGGED = 300
JSON = b"application/json"
FORM = b"application/x-www-form-urlencoded"
# Of a request of the Open Inference Protocol with binary data: how much of the body is JSON.
HEADER_LENGTH = b"inference-header-content-length"
_REASONS = {status.value: status.phrase for status in HTTPStatus}


def lower_media_type(content_type: str) -> str:
    """A content type as most write it: the case of a type means nothing, that of a parameter may."""
    media_type, semicolon, parameters = content_type.partition(";")
    return media_type.strip().lower() + semicolon + parameters


class Response:
    """An answer.

    Args:
        status: of HTTP.
        body: whole.
        content_type: of the body.
        headers: further raw header lines, each with its line end.
    """

    __slots__ = ("body", "content_type", "headers", "status")

    def __init__(self, status: int, body: bytes, content_type: bytes = JSON, headers: bytes = b"") -> None:
        self.status, self.body, self.content_type, self.headers = status, body, content_type, headers

    @classmethod
    def of(cls, document: object, status: int = 200, headers: bytes = b"") -> Response:
        """An answer in JSON."""
        return cls(status, orjson.dumps(document), JSON, headers)


class Sink(Protocol):
    """Where an answer goes: the connection of its request."""

    @property
    def peer(self) -> str:
        """The address of who is connected; empty where there is none."""

    def reply(self, request: Request, response: Response) -> None:
        """Takes the one answer of a request."""


class Request:
    """A whole request.

    Args:
        sink: takes the answer.
        method, target: as in the request line.
        headers: by lower-case name; of a repeated one the last.
        body: decoded from chunks.
        keep_alive: whether the client lets the connection be used again.
        started: when it was complete, in seconds of the performance counter.
        protocol, id: the label of its metrics and its puid, set by whoever handles it.
        caller: who asks, where that is known.
        span: of its answering, where that is traced.
    """

    __slots__ = (
        "body",
        "caller",
        "headers",
        "id",
        "keep_alive",
        "method",
        "path",
        "protocol",
        "query",
        "sink",
        "span",
        "started",
    )

    def __init__(
        self,
        sink: Sink,
        method: bytes,
        target: bytes,
        headers: dict[bytes, bytes],
        body: bytes,
        keep_alive: bool,
        started: float,
    ) -> None:
        self.sink, self.method, self.headers, self.body = sink, method, headers, body
        self.path, _, self.query = target.partition(b"?")
        self.keep_alive, self.started = keep_alive, started
        self.protocol, self.id = "other", ""
        self.caller: Caller | None = None
        self.span: Span | None = None

    @property
    def shown_path(self) -> str:
        """The path for a line of the log."""
        return self.path.decode("latin-1")[:LOGGED]

    def reply(self, response: Response) -> None:
        """Answers; must happen exactly once."""
        self.sink.reply(self, response)


def status_line(status: int) -> bytes:
    """Such as `HTTP/1.1 200 OK` with its line end."""
    return f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\n".encode()
