"""What the adapters of REST share: how a request is predicted, named and shown to the events."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from lifeboat.http.access import spend_rows
from lifeboat.http.app import App, Wording
from lifeboat.http.coding import decode_body, is_coded
from lifeboat.http.http_types import FORM, JSON, Request, Response, lower_media_type
from lifeboat.server.asked import SKIP, Asked, skips
from lifeboat.server.cloudevents import Content
from lifeboat.server.explained import EXPLAIN, Explained
from lifeboat.server.protocols.row_parser import Columns
from lifeboat.server.request_id import HEADER, RequestId

if TYPE_CHECKING:
    # Not at run time: the drift detector reads with the codecs and has no ONNX Runtime.
    from lifeboat.server.dataplane import DataPlane

T = TypeVar("T")


def puid_line(id_: RequestId) -> bytes:
    """The header line of the answer."""
    return b"seldon-puid: %b\r\n" % id_.puid.encode()


def readiness(plane: DataPlane) -> Response:
    """Whether the model takes requests; raises a 503 if it does not."""
    plane.check_ready()
    return Response.of({"ready": True, "name": plane.identity.name, "version": plane.identity.version})


def is_watched(request: Request) -> bool:
    """Whether the events are told; not where its client asked not to be logged, in one of the words that Seldon's
    executor knows."""
    return not skips(request.headers.get(SKIP, b""))


def content_of(request: Request) -> Content:
    """What an event carries of a request."""
    if not request.body:
        return Content(FORM, request.query)
    sent = request.headers.get(b"content-type", JSON).decode("latin-1")
    return Content(lower_media_type(sent).encode("latin-1"), request.body)


def size_of(request: Request) -> int:
    """Bytes of what it says."""
    return len(request.body) + len(request.query)


def read_request(
    app: App,
    plane: DataPlane,
    request: Request,
    read: Callable[[Request], T],
    then: Callable[[Request, T], Response | None],
) -> Response | None:
    """Reads a request, compressed or not, and goes on with it; as `DataPlane.read`."""
    size = size_of(request)
    if is_coded(request):
        # However small, it may unfold to the limit: not on the loop.
        size, plain = plane.max_body, read

        def read(request: Request) -> T:
            return plain(decode_body(request, plane.max_body))

    return plane.read(request, size, read, then, app.attempt)


class Predictor:
    """How an adapter of REST has a request predicted.

    Args:
        app: answers.
        plane: predicts.
    """

    def __init__(self, app: App, plane: DataPlane) -> None:
        self._app, self._plane = app, plane
        self._explaining: set[asyncio.Task[Explained]] = set()

    def read(self, request: Request, read: Callable[[Request], T], then: Callable[[Request, T], None]) -> None:
        """Reads a request, unless there are too many, and goes on with it."""
        self._plane.check_load()
        read_request(self._app, self._plane, request, read, then)

    def ask(
        self,
        request: Request,
        columns: Columns,
        said: Any,
        where: str,
        write: Callable[..., Response],
        error: Wording,
        explain: list[str] | bool = False,
        watch: bool = True,
    ) -> None:
        """Predicts and answers.

        Args:
            request: was read.
            columns: of it.
            said, where: see `RequestIds.make`.
            write: makes the answer of a `RequestId`, `Answers` and, where they were explained, `Explained`.
            error: words what went wrong.
            explain: see `lifeboat.server.explained.wanted`.
            watch: whether the events may be told.
        """
        id_ = self._plane.ids.make(request.headers.get(HEADER, b""), said, where)
        request.id = id_.puid
        watched = watch and is_watched(request)
        asked = Asked(columns, len(columns[0]), id_, size_of(request), watched, request.caller, request.span)
        spend_rows(asked.caller, asked.rows)
        write, send = partial(write, id_), partial(self._app.answer, request)
        if not explain:
            self._plane.infer(asked, write, error, send)
            return

        def resume(found: asyncio.Task[Explained]) -> None:
            # Counted apart: it takes as long as the explainer does.
            request.protocol = EXPLAIN
            explained = found.result()
            self._plane.infer(asked, lambda answers: write(answers, explained), error, send)

        task = asyncio.get_running_loop().create_task(self._plane.explain(asked, explain))
        self._explaining.add(task)
        task.add_done_callback(self._explaining.discard)
        task.add_done_callback(lambda found: self._app.attempt(request, lambda: resume(found)))
