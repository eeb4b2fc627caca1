"""A receiver of events, to send them to."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote


class Receiver(http.server.ThreadingHTTPServer):
    """Takes batches of feedback and predictions by columns, or refuses or delays them as told.

    Attributes:
        events: those that came in batches.
        predictions: one by one, in words of the event that they came in: `id`, `client_id`, `time`, and by name the
            rows' values of `inputs` and of `outputs`; and the `event`'s attributes.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.events: list[dict[str, Any]] = []
        self.predictions: list[dict[str, Any]] = []
        self.refusals: list[int] = []
        # Ids of the events of predictions that were posted, taken or not.
        self.asked: list[str] = []
        # What each post says of who sends it.
        self.authorizations: list[str] = []
        self.delay = 0.0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/"


@contextmanager
def listening() -> Iterator[Receiver]:
    """A receiver that listens."""
    with Receiver() as made:
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


class Handler(http.server.BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.asked += [self.headers["ce-id"]] if "ce-id" in self.headers else []
        self.server.authorizations.append(self.headers.get("authorization", ""))
        time.sleep(self.server.delay)
        status = self.server.refusals.pop(0) if self.server.refusals else 202
        if status == 202 and self.headers["content-type"] == "application/json":
            head = {name[3:].lower(): unquote(value) for name, value in self.headers.items() if name[:3] == "ce-"}
            self.server.predictions += list(unfold(head, json.loads(body)))
        elif status == 202:
            assert self.headers["content-type"] == "application/cloudevents-batch+json"
            self.server.events += json.loads(body)
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Quiet."""


def unfold(head: dict[str, str], document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The predictions of an event."""
    said, start = document["predictions"], 0
    assert int(head["predictions"]) == len(said["id"]) == len(said["rows"])
    for place, rows in enumerate(said["rows"]):
        tensors = {
            part: {one["name"]: _rows_of(one, start, rows) for one in document[part]} for part in ("inputs", "outputs")
        }
        aliases = said.get("client_id", [""] * len(said["id"]))
        named = {"id": said["id"][place], "client_id": aliases[place], "time": said["time"][place]}
        yield {**named, **tensors, "event": head, "parameters": document["parameters"]}
        start += rows


def _rows_of(tensor: dict[str, Any], start: int, rows: int) -> list[Any]:
    width = tensor["shape"][1] if len(tensor["shape"]) > 1 else 1
    assert tensor["shape"][0] * width == len(tensor["data"])
    return list(tensor["data"][start * width : (start + rows) * width])


def wait_for_predictions(receiver: Receiver, number: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 8
    while len(receiver.predictions) < number and time.monotonic() < deadline:
        time.sleep(0.02)
    return receiver.predictions


def wait_for(receiver: Receiver, number: int) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 8
    while len(receiver.events) < number and time.monotonic() < deadline:
        time.sleep(0.05)
    return receiver.events
