"""Closed windows: their rows as the judge takes them, and what it said of them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from lifeboat.detector.windows.alarm import alarm
from lifeboat.detector.windows.window_policy import WindowPolicy
from lifeboat.usecase.schema import Schema

NEXT = """SELECT w.version, w.number, w.first, w.rows, v.model, v.version, v.digest, v.rule FROM windows w
JOIN versions v ON v.id = w.version WHERE w.state = 'waiting' ORDER BY w.closed, w.version, w.number LIMIT 1"""
ROWS = """SELECT start, rows, columns, scores FROM predictions
WHERE version = ?1 AND start < ?3 AND start + rows > ?2
AND start >= coalesce((SELECT max(start) FROM predictions WHERE version = ?1 AND start <= ?2), 0) ORDER BY start"""
BEFORE = """SELECT drift FROM windows WHERE version = ? AND number < ? AND state = 'judged'
ORDER BY number DESC LIMIT ?"""
JUDGED = """UPDATE windows SET state = 'judged', drift = ?, alarm = ?, threshold = ?, p_values = ?, verdict = ?
WHERE version = ? AND number = ?"""


@dataclass(frozen=True)
class Window:
    """A closed window.

    Args:
        id: of its version.
        number, first, rows: see `versions`.
        model, version, digest: whose it is.
        rule: of its alarm.
    """

    id: int
    number: int
    first: int
    rows: int
    model: str
    version: str
    digest: str
    window_policy: WindowPolicy


def next_window(connection: sqlite3.Connection) -> Window | None:
    """The oldest window without verdict."""
    row = connection.execute(NEXT).fetchone()
    if row is None:
        return None
    *names, rule = row
    return Window(*[*names, WindowPolicy.of_document(orjson.loads(rule))])


def read_rows(connection: sqlite3.Connection, window: Window, schema: Schema) -> tuple[dict[str, list[Any]], list[Any]]:
    """The inputs by column, None for a null, and what is kept of each row's answer."""
    columns: dict[str, list[Any]] = {name: [] for name in schema.names}
    scores: list[Any] = []
    for start, end, blob, score_blob in _pieces(connection, window.id, window.first, window.first + window.rows):
        scores += orjson.loads(score_blob)[start:end]
        for name, values in zip(columns, orjson.loads(blob), strict=False):  # the keys come behind the inputs
            columns[name] += [None if value == "" else value for value in values[start:end]]
    return columns, scores


def read_scores(connection: sqlite3.Connection, version: int, first: int, last: int) -> list[Any]:
    """What is kept of the answers to the rows from first to last, of those that are still there."""
    pieces = _pieces(connection, version, first, last)
    return [score for start, end, _, blob in pieces for score in orjson.loads(blob)[start:end]]


def _pieces(
    connection: sqlite3.Connection, version: int, first: int, last: int
) -> Iterator[tuple[int, int, bytes, bytes]]:  # fmt: skip
    """For each prediction with rows from first to last: which of its own they are, its columns and its scores."""
    for start, rows, columns, scores in connection.execute(ROWS, (version, first, last)):
        yield max(0, first - start), min(rows, last - start), columns, scores


def write_verdict(connection: sqlite3.Connection, window: Window, verdict: dict[str, Any]) -> None:
    """Keeps a verdict, and whether it makes an alarm; inside a transaction."""
    before = connection.execute(BEFORE, (window.id, window.number, window.window_policy.of - 1)).fetchall()
    drifted = [bool(drift) for (drift,) in reversed(before)] + [bool(verdict["drift"])]
    alarmed = alarm(drifted, window.window_policy.alarms, window.window_policy.of)
    p_values = {feature["name"]: feature["p_value"] for feature in verdict["features"]}
    dumped = orjson.dumps(p_values), orjson.dumps(verdict)
    connection.execute(JUDGED, (drifted[-1], alarmed, verdict["threshold"], *dumped, window.id, window.number))


def write_failure(connection: sqlite3.Connection, window: Window, reason: str) -> None:
    """Keeps why a window could not be judged; inside a transaction."""
    connection.execute(
        "UPDATE windows SET state = 'failed', reason = ? WHERE version = ? AND number = ?",
        (reason[:1000], window.id, window.number),
    )
