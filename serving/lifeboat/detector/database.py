"""The SQLite file: its tables, its connections, and one writer at a time.

The intake commits with `synchronous=FULL`: what it acknowledges is on the disk. Everything else commits with NORMAL: a
loss of power may undo the latest of it, and then the events it was made from are in the inbox again, since they left
it in the same transaction.
"""

from __future__ import annotations

import errno
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from lifeboat.config.errors import SettingsError
from lifeboat.detector.disk import DiskError, broken_files, has_room, is_broken, is_busy, is_disk, put_aside
from lifeboat.system import log
from lifeboat.system.files import take_lock

FORMAT = 4
LOCK_SECONDS, LOOK_SECONDS = 5.0, 1.0
# Bytes of a file that is read through at the start, for a second or so; a larger one is found broken where it is read.
CHECKED = 256 << 20
# One word of each source on a row; `counted` is the one in the live figures.
LABELS = """CREATE TABLE labels (
    id INTEGER PRIMARY KEY AUTOINCREMENT, prediction INTEGER, row INTEGER, version INTEGER, score REAL, truth INTEGER,
    labelled REAL, source TEXT, counted INTEGER, exported INTEGER DEFAULT 0, UNIQUE (prediction, row, source));
CREATE INDEX labels_version ON labels (version, id);
CREATE INDEX labels_pending ON labels (id) WHERE exported = 0;"""
# Figures by name, as JSON: which there are, the kind of label says.
LIVE = """CREATE TABLE live (version INTEGER PRIMARY KEY, rows INTEGER, figures TEXT);
CREATE TABLE history (id INTEGER PRIMARY KEY, version INTEGER, time REAL, rows INTEGER, figures TEXT);"""
# Predictions that came together, as JSON column by column; and what each of their requests is called.
PREDICTIONS = """CREATE TABLE predictions (
    id INTEGER PRIMARY KEY AUTOINCREMENT, version INTEGER, start INTEGER, rows INTEGER, received REAL, requests TEXT,
    columns BLOB, scores BLOB);
CREATE INDEX predictions_start ON predictions (version, start);
CREATE TABLE names (
    name TEXT, prediction INTEGER, first INTEGER, rows INTEGER, version INTEGER, alias INTEGER,
    PRIMARY KEY (name, prediction, first)) WITHOUT ROWID;"""
TABLES = f"""
CREATE TABLE inbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT, received REAL, mode TEXT, events INTEGER, head BLOB, body BLOB);
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
CREATE TABLE ids (block INTEGER PRIMARY KEY, digests BLOB);
CREATE TABLE halves (
    id INTEGER PRIMARY KEY, received REAL, side TEXT, puid TEXT, model TEXT, version TEXT, event BLOB);
CREATE TABLE held (
    id INTEGER PRIMARY KEY, received REAL, model TEXT, usecase TEXT, digest TEXT, first BLOB, second BLOB,
    count INTEGER NOT NULL DEFAULT 1);
CREATE TABLE versions (
    id INTEGER PRIMARY KEY, model TEXT, version TEXT, digest TEXT, rule TEXT, total INTEGER, first INTEGER,
    number INTEGER, opened REAL, last REAL, UNIQUE (model, version, digest));
{PREDICTIONS}
CREATE TABLE entities (
    model TEXT, entity TEXT, prediction INTEGER, row INTEGER, PRIMARY KEY (model, entity)) WITHOUT ROWID;
CREATE INDEX entities_prediction ON entities (prediction);
CREATE TABLE windows (
    version INTEGER, number INTEGER, first INTEGER, rows INTEGER, opened REAL, closed REAL, state TEXT, reason TEXT,
    drift INTEGER, alarm INTEGER, threshold REAL, p_values TEXT, verdict TEXT, replied INTEGER DEFAULT 0,
    PRIMARY KEY (version, number));
CREATE INDEX windows_waiting ON windows (closed) WHERE state = 'waiting';
{LABELS}
CREATE TABLE truths (
    id INTEGER PRIMARY KEY, received REAL, model TEXT, kind TEXT, name TEXT, row INTEGER, truth INTEGER,
    source TEXT NOT NULL DEFAULT 'anonymous');
CREATE INDEX truths_name ON truths (name);
CREATE INDEX truths_source ON truths (source, id);
CREATE TABLE gone (id INTEGER PRIMARY KEY, hashes BLOB);
CREATE TABLE online (version INTEGER PRIMARY KEY, rows INTEGER, alarmed INTEGER);
{LIVE}
"""
# Of format 1, where a row had one truth, and nobody asked whose.
TO_2 = f"""
ALTER TABLE predictions ADD COLUMN alias TEXT NOT NULL DEFAULT '';
CREATE INDEX predictions_alias ON predictions (alias) WHERE alias != '';
ALTER TABLE truths ADD COLUMN source TEXT NOT NULL DEFAULT 'anonymous';
CREATE INDEX truths_name ON truths (name);
CREATE INDEX truths_source ON truths (source, id);
DROP INDEX labels_version;
DROP INDEX labels_pending;
ALTER TABLE labels RENAME TO labels_1;
{LABELS}
INSERT INTO labels
SELECT id, prediction, row, version, score, truth, labelled, 'anonymous', 1, exported FROM labels_1;
DROP TABLE labels_1;
"""  # noqa: S608  # our own table
# Of format 2, where every label had two classes.
TO_3 = f"""
ALTER TABLE live RENAME TO live_2;
ALTER TABLE history RENAME TO history_2;
{LIVE}
INSERT INTO live SELECT version, rows,
    json_object('accuracy', accuracy, 'log_loss', log_loss, 'calibration_error', calibration_error) FROM live_2;
INSERT INTO history SELECT id, version, time, rows, json_object('accuracy', accuracy, 'log_loss', log_loss)
    FROM history_2;
DROP TABLE live_2;
DROP TABLE history_2;
"""  # noqa: S608  # our own tables
# Of format 3, where each prediction was a row. An id is never given twice: labels of predictions that went stay.
TO_4 = f"""
ALTER TABLE held ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
DROP INDEX predictions_start;
DROP INDEX predictions_puid;
DROP INDEX predictions_alias;
ALTER TABLE predictions RENAME TO predictions_3;
{PREDICTIONS}
INSERT INTO predictions SELECT id, version, start, rows, received, json_object('ids', json_array(puid),
    'aliases', json_array(alias), 'times', json_array(time), 'rows', json_array(rows)), columns, scores
    FROM predictions_3;
INSERT INTO names SELECT puid, id, 0, rows, version, 0 FROM predictions_3;
INSERT INTO names SELECT alias, id, 0, rows, version, 1 FROM predictions_3 WHERE alias NOT IN ('', puid);
DELETE FROM sqlite_sequence WHERE name = 'predictions';
UPDATE sqlite_sequence SET name = 'predictions' WHERE name = 'predictions_3';
DROP TABLE predictions_3;
"""  # noqa: S608  # our own tables
# What brings a file of each format to the next.
STEPS = {1: TO_2, 2: TO_3, 3: TO_4}


