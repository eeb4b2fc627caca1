"""CloudEvents 1.0 over HTTP: binary, structured and in batches."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import unquote

import orjson

from components.core.sources import ANONYMOUS, is_source
from serving.server.errors import bad
from serving.server.events import CLIENT_ID, SOURCE
from serving.server.message import JSON, Request

Mode = Literal["binary", "structured", "batch"]
STRUCTURED, BATCH = b"application/cloudevents+json", b"application/cloudevents-batch+json"
LONGEST = 1024


@dataclass(slots=True)
class Post:
    """What one request brought, as it is kept until it is folded in.

    Args:
        mode: how the events are written.
        events: their number.
        head: attributes of a binary event as JSON.
        body: as it came.
    """

    mode: Mode
    events: int
    head: bytes
    body: bytes


@dataclass(slots=True)
class Event:
    """One event.

    Args:
        id, source, type, time: of CloudEvents; no time is None.
        puid, model, version: of the request it belongs to, "" if absent.
        content_type: of the content.
        content: bytes, or the parsed JSON of an event that came as JSON.
        alias: how the client calls its request, "" if it does not.
        sender: who sent a truth.
    """

    id: str
    source: str
    type: str
    time: float | None
    puid: str
    model: str
    version: str
    content_type: str
    content: Any
    alias: str = ""
    sender: str = ANONYMOUS

    def pack(self) -> bytes:
        """As one blob."""
        is_json = not isinstance(self.content, bytes)
        content = orjson.dumps(self.content) if is_json else self.content
        head = [self.id, self.source, self.type, self.time, self.puid, self.model, self.version, self.content_type]
        return orjson.dumps([is_json, *head, self.alias, self.sender]) + b"\n" + content

    @classmethod
    def unpack(cls, blob: bytes) -> Event:
        """From what `pack` made."""
        line, _, content = blob.partition(b"\n")
        is_json, *head = orjson.loads(line)
        if not isinstance(is_json, bool):  # of an earlier edition, which had it at the end
            is_json, head = head[-1], [is_json, *head[:-1]]
        head.insert(8, orjson.loads(content) if is_json else content)
        return cls(*head)


def receive(request: Request) -> Post:
    """Checks that a request holds CloudEvents, as far as they must be to be acknowledged.

    Raises:
        RequestError: 400 with the reason.
    """
    content_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if content_type == BATCH:
        entries = _parse(request.body)
        if type(entries) is not list:
            raise bad("a batch of CloudEvents is a list")
        for number, entry in enumerate(entries, start=1):
            _check(entry, f"event {number} of the batch: ")
        return Post("batch", len(entries), b"", request.body)
    if content_type == STRUCTURED:
        _check(_parse(request.body), "")
        return Post("structured", 1, b"", request.body)
    attributes = _attributes(request.headers)
    _check({"specversion": "1.0", **attributes}, "header ce-")
    return Post("binary", 1, orjson.dumps(attributes), request.body)


def unfold(post: Post) -> list[Event]:
    """The events of a post that was received."""
    if post.mode == "binary":
        attributes = orjson.loads(post.head)
        return [_event(attributes, attributes.get("datacontenttype", ""), post.body)]
    entries = orjson.loads(post.body)
    return [_from_json(entry) for entry in (entries if post.mode == "batch" else [entries])]


def _parse(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad(f"the body is not JSON: {error}") from None


def _attributes(headers: dict[bytes, bytes]) -> dict[str, str]:
    found = {name[3:].decode("latin-1"): _decode(value) for name, value in headers.items() if name[:3] == b"ce-"}
    if not found:
        raise bad("no CloudEvent: neither ce- headers nor the content type of structured events or of a batch")
    content_type = headers.get(b"content-type", JSON)
    return {**found, "datacontenttype": content_type.decode("latin-1")}


def _decode(value: bytes) -> str:
    text = value.decode("utf-8", errors="replace")
    return unquote(text) if "%" in text else text


def _check(entry: Any, where: str) -> None:
    if type(entry) is not dict:
        raise bad(f"{where}a CloudEvent is an object")
    if entry.get("specversion") not in ("1.0", "0.3"):
        raise bad(f"{where}specversion: is not 1.0")
    for name in ("id", "source", "type"):
        value = entry.get(name)
        if type(value) is not str or not 0 < len(value) <= LONGEST:
            raise bad(f"{where}{name}: is not a string of 1 to {LONGEST} characters")


def _from_json(entry: dict[str, Any]) -> Event:
    content_type = entry.get("datacontenttype") or "application/json"
    if "data" in entry:
        return _event(entry, content_type, entry["data"])
    try:
        content = b64decode(entry.get("data_base64") or "")
    except (TypeError, ValueError):
        content = b""  # no content: whoever needs one refuses it
    return _event(entry, content_type, content)


def _event(attributes: dict[str, Any], content_type: Any, content: Any) -> Event:
    get = attributes.get
    puid, model, version = get("requestid", ""), get("modelid", ""), get("modelversion", "")
    alias, sender = get(CLIENT_ID, ""), get(SOURCE, "")
    return Event(
        attributes["id"],
        attributes["source"],
        attributes["type"],
        _seconds(get("time")),
        puid if type(puid) is str else "",
        model if type(model) is str else "",
        version if type(version) is str else "",
        content_type if type(content_type) is str else "",
        content,
        alias if type(alias) is str else "",
        sender if type(sender) is str and is_source(sender) else ANONYMOUS,
    )


def _seconds(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError):
        return None
