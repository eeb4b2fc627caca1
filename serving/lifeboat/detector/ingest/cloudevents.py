"""CloudEvents 1.0 over HTTP: binary, structured and in batches."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from urllib.parse import unquote

import orjson

from lifeboat.config.sources import ANONYMOUS, UNREADABLE, is_source
from lifeboat.http.errors import RequestError, bad
from lifeboat.http.http_types import JSON, Request, lower_media_type
from lifeboat.http.structure import count_above
from lifeboat.server.cloudevents import CLIENT_ID, SOURCE
from lifeboat.server.columnar import COUNT, MOST, PREDICTIONS
from lifeboat.system.tracing import HEADER

# Of Seldon's payload logger: a prediction in two events.
REQUEST, RESPONSE = "io.seldon.serving.inference.request", "io.seldon.serving.inference.response"
# A mixed batch holds some that are no events.
Mode = Literal["binary", "structured", "batch", "mixed"]
# Content that holds binary data behind its JSON.
BINARY = "application/octet-stream"
# A message of gRPC.
PROTOBUF = "application/protobuf"
STRUCTURED, BATCH = b"application/cloudevents+json", b"application/cloudevents-batch+json"
# Characters of each attribute that we read or that stands in a label, a key or a log; the first three must be there.
REQUIRED = {"id": 256, "source": 1024, "type": 256}
LIMITS = REQUIRED | {
    "time": 64, "requestid": 256, "modelid": 128, "modelversion": 128, "inferenceservicename": 253, "namespace": 253,
    "endpoint": 253, "datacontenttype": 256, "protocol": 64, CLIENT_ID: 256, HEADER: 256,
}  # fmt: skip
# What is parsed in one piece holds up whoever needs the interpreter meanwhile, so that it is bounded: a batch or a
# structured event in bytes, and every JSON in lists and objects, which take longest, and in values. A larger event
# comes as a binary one, whose content is not parsed here.
BATCH_BYTES, BATCH_EVENTS, CONTAINERS, VALUES = 512 * 1024, 1_000, 50_000, 100_000


@dataclass(slots=True)
class Post:
    """What one request brought, as it is kept until it is folded in.

    Args:
        mode: how the events are written.
        events: their number.
        head: attributes of a binary event as JSON.
        body: as it came.
        refused, reason: how many of the events are none, and why the first of them is.
    """

    mode: Mode
    events: int
    head: bytes
    body: bytes
    refused: int = 0
    reason: str = ""


@dataclass(slots=True)
class CloudEvent:
    """One event.

    Args:
        id, source, type, time: of CloudEvents; no time is None.
        puid, model, version: of the request it belongs to, "" if absent.
        content_type: of the content.
        content: bytes, or the parsed JSON of an event that came as JSON.
        alias: how the client calls its request, "" if it does not.
        sender: who sent a truth.
        count: as how many events it counts: predictions come many in one.
        parent: its `traceparent`, by CloudEvents' extension; "" if it has none.
        protocol: of the payload, as Seldon's executor says; it is not kept, for what it tells is read at once.
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
    count: int = 1
    parent: str = ""
    protocol: str = ""

    def pack(self) -> bytes:
        """As one blob; content that is nested deeper than can be written becomes null."""
        is_json = not isinstance(self.content, bytes)
        try:
            content = orjson.dumps(self.content) if is_json else self.content
        except TypeError:  # its one reason here: what came was JSON
            content = b"null"
        head = [self.id, self.source, self.type, self.time, self.puid, self.model, self.version, self.content_type]
        return orjson.dumps([is_json, *head, self.alias, self.sender, self.count, self.parent]) + b"\n" + content

    @classmethod
    def unpack(cls, blob: bytes) -> CloudEvent:
        """From what `pack` made."""
        line, _, content = blob.partition(b"\n")
        is_json, *head = orjson.loads(line)
        if not isinstance(is_json, bool):  # of an earlier edition, which had it at the end
            is_json, head = head[-1], [is_json, *head[:-1]]
        head.insert(8, orjson.loads(content) if is_json else content)
        return cls(*head)


def receive(request: Request) -> Post:
    """Checks that a request holds CloudEvents, as far as they must be to be acknowledged.

    An event that is none leaves the others of its batch alone: a sender's clients choose some of what is in it.

    Raises:
        RequestError: 400 with the reason; 413.
    """
    content_type = request.headers.get(b"content-type", b"").partition(b";")[0].strip().lower()
    if content_type == BATCH:
        return _receive_batch(request.body)
    if content_type == STRUCTURED:
        if problem := _problem(_parse(request.body)):
            raise bad(problem)
        return Post("structured", 1, b"", request.body)
    attributes = _attributes(request.headers)
    if problem := _problem({"specversion": "1.0", **attributes}):
        raise bad(f"header ce-{problem}")
    if not attributes["datacontenttype"].startswith((BINARY, PROTOBUF)):
        _refuse_crowd(request.body)
    return Post("binary", _count(attributes), orjson.dumps(attributes), request.body)


