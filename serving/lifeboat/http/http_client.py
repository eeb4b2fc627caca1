"""A POST over HTTP/1.1 on a connection of its own, without a dependency."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

SECONDS = 10.0
MAX_ANSWER = 65536
# Of the head of an answer, in all.
_MOST_LINES = 100


@dataclass(frozen=True)
class Target:
    """Where to post to.

    Args:
        url: as given.
        host, port: of its server.
        secure: whether by TLS.
        path: with its query.
    """

    url: str
    host: str
    port: int
    secure: bool
    path: str

    @classmethod
    def of(cls, url: str) -> Target:
        """Reads an http or https URL; raises ValueError for anything else."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an http or https URL")
        secure = parts.scheme == "https"
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return cls(url, parts.hostname, parts.port or (443 if secure else 80), secure, path)


class Answer(NamedTuple):
    """What a server answered.

    Args:
        status: of HTTP.
        headers: by lower-case name; of a repeated one the last.
        body: whole, or as much as was wanted.
    """

    status: int
    headers: dict[bytes, bytes]
    body: bytes


async def post(
    target: Target,
    body: bytes,
    content_type: str,
    headers: dict[str, str] | None = None,
    seconds: float = SECONDS,
    most: int = MAX_ANSWER,
) -> Answer:
    """Posts a body and gives the answer; no header may hold a line end.

    Args:
        target: where to.
        body, content_type, headers: of the request.
        seconds: for all of it.
        most: bytes of the answer's body that are read.

    Raises:
        OSError: no connection, or it broke, or (TimeoutError) no answer came in time.
        ValueError: the answer is not HTTP.
    """
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    async with asyncio.timeout(seconds):
        reader, writer = await asyncio.open_connection(target.host, target.port, ssl=target.secure or None)
        try:
            writer.write(
                f"POST {target.path} HTTP/1.1\r\nhost: {target.host}:{target.port}\r\nconnection: close\r\n"
                f"content-type: {content_type}\r\n{lines}content-length: {len(body)}\r\n\r\n".encode()
                + body
            )
            return await _read(reader, most)
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader, most: int) -> Answer:
    line = await reader.readline()
    status, headers = _status(line), dict[bytes, bytes]()
    for _ in range(_MOST_LINES):
        line = await reader.readline()
        if not line.strip():
            break
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    length = headers.get(b"content-length", b"")
    left = min(most, int(length)) if length.isdigit() else most
    parts = list[bytes]()
    while left > 0 and (part := await reader.read(left)):
        parts.append(part)
        left -= len(part)
    if length.isdigit() and left:
        raise ConnectionResetError("the answer broke off")
    return Answer(status, headers, b"".join(parts))


def _status(line: bytes) -> int:
    words = line.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ValueError(f"not an HTTP answer: {line[:60]!r}")
    return int(words[1])
