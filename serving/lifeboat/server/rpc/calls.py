"""What every call has in common: it is counted, its errors are gRPC's, and it goes through the data plane."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from time import perf_counter
from typing import Any, NamedTuple, TypeVar
from urllib.parse import unquote

import grpc
from google.protobuf.message import DecodeError, Message
from grpc import StatusCode
from grpc.aio import AbortError

from lifeboat.http.access import MAY_FEED_BACK, MAY_PREDICT, Access, Caller, spend_rows
from lifeboat.http.app import REASONS
from lifeboat.http.errors import RequestError, bad
from lifeboat.http.http_types import LOGGED
from lifeboat.server.asked import SKIP, Asked, skips
from lifeboat.server.dataplane import DataPlane
from lifeboat.server.explained import EXPLAIN, Explained
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.model.onnx_model import Answers
from lifeboat.server.request_id import HEADER, RequestId
from lifeboat.server.rpc.documents import asks_reasons
from lifeboat.system import log, tracing
from lifeboat.system.tracing import Span

Context = Any  # grpc.aio.ServicerContext, generic in what grpc does not say
# What is traced: predictions and feedback.
_TRACED = MAY_PREDICT, MAY_FEED_BACK
C = TypeVar("C")
T = TypeVar("T")
# The status of HTTP, by which we count, as gRPC has it.
CODES = {
    400: StatusCode.INVALID_ARGUMENT, 401: StatusCode.UNAUTHENTICATED, 403: StatusCode.PERMISSION_DENIED,
    404: StatusCode.NOT_FOUND, 413: StatusCode.RESOURCE_EXHAUSTED, 429: StatusCode.RESOURCE_EXHAUSTED,
    500: StatusCode.INTERNAL, 501: StatusCode.UNIMPLEMENTED, 503: StatusCode.UNAVAILABLE,
    504: StatusCode.DEADLINE_EXCEEDED,
}  # fmt: skip


class Call(NamedTuple):
    """What a call says beside its message.

    Args:
        context: of gRPC.
        puid: as the header Seldon-Puid; empty for none.
        is_watched: whether the events are told.
        caller: who asks, where that is known.
        parent: as the header traceparent; empty for none.
        span: of its answering, where it is traced.
    """

    context: Context
    puid: bytes
    is_watched: bool
    caller: Caller | None
    parent: str
    span: Span | None = None

    @classmethod
    def of(cls, context: Context, access: Access | None, rights: frozenset[str]) -> Call:
        """Of a call; raises RequestError where its caller may not."""
        said = {key: value.encode() for key, value in context.invocation_metadata() or () if isinstance(value, str)}
        caller = None
        if access is not None:
            subject = said.get(access.subject_header.decode(), b"")
            caller = access.admit(rights, said.get("authorization", b""), subject, _address(context.peer()))
        watched, parent = not skips(said.get(SKIP.decode(), b"")), said.get(tracing.HEADER, b"").decode()
        return cls(context, said.get(HEADER.decode(), b""), watched, caller, parent)


def _fields(call: Call | None) -> dict[str, str]:
    """Of a line of the log that is about a call: its puid where the caller gave one, and its span."""
    return {} if call is None else tracing.fields_of(call.puid.decode("latin-1")[:LOGGED], call.span)


class OverloadError(RequestError):
    """A 503 for too much load, which is RESOURCE_EXHAUSTED to gRPC."""


class Calls:
    """Makes the handlers of methods.

    Args:
        plane: predicts.
        metrics: counts.
        loop: on which the predictions run.
        access: says who may ask; None where everybody may.
        log_requests: whether each call is a line of the log.
    """

    def __init__(
        self,
        plane: DataPlane,
        metrics: ServerMetrics,
        loop: asyncio.AbstractEventLoop,
        access: Access | None,
        log_requests: bool = False,
    ) -> None:
        self.plane, self._metrics, self._loop, self._access = plane, metrics, loop, access
        self._log_requests = log_requests

    def handler(
        self,
        name: str,
        protocol: str,
        work: Callable[[Any, Call], Awaitable[Any]],
        kinds: tuple[Any, Any],
        rights: frozenset[str],
    ) -> grpc.RpcMethodHandler:
        """A method.

        Args:
            name: of it, with its service's.
            protocol: under which it is counted.
            work: gives the response to a request, or raises RequestError.
            kinds: classes of both.
            rights: one of which it takes, none for what is open to all.
        """

        async def call(body: bytes, context: Context) -> Any:
            started, counted = perf_counter(), protocol
            self._metrics.begin()
            status, span, told = 500, None, None
            try:
                told = Call.of(context, self._access, rights)
                if self.plane.tracer is not None and rights in _TRACED:
                    span = self.plane.tracer.begin(told.parent, name, "server", tracing.since(started))
                    told = told._replace(span=span)
                request = _parse(kinds[0], body)
                counted = EXPLAIN if asks_reasons(request) else protocol
                answer = await work(request, told)
                status = 200
            except RequestError as error:
                status = error.status
                self._count(error)
                await context.abort(_code(error), error.info, _again(error))
            except (AbortError, asyncio.CancelledError):
                raise
            except Exception as error:  # nothing that a client sends may show a traceback
                log.error("a call failed", error, **_fields(told))
                await context.abort(StatusCode.INTERNAL, "internal error")
            else:
                return answer
            finally:
                seconds = perf_counter() - started
                self._metrics.end(counted, status, seconds)
                if self._log_requests or status >= 500 or log.shows_debug():
                    log.request(status, seconds, chosen=self._log_requests, method=name, **_fields(told))
                if span is not None:
                    span.attributes |= {"rpc.method": name, "lifeboat.status": status, "lifeboat.protocol": counted}
                    span.end(f"status {status}" if status >= 500 else "")

        # Parsed in the call: what is no message would be an internal error to gRPC's library.
        return grpc.unary_unary_rpc_method_handler(call, None, kinds[1].SerializeToString)

    def check(self) -> None:
        """Raises a 503 where a prediction may not begin: also a server that drains answers whoever is connected."""
        try:
            self.plane.check_load()
        except RequestError as error:
            raise OverloadError(error.status, error.info, error.headers) from None

    async def read(self, request: C, read: Callable[[C], T]) -> T:
        """Reads a message: at once or, where it is large, in the thread of such."""
        found: asyncio.Future[T] = self._loop.create_future()

        def resume(_: C, then: Callable[[], None]) -> None:
            try:
                then()
            except Exception as error:  # raised where the call waits for it
                found.set_exception(error)

        size: int = request.ByteSize()  # type: ignore[attr-defined]  # of protobuf's messages
        self.plane.read(request, size, read, lambda _, result: found.set_result(result), resume)
        return await found

    async def predict(
        self, asked: Asked, write: Callable[[Answers, Explained | None], T], explain: list[str] | bool = False
    ) -> T:
        """Predicts; gives what is written of the answers, and of their reasons where `explain` asks for these."""
        spend_rows(asked.caller, asked.rows)
        explained = await self.plane.explain(asked, explain) if explain else None
        answered: asyncio.Future[T] = self._loop.create_future()

        def send(give: Callable[[asyncio.Future[T]], None]) -> None:
            if not answered.done():  # its client may be gone
                give(answered)

        def written(answers: Answers) -> Callable[[asyncio.Future[T]], None]:
            answer = write(answers, explained)
            return lambda future: future.set_result(answer)

        def failed(error: RequestError) -> Callable[[asyncio.Future[T]], None]:
            return lambda future: future.set_exception(error)

        self.plane.infer(asked, written, failed, send)
        return await answered

    def identify(self, call: Call, said: str, where: str) -> RequestId:
        """Which request a call is; its puid goes with the answer."""
        id_ = self.plane.ids.make(call.puid, said or None, where)
        told = [(HEADER.decode(), id_.puid)]
        if call.span is not None:
            call.span.attributes[tracing.PUID] = id_.puid
            told.append((tracing.RESPONSE_HEADER, call.span.traceparent))
        call.context.set_trailing_metadata(tuple(told))
        return id_

    def _count(self, error: RequestError) -> None:
        if isinstance(error, OverloadError):
            self._metrics.rejected("overload")
        elif error.status not in (500, 503):
            self._metrics.rejected(REASONS.get(error.status, "bad"))


def _address(peer: str) -> str:
    """Of a peer as gRPC names it, such as `ipv4:127.0.0.1:4711` or `ipv6:%5B::1%5D:4711`."""
    host = unquote(peer).partition(":")[2].rpartition(":")[0]
    return host.strip("[]").removeprefix("::ffff:")


def _again(error: RequestError) -> tuple[tuple[str, str], ...]:
    """When to ask again, in the words that clients of gRPC know; empty where an error says nothing of it."""
    name, _, value = error.headers.decode().strip().partition(": ")
    return (("retry-after", value), ("grpc-retry-pushback-ms", f"{value}000")) if name == "retry-after" else ()


def _parse(kind: type[Message], body: bytes) -> Any:
    try:
        return kind.FromString(body)
    except DecodeError:
        raise bad(f"the message is no {kind.DESCRIPTOR.full_name}") from None


def _code(error: RequestError) -> StatusCode:
    return StatusCode.RESOURCE_EXHAUSTED if isinstance(error, OverloadError) else CODES[error.status]
