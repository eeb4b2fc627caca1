"""From a request to its handler, and from any error to an answer: the one place that counts and logs both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol

from lifeboat.config.tokens import READ
from lifeboat.http.access import MAY_READ, OPEN, Access
from lifeboat.http.errors import RequestError
from lifeboat.http.http_types import LOGGED, Request, Response
from lifeboat.system import log
from lifeboat.system.tracing import HEADER, PUID, RESPONSE_HEADER, Span, Tracer, fields_of, since

Handler = Callable[[Request], Response | None]
Wording = Callable[[RequestError], Response]
Finish = Callable[[Request, Response, Callable[[Request, Response], None]], None]
# Of a refusal, by its status, as it is counted.
REASONS = {401: "unauthorized", 403: "forbidden", 408: "slow", 413: "large", 429: "limited", 431: "large", 504: "late"}
# All of these, and what a status alone does not tell.
ALL_REASONS = ("bad", "overload", *sorted(set(REASONS.values())))
_PARENT = HEADER.encode()


@dataclass(frozen=True)
class Route:
    """What answers a method of a path.

    Args:
        handler: gives the answer, or None if it will call `App.answer` later.
        protocol: label of the metrics.
        error: words an error.
        rights: one of which it takes, none for what is open to all.
    """

    handler: Handler
    protocol: str
    error: Wording
    rights: frozenset[str] = OPEN


class Counting(Protocol):
    """Is told what happens to requests."""

    def begin(self) -> None:
        """One is whole."""

    def end(self, protocol: str, status: int, seconds: float, /) -> None:
        """One is answered."""

    def rejected(self, reason: str, /) -> None:
        """One was refused: bad, unauthorized, forbidden, limited, large, slow, overload or late."""


class Uncounted:
    """Of a server that does not count requests."""

    def begin(self) -> None:
        """Nothing."""

    def end(self, protocol: str, status: int, seconds: float, /) -> None:
        """Nothing."""

    def rejected(self, reason: str, /) -> None:
        """Nothing."""


class App:
    """Routes requests.

    Args:
        metrics: counts them.
        log_requests: whether to log a line for each, not only for failures of the server.
        log_payloads: whether such a line holds the bodies.
        error: words what is wrong, unless a route or a prefix has words of its own.
        access: says who may ask; None where everybody may.
        tracer: traces the requests of every protocol but "other", from when they are let in; None for no traces.

    Attributes:
        finish: has the last word on an answer, which it sends; None for none.
    """

    def __init__(
        self,
        metrics: Counting,
        log_requests: bool,
        log_payloads: bool,
        error: Wording,
        access: Access | None = None,
        tracer: Tracer | None = None,
    ) -> None:
        self._metrics, self._log_requests, self._log_payloads = metrics, log_requests, log_payloads
        self._error, self._access, self._tracer = error, access, tracer
        self.finish: Finish | None = None
        self._routes: dict[bytes, dict[bytes, Route]] = {b"*": {}}  # what OPTIONS calls the whole server
        self._prefixes: dict[bytes, dict[bytes, Route]] = {}
        self._fallbacks: list[tuple[bytes, Wording]] = []

    def add(
        self,
        methods: str,
        paths: str,
        handler: Handler,
        protocol: str = "other",
        error: Wording | None = None,
        *,
        rights: frozenset[str] = MAY_READ,
    ) -> None:
        """Registers a route for each of the methods and paths, given as words."""
        route = Route(handler, protocol, error or self._error, rights)
        for path in paths.split():
            for method in methods.split():
                self._routes.setdefault(path.encode(), {})[method.encode()] = route

    def add_prefix(self, method: str, prefix: str, handler: Handler) -> None:
        """Registers a route for every path under a prefix that has none of its own."""
        self._prefixes.setdefault(prefix.encode(), {})[method.encode()] = Route(handler, "other", self._error, MAY_READ)

    def add_fallback(self, prefix: str, error: Wording) -> None:
        """Lets a protocol word the 404 of unknown paths under its prefix."""
        self._fallbacks.append((prefix.encode(), error))

    def handle(self, request: Request) -> None:
        """Answers a request; never raises."""
        self._metrics.begin()
        self.attempt(request)

    def attempt(self, request: Request, resume: Callable[[], Response | None] | None = None) -> None:
        """Answers with what the request's handler gives, unless that is None, or with what it raises.

        Args:
            request: whole.
            resume: the rest of its handler, where the beginning was done elsewhere.
        """
        route = None
        try:
            route = self._find(request)
            request.protocol = route.protocol
            if self._access is not None and resume is None:
                subject = request.headers.get(self._access.subject_header, b"")
                said = _authorization(request, route.rights)
                request.caller = self._access.admit(route.rights, said, subject, request.sink.peer)
            if self._tracer is not None and resume is None and route.protocol != "other":
                request.span = _begin(self._tracer, request)
            response = route.handler(request) if resume is None else resume()
        except RequestError as error:
            word = route.error if route is not None else self._word(request.path)
            # A probe that is told "not ready" is no overload.
            if error.status != 503 or request.protocol != "other":
                self._count(error)
            response = word(error)
        except Exception as error:
            # The last line of defence: nothing that a client sends may show a traceback or end the process.
            log.error("a request failed", error, path=request.shown_path, **_fields(request))
            word = route.error if route is not None else self._error
            response = word(RequestError(500, "internal error"))
        if response is not None:
            self.answer(request, response)

    def answer(self, request: Request, response: Response) -> None:
        """Sends the answer of a request, once."""
        if self.finish is None:
            self._send(request, response)
        else:
            self.finish(request, response, self._send)

    def refusal(self, error: RequestError) -> Response:
        """Words what is not even a request: too large, too slow, not HTTP."""
        self._count(error)
        return self._error(error)

    def _send(self, request: Request, response: Response) -> None:
        seconds = perf_counter() - request.started
        # Before the answer leaves: whoever has it may ask for the metrics.
        self._metrics.end(request.protocol, response.status, seconds)
        if request.span is not None:
            response = _end(request.span, request, response)
        request.reply(response)
        if self._log_requests or response.status >= 500 or log.shows_debug():
            self._log(request, response, seconds)

    def _find(self, request: Request) -> Route:
        methods = self._routes.get(request.path)
        if methods is None and self._prefixes:
            methods = self._under_prefix(request.path)
        if methods is None:
            shown = request.path.decode("latin-1")[:80]
            raise RequestError(404, f"there is nothing at {shown}")
        method = b"GET" if request.method == b"HEAD" else request.method
        route = methods.get(method)
        if route is None:
            allowed = b", ".join(sorted({*methods, b"OPTIONS", *([b"HEAD"] if b"GET" in methods else [])}))
            allow = b"allow: %b\r\n" % allowed
            if method == b"OPTIONS":
                return Route(lambda _: Response(200, b"", headers=allow), "other", self._error)
            shown = request.method.decode("latin-1")
            raise RequestError(405, f"{shown} is not allowed here, only {allowed.decode()}", allow)
        return route

    def _under_prefix(self, path: bytes) -> dict[bytes, Route] | None:
        return next((methods for prefix, methods in self._prefixes.items() if path.startswith(prefix)), None)

    def _word(self, path: bytes) -> Wording:
        return next((word for prefix, word in self._fallbacks if path.startswith(prefix)), self._error)

    def _count(self, error: RequestError) -> None:
        if error.status == 503:
            self._metrics.rejected("overload")
        elif error.status != 500:
            self._metrics.rejected(REASONS.get(error.status, "bad"))

    def _log(self, request: Request, response: Response, seconds: float) -> None:
        bodies = {"request": request.body, "response": response.body} if self._log_payloads else {}
        log.request(
            response.status,
            seconds,
            chosen=self._log_requests,
            method=request.method.decode("latin-1"),
            path=request.shown_path,
            **_fields(request),
            **{name: body.decode(errors="replace") for name, body in bodies.items()},
        )


def _begin(tracer: Tracer, request: Request) -> Span | None:
    """The span of a request, from when it was whole; its path is one of ours."""
    context = tracer.decide(request.headers.get(_PARENT, b"").decode("latin-1"))
    if context is None:
        return None
    method, path = request.method.decode("latin-1"), request.path.decode("latin-1")
    span = tracer.start(context, f"{method} {path}", "server", since(request.started))
    span.attributes |= {"http.request.method": method, "http.route": path}
    return span


def _end(span: Span, request: Request, response: Response) -> Response:
    """Ends the span of a request; gives the answer with the header that names it."""
    span.attributes |= {"lifeboat.status": response.status, "lifeboat.protocol": request.protocol}
    if request.id:
        span.attributes[PUID] = request.id[:LOGGED]
    span.end(f"status {response.status}" if response.status >= 500 else "")
    line = f"{RESPONSE_HEADER}: {span.traceparent}\r\n".encode()
    return Response(response.status, response.body, response.content_type, response.headers + line)


def _fields(request: Request) -> dict[str, str]:
    """Of a line of the log: the request's name, and its span where it is traced."""
    name = request.id or request.headers.get(b"seldon-puid", b"").decode("latin-1")
    return fields_of(name[:LOGGED], request.span)


def _authorization(request: Request, rights: frozenset[str]) -> bytes:
    """The header of that name; not a browser's password that a page of elsewhere has it send, but to look at a page."""
    said = request.headers.get(b"authorization", b"")
    foreign = request.headers.get(b"sec-fetch-site") in (b"cross-site", b"same-site")
    return b"" if foreign and READ not in rights and said[:6].lower() == b"basic " else said
