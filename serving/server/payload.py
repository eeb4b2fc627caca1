"""From the body of a request to a JSON document, whichever way it was sent."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

import orjson

from serving.server.errors import RequestError, bad
from serving.server.message import FORM, Request

_CONTAINERS = frozenset((dict, list))
_MULTIPART = b"multipart/form-data"
_BOUNDARY = re.compile(rb'(?i)boundary="?([^\s";,]{1,70})')
_FIELD = re.compile(rb'(?im)^content-disposition:[^\r\n]*[;\s]name="?([^\r\n";]+)')
MAX_FIELDS = 100


def read_document(request: Request, max_depth: int) -> dict[str, Any]:
    """The request's JSON object: its body, its form field `json`, its multipart fields or `?json=`.

    A form's body that begins with `{` is read as JSON too: that is what `curl -d` sends.

    Raises:
        RequestError: 415 for another content type, 400 for anything but a JSON object of the allowed depth.
    """
    refuse_encoding(request)
    content_type = request.headers.get(b"content-type", b"").lower()
    if not request.body and request.query:
        content_type = FORM
    if b"json" in content_type or (not content_type and request.body):
        return parse_object(request.body, max_depth)
    if content_type.startswith(_MULTIPART):
        return _from_multipart(request, max_depth)
    if content_type.startswith(FORM) and request.body.lstrip()[:1] == b"{":
        return parse_object(request.body, max_depth)
    if content_type and not content_type.startswith(FORM):
        shown = content_type.decode("latin-1")[:60]
        raise RequestError(415, f"the content type {shown} is not application/json, nor a form")
    fields = _parse_form(request.body) or _parse_form(request.query)
    if "json" not in fields:
        raise bad("no JSON: neither a body nor a field json")
    return parse_object(fields["json"], max_depth)


def refuse_encoding(request: Request) -> None:
    """Raises a 415 for a compressed body: a small one could unfold to any size."""
    if request.headers.get(b"content-encoding", b"identity") != b"identity":
        raise RequestError(415, "the body is compressed, which is not supported", b"accept-encoding: identity\r\n")


def parse_object(text: bytes | str, max_depth: int) -> dict[str, Any]:
    """Parses a JSON object; raises RequestError 400 for anything else, NaN and Infinity included."""
    try:
        document = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad(f"the body is not JSON: {error}") from None
    if type(document) is not dict:
        raise bad("the body is not a JSON object")
    opening = text.count(b"[") + text.count(b"{") if isinstance(text, bytes) else len(text)
    if opening > max_depth:
        check_depth(document, max_depth)
    return document


def check_depth(document: Any, limit: int) -> None:
    """Raises a 400 where JSON is nested deeper than the limit; level by level, since a recursion could
    overflow."""
    level, depth = [document], 0
    while level:
        depth += 1
        if depth > limit:
            raise bad(f"the JSON is nested more than {limit} deep")
        # Most of a large request are rows of plain values, which are passed over without a loop.
        inner = [parent.values() if type(parent) is dict else parent for parent in level]
        nested = [values for values in inner if not _CONTAINERS.isdisjoint(map(type, values))]
        level = [child for values in nested for child in values if type(child) in _CONTAINERS]


def _parse_form(text: bytes) -> dict[str, str]:
    try:
        fields = parse_qs(text.decode(), errors="strict", max_num_fields=100)
    except ValueError as error:
        raise bad(f"the form cannot be read: {error}") from None
    return {name: values[0] for name, values in fields.items()}


def _from_multipart(request: Request, max_depth: int) -> dict[str, Any]:
    """Each field is a part of the message, as JSON; strData and binData are not for this model."""
    boundary = _BOUNDARY.search(request.headers[b"content-type"])
    parts = (b"\r\n" + request.body).split(b"\r\n--" + boundary[1], MAX_FIELDS) if boundary else []
    document: dict[str, Any] = {}
    for part in parts[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _FIELD.search(head)
        if name is not None:
            document[name[1].decode(errors="replace")] = _parse_field(name[1], content)
    if not document:
        raise bad("the multipart form cannot be read: no boundary, or no field with a name")
    whole = document.get("json", document)
    if type(whole) is not dict:
        raise bad("the field json is not a JSON object")
    check_depth(document, max_depth)
    return whole


def _parse_field(name: bytes, content: bytes) -> Any:
    try:
        return orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise bad(f"the field {name[:60].decode(errors='replace')} is not JSON: {error}") from None
