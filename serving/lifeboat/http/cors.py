"""Which pages of elsewhere a browser may let read the answers, by the Fetch standard's CORS protocol."""

from __future__ import annotations

import re

from lifeboat.config.errors import SettingsError
from lifeboat.http.http_types import Request, Response

_ORIGIN = re.compile(rb"https?://[a-z0-9.\[\]:-]+")
# What a page may ask with, and read besides the body.
_PREFLIGHT = (
    b"access-control-allow-methods: GET, POST\r\n"
    b"access-control-allow-headers: authorization, content-type, inference-header-content-length, seldon-puid, "
    b"seldon-skip-logging, traceparent\r\naccess-control-max-age: 600\r\n"
)
_EXPOSED = (
    b"access-control-expose-headers: inference-header-content-length, retry-after, seldon-puid, traceresponse\r\n"
)


class Cors:
    """Adds the headers that allow it.

    Args:
        origins: such as "https://desk.example,http://localhost:3000", or "*" for any; empty for none.

    Raises:
        SettingsError: one is no origin.
    """

    def __init__(self, origins: str) -> None:
        self._origins = frozenset(one.strip().encode() for one in origins.split(",") if one.strip())
        for one in self._origins - {b"*"}:
            if not _ORIGIN.fullmatch(one):
                raise SettingsError(f"cors_origins: {one.decode()!r} is no origin, such as https://desk.example")

    def mark(self, request: Request, response: Response) -> None:
        """Adds to an answer what the page's browser asks for; an answer without it is kept from the page."""
        origin = request.headers.get(b"origin", b"")
        if not self._origins or not origin:
            return
        if b"*" in self._origins:
            headers = b"access-control-allow-origin: *\r\n"
        elif origin in self._origins:
            headers = b"access-control-allow-origin: %b\r\nvary: origin\r\n" % origin
        else:
            response.headers += b"vary: origin\r\n"
            return
        preflight = request.method == b"OPTIONS" and b"access-control-request-method" in request.headers
        response.headers += headers + (_PREFLIGHT if preflight else _EXPOSED)
