"""One HTTP request and its answer, for whoever asks now and then; what serves has clients of its own."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from lifeboat.system.addresses import is_loopback

# Of an answer that is shown to somebody.
_SHOWN = 500


class NoAnswerError(Exception):
    """Nobody answered in time, or not in HTTP; its text says why."""


@dataclass(frozen=True)
class Answer:
    """What came back, whatever its status."""

    status: int
    body: bytes

    def json(self) -> Any:
        """The body's document; raises ValueError if it is none."""
        return json.loads(self.body)

    @property
    def shown(self) -> str:
        """The beginning of the body."""
        return self.body[:_SHOWN].decode(errors="replace")


def ask(
    url: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
    *,
    token: str = "",
    seconds: float = 10.0,
    most: int | None = None,
) -> Answer:
    """Sends a GET, or a document as a POST, on a connection of its own; to this machine itself through no proxy.

    Args:
        url: http or https.
        body: what JSON can hold.
        headers: besides those of the body.
        token: for that server's eyes alone: the request goes through no proxy and follows no redirection.
        seconds: that connecting and each part of the answer may take.
        most: bytes of the answer that are read; all of them unless given.

    Raises:
        NoAnswerError: there was none.
    """
    content = None if body is None else json.dumps(body).encode()
    kind = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(url, content, {**kind, **(headers or {})})  # noqa: S310  # a URL of our settings
    # A proxy of the environment knows other machines; what it takes for this one is itself.
    direct = bool(token) or is_loopback(urlsplit(url).hostname or "")
    handlers: list[urllib.request.BaseHandler] = [urllib.request.ProxyHandler({})] if direct else []
    if token:
        request.add_header("Authorization", f"Bearer {token}")
        handlers.append(_Stay())
    try:
        with _open(urllib.request.build_opener(*handlers), request, seconds) as found:
            return Answer(found.status, found.read(most))
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise NoAnswerError(str(getattr(reason, "strerror", None) or reason or type(error).__name__)) from error


class _Stay(urllib.request.HTTPRedirectHandler):
    """Takes a redirection for the answer that it is."""

    def redirect_request(self, *_: Any) -> None:
        """Follows none."""


def _open(opener: urllib.request.OpenerDirector, request: urllib.request.Request, seconds: float) -> Any:
    try:
        return opener.open(request, timeout=seconds)
    except urllib.error.HTTPError as error:  # a response as well
        return error
