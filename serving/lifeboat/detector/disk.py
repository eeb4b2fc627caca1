"""What is done about a disk that is full and about a file that is no database: the detector stays up and says so."""

from __future__ import annotations

import os
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from lifeboat.config.errors import LifeboatError

# With so much room the disk counts as writable again: a database takes pages a few at a time.
ROOM = 256 * 1024
SIDES = "", "-wal", "-shm"


class DiskError(LifeboatError):
    """The database cannot be opened now, and may be later."""


def is_broken(error: sqlite3.Error) -> bool:
    """Whether the file itself is no database, or damaged."""
    return _code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def is_disk(error: sqlite3.Error, path: Path) -> bool:
    """Whether the disk failed or is full; a full one may also say that it cannot open a file."""
    code = _code(error)
    failed = code in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)
    return failed or (code == sqlite3.SQLITE_CANTOPEN and os.access(path.parent, os.W_OK) and not has_room(path))


def is_busy(error: sqlite3.Error) -> bool:
    """Whether another transaction was in the way, which says nothing of the disk."""
    return _code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def has_room(path: Path) -> bool:
    """Whether something can be written beside a file; a quota or another limit counts as well as a full disk."""
    probe = path.with_name(f"{path.name}.room")
    try:
        with probe.open("wb") as file:
            file.write(bytes(ROOM))
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return False
    finally:
        probe.unlink(missing_ok=True)
    return True


def put_aside(path: Path) -> Path:
    """Gives a broken database, with what SQLite keeps beside it, another name; nothing is deleted."""
    moment = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    kept = path.with_name(f"{path.name}.broken-{moment}")
    for side in SIDES:
        beside = path.with_name(path.name + side)
        if beside.exists():
            beside.replace(kept.with_name(kept.name + side))
    return kept


def broken_files(path: Path) -> list[str]:
    """The names of the databases that were put aside, oldest first."""
    found = path.parent.glob(f"{path.name}.broken-*Z")
    return sorted(file.name for file in found)


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary code; 0 for what did not come from SQLite."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF
