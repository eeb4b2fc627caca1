"""HTTP as a table: what is sent to any of the three servers, and the statuses that come back.

A row's bytes are followed by one more request, `LAST`: where a server takes the row's requests to end shows in whether
that one is answered. What stands in angle brackets is each server's own, see `Peer.fill`.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LAST = b"GET <get> HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"
HOST = b"host: a\r\n"


@dataclass(frozen=True)
class Peer:
    """A server and what it answers with 200.

    Args:
        port: of it, on loopback.
        get, post: a path for each method.
        fields: header lines that the POST needs.
        body: of the POST.
    """

    port: int
    get: bytes
    post: bytes
    fields: bytes
    body: bytes

    def fill(self, content: bytes) -> bytes:
        """The bytes to send."""
        cut = len(self.body) // 2
        parts = (self.body[:cut], self.body[cut:])
        chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
        rest = b"\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (parts[0], len(parts[1]), parts[1])
        own = {
            b"<get>": self.get, b"<post>": self.post, b"<fields>": self.fields, b"<chunks>": chunks + b"0\r\n\r\n",
            b"<open>": chunks, b"<body>": self.body, b"<length>": b"%d" % len(self.body),
            b"<first>": b"%x" % cut, b"<rest>": rest,
        }  # fmt: skip
        for name, value in own.items():
            content = content.replace(name, value)
        return content

    def talk(self, content: bytes, size: int = 1 << 20, heads: int = 0) -> list[Answer]:
        """Sends bytes, so many at a time, and reads answers until the server closes; the first so many are to HEAD."""
        received = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as client:
            client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                for start in range(0, len(content), size):
                    client.sendall(content[start : start + size])
            except (BrokenPipeError, ConnectionResetError):
                pass  # it has answered and closed, which shows below
            while chunk := client.recv(1 << 16):
                received += chunk
        return list(read_answers(received, heads))


@dataclass(frozen=True)
class Answer:
    """Status, headers by lower-case name, and body."""

    status: int
    headers: dict[str, str]
    body: bytes


def read_answers(received: bytes, heads: int = 0) -> Iterable[Answer]:
    """Cuts a connection's bytes into answers, each as long as its Content-Length says."""
    while received:
        head, end, received = received.partition(b"\r\n\r\n")
        line, *fields = head.decode().split("\r\n")
        assert end, head
        assert line.startswith("HTTP/1.1 "), line
        status = int(line.split(" ")[1])
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        assert len(headers) == len(fields), fields
        length = 0 if status == 100 or heads > 0 else int(headers["content-length"])
        heads -= status != 100
        yield Answer(status, headers, received[:length])
        received = received[length:]


@dataclass(frozen=True)
class Row:
    """What is sent and the statuses of all answers, that to `LAST` included where it is to be answered.

    Args:
        name: as serving/HTTP.md calls it.
        content: sent before `LAST`.
        statuses: expected.
        heads: how many answers are to HEAD.
    """

    name: str
    content: bytes
    statuses: Sequence[int]
    heads: int = 0


def get(fields: bytes = HOST, line: bytes = b"GET <get> HTTP/1.1") -> bytes:
    """A request without a body."""
    return line + b"\r\n" + fields + b"\r\n"


def post(fields: bytes = b"", body: bytes = b"<body>", line: bytes = b"POST <post> HTTP/1.1") -> bytes:
    """A request with a host and what the server needs, with a length unless the fields are otherwise."""
    return line + b"\r\n" + HOST + b"<fields>" + (fields or b"content-length: <length>\r\n") + b"\r\n" + body


def chunked(body: bytes = b"<chunks>", more: bytes = b"") -> bytes:
    """A request in chunks."""
    return post(b"transfer-encoding: chunked\r\n" + more, body)


# A request inside a body: whoever answers it takes a body for requests.
INNER = b"GET /inner HTTP/1.1\r\nhost: a\r\n\r\n"
INNER_LENGTH = b"content-length: %d\r\n" % len(INNER)
INNER_CHUNKS = b"%x\r\n%b\r\n0\r\n\r\n" % (len(INNER), INNER)
H2C = b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n"
WEBSOCKET = b"connection: upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: eA==\r\n"
TWO = b"connection: close-not, upgrade\r\nupgrade: h2c, websocket\r\nupgrade: IRC/6.9\r\n"
LENGTH = b"content-length: <length>\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
OK, BAD = (200, 200), (400,)


