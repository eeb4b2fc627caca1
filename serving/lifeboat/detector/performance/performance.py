"""How right a version is on the rows whose truth is known."""

from __future__ import annotations

import sqlite3
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lifeboat.model.calibration_error import calibration_error
from lifeboat.model.decision import Decision

# The nearest to 0 or 1 that a probability counts as: the end of a float32.
EDGE = float(np.finfo(np.float32).eps)
POINTS = 100
LATEST = "SELECT score, truth FROM labels WHERE version = ? AND counted = 1 ORDER BY id DESC LIMIT ?"


@dataclass(frozen=True)
class Performance:
    """Figures over rows with truth.

    Args:
        rows: how many.
        accuracy: share whose class, by the bundle's decision, was true.
        log_loss: mean of -log of the probability given to the truth.
        calibration_error: of `lifeboat.model.calibration_error`, as the gate has it.
    """

    rows: int
    accuracy: float
    log_loss: float
    calibration_error: float

    @classmethod
    def of(cls, scores: NDArray[np.float64], truths: NDArray[np.float64], decision: Decision) -> Performance:
        """Computes the figures.

        Args:
            scores: probability of class 1, [n], n at least 1.
            truths: 0 or 1, [n].
            decision: which class a score is.
        """
        clipped = np.clip(scores, EDGE, 1 - EDGE)
        loss = -np.mean(truths * np.log(clipped) + (1 - truths) * np.log1p(-clipped))
        right = np.mean(decision.positive(scores) == (truths == 1))
        return cls(len(scores), float(right), float(loss), calibration_error(scores, truths))


class PerformanceFigures:
    """Keeps the figures of each version up to date.

    Args:
        rows: the newest rows that count.
    """

    def __init__(self, rows: int) -> None:
        self._rows = rows
        self._since: Counter[int] = Counter()

    def update(self, connection: sqlite3.Connection, version: int, decision: Decision, joined: int, now: float) -> None:
        """Computes a version's figures; every twentieth part of the rows makes a point of its history."""
        found = connection.execute(LATEST, (version, self._rows)).fetchall()
        if not found:
            connection.execute("DELETE FROM live WHERE version = ?", (version,))
            return
        values = np.asarray(found, np.float64)
        live = Performance.of(values[:, 0], values[:, 1], decision)
        connection.execute(
            "INSERT OR REPLACE INTO live VALUES (?, ?, ?, ?, ?)",
            (version, live.rows, live.accuracy, live.log_loss, live.calibration_error),
        )
        self._since[version] += joined
        if self._since[version] >= max(1, self._rows // 20):
            self._since[version] = 0
            self._add_point(connection, version, live, now)

    @staticmethod
    def _add_point(connection: sqlite3.Connection, version: int, live: Performance, now: float) -> None:
        point = (version, now, live.accuracy, live.log_loss, live.rows)
        connection.execute(
            "INSERT INTO history (version, time, accuracy, log_loss, rows) VALUES (?, ?, ?, ?, ?)", point
        )
        connection.execute(
            "DELETE FROM history WHERE version = ?1 AND id NOT IN "
            "(SELECT id FROM history WHERE version = ?1 ORDER BY id DESC LIMIT ?2)",
            (version, POINTS),
        )
