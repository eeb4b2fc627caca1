"""From the body of a request to a JSON document, whichever way it was sent."""

from __future__ import annotations

import math
import re
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from lifeboat.http.errors import RequestError, bad
from lifeboat.http.http_types import FORM, Request
from lifeboat.http.structure import PIECE, check_structure, refuse_crowd

_MULTIPART = b"multipart/form-data"
_BOUNDARY = re.compile(rb'(?i)boundary="?([^\s";,]{1,70})')
_FIELD = re.compile(rb'(?im)^content-disposition:[^\r\n]*[;\s]name="?([^\r\n";]+)')
MAX_FIELDS = 100
# Characters of a content type, as the detector takes it.
LONGEST_TYPE = 256
# The name json with each letter escaped.
LONGEST_NAME = 12
# Of a part of a multipart form: where its name must stand.
MAX_HEAD = 4096


def read_document(request: Request, max_depth: int, max_values: float = math.inf) -> dict[str, Any]:
    """The request's JSON object: its body, its form field `json`, its multipart fields or `?json=`.

    A form's body that begins with `{` is read as JSON too: that is what `curl -d` sends.

    Args:
        request: whole.
        max_depth: of the JSON.
        max_values: of its names, of its values, of its lists and of its objects.

    Raises:
        RequestError: 415 for another content type, 400 for anything but a JSON object within the limits.
    """
    check_content(request)
    if request.query and request.body and b"&json=" in b"&" + request.query:
        raise bad("a body was sent, and a field json in the query")
    content_type = request.headers.get(b"content-type", b"").lower()
    if not request.body and request.query:
        content_type = FORM
    if b"json" in content_type.partition(b";")[0] or (not content_type and request.body):
        return parse_object(request.body, max_depth, max_values)
    if content_type.startswith(_MULTIPART):
        return _from_multipart(request, max_depth, max_values)
    if content_type.startswith(FORM) and request.body.lstrip()[:1] == b"{":
        return parse_object(request.body, max_depth, max_values)
    if content_type and not content_type.startswith(FORM):
        shown = content_type.decode("latin-1")[:60]
        raise RequestError(415, f"the content type {shown} is not application/json, nor a form")
    field = _parse_form(request.body or request.query)
    if not field:
        raise bad("no JSON: neither a body nor a field json")
    return parse_object(field, max_depth, max_values)


def check_content(request: Request) -> None:
    """Raises a 415 for a compressed body, which was not decoded here, and for an endless content type, since it goes
    into events beside the body."""
    if len(request.headers.get(b"content-type", b"")) > LONGEST_TYPE:
        raise RequestError(415, f"the content type has more than {LONGEST_TYPE} characters, which is the limit")
    if request.headers.get(b"content-encoding", b"identity") != b"identity":
        raise RequestError(415, "the body is compressed, which is not supported", b"accept-encoding: identity\r\n")


def parse_object(text: bytes, max_depth: int, max_values: float = math.inf) -> dict[str, Any]:
    """Parses a JSON object; raises RequestError 400 for anything else, NaN, Infinity and a name twice included."""
    document = _parse("the body", text, max_values)
    if type(document) is not dict:
        raise bad("the body is not a JSON object")
    check_structure("the body", document, text, max_depth)
    return document


def _parse(where: str, text: bytes, max_values: float) -> Any:
    refuse_crowd(text, max_values)
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad(f"{where} is not JSON: {error}") from None


def _parse_form(text: bytes) -> bytes | None:
    """The form's field `json`."""
    if text.count(b"&") >= MAX_FIELDS:
        raise bad(f"the form has more than {MAX_FIELDS} fields")
    fields = [field.partition(b"=") for field in text.split(b"&")]
    values = [_unquote(value) for name, _, value in fields if len(name) <= LONGEST_NAME and _unquote(name) == b"json"]
    if len(values) > 1:
        raise bad("the form has two fields json")
    return values[0] if values else None


def _unquote(text: bytes) -> bytes:
    """What a form's `+` and `%` stand for; piece by piece, since each call looks at one for a while."""
    pieces, start = [], 0
    while start < len(text):
        end = start + PIECE
        cut = text.find(b"%", end - 2, end)  # an escape is not cut
        end = end if cut < 0 else cut
        pieces.append(unquote_to_bytes(text[start:end].replace(b"+", b" ")))
        start = end
    return b"".join(pieces)


def _from_multipart(request: Request, max_depth: int, max_values: float) -> dict[str, Any]:
    """Each field is a part of the message, as JSON; strData and binData are not for this model."""
    boundary = _BOUNDARY.search(request.headers[b"content-type"])
    parts = (b"\r\n" + request.body).split(b"\r\n--" + boundary[1], MAX_FIELDS) if boundary else []
    document: dict[str, Any] = {}
    for part in parts[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        name = _FIELD.search(head, 0, MAX_HEAD)
        if name is None:
            continue
        field = name[1].decode(errors="replace")
        if field in document:
            raise bad(f"the multipart form has two fields {field}")
        document[field] = _parse(f"the field {field[:60]}", content, max_values)
        check_structure(f"the field {field[:60]}", document[field], content, max_depth - 1)
    if not document:
        raise bad("the multipart form cannot be read: no boundary, or no field with a name")
    if "json" in document and len(document) > 1:
        raise bad(f"the multipart form has a field json, which is the whole message, and {len(document) - 1} others")
    whole = document.get("json", document)
    if type(whole) is not dict:
        raise bad("the field json is not a JSON object")
    return whole