def lines() -> Iterable[Row]:
    """The request line."""
    yield Row("plain-get", get(), OK)
    yield Row("plain-post", post(), OK)
    yield Row("two-spaces", get(line=b"GET  <get>  HTTP/1.1"), OK)
    yield Row("empty-line-before", b"\r\n" + get(), OK)
    yield Row("tab-in-line", get(line=b"GET\t<get> HTTP/1.1"), BAD)
    yield Row("space-after-version", get(line=b"GET <get> HTTP/1.1 "), BAD)
    yield Row("bare-cr-in-line", get(line=b"GET <get>\r HTTP/1.1"), BAD)
    yield Row("bare-lf-after-line", b"GET <get> HTTP/1.1\nhost: a\r\n\r\n", BAD)
    for version in (b"0.9", b"1.2", b"2.0", b"3.0", b"9.9"):
        yield Row(f"version-{version.decode()}", get(line=b"GET <get> HTTP/" + version), (505,))
    for version in (b"HTTP/1", b"HTTP/1.10", b"HTTP/11.1", b"http/1.1", b"HTTPS/1.1", b"ICE/1.0", b"HTTP/1,1"):
        yield Row(f"no-version-{version.decode()}", get(line=b"GET <get> " + version), BAD)
    for version in (b"RTSP/1.0", b"RTSP/1.1", b"RTSP/2.0", b" RTSP/1.1", b"SIP/2.0", b"FTP/1.1", b"/1.1"):
        yield Row(f"no-version-{version.decode()}", get(line=b"GET <get> " + version), BAD)
    yield Row("no-version-RTSP-post", post(line=b"POST <post> RTSP/1.1"), BAD)
    yield Row("no-version-RTSP-options", get(line=b"OPTIONS * RTSP/1.0"), BAD)
    yield Row("no-version-RTSP-method", get(line=b"DESCRIBE <get> RTSP/1.0"), BAD)
    yield Row("no-version-RTSP-upgrade", get(HOST + H2C, b"GET <get> RTSP/1.1"), BAD)
    yield Row("no-version-RTSP-pipelined", get() + post() + get(line=b"GET <get> RTSP/1.1"), (200, 200, 400))
    yield Row("no-version-RTSP-after-chunks", chunked() + get(line=b"GET <get> RTSP/1.1"), (200, 400))
    yield Row("no-version-ICE-source", get(line=b"SOURCE <get> ICE/1.0"), BAD)
    yield Row("method-of-ICE", get(line=b"SOURCE <get> HTTP/1.1"), BAD)
    yield Row("RTSP-in-target", get(line=b"GET <get>?RTSP/1.0 HTTP/1.1"), OK)
    yield Row("RTSP-in-field", get(HOST + b"via: GET <get> RTSP/1.0\r\nx:  RTSP/1.0\r\n"), OK)
    yield Row("RTSP-in-first-field", get(b"via: GET <get> RTSP/1.0\r\n" + HOST), OK)
    line = b"\r\nGET /live RTSP/1.0\r\n RTSP/"
    yield Row("RTSP-in-body", get(HOST + b"content-length: %d\r\n" % len(line)) + line, OK)
    yield Row("RTSP-in-chunk", get(HOST + CHUNKED) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(line), line), OK)
    yield Row("http2-preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", BAD)
    yield Row("no-http", b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", BAD)
    yield Row("unknown-method", get(line=b"FOO <get> HTTP/1.1"), BAD)
    yield Row("lower-case-method", get(line=b"get <get> HTTP/1.1"), BAD)
    yield Row("wrong-method", get(line=b"DELETE <get> HTTP/1.1"), (405, 200))
    yield Row("trace", get(line=b"TRACE <get> HTTP/1.1"), (405, 200))
    yield Row("target-of-8000", get(line=b"GET <get>?" + b"a" * 8000 + b" HTTP/1.1"), OK)
    yield Row("target-too-long", get(line=b"GET <get>?" + b"a" * 20_000 + b" HTTP/1.1"), (414,))
    yield Row("target-without-end", b"GET /" + b"a" * 40_000, (414,))
    yield Row("space-in-target", get(line=b"GET <get>?a b HTTP/1.1"), BAD)
    yield Row("fragment-in-target", get(line=b"GET <get>?a#b HTTP/1.1"), BAD)
    yield Row("control-in-target", get(line=b"GET <get>?\x01 HTTP/1.1"), BAD)
    yield Row("nul-in-target", get(line=b"GET <get>?\x00 HTTP/1.1"), BAD)
    yield Row("high-byte-in-target", get(line=b"GET <get>?\xff HTTP/1.1"), BAD)
    yield Row("target-without-slash", get(line=b"GET live HTTP/1.1"), BAD)


def targets() -> Iterable[Row]:
    """Forms of the target, and hosts."""
    yield Row("absolute-form", get(line=b"GET http://other:80<get>?a=b HTTP/1.1"), OK)
    yield Row("absolute-form-post", post(line=b"POST HTTP://[::1]<post> HTTP/1.1"), OK)
    yield Row("absolute-form-1.0", get(b"", b"GET http://other<get> HTTP/1.0"), (200,))
    yield Row("absolute-form-options", get(line=b"OPTIONS http://other HTTP/1.1"), OK)
    yield Row("absolute-form-no-host", get(b"", b"GET http://other<get> HTTP/1.1"), BAD)
    yield Row("absolute-form-no-name", get(line=b"GET http://:80<get> HTTP/1.1"), BAD)
    yield Row("absolute-form-user", get(line=b"GET http://u:p@a<get> HTTP/1.1"), BAD)
    yield Row("absolute-form-https", get(line=b"GET https://a<get> HTTP/1.1"), (421,))
    yield Row("absolute-form-ftp", get(line=b"GET ftp://a<get> HTTP/1.1"), (421,))
    yield Row("authority-form-get", get(line=b"GET a:80 HTTP/1.1"), BAD)
    yield Row("connect", get(line=b"CONNECT a:80 HTTP/1.1"), (501,))
    yield Row("connect-no-port", get(line=b"CONNECT a HTTP/1.1"), (501,))
    yield Row("connect-body", get(HOST + INNER_LENGTH, b"CONNECT a:80 HTTP/1.1") + INNER, (501,))
    yield Row("asterisk-options", get(line=b"OPTIONS * HTTP/1.1"), OK)
    yield Row("asterisk-get", get(line=b"GET * HTTP/1.1"), BAD)
    yield Row("options", get(line=b"OPTIONS <get> HTTP/1.1"), OK)
    yield Row("no-host", get(b""), BAD)
    yield Row("no-host-1.0", get(b"", b"GET <get> HTTP/1.0"), (200,))
    yield Row("two-hosts", get(HOST + b"host: b\r\n"), BAD)
    yield Row("two-equal-hosts", get(HOST + HOST), BAD)
    yield Row("two-hosts-1.0", get(HOST + HOST, b"GET <get> HTTP/1.0"), BAD)
    for host in (b"a b", b"a/b", b"u@a", b"http://a", b"a:b", b"a:1:2", b"[::1", b"a\\b", b"a\xe9", b"a?b", b"%4"):
        yield Row(f"host-{host.decode('latin-1')}", get(b"host: " + host + b"\r\n"), BAD)
    for host in (b"", b"a:80", b"a:", b"[::1]:9000", b"127.0.0.1:9000", b"a_b.c-d~", b"%41"):
        yield Row(f"good-host-{host.decode()}", get(b"host: " + host + b"\r\n"), OK)


def fields() -> Iterable[Row]:
    """Header lines."""
    yield Row("space-before-colon", get(HOST + b"x : y\r\n"), BAD)
    yield Row("space-in-name", get(HOST + b"x y: z\r\n"), BAD)
    yield Row("no-name", get(HOST + b": y\r\n"), BAD)
    yield Row("no-colon", get(HOST + b"x\r\n"), BAD)
    yield Row("space-before-first-field", get(b" x: y\r\n" + HOST), BAD)
    yield Row("obs-fold", get(HOST + b"x: y\r\n z\r\n"), BAD)
    yield Row("bare-cr-in-value", get(HOST + b"x: y\rz\r\n"), BAD)
    yield Row("bare-lf-in-value", get(HOST + b"x: y\nz: z\r\n"), BAD)
    yield Row("nul-in-value", get(HOST + b"x: y\x00z\r\n"), BAD)
    yield Row("control-in-value", get(HOST + b"x: y\x01z\r\n"), BAD)
    yield Row("high-byte-in-value", get(HOST + b"x: \xff\r\n"), OK)
    yield Row("space-around-value", post(b"content-length: \t <length> \t\r\nx:\t\t\r\n"), OK)
    yield Row("range", get(HOST + b"range: bytes=0-1\r\nif-range: x\r\n"), OK)
    yield Row("names-in-any-case", post(b"CONTENT-LENGTH: <length>\r\n").replace(b"host", b"HoSt"), OK)
    yield Row("twice-content-type", post(b"content-type: text/plain\r\n" + LENGTH), BAD)
    yield Row("twice-unknown", get(HOST + b"x: y\r\nx: z\r\n"), OK)
    yield Row("500-fields", get(HOST + b"".join(b"x%d: y\r\n" % n for n in range(500))), OK)
    yield Row("20000-fields", get(HOST + b"".join(b"x%d:\r\n" % n for n in range(20_000))), (431,))
    yield Row("20000-equal-fields", get(HOST + b"x:\r\n" * 20_000), (431,))
    yield Row("field-too-long", get(HOST + b"x: " + b"y" * 40_000 + b"\r\n"), (431,))
    yield Row("field-without-end", b"GET <get> HTTP/1.1\r\nx: " + b"y" * 80_000, (431,))


def lengths() -> Iterable[Row]:
    """Where a body ends."""
    yield Row("no-length", post(b"x: y\r\n", b""), (400, 200))
    yield Row("body-of-get", get(HOST + INNER_LENGTH) + INNER, OK)
    yield Row("zeros-before-length", post(b"content-length: 000<length>\r\n"), OK)
    yield Row("two-equal-lengths", post(LENGTH + LENGTH), BAD)
    yield Row("list-of-equal-lengths", post(b"content-length: <length>, <length>\r\n"), BAD)
    yield Row("two-lengths", post(LENGTH + b"content-length: 1\r\n"), BAD)
    yield Row("list-of-lengths", post(b"content-length: <length>, 1\r\n"), BAD)
    for value in (b"+5", b"-5", b"0x5", b"5 5", b"5_0", b"5.0", b"", b"18446744073709551621", b"9" * 30):
        yield Row(f"length-{value.decode()}", post(b"content-length: " + value + b"\r\n"), BAD)
    yield Row("length-over-limit", post(b"content-length: 99999999999\r\n", b""), (413,))
    yield Row("length-and-chunks", post(CHUNKED + LENGTH, b"<chunks>"), BAD)
    yield Row("chunks-and-length", post(LENGTH + CHUNKED, b"<chunks>"), BAD)


def chunks() -> Iterable[Row]:
    """Codings, chunks, their extensions, trailers."""
    yield Row("chunked", chunked(), OK)
    yield Row("chunked-any-case", post(b"Transfer-Encoding: CHUNKED\r\n", b"<chunks>"), OK)
    yield Row("chunked-1.0", post(CHUNKED, b"<chunks>", b"POST <post> HTTP/1.0"), BAD)
    for value, status in (
        (b"gzip, chunked", 501), (b",chunked", 501), (b"chunked, gzip", 400), (b"gzip", 400), (b"identity", 400),
        (b"chunked, chunked", 400), (b"chunked,", 400), (b"xchunked", 400), (b"chunked;a=b", 400), (b"", 400),
        (b'"chunked"', 400), (b"\x0bchunked", 400),
    ):  # fmt: skip
        row = post(b"transfer-encoding: " + value + b"\r\n", b"<chunks>")
        yield Row(f"coding-{value.decode()}", row, (status,))
    yield Row("two-codings", post(b"transfer-encoding: gzip\r\n" + CHUNKED, b"<chunks>"), (501,))
    yield Row("coding-twice", post(CHUNKED + CHUNKED, b"<chunks>"), BAD)
    yield Row("extension", chunked(b"<first>;a=b;c<rest>"), OK)
    yield Row("quoted-extension", chunked(b'<first>;a="b;\\"c"<rest>'), OK)
    stuffed = (b"1;a=" + b"b" * 3000 + b"\r\n{\r\n") * 200
    yield Row("extensions-too-long", chunked(stuffed), (431,))
    yield Row("zeros-before-size", chunked(b"0000000000<first><rest>"), OK)
    for size in ("0x<first>", "+<first>", "-<first>", " <first>", "", "g", "ffffffffffffffff<first>", "<first>,"):
        yield Row(f"chunk-size-{size}", chunked(size.encode() + b"<rest>"), BAD)
    yield Row("space-after-size", chunked(b"<first> <rest>"), BAD)
    yield Row("bare-lf-after-size", chunked(b"5\nhello\r\n0\r\n\r\n"), BAD)
    yield Row("bare-cr-in-extension", chunked(b"<first>;a\rb<rest>"), BAD)
    yield Row("chunk-longer-than-said", chunked(b"1\r\nhello\r\n0\r\n\r\n"), BAD)
    yield Row("trailer", chunked(b"<open>0\r\nx: y\r\ncontent-encoding: gzip\r\n\r\n"), OK)
    yield Row("trailer-host", chunked(b"<open>0\r\nhost: b\r\nhost: c d\r\n\r\n"), OK)
    yield Row("trailer-length", chunked(b"<open>0\r\ncontent-length: 3\r\n\r\n"), BAD)
    yield Row("trailer-upgrade", chunked(b"<open>0\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"), OK)
    yield Row("trailer-without-colon", chunked(b"<open>0\r\nx y\r\n\r\n"), BAD)


def upgrades() -> Iterable[Row]:
    """Offers of another protocol, and expectations."""
    for name, offer in (("h2c", H2C), ("websocket", WEBSOCKET), ("several", TWO)):
        yield Row(f"upgrade-{name}-get", get(HOST + offer), OK)
        yield Row(f"upgrade-{name}-length", post(offer + LENGTH), OK)
        yield Row(f"upgrade-{name}-chunked", post(offer + CHUNKED, b"<chunks>"), OK)
        yield Row(f"upgrade-{name}-inner-length", post(offer + INNER_LENGTH, INNER), (400, 200))
        yield Row(f"upgrade-{name}-inner-chunked", post(offer + CHUNKED, INNER_CHUNKS), (400, 200))
        yield Row(f"upgrade-{name}-expect", post(offer + b"expect: 100-continue\r\n" + LENGTH), (100, 200, 200))
    yield Row("upgrade-1.0", post(H2C + LENGTH, line=b"POST <post> HTTP/1.0"), (200,))
    yield Row("upgrade-unannounced", post(b"upgrade: h2c\r\n" + LENGTH), OK)
    yield Row("upgrade-no-host", get(H2C), BAD)
    yield Row("upgrade-gzip-chunked", post(H2C + b"transfer-encoding: gzip, chunked\r\n", b"<chunks>"), (501,))
    yield Row("upgrade-two-lengths", post(H2C + LENGTH + b"content-length: 1\r\n"), BAD)
    yield Row("upgrade-close", post(b"connection: upgrade, close\r\nupgrade: h2c\r\n" + LENGTH), (200,))
    three = post(H2C + LENGTH) + get() + post(WEBSOCKET + CHUNKED, b"<chunks>")
    yield Row("upgrades-in-a-row", three * 2, (200,) * 7)
    yield Row("2000-upgrades-in-a-row", get(HOST + b"connection: upgrade\r\nupgrade: x\r\n") * 2000, (200,) * 2001)
    yield Row("expect", post(b"expect: 100-Continue\r\n" + LENGTH), (100, 200, 200))
    yield Row("expect-1.0", post(b"expect: 100-continue\r\n" + LENGTH, line=b"POST <post> HTTP/1.0"), (200,))
    yield Row("expect-other", post(b"expect: a-pony\r\n" + LENGTH), (417,))
    yield Row("expect-too-long", post(b"expect: 100-continue\r\ncontent-length: 99999999999\r\n", b""), (413,))


def connections() -> Iterable[Row]:
    """What is kept, what is closed, and errors between requests."""
    for value in (b"close", b"CLOSE", b"x, close", b"x\r\nconnection: close", b"keep-alive, close"):
        shown = value.decode().replace("\r\n", ";")
        yield Row(f"connection-{shown}", get(HOST + b"connection: " + value + b"\r\n"), (200,))
    yield Row("connection-empty-elements", get(HOST + b"connection: , ,close,\r\n"), (200,))
    yield Row("connection-closed", get(HOST + b"connection: closed\r\n"), OK)
    yield Row("1.0", get(line=b"GET <get> HTTP/1.0"), (200,))
    yield Row("1.0-keep-alive", get(HOST + b"connection: x, Keep-Alive\r\n", b"GET <get> HTTP/1.0"), OK)
    yield Row("pipelined", (get() + post() + chunked()) * 20, (200,) * 61)
    yield Row("chunks-of-a-byte", chunked(b"".join(b"1\r\n%c\r\n" % byte for byte in b" " * 4000) + b"<chunks>"), OK)
    yield Row("pipelined-far", get() * 4000, (200,) * 4001)
    yield Row("error-between", get() + post() + get(b"") + get(), (200, 200, 400))
    yield Row("garbage-between", get() + post() + b"\x00\x01" + get(), (200, 200, 400))
    yield Row("body-longer-than-said", get() + post() + b"}" + get(), (200, 200, 400))
    yield Row("head", get(line=b"HEAD <get> HTTP/1.1"), OK, heads=1)
    yield Row("head-wrong-path", get(line=b"HEAD /nowhere HTTP/1.1"), (404, 200), heads=1)
    yield Row("head-refused", get(b"", b"HEAD <get> HTTP/1.1"), BAD, heads=1)
    yield Row("head-bad-field", get(HOST + b"x\r\n", b"HEAD <get> HTTP/1.1"), BAD, heads=1)
    yield Row("garbage-after-head", get(line=b"HEAD <get> HTTP/1.1") + b"\x00\x01", (200, 400), heads=1)


ROWS = [row for part in (lines, targets, fields, lengths, chunks, upgrades, connections) for row in part()]
