"""Predictions and feedback in Seldon's protocol."""

from __future__ import annotations

import json
from random import Random
from typing import Any

from .case import MODEL, Case, Part
from .heads import FORM, as_form, as_multipart, compressed, post, puid_line, some_puid
from .odd import change, change_bytes, dump
from .rows import COLUMNS, Row, some_rows

PREDICT = (b"/api/v1.0/predictions", b"/api/v1.0/predictions", b"/predict", b"/api/v0.1/predictions", b"/predict?a=1")
FEEDBACK = (b"/api/v1.0/feedback", b"/send-feedback", b"/api/v0.1/feedback")
PUIDS = ("p-1", "p-1", "", "x" * 256, "x" * 257, "é", "\x00", "a b", "../x", "null", "0", "\n", '"<&', "😀")
_TYPES = (
    b"application/json",
    b"application/json",
    b"application/json; charset=utf-8",
    b"text/json",
    None,
    FORM.encode(),
)
_WRONG = (b"text/plain", b"application/xml", b"*", b"", b"application/octet-stream", b"\xff", b"multipart/form-data")
_WIDTHS = (COLUMNS, COLUMNS, (*COLUMNS, "id"), ("name", "class"), ("class", "age", "name"), COLUMNS[::-1])


def prediction(rng: Random) -> Case:
    """A prediction; half of them are as they should be."""
    rows = some_rows(rng)
    document = message(rng, rows)
    return _send(rng, "seldon", rng.choice(PREDICT), document, rows)


def feedback(rng: Random) -> Case:
    """Feedback; half of it is as it should be."""
    return _send(rng, "feedback", rng.choice(FEEDBACK), truth(rng), None)


def message(rng: Random, rows: list[Row]) -> dict[str, Any]:
    """A SeldonMessage of rows, in any of its forms; the rows become what it says of them."""
    names = list(rng.choice(_WIDTHS))
    for row in rows:
        if "id" in names:
            row["id"] = rng.choice((7, 1, 2**24, None, 7.0))
        for name in [name for name in row if name not in names]:
            del row[name]
    form = rng.random()
    if form < 0.2 and len(rows) == 1:
        document: dict[str, Any] = {"jsonData": dict(rows[0])}
    elif form < 0.35:
        document = {"jsonData": [dict(row) for row in rows]}
    else:
        values = [[row.get(name) for name in names] for row in rows]
        data: dict[str, Any] = {}
        if names != list(COLUMNS) or rng.random() < 0.6:
            data["names"] = names
        elif rng.random() < 0.3:
            data["names"] = rng.choice(([], None))
        if form < 0.7:
            data["ndarray"] = values
        else:
            data["tensor"] = {"shape": [len(rows), len(names)], "values": [value for row in values for value in row]}
        document = {"data": data}
    if rng.random() < 0.4:
        document["meta"] = _meta(rng)
    return document


def truth(rng: Random) -> dict[str, Any]:
    """A Feedback message."""
    values = [rng.choice((0, 1, "died", "survived", 1.0, True, "1")) for _ in range(rng.choice((0, 1, 1, 2, 5)))]
    forms: tuple[dict[str, Any], ...] = (
        {"data": {"ndarray": values}},
        {"data": {"ndarray": [[value] for value in values]}},
        {"data": {"tensor": {"shape": [len(values)], "values": values}}},
        {"jsonData": values},
        {"jsonData": [{"fate": value, "id": number} for number, value in enumerate(values, start=1)]},
        {},
    )
    document: dict[str, Any] = {"truth": rng.choice(forms)}
    if rng.random() < 0.7:
        document["reward"] = rng.choice((0, 1, 0.5, -1.0, 1e308))
    if rng.random() < 0.5:
        document["response"] = rng.choice(({}, {"meta": {"puid": rng.choice(PUIDS)}}, {"meta": {}}, {"data": {}}))
    if rng.random() < 0.3:
        document["request"] = message(rng, some_rows(rng)[:2])
    return document


def _meta(rng: Random) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    if rng.random() < 0.6:
        meta["puid"] = rng.choice(PUIDS)
    if rng.random() < 0.5:
        meta["tags"] = rng.choice(({}, {"team": "blue"}, {"a": [1, {"b": None}], "é": 1e300}, {"model_name": "mine"}))
    if rng.random() < 0.2:
        meta[rng.choice(("routing", "requestPath", "metrics"))] = rng.choice(({}, {"m": 1}, [1], "x", None, 0))
    return meta


def _send(rng: Random, kind: str, path: bytes, document: Any, rows: list[Row] | None) -> Case:
    intact = rng.random() < 0.55
    if not intact:
        for _ in range(rng.choice((1, 1, 1, 2, 3))):
            document = change(document, rng)
    text = dump(document, rng)
    if not intact and rng.random() < 0.1:
        text = change_bytes(text, rng)
    puid, form, draw = some_puid(rng), "json", rng.random()
    body, content_type = text, rng.choice(_TYPES)
    fields, want = puid_line(puid, rng), 200 if intact else None
    if draw < 0.06:
        form, body, content_type = "form", as_form(text, rng), FORM.encode()
        path = path.partition(b"?")[0]
    elif draw < 0.11:
        form = "multipart"
        parts = {"json": text}
        if isinstance(document, dict) and document and rng.random() < 0.5:
            # The members as fields; the text is then what they are together.
            parts = {name: dump(value, rng) for name, value in document.items() if name.isidentifier()}
            text = b"{%b}" % b",".join(json.dumps(name).encode() + b":" + value for name, value in parts.items())
        content_type, body = as_multipart(parts, rng)
        path = path.partition(b"?")[0]
    elif draw < 0.14:
        field = as_form(text, rng)
        if len(field) < 8000 and b"?" not in path:
            line = b"GET %b?%b HTTP/1.1\r\nhost: a\r\n%b\r\n" % (path, field, fields)
            part = Part(kind, want, text, puid=puid, rows=rows if intact else None)
            return Case(kind, "query", MODEL, line, [part])
    elif draw < 0.16:
        form, content_type, want = "wrong type", rng.choice(_WRONG), None
    elif draw < 0.19:
        form, body, fields, want = compressed(rng, body, fields, want)
    elif draw < 0.20:
        form, path, want = "wrong path", path.partition(b"?")[0] + b"x", 404
    part = Part(kind, want, text, puid=puid, rows=rows if intact else None)
    return Case(kind, form, MODEL, post(rng, path, body, content_type, fields), [part])
