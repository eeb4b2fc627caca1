"""Work on requests a few milliseconds at a time, so that new connections and probes are never far from their turn.

Everything runs on the loop. Sixty clients with a thousand rows each are a second of work, all found in one pass of it,
and a new connection takes three passes: one to be accepted, one to be read, one to be answered. Kubernetes asks whether
the server lives on a new connection each time, and would kill one that is merely busy.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

from lifeboat.http.http_types import Request

# Some hundred requests of one row, or one of a thousand rows.
PASS_SECONDS = 0.01


class TimeSlicer:
    """Hands requests on until a pass of the loop has had its time; the others follow in the next passes, in order.

    A request without a body is a probe, a scrape or a page: it is handed on at once.

    Args:
        loop: the event loop.
        on_request: takes a request; must not raise.
        limit: of those that wait. One more is handed on at once, to be refused.

    Attributes:
        waiting: the requests.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, on_request: Callable[[Request], None], limit: int) -> None:
        self._loop, self._on_request, self._limit = loop, on_request, limit
        self.waiting: deque[Request] = deque()
        self._counting, self._end = False, 0.0

    def __call__(self, request: Request) -> None:
        """Hands the request on, now or in its turn."""
        if not self._counting:
            self._begin_pass()
        if request.body and (self.waiting or perf_counter() >= self._end) and len(self.waiting) < self._limit:
            self.waiting.append(request)
        else:
            self._on_request(request)

    def _begin_pass(self) -> None:
        self._counting, self._end = True, perf_counter() + PASS_SECONDS
        self._loop.call_soon(self._next_pass)

    def _next_pass(self) -> None:
        self._counting = False
        if self.waiting:
            self._begin_pass()
        while self.waiting and perf_counter() < self._end:
            self._on_request(self.waiting.popleft())
