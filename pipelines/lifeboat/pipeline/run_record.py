"""What came of a run of this machine, in its folder: while it runs a lock, afterwards a record."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lifeboat.config.errors import LifeboatError, StorageError
from lifeboat.system.files import holding_lock, is_locked, write_text

FILE, LOCK = "run.json", "run.lock"


@dataclass
class RunRecord:
    """What came of a run.

    Args:
        began, ended: in seconds since 1970.
        verdict: of the gate, as the step `evaluate` wrote it; None where it did not come to that.
        deployment: what the step `deploy` wrote; None where nothing was deployed.
        error: the sentence that ended it; empty where none did.
    """

    began: float
    ended: float = 0.0
    verdict: dict[str, Any] | None = None
    deployment: dict[str, Any] | None = None
    error: str = ""


@contextmanager
def recording(folder: Path) -> Iterator[RunRecord]:
    """Holds the run's lock for the block, and then writes its record, which the block may fill in.

    Args:
        folder: of the run; it is there.

    Raises:
        StorageError: it cannot be written.
    """
    record = RunRecord(time.time())
    with holding_lock(folder / LOCK):
        try:
            yield record
        except LifeboatError as error:
            record.error = str(error)
            raise
        except BaseException as error:
            record.error = "it was interrupted" if isinstance(error, KeyboardInterrupt) else repr(error)
            raise
        finally:
            record.ended = time.time()
            write_text(folder / FILE, json.dumps(asdict(record), indent=1) + "\n")


def is_under_way(folder: Path) -> bool:
    """Whether a run goes on in the folder."""
    return is_locked(folder / LOCK)


def read_record(folder: Path) -> RunRecord | None:
    """What came of a run; None for one that was killed, or is of an edition that kept no record.

    Raises:
        StorageError: the record cannot be read.
    """
    path = folder / FILE
    try:
        return RunRecord(**json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError) as error:
        raise StorageError(f"{path} cannot be read: {error}") from error
