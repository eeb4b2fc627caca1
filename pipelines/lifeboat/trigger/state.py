"""Requests and runs on disk: what decides whether another run may start, and survives the trigger.

A run is `recorded` before it is started, then `running`, then `succeeded`, `failed` or `interrupted`. An alert's key is
done while a run for it is recorded or running, or once one succeeded; else it is open, and the alert may ask again.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from lifeboat.config.errors import SettingsError

VERSION = 1
KEPT_REQUESTS, SHOWN = 1000, 100
DAY = 86_400.0
RECORDED, RUNNING, SUCCEEDED, FAILED, INTERRUPTED = "recorded", "running", "succeeded", "failed", "interrupted"
SCHEMA = """
CREATE TABLE runs (
    id TEXT PRIMARY KEY, source TEXT NOT NULL, reason TEXT NOT NULL, backend TEXT NOT NULL, recorded REAL NOT NULL,
    state TEXT NOT NULL, result TEXT NOT NULL, why TEXT NOT NULL, handle TEXT NOT NULL, place TEXT NOT NULL,
    started REAL, ended REAL) STRICT;
CREATE UNIQUE INDEX one_at_a_time ON runs ((1)) WHERE state IN ('recorded', 'running');
CREATE INDEX starts ON runs (started);
CREATE TABLE keys (
    group_key TEXT NOT NULL, starts_at TEXT NOT NULL, run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    PRIMARY KEY (group_key, starts_at, run)) STRICT;
CREATE TABLE requests (
    number INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, source TEXT NOT NULL, reason TEXT NOT NULL,
    alerts TEXT NOT NULL, result TEXT NOT NULL, why TEXT NOT NULL, run TEXT) STRICT;
