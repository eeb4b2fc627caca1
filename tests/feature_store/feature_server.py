"""A stand-in for a feature server: answers by Feast's contract from a dictionary, late or wrongly where it is told."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Values = dict[str, dict[tuple[Any, ...], dict[str, Any] | str]]


class FeatureServer(ThreadingHTTPServer):
    """Answers.

    Attributes:
        keys: names of the keys of each view.
        values: by view and key the fields, or the status of all of them.
        at: when the values became true.
        delay: seconds before an answer.
        answer: what is answered in place of it: status and body.
        has_ended: whether connections end instead of an answer.
        asked: the questions so far.
    """

    daemon_threads = True

    def __init__(self, keys: dict[str, tuple[str, ...]], values: Values, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.keys, self.values = keys, values
        self.at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.delay, self.has_ended = 0.0, False
        self.asked: list[dict[str, Any]] = []
        self.answer: tuple[int, bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def give(self, question: dict[str, Any]) -> dict[str, Any]:
        entities = question["entities"]
        rows = len(next(iter(entities.values())))
        names, results = list(entities), []
        for feature in question["features"]:
            view, field = feature.split(":")
            found = [
                self.values[view].get(tuple(entities[key][row] for key in self.keys[view]), "NOT_FOUND")
                for row in range(rows)
            ]
            names.append(f"{view}__{field}")
            results.append({
                "event_timestamps": [self.at if not isinstance(one, str) else "1970-01-01T00:00:00Z" for one in found],
                "values": [None if isinstance(one, str) else one.get(field) for one in found],
                "statuses": [
                    one if isinstance(one, str) else "PRESENT" if field in one else "NOT_FOUND" for one in found
                ],
            })  # fmt: skip
        keys = [{"values": values, "statuses": ["PRESENT"] * rows} for values in entities.values()]
        return {"metadata": {"feature_names": names}, "results": [*keys, *results]}


class _Handler(BaseHTTPRequestHandler):
    server: FeatureServer
    protocol_version = "HTTP/1.1"
    # It writes head and body apart: the second would wait 40 ms for word that the first has come.
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        question = json.loads(self.rfile.read(int(self.headers["content-length"])))
        assert (self.path, self.headers["content-type"]) == ("/get-online-features", "application/json")
        self.server.asked.append(question)
        time.sleep(self.server.delay)
        if self.server.has_ended:
            self.close_connection = True
            return
        status, body = self.server.answer or (200, json.dumps(self.server.give(question)).encode())
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def serving(keys: dict[str, tuple[str, ...]], values: Values, port: int = 0) -> Iterator[FeatureServer]:
    with FeatureServer(keys, values, port) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()
