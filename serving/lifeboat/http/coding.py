"""Compressed bodies, of requests and of answers."""

from __future__ import annotations

import zlib

from lifeboat.http.errors import RequestError, bad
from lifeboat.http.http_types import Request, Response

# zlib's window for each coding: with gzip's head and checksum, and with zlib's own, which HTTP calls deflate.
_WINDOWS = {b"gzip": 31, b"x-gzip": 31, b"deflate": 15}
_ACCEPTED = b"accept-encoding: gzip, deflate\r\n"
# Bytes of an answer that goes into a packet anyway, and the level that takes the least time for JSON.
_SMALLEST, _LEVEL = 1400, 1


def is_coded(request: Request) -> bool:
    """Whether its body is anything but itself."""
    return b"content-encoding" in request.headers


def decode_body(request: Request, max_body: int) -> Request:
    """The request with its body inflated.

    Args:
        request: is changed.
        max_body: bytes of the inflated body; no more of it is ever made.

    Raises:
        RequestError: 415 for another coding, 413 where more unfolds, 400 for what is not whole.
    """
    coding = request.headers.pop(b"content-encoding").strip().lower()
    if coding == b"identity":
        return request
    if coding not in _WINDOWS:
        shown = coding.decode("latin-1")[:60]
        raise RequestError(415, f"the body's coding is {shown}, which is none of gzip and deflate", _ACCEPTED)
    inflater = zlib.decompressobj(_WINDOWS[coding])
    try:
        body = inflater.decompress(request.body, max_body + 1)
    except zlib.error as error:
        raise bad(f"the body cannot be inflated: {error}") from None
    if len(body) > max_body:
        raise RequestError(413, f"the body has more than {max_body} bytes when it is inflated, which is the limit")
    if not inflater.eof or inflater.unused_data:
        raise bad("the compressed body is cut off, or more follows it")
    request.body = body
    return request


def wants_gzip(request: Request, response: Response) -> bool:
    """Whether the answer is to be compressed: the client says that it takes gzip, and it is worth the while."""
    if len(response.body) < _SMALLEST:
        return False
    for one in request.headers.get(b"accept-encoding", b"").lower().split(b","):
        coding, _, quality = one.partition(b";")
        if coding.strip() in (b"gzip", b"*"):
            return quality.replace(b" ", b"").rstrip(b"0") not in (b"q=", b"q=0.")
    return False


def gzipped(response: Response) -> Response:
    """The answer, compressed."""
    deflater = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOWS[b"gzip"])
    body = deflater.compress(response.body) + deflater.flush()
    headers = b"%bcontent-encoding: gzip\r\nvary: accept-encoding\r\n" % response.headers
    return Response(response.status, body, response.content_type, headers)
