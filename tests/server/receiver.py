"""A receiver of events, to send them to."""

from __future__ import annotations

import http.server
import json
import time
from typing import Any


class Receiver(http.server.ThreadingHTTPServer):
    """Takes batches, or refuses or delays them as told."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: list[dict[str, Any]] = []
        self.refusals: list[int] = []
        self.delay = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        time.sleep(self.server.delay)
        status = self.server.refusals.pop(0) if self.server.refusals else 202
        if status == 202:
            assert self.headers["content-type"] == "application/cloudevents-batch+json"
            self.server.events += json.loads(body)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def wait_for(receiver: Receiver, number: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 8
    while len(receiver.events) < number and time.monotonic() < deadline:
        time.sleep(0.05)
    return receiver.events
