"""A stand-in for a collector: it takes OTLP by HTTP as one does, and keeps the spans for the tests to look at."""

from __future__ import annotations

import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message

KINDS = {number: name.removeprefix("SPAN_KIND_").lower() for name, number in Message.SpanKind.items()}


@dataclass(frozen=True)
class Seen:
    """A span as it arrived: ids in hexadecimal digits, times in nanoseconds since 1970."""

    service: str
    name: str
    kind: str
    trace: str
    id: str
    parent: str
    started: int
    ended: int
    attributes: dict[str, Any]
    error: str
    links: list[tuple[str, str]]


class Collector(http.server.ThreadingHTTPServer):
    """Takes spans.

    Attributes:
        spans: all that came, in their order.
        bodies: as they came, to look for what must not be in them.
    """

    daemon_threads = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.spans: list[Seen] = []
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def of(self, *traces: str) -> list[Seen]:
        """The spans of some traces."""
        return [one for one in list(self.spans) if one.trace in traces]

    def until(self, number: int, *traces: str, seconds: float = 20.0) -> list[Seen]:
        """The spans of some traces as soon as there are so many."""
        deadline = time.monotonic() + seconds
        while len(found := self.of(*traces)) < number and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(found) == number, [(one.service, one.name) for one in found]
        return found


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    """A collector that listens."""
    with Collector(port) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Collector
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        assert (self.path, self.headers["content-type"]) == ("/v1/traces", "application/x-protobuf")
        self.server.bodies.append(body)
        self.server.spans += read_spans(body)
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """Jaeger's search, as far as a service and its tags go."""
        asked = parse_qs(urlsplit(self.path).query)
        assert urlsplit(self.path).path == "/api/traces"
        tags, (service,) = json.loads(asked["tags"][0]), asked["service"]
        of_service = [one for one in self.server.spans if one.service == service]
        traces = {one.trace for one in of_service if tags.items() <= one.attributes.items()}
        found = [{"traceID": trace, "spans": [vars(one) for one in self.server.of(trace)]} for trace in traces]
        body = json.dumps({"data": found}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


def read_spans(body: bytes) -> Iterator[Seen]:
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        service = _attributes(group.resource)["service.name"]
        for scope in group.scope_spans:
            for span in scope.spans:
                yield Seen(
                    service,
                    span.name,
                    KINDS[span.kind],
                    span.trace_id.hex(),
                    span.span_id.hex(),
                    span.parent_span_id.hex(),
                    span.start_time_unix_nano,
                    span.end_time_unix_nano,
                    _attributes(span),
                    span.status.message if span.status.code == span.status.STATUS_CODE_ERROR else "",
                    [(link.trace_id.hex(), link.span_id.hex()) for link in span.links],
                )


def _attributes(holder: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in holder.attributes}