def unfold(post: Post) -> list[CloudEvent | None]:
    """The events of a post that was received; None for what is none."""
    if post.mode == "binary":
        attributes = orjson.loads(post.head)
        event = _event(attributes, attributes.get("datacontenttype", ""), post.body)
        event.count = post.events
        return [event]
    entries = orjson.loads(post.body)
    if post.mode == "structured":
        return [_from_json(entries)]
    if post.mode == "batch":
        return [_from_json(entry) for entry in entries]
    return [None if _problem(entry) else _from_json(entry) for entry in entries]


def is_crowded(text: bytes, values: int) -> bool:
    """Whether JSON holds more lists, objects or values than are parsed."""
    limits = ((b"[", CONTAINERS), (b"{", CONTAINERS), (b",", values))
    return any(count_above(text, mark, limit) for mark, limit in limits)


def _receive_batch(body: bytes) -> Post:
    entries = _parse(body)
    if type(entries) is not list:
        raise bad("a batch of CloudEvents is a list")
    if len(entries) > BATCH_EVENTS:
        raise bad(f"the batch has {len(entries)} events, the limit is {BATCH_EVENTS}")
    found = ((number, _problem(entry)) for number, entry in enumerate(entries, start=1))
    problems = [f"event {number} of the batch: {problem}" for number, problem in found if problem]
    if problems and len(problems) == len(entries):
        raise bad(problems[0])
    if problems:
        return Post("mixed", len(entries), b"", body, len(problems), problems[0])
    return Post("batch", len(entries), b"", body)


def _parse(body: bytes) -> Any:
    if len(body) > BATCH_BYTES:
        limit = f"the limit of a batch or a structured event is {BATCH_BYTES}"
        raise RequestError(413, f"the body has {len(body)} bytes, {limit}; send a larger event as a binary one")
    _refuse_crowd(body)
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad(f"the body is not JSON: {error}") from None


def _refuse_crowd(body: bytes) -> None:
    if is_crowded(body, len(body)):
        raise bad(f"the body has more than {CONTAINERS} lists or objects, which is the limit")


def _count(attributes: dict[str, str]) -> int:
    """As how many events a binary one counts."""
    if attributes["type"] != PREDICTIONS:
        return 1
    said = attributes.get(COUNT, "")
    if not (said.isascii() and said.isdigit() and len(said) <= len(str(MOST)) and 0 < int(said) <= MOST):
        raise bad(f"header ce-{COUNT}: is not a number of predictions from 1 to {MOST}")
    return int(said)


def _attributes(headers: dict[bytes, bytes]) -> dict[str, str]:
    found = {name[3:].decode("latin-1"): _decode(value) for name, value in headers.items() if name[:3] == b"ce-"}
    if not found:
        raise bad("no CloudEvent: neither ce- headers nor the content type of structured events or of a batch")
    content_type = headers.get(b"content-type", JSON)
    if HEADER.encode() in headers:  # of a sender that knows the trace's header, and not the attribute
        found.setdefault(HEADER, _decode(headers[HEADER.encode()]))
    return {**found, "datacontenttype": lower_media_type(content_type.decode("latin-1"))}


def _decode(value: bytes) -> str:
    text = value.decode("utf-8", errors="replace")
    return unquote(text) if "%" in text else text


def _problem(entry: Any) -> str:
    """Why something is no CloudEvent that is taken; "" if it is one."""
    if type(entry) is not dict:
        return "a CloudEvent is an object"
    if entry.get("specversion") not in ("1.0", "0.3"):
        return "specversion: is not 1.0"
    for name, limit in REQUIRED.items():
        value = entry.get(name)
        if type(value) is not str or not 0 < len(value) <= limit:
            return f"{name}: is not a string of 1 to {limit} characters"
    for name, limit in LIMITS.items():
        value = entry.get(name)
        if type(value) is str and len(value) > limit:
            return f"{name}: has {len(value)} characters, the limit is {limit}"
    return ""


def _from_json(entry: dict[str, Any]) -> CloudEvent:
    content_type = entry.get("datacontenttype") or "application/json"
    if "data" in entry:
        return _event(entry, content_type, entry["data"])
    try:
        content = b64decode(entry.get("data_base64") or "")
    except (TypeError, ValueError):
        content = b""  # no content: whoever needs one refuses it
    return _event(entry, content_type, content)


def _event(attributes: dict[str, Any], content_type: Any, content: Any) -> CloudEvent:
    get = attributes.get
    puid, model, version = get("requestid", ""), get("modelid", ""), get("modelversion", "")
    parent = get(HEADER, "")
    alias, sender, protocol = get(CLIENT_ID, ""), get(SOURCE) or ANONYMOUS, get("protocol", "")
    return CloudEvent(
        attributes["id"],
        attributes["source"],
        attributes["type"],
        _seconds(get("time")),
        puid if type(puid) is str else "",
        model if type(model) is str else "",
        version if type(version) is str else "",
        lower_media_type(content_type) if type(content_type) is str else "",
        content,
        alias if type(alias) is str else "",
        sender if type(sender) is str and is_source(sender) else UNREADABLE,
        parent=parent if type(parent) is str else "",
        protocol=protocol if type(protocol) is str else "",
    )


def _seconds(text: Any) -> float | None:
    try:
        return datetime.fromisoformat(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
