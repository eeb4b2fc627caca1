"""The listening side: accepts from one or more sockets, keeps the connections' deadlines, drains.

A socket may be shared with another process (the server of another version during a switch): they take connections from
one queue, so none is refused while one process begins and another ends. It therefore accepts one connection each time
the loop wakes.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from email.utils import formatdate
from time import perf_counter

from lifeboat.http.connection import Connection
from lifeboat.http.errors import RequestError
from lifeboat.http.http_types import Request, Response, status_line
from lifeboat.http.limits import ListenerLimits
from lifeboat.system import log

SWEEP_SECONDS = 1.0


class Spinner:
    """Keeps the loop awake for a moment after each request, so that the next one need not wake the core.

    Args:
        loop: the event loop.
        seconds: counted from the last request.
        on_request: takes the requests.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float, on_request: Callable[[Request], None]) -> None:
        self._loop, self._seconds, self._on_request = loop, seconds, on_request
        self._end, self._spinning = 0.0, False

    def __call__(self, request: Request) -> None:
        """Hands the request on."""
        self._on_request(request)
        self._end = request.started + self._seconds
        if not self._spinning:
            self._spinning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        # The loop asks the system for events without sleeping while a callback waits for its next pass.
        self._spinning = perf_counter() < self._end
        if self._spinning:
            self._loop.call_soon(self._turn)


class Listener:
    """Accepts connections and hands their requests to `on_request`.

    Args:
        loop: the event loop.
        limits: of the connections.
        on_request: takes a request and answers it, now or later, exactly once; must not raise.
        refusal: makes the answer to what is not even a request.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        limits: ListenerLimits,
        on_request: Callable[[Request], None],
        refusal: Callable[[RequestError], Response],
    ) -> None:
        self.limits, self.refusal = limits, refusal
        self.on_request = Spinner(loop, limits.spin_us / 1e6, on_request) if limits.spin_us else on_request
        self.connections: set[Connection] = set()
        self.draining = False
        self._loop = loop
        self._sockets: list[socket.socket] = []
        self._accepting: set[asyncio.Task[None]] = set()
        self._heads: dict[tuple[int, bytes], bytes] = {}
        self._sweep()

    def open(self, listening: socket.socket) -> None:
        """Begins to accept from a listening socket."""
        listening.setblocking(False)
        self._sockets.append(listening)
        self._loop.add_reader(listening, self._accept, listening)

    def shut(self, listening: socket.socket) -> None:
        """Accepts no more from this socket."""
        self._loop.remove_reader(listening)
        self._sockets.remove(listening)
        listening.close()

    async def drain(self) -> None:
        """Accepts no more, answers everything begun and returns when the last connection has ended."""
        self.draining = True
        for listening in list(self._sockets):
            while self._accept(listening):
                pass  # whoever has connected before the end is answered, not reset
            self.shut(listening)
        end = self._loop.time() + self.limits.drain_seconds
        grace = self._loop.time() + self.limits.drain_idle_seconds
        for connection in self.connections:
            if connection.idle:
                connection.deadline = grace
        while (self.connections or self._accepting) and self._loop.time() < end:
            await asyncio.sleep(0.02)
            self._expire(self._loop.time())

    def head(self, status: int, content_type: bytes) -> bytes:
        """The head of an answer up to the value of Content-Length; made anew each second, for the date."""
        head = self._heads.get((status, content_type))
        if head is None:
            date = formatdate(usegmt=True).encode()
            head = b"%bdate: %b\r\ncontent-type: %b\r\ncontent-length: " % (
                status_line(status), date, content_type,
            )  # fmt: skip
            self._heads[status, content_type] = head
        return head

    def _accept(self, listening: socket.socket) -> bool:
        """Takes one connection, if there is one."""
        try:
            client, _ = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionError):
            return False  # another process was quicker, or the client has left
        except OSError:
            # No descriptor is free: leave the queue alone until some connections have ended.
            self._loop.remove_reader(listening)
            self._loop.call_later(0.1, self._accept_again, listening)
            return False
        client.setblocking(False)
        if client.family != socket.AF_UNIX:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        task = self._loop.create_task(self._connect(client))
        self._accepting.add(task)
        task.add_done_callback(self._accepting.discard)
        return True

    def _accept_again(self, listening: socket.socket) -> None:
        if listening in self._sockets:
            self._loop.add_reader(listening, self._accept, listening)

    async def _connect(self, client: socket.socket) -> None:
        await self._loop.connect_accepted_socket(lambda: Connection(self), client)

    def _sweep(self) -> None:
        """Once a second: the time as connections see it, the date, the deadlines, and whether the log's level was
        changed, which every server with a listener is to see."""
        self.now = self._loop.time()
        self._heads.clear()
        log.look_at_level()
        self._expire(self.now)
        self._loop.call_later(SWEEP_SECONDS, self._sweep)

    def _expire(self, now: float) -> None:
        self.now = now
        for connection in [one for one in self.connections if one.deadline < now]:
            connection.expire()
