"""Traces: which requests are traced, and their spans, as OpenTelemetry and W3C's Trace Context have them.

Whether a request is traced is decided here, by the caller's `traceparent` or by chance, before anything of a span is
made: of one that is not, nothing is. A span is a few numbers; `otlp`, which alone imports OpenTelemetry, makes of it
what its SDK exports, and only where a receiver is set.
"""

from __future__ import annotations

import math
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any, Literal, NamedTuple
from urllib.parse import urlsplit

from lifeboat.config.errors import SettingsError
from lifeboat.config.observed import ObservedSettings

# The field of a request's head by which the caller says what it belongs to (of CloudEvents' extension for distributed
# tracing an attribute of an event, too), and that of an answer that says it back.
HEADER, RESPONSE_HEADER = "traceparent", "traceresponse"
# Attributes by which one looks for a trace.
PUID, ROWS = "lifeboat.puid", "lifeboat.rows"
MODEL, VERSION, DIGEST = "lifeboat.model.name", "lifeboat.model.version", "lifeboat.bundle.digest"
# For the last spans, once every client has its answer.
FLUSH_SECONDS = 3.0
# W3C's form: a later version may add fields behind a dash, and its first four are read.
_PARENT = re.compile(r"(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1
# The parent of the first span of a trace.
_NO_SPAN = 0
Kind = Literal["internal", "server", "client", "producer", "consumer"]
Attributes = dict[str, Any]


class SpanContext(NamedTuple):
    """What a `traceparent` says.

    Args:
        trace_id, span_id: 128 and 64 bits, neither 0.
        is_sampled: whether the one that sent it is traced.
    """

    trace_id: int
    span_id: int
    is_sampled: bool

    @classmethod
    def read(cls, text: str) -> SpanContext | None:
        """From a header; None for anything else, as the caller may have sent it."""
        found = _PARENT.fullmatch(text)
        if found is None or (found[1] == "00" and found[5]):
            return None
        trace_id, span_id = int(found[2], 16), int(found[3], 16)
        return cls(trace_id, span_id, bool(int(found[4], 16) & _SAMPLED)) if trace_id and span_id else None

    @classmethod
    def of_bundle(cls, digest: str) -> SpanContext:
        """Of the span that stands for a bundle: whoever has the digest knows it, and no bundle holds a trace."""
        return cls(int(digest[:32], 16), int(digest[32:48], 16), is_sampled=True)

    @property
    def fields(self) -> dict[str, str]:
        """Of a line of the log that belongs to it."""
        return {"trace_id": f"{self.trace_id:032x}", "span_id": f"{self.span_id:016x}"}

    def write(self) -> str:
        """As `read` takes it."""
        return f"00-{self.trace_id:032x}-{self.span_id:016x}-{int(self.is_sampled):02x}"


class Span:
    """A piece of work that is traced; whoever made it calls `end`, of which the first time counts.

    Args:
        send: takes it at its end.
        name: as short as a route: no value of a request.
        kind: of OpenTelemetry.
        trace_id, parent_id: where it belongs; no parent is 0.
        started: in nanoseconds since 1970.
        attributes: by name; never a value of a row.
        links: spans of other traces that it has to do with.
    """

    __slots__ = (
        "_has_ended", "_send", "attributes", "kind", "links", "name", "parent_id", "span_id", "started", "trace_id",
    )  # fmt: skip

    def __init__(
        self,
        send: Send,
        name: str,
        kind: Kind,
        trace_id: int,
        parent_id: int,
        started: int,
        attributes: Attributes,
        links: tuple[SpanContext, ...] = (),
    ) -> None:
        self._send, self.name, self.kind, self._has_ended = send, name, kind, False
        self.trace_id, self.parent_id, self.span_id = trace_id, parent_id, _draw(64)
        self.started, self.attributes, self.links = started, attributes, links

    @property
    def traceparent(self) -> str:
        """The header of that name for whoever is asked during this work."""
        return self.context.write()

    @property
    def fields(self) -> dict[str, str]:
        """Of a line of the log that belongs to it."""
        return self.context.fields

    @property
    def context(self) -> SpanContext:
        """Which one it is, for others."""
        return SpanContext(self.trace_id, self.span_id, is_sampled=True)

    def child(self, name: str, kind: Kind = "internal", started: int = 0, **attributes: Any) -> Span:
        """A part of this work, from now on unless it has started earlier."""
        return Span(self._send, name, kind, self.trace_id, self.span_id, started or time.time_ns(), attributes)

    def end(self, error: str = "", ended: int = 0) -> None:
        """It is done, now unless it was earlier; with a word on what went wrong, which is no value of a row."""
        if (
            not self._has_ended
        ):  # a post that is refused is sent by halves, and what is left of it is dropped at the end
            self._has_ended = True
            self._send(self, ended or time.time_ns(), error)


# Takes a span, its end in nanoseconds since 1970, and what went wrong.
Send = Callable[[Span, int, str], None]


class Tracer:
    """Begins the spans of one process.

    Args:
        send: takes those that have ended, from any thread, at once.
        share: of the requests that are traced where no caller decides, 0 to 1.
        close: sends what is left, for so many seconds at most.
        chance: draws a number from 0 to 1.
        callers: traces a second that callers may decide on; beyond it their requests are untraced.
        clock: seconds that only grow.

    Attributes:
        about: attributes of every span that `begin` makes, such as which model it is.
        links: of the same spans, such as to what stands for the model.
    """

    def __init__(
        self,
        send: Send,
        share: float,
        close: Callable[[float], None] = lambda _: None,
        chance: Callable[[], float] = random.random,
        callers: float = math.inf,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._send, self._share, self._chance, self.close = send, share, chance, close
        self._callers, self._clock, self._left, self._filled = callers, clock, callers, clock()
        self.about: Attributes = {}
        self.links: tuple[SpanContext, ...] = ()

    def decide(self, parent: str) -> SpanContext | None:
        """Where a span is to begin; None where nothing is traced, which is most often and so costs least.

        Args:
            parent: the caller's `traceparent`, which decides, as often as callers may; chance does where it is none.
        """
        if parent and (context := SpanContext.read(parent)) is not None:
            return context if context.is_sampled and self._may_decide() else None
        return SpanContext(_draw(128), _NO_SPAN, is_sampled=True) if self._chance() < self._share else None

    def _may_decide(self) -> bool:
        """Whether one more caller may: a traced request costs several untraced ones, and anybody can ask for it."""
        now = self._clock()
        self._left = min(self._callers, self._left + (now - self._filled) * self._callers)
        self._filled = now
        if self._left < 1:
            return False
        self._left -= 1
        return True

    def start(self, context: SpanContext, name: str, kind: Kind, started: int = 0) -> Span:
        """A span that begins this process's part of a trace, now unless it has started earlier.

        Args:
            context: as `decide` gives it.
            name, kind, started: of the span.
        """
        place = context.trace_id, context.span_id, started or time.time_ns()
        return Span(self._send, name, kind, *place, dict(self.about), self.links)

    def made_by(self, digest: str, run: Span) -> None:
        """Sends the span that stands for a bundle, with a link to the run that made it; more than one run may."""
        context = SpanContext.of_bundle(digest)
        attributes: Attributes = {DIGEST: digest}
        span = Span(
            self._send, "bundle", "internal", context.trace_id, _NO_SPAN, time.time_ns(), attributes, (run.context,)
        )
        span.span_id = context.span_id
        span.end()

    def begin(self, parent: str, name: str, kind: Kind, started: int = 0) -> Span | None:
        """Decides and starts; None where it is not traced."""
        context = self.decide(parent)
        return None if context is None else self.start(context, name, kind, started)

    def follow(self, parent: str, name: str, kind: Kind, started: int = 0) -> Span | None:
        """As `begin`, of work that is traced only where its sender says so."""
        return self.begin(parent, name, kind, started) if SpanContext.read(parent) is not None else None


def open_tracer(service: str, settings: ObservedSettings, callers: float = math.inf) -> Tracer | None:
    """The tracer that a program's settings want; None where they name no receiver.

    Args:
        service: what the program is, as in its log.
        settings: of the program.
        callers: see `Tracer`.

    Raises:
        SettingsError: the receiver's URL is none, or OpenTelemetry is not installed.
    """
    if not settings.traces:
        return None
    try:
        parts = urlsplit(settings.traces)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError("traces is not an http or https URL")
    if parts.username is not None or parts.password is not None:
        # It would stand in logs and in command lines.
        raise SettingsError("traces has a password: give it to the receiver by OTEL_EXPORTER_OTLP_HEADERS")
    try:
        from lifeboat.system.otlp import OtlpSender
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"traces is {settings.traces}, for which {error.name} is missing: install lifeboat[tracing]"
        ) from error
    try:
        sender = OtlpSender(service, settings.traces)
    except ValueError as error:
        raise SettingsError(f"traces: one of OpenTelemetry's own variables is wrong: {error}") from error
    return Tracer(sender.send, settings.trace_share, sender.close, callers=callers)


@contextmanager
def part_of(span: Span | None, name: str, kind: Kind = "internal", **attributes: Any) -> Iterator[Span | None]:
    """A part of what is traced, for the block; None, and nothing done, where it is not.

    Args:
        span: of the whole.
        name, kind, attributes: of the part.
    """
    if span is None:
        yield None
        return
    with ended(span.child(name, kind, **attributes)) as part:
        yield part


@contextmanager
def ended(span: Span) -> Iterator[Span]:
    """Ends a span with the block; an error that ends it is named by its class, for its words may hold a value."""
    try:
        yield span
    except BaseException as error:
        span.end(type(error).__name__)
        raise
    span.end()


def fields_of(name: str, span: Span | None) -> dict[str, str]:
    """Of a line of the log that is about a request: its name, where it has one, and its span, where it is traced."""
    return {**({"request_id": name} if name else {}), **(span.fields if span is not None else {})}


def untraced_parent() -> str:
    """The `traceparent` for whoever is asked by work that is not traced: else its own chance would decide anew."""
    return SpanContext(_draw(128), _draw(64), is_sampled=False).write()


def since(counter: float) -> int:
    """When the performance counter was so many seconds, in nanoseconds since 1970."""
    return time.time_ns() - int((perf_counter() - counter) * 1e9)


def _draw(bits: int) -> int:
    """An id; ids are no secrets, and 0 is none."""
    return random.getrandbits(bits) or 1
