"""Requests as bytes: the table of `tests/http/framing.py` in odd segments, pipelines of what is known, and bytes
that nobody can foretell the meaning of."""

from __future__ import annotations

import json
from random import Random

from tests.detector.world import BATCH, truth
from tests.http.framing import HOST, LAST, ROWS, Peer
from tests.http.framing import Row as Known
from tests.trigger.world import alert, webhook

from . import seldon
from .case import DETECTOR, MODEL, TRIGGER, Case, Facts, Part
from .heads import chunks
from .odd import change_bytes
from .rows import some_rows

# Long ones come seldom, or the rest would have no time.
_LONG = 3000
_CLOSING = [row for row in ROWS if len(row.statuses) == 1 and row.statuses[0] >= 400 and len(row.content) < _LONG]
_SHORT = [row for row in ROWS if len(row.content) < _LONG]
_FAR = [row for row in ROWS if len(row.content) >= _LONG and len(row.statuses) < 100]
_TOKENS = (
    b"\r\n", b"\n", b"\r", b"\x00", b" ", b"\t", b":", b"\r\n\r\n", b"chunked", b"0\r\n\r\n",
    b"content-length: 0\r\n",
    b"content-length: 5\r\n", b"transfer-encoding: chunked\r\n", b"upgrade: h2c\r\nconnection: upgrade\r\n",
    b"\x80",
    b"expect: 100-continue\r\n", b"HTTP/1.0", b"HTTP/2.0", b"HTTP/1.1", b"PUT ", b"GET ", b"POST ", b"a" * 300,
    b"\xff",
    b"ffffffffffffffff", b"5\r\nhello\r\n", b";a=b", b"connection: close\r\n", b"/", b"?", b"#", b"http://a",
    b"host: b\r\n",
    b"QUERY ", b"M-SEARCH ", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"-", b"+", b"%", b"content-type: x\r\n",
    b"9" * 30,
)  # fmt: skip


