"""What the adapters of REST share: whether the events are told of a request, and the header that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeboat.http.http_types import FORM, JSON, Request, Response, lower_media_type
from lifeboat.server.events import Content
from lifeboat.server.request_id import RequestId

if TYPE_CHECKING:
    # Not at run time: the drift detector reads with the codecs and has no ONNX Runtime.
    from lifeboat.server.dataplane import DataPlane

_YES = (b"true", b"on", b"1")


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
    return request.headers.get(b"seldon-skip-logging", b"").lower() not in _YES


def content_of(request: Request) -> Content:
    """What an event carries of a request."""
    if not request.body:
        return Content(FORM, request.query)
    sent = request.headers.get(b"content-type", JSON).decode("latin-1")
    return Content(lower_media_type(sent).encode("latin-1"), request.body)


def size_of(request: Request) -> int:
    """Bytes of what it says."""
    return len(request.body) + len(request.query)
