"""What answers while the database cannot be opened: alive, not ready, and why."""

from __future__ import annotations

import asyncio
import os
import socket

from prometheus_client import CollectorRegistry, Gauge, generate_latest

from lifeboat.detector.metrics import CONTENT_TYPE, STORAGE_UP
from lifeboat.detector.settings import DetectorSettings
from lifeboat.http.errors import RequestError
from lifeboat.http.http_types import Request, Response
from lifeboat.http.listener import Listener
from lifeboat.server.protocols.seldon import SeldonCodec

RETRY = b"retry-after: 5\r\n"


class Unready:
    """Takes connections, and no event.

    Args:
        settings: limits.
        listening: bound and listening; it stays open when this ends.
    """

    def __init__(self, settings: DetectorSettings, listening: socket.socket) -> None:
        self.reason = ""
        self._listener = Listener(asyncio.get_running_loop(), settings.listener_limits, self._answer, SeldonCodec.error)
        self._listener.open(socket.socket(fileno=os.dup(listening.fileno())))

    async def end(self) -> None:
        """Answers what was begun."""
        await self._listener.drain()

    def _answer(self, request: Request) -> None:
        if request.path in (b"/live", b"/livez", b"/health/ping"):
            request.reply(Response(200, b"pong", b"text/plain"))
        elif request.path == b"/metrics":
            request.reply(Response(200, storage_down(), CONTENT_TYPE))
        else:
            request.reply(SeldonCodec.error(RequestError(503, self.reason, RETRY)))


def storage_down() -> bytes:
    """All that can be said to Prometheus without a database."""
    registry = CollectorRegistry()
    Gauge(*STORAGE_UP, registry=registry).set(0)
    return generate_latest(registry)