class Framing:
    """Makes the cases.

    Args:
        facts: of the processes.
    """

    def __init__(self, facts: Facts) -> None:
        json_type = b"content-type: application/json\r\n"
        message = json.dumps({"data": {"ndarray": [["Ann", "C", 22.5, 3, True]]}}).encode()
        batch = json.dumps([{**truth("x", 1), "id": "framing", "source": "framing"}]).encode()
        token = b"authorization: Bearer %b\r\n" % facts.token.encode()
        ports = facts.ports
        self._peers = {
            MODEL: Peer(ports.get(MODEL, 0), b"/live", b"/predict", json_type, message),
            DETECTOR: Peer(
                ports.get(DETECTOR, 0), b"/live", b"/events", b"content-type: %b\r\n" % BATCH.encode(), batch
            ),
            TRIGGER: Peer(ports.get(TRIGGER, 0), b"/live", b"/alerts", json_type + token, webhook(alert(action=""))),
        }

    def case(self, rng: Random) -> Case:
        """One of the three sorts, for one of the three servers."""
        server = rng.choice((MODEL, MODEL, DETECTOR, TRIGGER))
        draw = rng.random()
        if draw < 0.4:
            return self._known(rng, server)
        return self._pipeline(rng, server) if draw < 0.7 else self._foreign(rng, server)

    def _known(self, rng: Random, server: str) -> Case:
        row = rng.choice(_FAR if rng.random() < 0.02 else _SHORT)
        content = self._peers[server].fill(row.content + LAST)
        cuts = _cuts(rng, content)
        return Case(
            "framing", f"table {server}", server, content, statuses=row.statuses, heads=row.heads, alone=True, cuts=cuts
        )

    def _pipeline(self, rng: Random, server: str) -> Case:
        peer, pieces, parts = self._peers[server], [], []
        for number in range(rng.randrange(1, 14)):
            content, more = self._request(rng, server, number)
            pieces.append(content)
            parts += more
        form, end, draw = f"pipeline {server}", False, rng.random()
        if draw < 0.3:
            # Behind it, nothing is a request any more.
            row: Known = rng.choice(_CLOSING)
            form = f"broken pipeline {server}"
            pieces.append(peer.fill(row.content) + LAST)
            parts.append(Part("refusal", row.statuses[0], head=bool(row.heads)))
        elif draw < 0.6:
            end = True
        else:
            pieces.append(LAST)
            parts.append(Part("plain", 200))
        content = peer.fill(b"".join(pieces))
        return Case("framing", form, server, content, parts, alone=True, cuts=_cuts(rng, content), end=end)

    def _request(self, rng: Random, server: str, number: int) -> tuple[bytes, list[Part]]:
        """A request that is right as HTTP, and what is due."""
        host = rng.choice((HOST, HOST, b"Host:  b:80 \r\n", b"x: y\r\nhost: [::1]\r\n"))
        draw = rng.random()
        if draw < 0.15:
            line = rng.choice((b"GET <get> HTTP/1.1", b"GET http://a<get>?b HTTP/1.1", b"\r\nGET  <get> HTTP/1.1"))
            return line + b"\r\n" + host + b"\r\n", [Part("plain", 200)]
        if draw < 0.2:
            return b"HEAD <get> HTTP/1.1\r\n" + host + b"\r\n", [Part("plain", 200, head=True)]
        if draw < 0.25:
            return b"GET /nowhere HTTP/1.1\r\n" + host + b"\r\n", [Part("refusal", 404)]
        if draw < 0.3:
            method = rng.choice((b"DELETE", b"PUT", b"TRACE", b"PATCH", b"PROPFIND", b"M-SEARCH"))
            return method + b" <get> HTTP/1.1\r\n" + host + b"\r\n", [Part("refusal", 405, label="allow")]
        if draw < 0.33:
            return b"OPTIONS * HTTP/1.1\r\n" + host + b"\r\n", [Part("plain", 200)]
        if draw < 0.36:
            offer = b"connection: upgrade\r\nupgrade: h2c\r\n"
            return b"GET <get> HTTP/1.1\r\n" + host + offer + b"\r\n", [Part("plain", 200)]
        if draw < 0.45:
            body = rng.choice((b"{", b"", b"no JSON", b"\x00", b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"))
            return self._post(rng, host, body), [Part("refusal", 400)]
        if draw < 0.75 or server != MODEL:
            kind = "seldon" if server == MODEL else "plain"
            body = self._peers[server].body
            return self._post(rng, host, body), [Part(kind, 200, body if server == MODEL else b"", same=99)]
        rows = some_rows(rng)[:20]
        text = json.dumps(seldon.message(rng, rows)).encode()
        part = [Part("seldon", 200, text, rows=rows, same=number) for _ in range(2)]
        return self._post(rng, host, text) + self._post(rng, host, text), part

    def _post(self, rng: Random, host: bytes, body: bytes) -> bytes:
        fields = host + b"<fields>"
        if rng.random() < 0.05:
            fields += b"connection: upgrade\r\nupgrade: websocket\r\n"
        if rng.random() < 0.1:
            fields += b"expect: 100-continue\r\n"
        if rng.random() < 0.5:
            fields, body = fields + b"transfer-encoding: chunked\r\n", chunks(rng, body)
        else:
            fields += b"content-length: %d\r\n" % len(body)
        return b"POST <post> HTTP/1.1\r\n%b\r\n%b" % (fields, body)

    def _foreign(self, rng: Random, server: str) -> Case:
        peer = self._peers[server]
        if rng.random() < 0.5:
            row = rng.choice([row for row in _SHORT if not row.heads])
            content = row.content
        else:
            content = b"".join(self._request(rng, server, number)[0] for number in range(rng.randrange(1, 4)))
        content = peer.fill(content)
        for _ in range(rng.choice((1, 1, 2, 3, 6))):
            content = change_bytes(content, rng, _TOKENS)
        if rng.random() < 0.3:
            content += LAST.replace(b"<get>", peer.get)
        # Of an answer to HEAD nobody would know where it ends.
        content = content.replace(b"HEAD", b"GET")
        return Case("framing", f"foreign {server}", server, content, alone=True, cuts=_cuts(rng, content), end=True)


def _cuts(rng: Random, content: bytes) -> list[int]:
    """Where the content is cut: nowhere, at some places, or behind each byte."""
    draw, length = rng.random(), len(content)
    if draw < 0.2 or length < 2:
        return []
    if draw < 0.25 and length < 500:
        return list(range(1, length))
    return sorted({rng.randrange(1, length) for _ in range(rng.choice((1, 2, 3, 8, 20)))})
