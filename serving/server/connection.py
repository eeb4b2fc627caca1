"""One client's connection: bytes in, requests out, answers back in the order of their requests.

It is idle (between requests), receiving (a request has begun and is not whole), waiting (for our own
handler), writing (the client does not read) or leaving (the last answer was sent and what the client still
sends is discarded, because closing over unread bytes resets the connection before the client has read the
answer). Each state but waiting has a deadline, which the listener looks at once a second: a timer for each
request would cost more than the request's parsing.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from itertools import chain
from time import perf_counter
from typing import TYPE_CHECKING

import httptools

from serving.server.errors import RequestError
from serving.server.message import Request, Response

if TYPE_CHECKING:
    from serving.server.listener import Listener

# Requests that a client may send ahead on one connection before we stop reading it.
MAX_AHEAD = 32
MAX_HEAD = 32 * 1024
LEAVING_SECONDS = 2.0
WRITING_SECONDS = 30.0
CLOSING = b"connection: close\r\n"


class Connection(asyncio.Protocol):
    """A connection of `Listener`, driven by the event loop and by the parser (`on_…`)."""

    __slots__ = (
        "_ahead", "_body", "_busy", "_crowded", "_eof", "_head_size", "_headers", "_in_head", "_leaving",
        "_listener", "_parser", "_paused", "_pumping", "_read", "_receiving", "_refusal", "_size", "_target",
        "_transport", "deadline",
    )  # fmt: skip
    _transport: asyncio.Transport

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._parser = httptools.HttpRequestParser(self)
        self._ahead: deque[Request] = deque()
        self._busy = self._pumping = self._paused = self._leaving = self._eof = False
        self._in_head = self._receiving = self._crowded = False
        self._size = self._read = 0
        self._refusal: Response | None = None

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's transport is an asyncio.Transport
        self._listener.connections.add(self)
        self._crowded = len(self._listener.connections) > self._listener.settings.max_connections
        self._rest()

    def connection_lost(self, _error: Exception | None) -> None:
        self._listener.connections.discard(self)
        self._leaving = True
        self._ahead.clear()

    def data_received(self, data: bytes) -> None:
        if self._leaving or self._refusal is not None:
            return
        was_in_head, was_receiving, size = self._in_head, self._receiving, self._size
        self._read = len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._decline_upgrade(data[upgrade.args[0] :])
        except httptools.HttpParserCallbackError as error:
            if not isinstance(error.__context__, RequestError):
                raise
            self.refuse(error.__context__)
        except httptools.HttpParserError as error:
            self.refuse(RequestError(400, f"the request is not HTTP: {error}"))
        if self._receiving and was_receiving and was_in_head == self._in_head and size == self._size:
            # No part of a body: a header or trailer, which the parser keeps to itself until it ends.
            self._head_size += len(data)
            if self._head_size > MAX_HEAD:
                self.refuse(RequestError(431, f"the headers have more than {MAX_HEAD} bytes"))

    def eof_received(self) -> bool:
        """A client may end its side and still wait for answers: then the transport stays open."""
        self._eof = True
        return (self._busy or bool(self._ahead)) and not self._leaving

    def pause_writing(self) -> None:
        self._paused = True
        self.deadline = self._listener.now + WRITING_SECONDS

    def resume_writing(self) -> None:
        self._paused = False
        self._rest()
        if self._receiving:
            self._expect_rest()
        self._pump()

    # The parser's side.

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._size = self._head_size = 0
        self._receiving = self._in_head = True
        self._expect_rest()

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer, which may come after the body, has no say
            self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        self._in_head = False
        # Headers that came in several reads were counted there; those of one read can be too long only if it is.
        if self._read > MAX_HEAD and sum(map(len, chain(*self._headers.items()))) > MAX_HEAD:
            raise RequestError(431, f"the headers have more than {MAX_HEAD} bytes")
        limit = self._listener.settings.max_body
        length = self._headers.get(b"content-length")
        if length is not None and int(length) > limit:
            raise RequestError(413, f"the body has {length.decode()} bytes, the limit is {limit}")
        if self._headers.get(b"expect") == b"100-continue" and not self._busy:
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self._listener.settings.max_body:
            raise RequestError(413, f"the body is longer than the limit of {self._listener.settings.max_body} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        self._receiving = False
        self._wait()
        if self._crowded:
            raise RequestError(503, "too many connections", b"retry-after: 1\r\n")
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        method, keep_alive = self._parser.get_method(), self._parser.should_keep_alive()
        request = Request(self, method, self._target, self._headers, body, keep_alive, perf_counter())
        if self._busy or self._paused or self._ahead:
            self._ahead.append(request)
            if len(self._ahead) >= MAX_AHEAD:
                self._transport.pause_reading()
        else:
            self._busy = True
            self._listener.handle(request)

    def _decline_upgrade(self, rest: bytes) -> None:
        """A client that offers HTTP/2 or a tunnel is answered in HTTP/1.1, and what it sends next is parsed
        as such."""
        self._parser = httptools.HttpRequestParser(self)
        if rest:
            self.data_received(rest)

    # Answers.

    def reply(self, request: Request, response: Response) -> None:
        """Writes the answer and begins the next request that the client sent ahead."""
        if self._leaving:
            return
        self._busy = False
        last = not request.keep_alive or ((self._listener.draining or self._eof) and not self._ahead)
        # An older client, which asks to keep the connection, waits for its end unless it is told so.
        kept = b"connection: keep-alive\r\n" if b"connection" in request.headers else b""
        self._write(response, CLOSING if last else kept, request.method == b"HEAD")
        if last:
            self._leave()
        elif self._ahead or self._refusal is not None:
            self._pump()
        elif not self._receiving and not self._paused:
            self._rest()

    def refuse(self, error: RequestError) -> None:
        """Answers what is no request, after the requests before it, and ends the connection."""
        self._receiving = self._in_head = False
        self._wait()
        self._refusal = self._listener.refusal(error)
        self._pump()

    def expire(self) -> None:
        """The deadline of the present state has passed."""
        if self._leaving or self._paused:
            self._transport.abort()
        elif self._receiving:
            seconds = self._listener.settings.request_seconds
            self.refuse(RequestError(408, f"the request did not arrive within {seconds:g} s"))
        else:
            self._transport.close()

    @property
    def idle(self) -> bool:
        """Nothing was begun that needs an answer."""
        return not (self._busy or self._receiving or self._ahead or self._paused or self._leaving)

    def _rest(self) -> None:
        settings, draining = self._listener.settings, self._listener.draining
        self.deadline = self._listener.now + (settings.drain_idle_seconds if draining else settings.keep_alive_seconds)

    def _expect_rest(self) -> None:
        """The request that has begun must be whole soon, unless the client first has to read."""
        if not self._paused:
            self.deadline = self._listener.now + self._listener.settings.request_seconds

    def _wait(self) -> None:
        """It is our turn, so there is no deadline, unless the client first has to read."""
        if not self._paused:
            self.deadline = math.inf

    def _pump(self) -> None:
        """Begins what waits; a loop, since an answer given at once would otherwise recurse for each
        request."""
        if self._pumping:
            return
        self._pumping = True
        while self._ahead and not (self._busy or self._paused or self._leaving):
            self._busy = True
            self._listener.handle(self._ahead.popleft())
        self._pumping = False
        if self._leaving or self._ahead or self._busy:
            return
        if self._refusal is not None:
            self._write(self._refusal, CLOSING, head=False)
            self._leave()
        elif not self._transport.is_reading():
            self._transport.resume_reading()

    def _write(self, response: Response, connection: bytes, head: bool) -> None:
        self._transport.write(
            b"%b%d\r\n%b%b\r\n%b"
            % (
                self._listener.head(response.status, response.content_type),
                len(response.body),
                response.headers,
                connection,
                b"" if head else response.body,
            )
        )

    def _leave(self) -> None:
        self._leaving = True
        self._ahead.clear()
        if self._eof:
            self._transport.close()
            return
        self.deadline = self._listener.now + LEAVING_SECONDS
        self._transport.write_eof()
        if not self._transport.is_reading():
            self._transport.resume_reading()
