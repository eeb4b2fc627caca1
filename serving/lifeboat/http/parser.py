"""From a connection's bytes to its requests: httptools, and around it what RFC 9112 asks beyond a grammar."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from time import perf_counter
from typing import Protocol

import httptools

from lifeboat.http.errors import RequestError, bad
from lifeboat.http.head import (
    MAX_HEAD,
    MAX_TARGET,
    check_coding,
    check_host,
    check_size,
    check_version,
    expects_continue,
    join,
    path_of,
)
from lifeboat.http.http_types import Request, Sink

SLASH = ord("/")
# Of a read that brings some body, the rest is frames: those of chunks one byte long are 5 times as much.
MAX_FRAMING = 8
# httptools takes the request lines of two other protocols, too. RTSP shares methods with HTTP, so that only the name in
# the line shows it; that of ICE (Icecast) comes with this method alone, which is none of HTTP.
_RTSP, ICE_METHOD = b"RTSP/", b"SOURCE"
_has_rtsp = re.compile(_RTSP).search  # in half the time that `in` takes
# What may stand between a target and that name, of which a read may bring the beginning.
_BEFORE_RTSP = re.compile(rb"(?<! ) +(?=RTSP/|(?:RTSP|RTS|RT|R|)\Z)")
_ENDS = frozenset(b" RTSP")


class Taking(Sink, Protocol):
    """Takes the requests: the connection."""

    def invite(self) -> None:
        """The client of the request at hand waits to be told that its body is wanted."""

    def take(self, request: Request) -> None:
        """A request is whole."""


class Parser:
    """Reads one connection.

    Args:
        connection: takes the requests.
        max_body: of a request, in bytes.

    Attributes:
        receiving: a request has begun and is not whole.
        awaited: its client waits to be told that the body is wanted.
    """

    __slots__ = (
        "_body", "_connection", "_fresh", "_head_size", "_headers", "_host", "_in_head", "_in_target", "_length",
        "_max_body", "_name", "_parser", "_read", "_size", "_target", "awaited", "receiving",
    )  # fmt: skip

    def __init__(self, connection: Taking, max_body: int) -> None:
        self._connection, self._max_body = connection, max_body
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._name: bytes | None = None  # the beginning of the protocol's, where a read ended in it
        self._host: bytes | None = None  # the last that was right
        self._length = self._read = self._size = 0
        self._fresh = self._in_head = self._in_target = self.awaited = self.receiving = False

    def feed(self, data: bytes) -> bool:
        """Takes the bytes of one read; gives whether a request has begun in them and is not whole.

        Raises:
            RequestError: they are no request, or too much of one; nothing may be fed any more.
        """
        self._fresh, self._read, size = False, len(data), self._size
        try:
            # A body need not be looked through.
            if size + len(data) > self._length and (_has_rtsp(data) or data[-1] in _ENDS or self._name is not None):
                pieces: Iterable[bytes] = self._cut(data)
            else:
                pieces = (data,)
            for piece in pieces:
                rest: bytes | memoryview = piece
                while True:
                    try:
                        self._parser.feed_data(rest)
                        break
                    except httptools.HttpParserUpgrade as upgrade:
                        rest = memoryview(rest)[upgrade.args[0] :]
                    self._decline_upgrade()
        except httptools.HttpParserCallbackError as error:
            if isinstance(error.__context__, RequestError):
                raise error.__context__ from None
            raise
        except httptools.HttpParserError as error:
            status = 505 if str(error) == "Invalid HTTP version" else 400
            raise RequestError(status, f"the request is not HTTP/1.1: {error}") from None
        if self.receiving and not self._fresh:
            # Headers and trailers, which httptools keeps until they end, and extensions of chunks, which it skips.
            self._head_size += max(0, len(data) - MAX_FRAMING * (self._size - size))
            if self._head_size > MAX_HEAD + self._size:
                raise RequestError(431, f"headers, trailers and extensions have more than {MAX_HEAD} bytes")
        return self.receiving and self._fresh

    @property
    def is_head(self) -> bool:
        """Whether the request that was read last asks for no body."""
        return bool(self._target) and self._parser.get_method() == b"HEAD"

    def _cut(self, data: bytes) -> Iterator[bytes]:
        """The pieces of a read, to be fed one by one, that holds the name RTSP in a request line or elsewhere."""
        if self._name is not None:
            rest = data if self._name else data.lstrip(b" ")
            self._check_name((self._name + rest)[: len(_RTSP)])
        start = 0
        for spaces in _BEFORE_RTSP.finditer(data):
            yield data[start : spaces.start()]
            start = spaces.start()
            if self._in_head:
                self._in_target = False
                yield data[start : spaces.end()]
                start = spaces.end()
                if self._in_target:  # which the spaces have ended
                    self._check_name(data[start : start + len(_RTSP)])
        yield data[start:]

    def _check_name(self, name: bytes) -> None:
        """Refuses RTSP; keeps what may become it."""
        if name == _RTSP:
            raise bad("the request is not HTTP/1.1: its protocol is RTSP")
        self._name = name if _RTSP.startswith(name) else None

    def _decline_upgrade(self) -> None:
        """Has a head that offers HTTP/2 or WebSocket parsed again, without the offer.

        To httptools, what follows such a head is of the other protocol, its body too. To us, it is the body.
        """
        fields = b"".join(b"%b: %b\r\n" % field for field in self._headers.items() if field[0] != b"upgrade")
        version = self._parser.get_http_version().encode()
        head = b"%b %b HTTP/%b\r\n%b\r\n" % (self._parser.get_method(), self._target, version, fields)
        self._parser = httptools.HttpRequestParser(self)
        self._parser.feed_data(head)

    # What httptools calls.

    def on_message_begin(self) -> None:
        self._target = b""
        self._headers: dict[bytes, bytes] = {}
        self._body: list[bytes] = []
        self._length = self._size = self._head_size = 0
        self._fresh = self._in_head = self.receiving = True
        self.awaited = False

    def on_url(self, url: bytes) -> None:
        self._in_target = True
        self._target += url
        if len(self._target) > MAX_TARGET:
            raise RequestError(414, f"the request's target has more than {MAX_TARGET} bytes")

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # a trailer, which may come after the body, has no say
            name, value = name.lower(), value.rstrip()
            headers = self._headers
            headers[name] = join(name, headers[name], value) if name in headers else value

    def on_headers_complete(self) -> None:
        parser, headers = self._parser, self._headers
        if self._read > MAX_HEAD or not self._fresh:  # else it cannot be too long
            check_size(headers)
        if parser.should_upgrade():
            if parser.get_method() == b"CONNECT":
                raise RequestError(501, "CONNECT is for proxies, which this is not")
            return  # it is still in its head, see `_decline_upgrade`
        self._in_head = False
        version = "1.1"  # which alone keeps a connection unasked; to ask httptools takes longer
        if b"connection" in headers or not parser.should_keep_alive():
            version = check_version(parser.get_http_version())
        host = headers.get(b"host")
        if host is None or host != self._host:
            self._host = check_host(host, version)
        if self._target[0] != SLASH or b"#" in self._target:
            self._target = path_of(parser.get_method(), self._target, headers)
        if b"transfer-encoding" in headers:
            check_coding(headers[b"transfer-encoding"], version)
        length = headers.get(b"content-length")
        if length is not None:
            self._length = int(length)
            if self._length > self._max_body:
                raise RequestError(413, f"the body has {length.decode()} bytes, the limit is {self._max_body}")
        if b"expect" in headers and expects_continue(headers[b"expect"], version):
            self.awaited = True
            self._connection.invite()

    def on_body(self, body: bytes) -> None:
        self._size += len(body)
        if self._size > self._max_body:
            raise RequestError(413, f"the body is longer than the limit of {self._max_body} bytes")
        self._body.append(body)

    def on_message_complete(self) -> None:
        if self._in_head:  # an offer, see `on_headers_complete`
            return
        self.receiving = False
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        method, keep_alive = self._parser.get_method(), self._parser.should_keep_alive()
        if method == ICE_METHOD:
            raise bad("the request is not HTTP/1.1: its method is Icecast's")
        take = self._connection.take
        take(Request(self._connection, method, self._target, self._headers, body, keep_alive, perf_counter()))