CREATE TABLE schedule (anchor REAL NOT NULL) STRICT;
"""


@dataclass(frozen=True)
class RetrainRequest:
    """What asks for a retraining.

    Args:
        source: alert, person or schedule.
        reason: goes to the pipeline.
        keys: group and start of the alerts behind it; empty where no alert asks.
        now: whether the cool-down does not hold.
    """

    source: str
    reason: str
    keys: tuple[tuple[str, str], ...] = ()
    now: bool = False


@dataclass(frozen=True)
class Run:
    """A run.

    Args:
        handle: the process id, or Kubeflow's run id.
        place: path of the log, or URL of the page.
        recorded, started, ended: seconds since 1970.
    """

    id: str
    source: str
    reason: str
    backend: str
    recorded: float
    state: str = RECORDED
    result: str = ""
    why: str = ""
    handle: str = ""
    place: str = ""
    started: float | None = None
    ended: float | None = None


class TriggerState:
    """The database; made if missing.

    Args:
        path: of the SQLite file.

    Raises:
        SettingsError: the file cannot be opened or is another program's.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=5.0, isolation_level=None, check_same_thread=False)
            self._db.row_factory = sqlite3.Row
            # A start that was recorded is on disk before the run goes, also where the power fails.
            self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
            self._set_up(path)
        except (OSError, sqlite3.Error) as error:
            raise SettingsError(f"{path} cannot be used as the trigger's state: {error}") from error

    def _set_up(self, path: Path) -> None:
        with self.transaction():
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, VERSION):
                raise SettingsError(f"{path} is of version {version}, this reads {VERSION}")
            if version == 0:
                for statement in SCHEMA.split(";\n"):
                    self._db.execute(statement)
                self._db.execute(f"PRAGMA user_version = {VERSION}")

    def close(self) -> None:
        with self._lock:
            self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All that happens in the block is written, or nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def open_run(self) -> Run | None:
        """The run that is recorded or running; there is never a second."""
        return self._run("state IN ('recorded', 'running')")

    def serving(self, key: tuple[str, str]) -> Run | None:
        """The run that makes an alert's key done, if one does."""
        chosen = "SELECT run FROM keys WHERE group_key = ? AND starts_at = ?"
        return self._run(f"id IN ({chosen}) AND state IN ('recorded', 'running', 'succeeded')", *key)

    def last_start(self) -> float | None:
        return self._number("SELECT max(started) FROM runs")

    def last_success(self) -> float | None:
        return self._number("SELECT max(ended) FROM runs WHERE state = 'succeeded'")

    def starts_of_the_day(self, now: float) -> list[float]:
        """Starts within the last 24 hours, oldest first; a clock that was wrong for a while does no harm for ever."""
        rows = self._rows("SELECT started FROM runs WHERE abs(started - ?) < ? ORDER BY started", now, DAY)
        return [row["started"] for row in rows]

    def record(self, run: Run, keys: Sequence[tuple[str, str]]) -> None:
        """Adds a run and the alerts it answers."""
        names = [spec.name for spec in fields(Run)]
        marks = ", ".join("?" * len(names))
        with self._lock:
            self._db.execute(f"INSERT INTO runs ({', '.join(names)}) VALUES ({marks})", list(asdict(run).values()))  # noqa: S608
            self._db.executemany("INSERT INTO keys VALUES (?, ?, ?)", [(*key, run.id) for key in keys])

    def change(self, run: Run) -> None:
        """Writes what became of a run."""
        columns = "state = ?, result = ?, why = ?, handle = ?, place = ?, started = ?, ended = ?"
        with self.transaction():
            self._db.execute(
                f"UPDATE runs SET {columns} WHERE id = ?",  # noqa: S608
                (run.state, run.result, run.why, run.handle, run.place, run.started, run.ended, run.id),
            )

    def note(self, time: float, asked: RetrainRequest, result: str, why: str, run: str | None) -> None:
        """Adds a request, and lets go of old ones."""
        with self._lock:
            self._db.execute(
                "INSERT INTO requests (time, source, reason, alerts, result, why, run) VALUES (?, ?, ?, ?, ?, ?, ?)",
                (time, asked.source, asked.reason, json.dumps(asked.keys), result, why, run),
            )
            self._db.execute(
                "DELETE FROM requests WHERE number <= (SELECT max(number) FROM requests) - ?", (KEPT_REQUESTS,)
            )

    def take_back(self, run: Run, why: str, *, gone: bool) -> None:
        """Turns the request of a run that did not start into a failed one.

        Args:
            run: as recorded.
            why: it did not start.
            gone: whether it is certain that it never will; else it stays recorded, to be looked for.
        """
        with self.transaction():
            self._db.execute("UPDATE requests SET result = 'failed', why = ? WHERE run = ?", (why, run.id))
            if gone:
                self._db.execute("UPDATE requests SET run = NULL WHERE run = ?", (run.id,))
                self._db.execute("DELETE FROM runs WHERE id = ?", (run.id,))

    def scheduled_since(self, now: float) -> float:
        """What the schedule counts from: the last start of any run, or when the schedule was first asked for."""
        with self.transaction():
            self._db.execute("INSERT INTO schedule SELECT ? WHERE NOT EXISTS (SELECT 1 FROM schedule)", (now,))
            anchor = self._db.execute("SELECT anchor FROM schedule").fetchone()[0]
        return max(float(anchor), self.last_start() or 0.0)

    def runs(self) -> list[dict[str, Any]]:
        """The last runs, newest last."""
        rows = self._rows("SELECT * FROM runs ORDER BY recorded DESC LIMIT ?", SHOWN)
        return [dict(row) for row in reversed(rows)]

    def requests(self) -> list[dict[str, Any]]:
        """The last requests, newest last."""
        rows = self._rows("SELECT * FROM requests ORDER BY number DESC LIMIT ?", SHOWN)
        named = [
            [{"group_key": group, "starts_at": start} for group, start in json.loads(row["alerts"])] for row in rows
        ]
        return [{**dict(row), "alerts": alerts} for row, alerts in zip(reversed(rows), reversed(named), strict=True)]

    def _run(self, condition: str, *values: object) -> Run | None:
        rows = self._rows(f"SELECT * FROM runs WHERE {condition} ORDER BY recorded DESC LIMIT 1", *values)  # noqa: S608
        return Run(**dict(rows[0])) if rows else None

    def _number(self, query: str) -> float | None:
        value: float | None = self._rows(query)[0][0]
        return value

    def _rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        with self._lock:
            return self._db.execute(query, values).fetchall()
