"""How right a version is on the rows whose truth is known."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from lifeboat.detector.performance.packed_answers import unpack
from lifeboat.detector.windows.window_policy import WindowPolicy

POINTS = 100
LATEST = "SELECT score, truth FROM labels WHERE version = ? AND counted = 1 ORDER BY id DESC LIMIT ?"
# As the page and Prometheus have it.
NAMES = {"ece": "calibration_error"}


def live_figures(kept: Sequence[Any], truths: Sequence[float], policy: WindowPolicy) -> dict[str, float]:
    """The live figures of a task, as the gate computes them; without those that these rows cannot tell.

    Args:
        kept: what is kept of each row's answer, n at least 1.
        truths: of the same rows, [n].
        policy: says what the answers are.
    """
    task = policy.task
    answers = task.answers_of(np.asarray(kept, dtype=np.float64))
    scored = task.score(np.asarray(truths).astype(task.label.dtype), answers, policy.answers_decision)
    values = dict(zip((metric.name for metric in task.metrics), scored.figures().tolist(), strict=True))
    return {NAMES.get(name, name): values[name] for name in task.live if not np.isnan(values[name])}


class PerformanceFigures:
    """Keeps the figures of each version up to date.

    Args:
        rows: the newest rows that count.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._since: Counter[int] = Counter()

    def update(
        self, connection: sqlite3.Connection, version: int, policy: WindowPolicy, joined: int, now: float
    ) -> None:
        """Computes a version's figures; every twentieth part of the rows makes a point of its history."""
        found = connection.execute(LATEST, (version, self._rows)).fetchall()
        if not found:
            connection.execute("DELETE FROM live WHERE version = ?", (version,))
            return
        kept = [unpack(score) for score, _ in found]
        figures = orjson.dumps(live_figures(kept, [truth for _, truth in found], policy)).decode()
        connection.execute("INSERT OR REPLACE INTO live VALUES (?, ?, ?)", (version, len(found), figures))
        self._since[version] += joined
        if self._since[version] >= max(1, self._rows // 20):
            self._since[version] = 0
            self._add_point(connection, version, len(found), figures, now)

    @staticmethod
    def _add_point(connection: sqlite3.Connection, version: int, rows: int, figures: str, now: float) -> None:
        point = (version, now, rows, figures)
        connection.execute("INSERT INTO history (version, time, rows, figures) VALUES (?, ?, ?, ?)", point)
        connection.execute(
            "DELETE FROM history WHERE version = ?1 AND id NOT IN "
            "(SELECT id FROM history WHERE version = ?1 ORDER BY id DESC LIMIT ?2)",
            (version, POINTS),
        )
