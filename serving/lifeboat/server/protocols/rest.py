"""What the adapters of REST share: what the events carry of a request, and the header that names it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lifeboat.http.http_types import FORM, HEADER_LENGTH, JSON, Request, Response, lower_media_type
from lifeboat.server.events import Content, Exchange
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


def content_of(request: Request) -> Content | None:
    """What an event carries of a request; None where its client asked not to be logged, in one of the words that
    Seldon's executor knows."""
    if request.headers.get(b"seldon-skip-logging", b"").lower() in _YES:
        return None
    if not request.body:
        return Content(FORM, request.query)
    sent = request.headers.get(b"content-type", JSON).decode("latin-1")
    content_type = lower_media_type(sent).encode("latin-1")
    if request.protocol == "v2" and HEADER_LENGTH in request.headers and content_type.startswith(JSON):
        content_type = b"application/octet-stream"
    return Content(content_type, request.body)


def exchange_of(request: Request, answer: Response) -> Exchange | None:
    """What the events carry of a prediction."""
    content = content_of(request)
    return None if content is None else Exchange(content, Content(answer.content_type, answer.body))
