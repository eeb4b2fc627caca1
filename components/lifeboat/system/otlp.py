"""Spans to a receiver of OTLP by HTTP, in the background, by OpenTelemetry's SDK: the one module that imports it.

The SDK's own tracer is not used: it decides about a span after it has made one. Of it come the queue, which is bounded
and drops the oldest, the thread that empties it, the encoding and the exporter. What else there is to say of a receiver
(a header with a key, a certificate) is in OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_HEADERS.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from lifeboat.system import log, tracing

# Spans that wait at most, a few hundred bytes each; and of one post. The queue is emptied once a second, or when a post
# is full.
QUEUE, POST, EVERY_SECONDS = 8_192, 512, 1.0
# For the receiver to answer; what it does not take in that time is lost.
ANSWER_SECONDS = 5.0
# Between two lines of the log on a receiver that takes nothing.
SAY_SECONDS = 60.0
_KINDS = {kind.name.lower(): kind for kind in SpanKind}
_SCOPE = InstrumentationScope("lifeboat")
_TRACED, _WELL = TraceFlags(TraceFlags.SAMPLED), Status()


class _Exporter(OTLPSpanExporter):
    """Says in our own log what is lost, a line a minute at most."""

    def __init__(self, url: str) -> None:
        super().__init__(endpoint=f"{url.rstrip('/')}/v1/traces", timeout=ANSWER_SECONDS)
        self._url, self._said = url, 0.0
        # Spans that were given to the queue, and that came out of it; that the receiver did not take; that were said.
        self.given, self._came, self._refused, self._told = 0, 0, 0, 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self._came += len(spans)
        result = super().export(spans)
        well = result is SpanExportResult.SUCCESS
        self._refused += 0 if well else len(spans)
        # What a full queue has dropped never comes here.
        lost = self._refused + max(0, self.given - self._came - QUEUE)
        if lost > self._told and (time.monotonic() - self._said > SAY_SECONDS or not self._said):
            self._said, self._told = time.monotonic(), lost
            log.error("traces are lost: the receiver does not take them, or not so many", url=self._url, lost=lost)
        elif well and self._said and lost == self._told:
            self._said = 0.0
            log.info("the receiver takes traces again", url=self._url, lost=lost)
        return result


class _Hashed(Resource):
    """The exporter looks for it once a span; the SDK's own would be written as JSON for that each time."""

    def __hash__(self) -> int:
        return id(self)


class OtlpSender:
    """Takes spans from any thread, and keeps none of them waiting.

    Args:
        service: what this program is.
        url: of the receiver, without the path of its traces.
    """

    def __init__(self, service: str, url: str) -> None:
        # It reports each span that it drops, and each attempt, with a traceback.
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)
        self._resource = _Hashed({"service.name": service, "process.pid": os.getpid()})
        self._exporter = _Exporter(url)
        self._processor = BatchSpanProcessor(self._exporter, QUEUE, EVERY_SECONDS * 1000, POST)

    def send(self, span: tracing.Span, ended: int, error: str) -> None:
        """Takes a span that has ended."""
        self._exporter.given += 1
        parent = _context(span.trace_id, span.parent_id, is_remote=True) if span.parent_id else None
        self._processor.on_end(
            ReadableSpan(
                span.name,
                _context(span.trace_id, span.span_id),
                parent,
                self._resource,
                span.attributes,
                links=[Link(_context(one.trace_id, one.span_id, is_remote=True)) for one in span.links],
                kind=_KINDS[span.kind],
                status=Status(StatusCode.ERROR, error) if error else _WELL,
                start_time=span.started,
                end_time=ended,
                instrumentation_scope=_SCOPE,
            )
        )

    def close(self, seconds: float) -> None:
        """Sends what is left, for so many seconds at most; the rest is lost."""
        thread = threading.Thread(target=self._processor.shutdown, daemon=True)
        thread.start()
        thread.join(seconds)
        self._exporter.shutdown()  # type: ignore[no-untyped-call]  # ends an attempt that is under way


def _context(trace_id: int, span_id: int, *, is_remote: bool = False) -> SpanContext:
    return SpanContext(trace_id, span_id, is_remote, _TRACED)
