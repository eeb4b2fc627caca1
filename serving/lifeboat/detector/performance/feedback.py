"""From a feedback to truths, each with the prediction or the entity it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from lifeboat.detector.ingest.cloudevents import CloudEvent
from lifeboat.detector.ingest.rows import RefusedError, read_json
from lifeboat.http.errors import RequestError
from lifeboat.server.protocols.feedback import read_feedback
from lifeboat.usecase.column import entity_name
from lifeboat.usecase.schema import Schema


@dataclass(frozen=True, slots=True)
class Truth:
    """What was true of one row.

    Args:
        model: whose prediction it was.
        puids: request ids to look for, the likeliest first.
        entity: the row's id, "" if it is not said.
        row: its place in the request.
        value: the label, as a number.
        received: when it came.
        source: who says so.
    """

    model: str
    puids: tuple[str, ...]
    entity: str
    row: int
    value: float
    received: float
    source: str


def read_labels(
    event: CloudEvent,
    schema: Schema,
    max_rows: int,
    max_depth: int,
    received: float,
    entity: Callable[[str], str] = str,
) -> list[Truth]:
    """Reads a feedback.

    The puid in its response is meant; the request id of the event may be that of the feedback itself, so an entity's
    id goes before it.

    Args:
        event: of it.
        schema: of the rows.
        max_rows, max_depth: limits of the feedback and of its JSON.
        received: when it came.
        entity: gives what an id is called where predictions are kept.

    Raises:
        RefusedError: payload or truth.
    """
    document = read_json(event, max_depth)
    try:
        values = read_feedback(document, schema.label, max_rows).truth
    except RequestError:
        raise RefusedError("truth") from None
    names = list(map(entity, _entities(document, schema, len(values))))
    said = _said_puid(document)
    puids = tuple(dict.fromkeys(puid for puid in (said, event.puid) if puid))
    return [
        Truth(event.model, () if name and not said else puids, name, row, value, received, event.sender)
        for row, (value, name) in enumerate(zip(values, names, strict=True))
    ]


def _said_puid(document: dict[str, Any]) -> str:
    meta = document.get("response", {}).get("meta")
    puid = meta.get("puid") if type(meta) is dict else None
    return puid if type(puid) is str else ""


def _entities(document: dict[str, Any], schema: Schema, rows: int) -> list[str]:
    """The entity of each row, from the truth or else from the request; "" where it is not said."""
    if schema.id is None:
        return [""] * rows
    truth, request = document.get("truth", {}), document.get("request", {})
    for message in (truth, request):
        values = _column(message, schema.id)
        if len(values) == rows and any(value is not None for value in values):
            return [entity_name(value) if type(value) in (int, float, str) else "" for value in values]
    return [""] * rows


def _column(message: dict[str, Any], name: str) -> list[Any]:
    """One column of a Seldon message by its name, empty if it has none."""
    rows = message.get("jsonData")
    if rows is not None:
        rows = [rows] if type(rows) is dict else rows
        return [row.get(name) if type(row) is dict else None for row in rows] if type(rows) is list else []
    data = message.get("data")
    names, rows = (data.get("names"), data.get("ndarray")) if type(data) is dict else (None, None)
    if type(names) is not list or name not in names or type(rows) is not list:
        return []
    place = names.index(name)
    return [row[place] if type(row) is list and len(row) > place else None for row in rows]
