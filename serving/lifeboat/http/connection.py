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
from typing import TYPE_CHECKING

from lifeboat.http.errors import RequestError, unavailable
from lifeboat.http.http_types import Request, Response
from lifeboat.http.parser import Parser

if TYPE_CHECKING:
    from lifeboat.http.listener import Listener

# Requests that a client may send ahead on one connection before we stop reading it; or the largest body's bytes.
MAX_AHEAD = 32
LEAVING_SECONDS = 2.0
WRITING_SECONDS = 30.0
CLOSING = b"connection: close\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Connection(asyncio.Protocol):
    """A connection of `Listener`, driven by the event loop and by its parser."""

    __slots__ = (
        "_ahead", "_busy", "_crowded", "_eof", "_halted", "_held", "_leaving", "_listener", "_parser", "_paused",
        "_pumping", "_refusal", "_transport", "deadline",
    )  # fmt: skip
    _transport: asyncio.Transport

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._parser = Parser(self, listener.limits.max_body)
        self._ahead: deque[Request] = deque()
        self._busy = self._crowded = self._eof = self._halted = self._leaving = self._paused = self._pumping = False
        self._held = 0  # bytes of the bodies in `_ahead`
        self._refusal: Response | None = None

    @property
    def peer(self) -> str:
        """The address of the client."""
        name = self._transport.get_extra_info("peername")
        # An IPv4 client of a socket that listens for both has an address of IPv6.
        return str(name[0]).removeprefix("::ffff:") if isinstance(name, tuple) else ""

    # The event loop's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream's transport is an asyncio.Transport
        self._listener.connections.add(self)
        self._crowded = len(self._listener.connections) > self._listener.limits.max_connections
        self._rest()

    def connection_lost(self, _error: Exception | None) -> None:
        self._listener.connections.discard(self)
        self._leaving = True
        self._ahead.clear()

    def data_received(self, data: bytes) -> None:
        if self._leaving or self._refusal is not None:
            return
        try:
            if self._parser.feed(data):
                self._expect_rest()
        except RequestError as error:
            self.refuse(error)

    def eof_received(self) -> bool:
        """A client may end its side and still wait for answers: then the transport stays open."""
        self._eof = True
        return (self._busy or bool(self._ahead)) and not self._leaving

    def pause_writing(self) -> None:
        self._paused = True
        self.deadline = self._listener.now + WRITING_SECONDS

    def resume_writing(self) -> None:
        self._paused = False
        self._go_on()
        self._pump()

    # The parser's side.

    def invite(self) -> None:
        """Asks for the body that a client holds back, once its earlier requests are answered."""
        if self._parser.awaited and not (self._busy or self._ahead or self._paused):
            self._parser.awaited = False
            self._expect_rest()
            self._transport.write(CONTINUE)

    def take(self, request: Request) -> None:
        """Hands a request on, now or after those before it."""
        self._wait()
        if self._crowded:
            raise unavailable("too many connections")
        if self._busy or self._paused or self._ahead:
            self._ahead.append(request)
            self._held += len(request.body)
            if len(self._ahead) >= MAX_AHEAD or self._held > self._listener.limits.max_body:
                self._halted = True
                self._transport.pause_reading()
        else:
            self._busy = True
            self._listener.on_request(request)

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
        elif self._ahead or self._halted or self._refusal is not None:
            self._pump()
        elif self._parser.receiving:
            self.invite()
        elif not self._paused:
            self._rest()

    def refuse(self, error: RequestError) -> None:
        """Answers what is no request, after the requests before it, and ends the connection."""
        self._parser.receiving = False
        self._wait()
        self._refusal = self._listener.refusal(error)
        self._pump()

    def expire(self) -> None:
        """The deadline of the present state has passed."""
        if self._leaving or self._paused:
            self._transport.abort()
        elif self._parser.receiving:
            seconds = self._listener.limits.request_seconds
            self.refuse(RequestError(408, f"the request did not arrive within {seconds:g} s"))
        else:
            self._transport.close()

    @property
    def idle(self) -> bool:
        """Nothing was begun that needs an answer."""
        return not (self._busy or self._parser.receiving or self._ahead or self._paused or self._leaving)

    def _rest(self) -> None:
        limits, draining = self._listener.limits, self._listener.draining
        self.deadline = self._listener.now + (limits.drain_idle_seconds if draining else limits.keep_alive_seconds)

    def _go_on(self) -> None:
        """The client is read again, and has its time again."""
        self._rest()
        if self._parser.receiving:
            self._expect_rest()
            self.invite()

    def _expect_rest(self) -> None:
        """The request that has begun must be whole soon, unless the client first has to read, or we have."""
        if not (self._paused or self._halted):
            self.deadline = self._listener.now + self._listener.limits.request_seconds

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
            request = self._ahead.popleft()
            self._held -= len(request.body)
            self._listener.on_request(request)
        self._pumping = False
        if self._leaving or self._ahead or self._busy:
            return
        if self._refusal is not None:
            self._write(self._refusal, CLOSING, self._parser.is_head)
            self._leave()
        elif self._halted and not self._paused:
            self._halted = False
            self._transport.resume_reading()
            self._go_on()

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
