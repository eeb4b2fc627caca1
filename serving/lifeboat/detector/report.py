"""How everything stands, read from the database: what `GET /drift` says and what the metrics are made of."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson

from lifeboat.detector.counters import read_counters, read_sources
from lifeboat.detector.performance.labels import MEANINGS
from lifeboat.detector.performance.performance import NAMES
from lifeboat.detector.windows.window_policy import WindowPolicy
from lifeboat.usecase.sample_size import LIVE_ROWS

SHOWN = 100
# Those that have closed a window, then those that have brought most: names of versions can be invented.
VERSIONS = """SELECT * FROM (SELECT id, model, version, digest, rule, total, first, opened, last FROM versions
ORDER BY number > 1 DESC, total DESC, id LIMIT ?) ORDER BY model, last"""
WINDOWS = """SELECT number, opened, closed, rows, drift, alarm, state, reason, threshold, p_values FROM windows
WHERE version = ? ORDER BY number DESC LIMIT ?"""
# What becomes of a closed window.
STATES = ("judged", "failed", "skipped")
LATEST = """SELECT number, verdict FROM windows WHERE version = ? AND state = 'judged' ORDER BY number DESC LIMIT 1"""


@dataclass(frozen=True)
class Now:
    """What is not in the database.

    Args:
        waiting: events acknowledged and not folded in.
        judge, reason: its state.
        problems: why bundles are missing, or the database fails.
        up: whether the database can be written.
        broken: databases that were put aside.
        conflicts: truths that contradict the table or one another, by use case.
        oldest: of which day the oldest labelled row is, by use case.
    """

    waiting: int
    judge: str
    reason: str
    problems: list[str]
    up: bool
    broken: int
    conflicts: dict[str, int]
    oldest: dict[str, float]


class Report:
    """Reads on a connection of its own.

    Args:
        connection: to read with.
        active_seconds: after which a version that is not heard of is inactive.
        limit: of the versions that are shown.
        now: gives what is not in the database.
    """

    def __init__(
        self, connection: sqlite3.Connection, active_seconds: float, limit: int, now: Callable[[], Now]
    ) -> None:
        self._connection, self._active_seconds, self._limit, self._now = connection, active_seconds, limit, now

    def read(self) -> dict[str, Any]:
        """Everything, of one moment."""
        moment, now = time.time(), self._now()
        self._connection.execute("BEGIN")
        try:
            counters = read_counters(self._connection)
            truths = self._connection.execute("SELECT count(*) FROM truths").fetchone()[0]
            held = self._connection.execute("SELECT coalesce(sum(count), 0) FROM held").fetchone()[0]
            models = self._models(moment, counters)
            first = self._connection.execute("SELECT received FROM predictions ORDER BY id LIMIT 1").fetchone()
        finally:
            self._connection.execute("COMMIT")
        feedback = {meaning: counters.get(f"truth:{meaning}", 0) for meaning in MEANINGS}
        return {
            "models": models,
            "events": {**_events(counters), "waiting": now.waiting, "held": held},
            "feedback": {**feedback, "waiting": truths, "exported": counters.get("exported", 0)},
            "sources": dict(read_sources(counters).most_common(SHOWN)),
            "judge": {"state": now.judge, "reason": now.reason},
            "problems": now.problems,
            "storage": {"up": now.up, "broken": now.broken},
            "conflicts": now.conflicts,
            "held_since": {"predictions": first and first[0], "labelled_rows": now.oldest},
            "time": moment,
        }

    def counters(self) -> dict[str, int]:
        """All counts by name."""
        return read_counters(self._connection)

    def _models(self, moment: float, counters: dict[str, int]) -> list[dict[str, Any]]:
        rows = self._connection.execute(VERSIONS, (self._limit,)).fetchall()
        # Of two bundles under one version the newer one counts.
        newest = {(model, version): id_ for id_, model, version, *_ in rows}
        models = []
        for row in rows:
            id_, active = row[0], newest[row[1], row[2]] == row[0] and moment - row[-1] < self._active_seconds
            judgements = {state: counters.get(f"windows:{id_}:{state}", 0) for state in STATES}
            models.append({**self._model(*[*row, active]), "judgements": judgements})
        return models

    def _model(
        self, id_: int, model: str, version: str, digest: str, text: bytes, total: int, first: int,
        opened: float | None, last: float, active: bool,
    ) -> dict[str, Any]:  # fmt: skip
        window_policy = WindowPolicy.of_document(orjson.loads(text))
        windows = [_window(*row) for row in self._connection.execute(WINDOWS, (id_, SHOWN))][::-1]
        judged = [window for window in windows if window["state"] == "judged"]
        closes = None if opened is None else opened + window_policy.seconds
        return {
            "model": model, "version": version, "digest": digest, "active": active, "last": last,
            "alarm": bool(judged) and judged[-1]["alarm"], "alarms": window_policy.alarms, "of": window_policy.of,
            "rows": total,
            "window": {"rows": total - first, "of": window_policy.window, "opened": opened, "closes": closes},
            "windows": windows,
            "latest": self._latest(id_),
            "online": self._online(id_, window_policy),
            "live": self._performance(id_, window_policy),
            "history": self._history(id_),
        }  # fmt: skip

    def _latest(self, id_: int) -> dict[str, Any] | None:
        row = self._connection.execute(LATEST, (id_,)).fetchone()
        return None if row is None else {**orjson.loads(row[1]), "number": row[0]}

    def _online(self, id_: int, window_policy: WindowPolicy) -> dict[str, Any] | None:
        """An alarm of the online detector stands for as many rows as a window has."""
        if not window_policy.online:
            return None
        row = self._connection.execute("SELECT rows, alarmed FROM online WHERE version = ?", (id_,)).fetchone()
        rows, alarmed = row or (0, None)
        return {"alarm": alarmed is not None and rows - alarmed < window_policy.window, "rows": rows}

    def _performance(self, id_: int, window_policy: WindowPolicy) -> dict[str, Any]:
        """The figures with their titles, the bound of the first of them, and the rows from which on they count."""
        task = window_policy.task
        metrics = [task.metric(name) for name in task.live]
        row = self._connection.execute("SELECT rows, figures FROM live WHERE version = ?", (id_,)).fetchone()
        rows, figures = (row[0], orjson.loads(row[1])) if row else (0, {})
        names = {NAMES.get(metric.name, metric.name): metric for metric in metrics}
        described = [
            {"name": name, "title": metric.title, "higher_is_better": metric.higher_is_better}
            for name, metric in names.items()
        ]
        values = {name: figures.get(name) for name in names}
        return {"rows": rows, **values, "figures": described, "bound": window_policy.bound, "needed": LIVE_ROWS}

    def _history(self, id_: int) -> list[dict[str, Any]]:
        rows = self._connection.execute(
            "SELECT time, rows, figures FROM history WHERE version = ? ORDER BY id DESC LIMIT ?", (id_, SHOWN)
        )
        return [{"time": at, "rows": count, **orjson.loads(figures)} for at, count, figures in rows][::-1]


def _window(
    number: int, opened: float, closed: float, rows: int, drift: int | None, alarm: int | None, state: str,
    reason: str | None, threshold: float | None, p_values: bytes | None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "number": number, "opened": opened, "closed": closed, "rows": rows, "drift": bool(drift), "alarm": bool(alarm),
        "state": state, "reason": reason or "", "threshold": threshold,
        "p_values": orjson.loads(p_values) if p_values else {},
    }  # fmt: skip


def _events(counters: dict[str, int]) -> dict[str, Any]:
    prefix = "refused:"
    return {
        "accepted": sum(number for name, number in counters.items() if name.startswith("events:")),
        "duplicates": counters.get("duplicates", 0),
        "refused": {name[len(prefix) :]: number for name, number in counters.items() if name.startswith(prefix)},
        "last": counters.get("last"),
    }
