"""What the detector is sent: predictions, truths, and what is none, in each form of CloudEvents."""

from __future__ import annotations

import json
from base64 import b64encode
from random import Random
from typing import Any
from urllib.parse import quote

from lifeboat.server.cloudevents import CLIENT_ID, SOURCE
from tests.detector.world import BATCH, STRUCTURED, event, request_of, response_of

from . import seldon, v2
from .case import DETECTOR, Case, Facts, Part
from .heads import as_form, post
from .odd import VALUES, change, change_bytes, copy, dump, pick
from .rows import Row, some_rows

# Rows of this version come of intact predictions alone, so that they can be counted.
SOUND = "sound"
_PATHS = (b"/", b"/events", b"/")
_PUIDS = ("p-1", "p-2", "p-3", "", "x" * 256, "x" * 257, "é", "\x00", "../x", "null", "a\nb", '"')
_SOURCES = ("anonymous", "alice", "bob", "none", "table", "", "x" * 256, "é", "a\nb")
_TIMES = (
    None, None, "2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+23:59",
    "0001-01-01T00:00:00", "x", 7,
    "9999-12-31T23:59:59-23:59", "2026-01-01", "1969-12-31T23:59:59Z", "", "2500-06-01T00:00:00Z", "x" * 65,
)  # fmt: skip
_ATTRIBUTES = (
    "specversion", "id", "source", "type", "time", "requestid", "modelid", "modelversion", "datacontenttype",
    "clientid",
    "authid", "inferenceservicename", "namespace", "endpoint", "data", "data_base64", "dataschema", "subject", "x",
)  # fmt: skip
_TYPES = (
    "io.seldon.serving.inference.request", "io.seldon.serving.inference.response",
    "io.seldon.serving.feedback", "x",
    "io.seldon.serving.inference.reward", "",
)  # fmt: skip


class Events:
    """Makes the cases.

    Args:
        seed: of the run; ids and puids that are to be unique hold it.
        facts: of the processes.
    """

    def __init__(self, seed: str, facts: Facts) -> None:
        self._seed, self._digest = seed, facts.digest

    def case(self, rng: Random, index: int) -> Case:
        """Intact predictions, intact truths, or anything."""
        base, draw = f"{self._seed}-{index}", rng.random()
        if draw < 0.3:
            return self._sound(rng, base)
        if draw < 0.45:
            found = self._truths(rng, base)
            return _send(rng, "truths", found, 200)
        found = self._truths(rng, base) if rng.random() < 0.4 else self._predictions(rng, base, "1")[0]
        for _ in range(rng.choice((0, 1, 1, 2, 4))):
            _spoil(rng, rng.choice(found))
        if rng.random() < 0.1:
            found += [rng.choice(found)] * rng.choice((1, 2))
        if rng.random() < 0.15:
            found.insert(rng.randrange(len(found) + 1), pick(VALUES, rng))
        if rng.random() < 0.002:
            found = [event("request", "p", {}, id=f"{base}-{number}") for number in range(rng.choice((999, 1001)))]
        return _send(rng, "any", found, None)

    def _sound(self, rng: Random, base: str) -> Case:
        found, number = self._predictions(rng, base, SOUND, unique=True)
        made = _send(rng, "sound", found, 200)
        made.rows = number
        return made

    def _predictions(self, rng: Random, base: str, version: str, unique: bool = False) -> tuple[list[Any], int]:
        """Requests and responses, in any order, and how many rows they have."""
        found: list[Any] = []
        number = 0
        for one in range(rng.choice((1, 1, 2, 5))):
            rows = some_rows(rng)[:40]
            number += len(rows)
            puid = f"{base}-{one}" if unique or rng.random() < 0.7 else rng.choice(_PUIDS)
            more: dict[str, Any] = {"modelversion": version}
            if rng.random() < 0.2:
                more[CLIENT_ID] = rng.choice(("alias-1", "alias-2", f"{base}-alias"))
            request, response, kind = self._contents(rng, rows, puid)
            pair = [
                event("request", puid, request, id=f"{base}-{one}q", **more, **kind),
                event("response", puid, response, id=f"{base}-{one}r", **more),
            ]
            if kind:
                pair[0].pop("data")
            if rng.random() < 0.3:
                pair.reverse()
            found += pair
        return found, number

    def _contents(self, rng: Random, rows: list[Row], puid: str) -> tuple[Any, Any, dict[str, str]]:
        """What both say, and attributes of the request where it is no JSON."""
        response = response_of(rows, self._digest, puid)
        draw = rng.random()
        if draw < 0.25:
            document, blobs = v2.tensors(rng, [dict(row) for row in rows])
            scores = [value for pair in response["data"]["ndarray"] for value in pair]
            output = {"name": "probabilities", "datatype": "FP32", "shape": [len(rows), 2], "data": scores}
            answer = {
                "model_name": "tiny", "model_version": "1", "parameters": {"bundle_digest": self._digest},
                "outputs": [output],
            }  # fmt: skip
            binary = b"".join(blobs)
            if not binary:
                return document, answer, {}
            body = json.dumps(document).encode() + binary
            return None, answer, {
                "data_base64": b64encode(body).decode(), "datacontenttype": "application/octet-stream",
            }  # fmt: skip
        request = request_of(rows) if draw < 0.6 else seldon.message(rng, [dict(row) for row in rows])
        if draw > 0.9:
            form = f"json={quote(json.dumps(request))}".encode()
            kind = "application/x-www-form-urlencoded"
            return None, response, {"data_base64": b64encode(form).decode(), "datacontenttype": kind}
        return request, response, {}

    def _truths(self, rng: Random, base: str) -> list[Any]:
        """Truths by puid, by alias or by entity, of several sources, some with their prediction."""
        found: list[Any] = []
        if rng.random() < 0.4:
            found, _ = self._predictions(rng, base, "1", unique=True)
        for number in range(rng.choice((1, 1, 2, 4))):
            name = rng.choice((f"{base}-0", "alias-1", "p-1", "p-2", *_PUIDS[:3]))
            values = [rng.choice((0, 1, "died", "survived")) for _ in range(rng.choice((1, 1, 2, 5)))]
            draw = rng.random()
            if draw < 0.3:
                data: dict[str, Any] = {
                    "truth": {"jsonData": [{"id": rng.randrange(1, 9), "fate": one} for one in values]}
                }
            elif draw < 0.6:
                data = {"truth": {"data": {"ndarray": values}}, "response": {"meta": {"puid": name}}}
            else:
                data = {"truth": {"data": {"ndarray": [[one] for one in values]}}, "reward": 1.0}
            more = {SOURCE: rng.choice(_SOURCES[:3])} if rng.random() < 0.4 else {}
            found.append(event("feedback", name, data, id=f"{base}-{number}f", **more))
        return found


