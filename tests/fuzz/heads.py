"""Around a body: the request line, the fields, a length or chunks."""

from __future__ import annotations

import gzip
import zlib
from random import Random
from urllib.parse import quote_from_bytes

FORM = "application/x-www-form-urlencoded"
BOUNDARIES = ("b", "----x7", "a-boundary-of-some-length")
_PUIDS = (
    b"p-1", b"p-1", b"f3a9c0", b"x" * 128, b"x" * 129, b"a b", b"\xc3\xa9", b"\xff", b"", b"../x", b'"', b"%00", b"0",
    b"null", b"<b>", b"a,b",
)  # fmt: skip
_MORE = (
    b"accept: */*\r\n", b"user-agent: f\r\n", b"x-request-id: 1\r\nx-request-id: 2\r\n", b"range: bytes=0-1\r\n",
    b"accept-encoding: gzip\r\n", b"cookie: a=b; c=\xff\r\n", b"x:\r\n", b"connection: keep-alive\r\n",
    b"if-none-match: *\r\n", b"x-%s: 1\r\n" % (b"n" * 300), b"te: trailers\r\n",
    b"forwarded: for=\"[::1]\"\r\n", b"content-length-x: 5\r\n",
)  # fmt: skip


def some_puid(rng: Random) -> bytes | None:
    """What the header Seldon-Puid holds, if it is there."""
    draw = rng.random()
    if draw < 0.6:
        return None
    return rng.choice(_PUIDS) if draw < 0.9 else b"u%d" % rng.getrandbits(40)


def puid_line(puid: bytes | None, rng: Random) -> bytes:
    """The header's line."""
    if puid is None:
        return b""
    return rng.choice((b"seldon-puid: %b\r\n", b"Seldon-Puid:%b\r\n")) % puid


def post(rng: Random, path: bytes, body: bytes, content_type: bytes | None, fields: bytes = b"") -> bytes:
    """A request that is right as HTTP: each server finds its end, whatever it says of the rest."""
    if content_type is not None:
        name = b"content-type: " if rng.random() < 0.8 else b"Content-Type:"
        fields += name + content_type + b"\r\n"
    draw = rng.random()
    if draw < 0.3:
        fields += rng.choice(_MORE)
    if rng.random() < 0.03:
        fields += b"expect: 100-continue\r\n"
    if rng.random() < 0.15:
        fields, body = fields + b"transfer-encoding: chunked\r\n", chunks(rng, body)
    else:
        fields += b"content-length: %d\r\n" % len(body)
    return b"POST %b HTTP/1.1\r\nhost: a\r\n%b\r\n%b" % (path, fields, body)


def compressed(rng: Random, body: bytes, fields: bytes, want: int | None) -> tuple[str, bytes, bytes, int | None]:
    """A form, the body as it was said to be compressed, with its header, and the status that is to come of it."""
    coding = rng.choice((b"gzip", b"deflate", b"identity", b"br"))
    fields += b"content-encoding: %b\r\n" % coding
    if coding == b"br":
        return "unknown coding", body, fields, 415
    if coding == b"identity":
        return "identity", body, fields, want
    packed = gzip.compress(body, 1, mtime=0) if coding == b"gzip" else zlib.compress(body)
    if rng.random() < 0.5:
        return "compressed", packed, fields, want
    place = rng.randrange(len(packed))
    broken = rng.choice((body, packed[:place], packed + b"x", packed + packed, zlib.compress(bytes(10_000_000))))
    return "compressed wrongly", broken, fields, None


def chunks(rng: Random, body: bytes) -> bytes:
    """A body in chunks of any size, with extensions and trailers now and then."""
    parts, start = [], 0
    while start < len(body):
        size = rng.choice((1, 2, 7, 50, 1000, len(body)))
        piece = body[start : start + size]
        extension = b"" if rng.random() < 0.9 else rng.choice((b";a=b", b';a="b;\\"c"', b";a;b"))
        parts.append((b"%x%b\r\n%b\r\n" if rng.random() < 0.5 else b"%X%b\r\n%b\r\n") % (len(piece), extension, piece))
        start += size
        if len(parts) > 60:
            size = len(body) - start
            parts.append(b"%x\r\n%b\r\n" % (size, body[start:]) if size else b"")
            break
    trailer = b"" if rng.random() < 0.85 else rng.choice((b"x: y\r\n", b"x: y\r\nz:\r\n", b"host: c d\r\n"))
    return b"".join(parts) + b"0\r\n" + trailer + b"\r\n"


def as_form(text: bytes, rng: Random) -> bytes:
    """The field json of a form."""
    more = rng.choice((b"", b"", b"a=1&", b"myjson=2&"))
    return more + b"json=" + quote_from_bytes(text, safe="").encode()


def as_multipart(fields: dict[str, bytes], rng: Random) -> tuple[bytes, bytes]:
    """Fields of a multipart form; gives its content type and body."""
    boundary = rng.choice(BOUNDARIES).encode()
    head = b'--%b\r\ncontent-disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    parts = [head % (boundary, name.encode(), value) for name, value in fields.items()]
    shown = rng.choice((b"%b", b'"%b"')) % boundary
    return b"multipart/form-data; boundary=" + shown, b"".join(parts) + b"--%b--\r\n" % boundary
