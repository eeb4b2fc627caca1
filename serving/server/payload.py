"""From the body of a request to a JSON document, whichever way it was sent."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs

import orjson

from serving.server.errors import RequestError, bad
from serving.server.message import FORM, Request
from serving.server.structure import check_structure

_MULTIPART = b"multipart/form-data"
_BOUNDARY = re.compile(rb'(?i)boundary="?([^\s";,]{1,70})')
_FIELD = re.compile(rb'(?im)^content-disposition:[^\r\n]*[;\s]name="?([^\r\n";]+)')
MAX_FIELDS = 100
# Of a part of a multipart form: where its name must stand.
MAX_HEAD = 4096


def read_document(request: Request, max_depth: int) -> dict[str, Any]:
    """The request's JSON object: its body, its form field `json`, its multipart fields or `?json=`.

    A form's body that begins with `{` is read as JSON too: that is what `curl -d` sends.

    Raises:
        RequestError: 415 for another content type, 400 for anything but a JSON object of the allowed depth.
    """
    refuse_encoding(request)
    if request.body and b"&json=" in b"&" + request.query:
        raise bad("a body was sent, and a field json in the query")
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
    field = _parse_form(request.body or request.query)
    if field is None:
        raise bad("no JSON: neither a body nor a field json")
    return parse_object(field.encode(), max_depth)


def refuse_encoding(request: Request) -> None:
    """Raises a 415 for a compressed body: a small one could unfold to any size."""
    if request.headers.get(b"content-encoding", b"identity") != b"identity":
        raise RequestError(415, "the body is compressed, which is not supported", b"accept-encoding: identity\r\n")


def parse_object(text: bytes, max_depth: int) -> dict[str, Any]:
    """Parses a JSON object; raises RequestError 400 for anything else, NaN, Infinity and a name twice included."""
    document = _parse("the body", text)
    if type(document) is not dict:
        raise bad("the body is not a JSON object")
    check_structure("the body", document, text, max_depth)
    return document


def _parse(where: str, text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise bad(f"{where} is not JSON: {error}") from None


def _parse_form(text: bytes) -> str | None:
    """The form's field `json`."""
    try:
        values = parse_qs(text.decode(), errors="strict", max_num_fields=MAX_FIELDS).get("json", [])
    except ValueError as error:
        raise bad(f"the form cannot be read: {error}") from None
    if len(values) > 1:
        raise bad("the form has two fields json")
    return values[0] if values else None


def _from_multipart(request: Request, max_depth: int) -> dict[str, Any]:
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
        document[field] = _parse(f"the field {field[:60]}", content)
        check_structure(f"the field {field[:60]}", document[field], content, max_depth - 1)
    if not document:
        raise bad("the multipart form cannot be read: no boundary, or no field with a name")
    if "json" in document and len(document) > 1:
        raise bad(f"the multipart form has a field json, which is the whole message, and {len(document) - 1} others")
    whole = document.get("json", document)
    if type(whole) is not dict:
        raise bad("the field json is not a JSON object")
    return whole