def _spoil(rng: Random, one: Any) -> None:
    """Changes an attribute of an event, or its content."""
    if type(one) is not dict:
        return
    draw = rng.random()
    if draw < 0.35 and type(one.get("data")) in (dict, list):
        one["data"] = change(copy(one["data"]), rng)
    elif draw < 0.45:
        one["time"] = rng.choice(_TIMES)
    elif draw < 0.5:
        one["type"] = rng.choice(_TYPES)
    elif draw < 0.55:
        one["id"], one["source"] = "the same", "framing"
    elif draw < 0.62:
        one["requestid"] = rng.choice(_PUIDS)
    elif draw < 0.68:
        one["modelversion"] = rng.choice(("1", "2", "", "x" * 128, "x" * 129, "é", "\n", f"v{rng.randrange(10**9)}"))
    elif draw < 0.73:
        one["modelid"] = rng.choice(("tiny", "other", "", "../x", "x" * 41, "é", "\x00"))
    elif draw < 0.78:
        one.pop("data", None)
        one["data_base64"] = rng.choice(
            ("eA==", "", "e30=", "W10=", "!", 7, None, "eyJkYXRhIjp7fX0=", "/w==", "e" * 4001)
        )
    elif draw < 0.82:
        one["datacontenttype"] = rng.choice(
            ("application/octet-stream", "text/plain", "", "x" * 257, "\xe9", "é😀", None)
        )
    elif draw < 0.9:
        one.pop(rng.choice(_ATTRIBUTES), None)
    elif draw < 0.94:
        one[SOURCE] = rng.choice(_SOURCES)
    else:
        one[rng.choice(_ATTRIBUTES)] = pick(VALUES, rng)


def _send(rng: Random, form: str, found: list[Any], want: int | None) -> Case:
    """Events in a batch, or each in a request of its own."""
    draw = rng.random()
    whole = want == 200
    if draw < 0.6 or len(found) > 8 or not all(_can_stand_alone(one) for one in found):
        text = dump(found, rng)
        if not whole and rng.random() < 0.1:
            text = change_bytes(text, rng)
        parts = [Part("events", want, text, label="batch")]
        content = post(rng, rng.choice(_PATHS), text, _typed(rng, BATCH))
        return Case("events", f"{form}, batch", DETECTOR, content, parts)
    contents, parts = [], []
    for one in found:
        if draw < 0.8:
            text = dump(one, rng)
            if not whole and rng.random() < 0.1:
                text = change_bytes(text, rng)
            contents.append(post(rng, rng.choice(_PATHS), text, _typed(rng, STRUCTURED)))
            parts.append(Part("events", want, text, label="structured"))
        else:
            contents.append(_binary(rng, one))
            parts.append(Part("events", want, b"", label="binary"))
    name = "structured" if draw < 0.8 else "binary"
    return Case("events", f"{form}, {name}", DETECTOR, b"".join(contents), parts)


def _can_stand_alone(one: Any) -> bool:
    return type(one) is dict and "data_base64" not in one


def _typed(rng: Random, content_type: str) -> bytes:
    return content_type.encode() + rng.choice((b"", b"", b"; charset=utf-8"))


def _binary(rng: Random, one: dict[str, Any]) -> bytes:
    """An event as Seldon's executor sends it: attributes in headers, of which any may be odd."""
    fields = []
    for name, value in one.items():
        if name in ("data", "datacontenttype") or value is None:
            continue
        shown = value if type(value) is str else json.dumps(value)
        encoded = quote(shown, safe=" /.-:") if rng.random() < 0.9 else shown
        fields.append(b"ce-%b: %b\r\n" % (name.encode(), _field(encoded)))
    content_type = one.get("datacontenttype")
    kind = _field(content_type) if type(content_type) is str else None
    body = dump(one.get("data"), rng)
    # A request of Seldon's protocol or a truth may be a form; the other protocol has none, and no model answers so.
    if rng.random() < 0.05 and "response" not in str(one.get("type")) and b'"inputs"' not in body:
        body, kind = as_form(body, rng), b"application/x-www-form-urlencoded"
    return post(rng, rng.choice(_PATHS), body, kind, b"".join(fields))


def _field(text: str) -> bytes:
    """A header's value: what would end it, or is none of its characters, is left out."""
    return bytes(byte for byte in text.encode()[:5000] if byte >= 0x20 and byte != 0x7F).strip()
