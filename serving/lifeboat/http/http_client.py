"""POSTs over HTTP/1.1, without a dependency."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
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


class HttpClient:
    """Posts to one server, on connections that are kept for the next one: to open and to end one costs our loop as much
    as the request.

    Args:
        target: where to.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._idle: list[_Streams] = []

    async def post(
        self,
        body: bytes,
        content_type: str,
        headers: Mapping[str, str] | None = None,
        seconds: float = SECONDS,
        most: int = MAX_ANSWER,
    ) -> Answer:
        """Posts a body and gives the answer; once more on a new connection where the server had ended the kept one, so
        that what is posted must bear to come twice. No header may hold a line end.

        Args:
            body, content_type, headers: of the request.
            seconds: for all of it.
            most: bytes of the answer's body that are read.

        Raises:
            OSError: no connection, or it broke, or (TimeoutError) no answer came in time.
            ValueError: the answer is not HTTP.
        """
        target = self.target
        host = f"[{target.host}]" if ":" in target.host else target.host
        lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
        head = (
            f"POST {target.path} HTTP/1.1\r\nhost: {host}:{target.port}\r\n"
            f"content-type: {content_type}\r\n{lines}content-length: {len(body)}\r\n\r\n"
        )
        message = head.encode() + body
        async with asyncio.timeout(seconds):
            while self._idle:
                kept = self._idle.pop()
                if kept.reader.at_eof() or kept.writer.is_closing():
                    kept.writer.close()
                elif (answer := await self._exchange(kept, message, most)) is not None:
                    return answer
            new = _Streams(*await asyncio.open_connection(target.host, target.port, ssl=target.secure or None))
            answer = await self._exchange(new, message, most)
        if answer is None:
            raise ConnectionResetError("the connection ended without an answer")
        return answer

    def close(self) -> None:
        """Ends the connections that are kept."""
        for kept in self._idle:
            kept.writer.close()
        self._idle.clear()

    async def _exchange(self, streams: _Streams, message: bytes, most: int) -> Answer | None:
        """Asks and reads; None where the server had ended the connection. It is kept if its answer was read whole."""
        line, whole = b"", False
        try:
            streams.writer.write(message)
            line = await streams.reader.readline()
            if not line:
                return None
            answer, whole = await _read(streams.reader, line, most)
        except ConnectionError:
            if line:
                raise
            return None
        else:
            return answer
        finally:
            if whole:
                self._idle.append(streams)
            else:
                streams.writer.close()


async def post(
    target: Target,
    body: bytes,
    content_type: str,
    headers: Mapping[str, str] | None = None,
    seconds: float = SECONDS,
) -> Answer:
    """Posts once, on a connection of its own; see `HttpClient.post`."""
    client = HttpClient(target)
    try:
        return await client.post(body, content_type, headers, seconds)
    finally:
        client.close()


class _Streams(NamedTuple):
    """A connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter


async def _read(reader: asyncio.StreamReader, line: bytes, most: int) -> tuple[Answer, bool]:
    """An answer after its first line, and whether the connection can be used again."""
    status, headers = _status(line), dict[bytes, bytes]()
    for _ in range(_MOST_LINES):
        line = await reader.readline()
        if not line.strip():
            break
        name, _, value = line.partition(b":")
        headers[name.strip().lower()] = value.strip()
    if headers.get(b"transfer-encoding", b"").lower() == b"chunked":
        body, whole = await _read_chunks(reader, most)
        return Answer(status, headers, body), whole and _is_kept(headers)
    length = headers.get(b"content-length", b"0" if status == 204 else b"")
    left = min(most, int(length)) if length.isdigit() else most
    parts = list[bytes]()
    while left > 0 and (part := await reader.read(left)):
        parts.append(part)
        left -= len(part)
    if length.isdigit() and left:
        raise ConnectionResetError("the answer broke off")
    whole = length.isdigit() and int(length) <= most
    return Answer(status, headers, b"".join(parts)), whole and _is_kept(headers)


async def _read_chunks(reader: asyncio.StreamReader, most: int) -> tuple[bytes, bool]:
    """As much of a body in chunks as is wanted, and whether that is all of it."""
    body = b""
    while len(body) <= most:
        size = int((await reader.readline()).split(b";")[0], 16)
        body += (await reader.readexactly(size + 2))[:size]
        if size == 0:
            return body, True
    return body[:most], False


def _is_kept(headers: Mapping[bytes, bytes]) -> bool:
    return headers.get(b"connection", b"").lower() != b"close"


def _status(line: bytes) -> int:
    words = line.split(b" ", 2)
    if len(words) < 2 or not words[0].startswith(b"HTTP/1.") or not words[1].isdigit():
        raise ValueError(f"not an HTTP answer: {line[:60]!r}")
    return int(words[1])