class Database:
    """The file, locked for this process. A broken one is put aside, and a new one begun.

    Args:
        path: of the SQLite file; made with its directory if it is missing.

    Raises:
        SettingsError: it cannot be opened, is of another format or belongs to another process.
        DiskError: the disk is full or fails.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        # Why it cannot be written, "" while it can; and which broken ones were put aside, ever.
        self.problem, self._asked = "", 0.0
        self._lock, self._writing = _locked(self.path), threading.Lock()
        try:
            self._open()
        except BaseException:
            self.close()
            raise
        self.broken = broken_files(self.path)

    def connect(self, durable: bool = False) -> sqlite3.Connection:
        """A connection of its own, for one thread at a time.

        Args:
            durable: whether what it commits has to survive a loss of power at once.
        """
        connection = sqlite3.connect(self.path, timeout=60, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA synchronous = {'FULL' if durable else 'NORMAL'}")
        connection.execute("PRAGMA secure_delete = OFF")
        connection.execute("PRAGMA cache_size = -16384")
        return connection

    @contextmanager
    def writing(self, connection: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
        """A transaction, alone; undone if the block fails."""
        with self._writing:
            try:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
                connection.execute("COMMIT")
            except BaseException as error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    self.note(error)
                raise

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Keeps everybody else from writing, outside of a transaction."""
        with self._writing:
            yield

    def note(self, error: sqlite3.Error) -> None:
        """Remembers why the file fails."""
        if is_broken(error):
            self.problem = f"{self.path.name} is broken: {error}; the next start puts it aside"
        elif isinstance(error, sqlite3.OperationalError) and not is_busy(error):
            self.problem = f"{self.path.name} cannot be written: {error}"

    def look_again(self) -> None:
        """Forgets a problem once the disk has room; what is written next says whether that is all."""
        if self.problem and time.monotonic() - self._asked >= LOOK_SECONDS:
            self._asked = time.monotonic()
            if "broken" not in self.problem and has_room(self.path):
                self.problem = ""

    def shrink(self, connection: sqlite3.Connection, pages: int) -> None:
        """Gives free pages back to the file system; outside of a transaction."""
        with self.alone():
            # Not `execute`, which takes one step: each step gives back one page.
            connection.executescript(f"PRAGMA incremental_vacuum({pages})")

    def close(self) -> None:
        """Lets go of the file."""
        self._lock.close()

    def _open(self) -> None:
        try:
            try:
                self._prepare()
            except sqlite3.DatabaseError as error:
                if not is_broken(error):
                    raise
                log.error(f"database {self.path} is broken: {error}; begun anew", kept=put_aside(self.path).name)
                self._prepare()
        except sqlite3.Error as error:
            if is_disk(error, self.path):
                raise DiskError(f"database {self.path} cannot be opened: {error}") from error
            reason = "it is a directory" if self.path.is_dir() else error
            raise SettingsError(f"database {self.path} cannot be used: {reason}") from error

    def _prepare(self) -> None:
        connection = self.connect()
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of a new file only
            connection.execute("PRAGMA journal_mode = WAL")
            found = connection.execute("PRAGMA user_version").fetchone()[0]
            if not found:
                connection.executescript(f"BEGIN; {TABLES} PRAGMA user_version = {FORMAT}; COMMIT;")
            elif found in STEPS:
                steps = "".join(STEPS[one] for one in range(found, FORMAT))
                connection.executescript(f"BEGIN; {steps} PRAGMA user_version = {FORMAT}; COMMIT;")
            elif found != FORMAT:
                raise SettingsError(f"database {self.path} has format {found}, this detector has format {FORMAT}")
            if self.path.stat().st_size <= CHECKED:
                found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
                if found != "ok":
                    raise _damaged(found)
        finally:
            connection.close()


def _damaged(reason: str) -> sqlite3.DatabaseError:
    """As SQLite would raise it on reading the damaged page."""
    error = sqlite3.DatabaseError(reason.splitlines()[0])
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def _locked(path: Path) -> TextIO:
    """A lock that ends with the process, however it ends: two detectors on one file would count twice."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.with_name(f"{path.name}.lock").open("w")
    except OSError as error:
        kind = DiskError if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO) else SettingsError
        raise kind(f"database {path} cannot be written: {error.strerror}") from error
    if not take_lock(file.fileno(), LOCK_SECONDS):
        file.close()
        raise SettingsError(f"database {path} is in use by another detector")
    return file
