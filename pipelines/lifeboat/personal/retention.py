"""What a home and its store keep of rows, since when, and what its settings say is too old."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lifeboat.config.errors import first_line
from lifeboat.config.settings import Settings
from lifeboat.data.labelled.erasing import erase_rows
from lifeboat.data.labelled.hidden_columns import LABELLED_AT, PUID, ROW
from lifeboat.data.labelled.labelled_rows import FOLDER, day_of, part_keys
from lifeboat.personal.run_files import QUARANTINE, bundle_digest, row_files
from lifeboat.pipeline.run_record import is_under_way
from lifeboat.registry.registry import Registry
from lifeboat.registry.storage import Storage, open_storage
from lifeboat.ui.runs import LOOPS, RUNS, count_runs, list_loops, list_runs

DAY = 86_400.0
LABELLED, QUARANTINES, DEMONSTRATIONS = "labelled rows", "quarantine files", "demonstrations"


@dataclass(frozen=True)
class Held:
    """One kind of what is kept.

    Args:
        what: of the three above, with the use case of labelled rows, or runs.
        number: of files or folders.
        since: when the oldest of them is of, in seconds since 1970; None where there is none.
        days: that they are kept; 0 for ever.
        due: how many files or folders are older, or may have rows that are.
        spared: older ones that are kept all the same: of what serves or served before, or of a run under way.
    """

    what: str
    number: int
    since: float | None
    days: int
    due: int
    spared: int = 0


def held(settings: Settings, now: float) -> list[Held]:
    """What is kept.

    Raises:
        StorageError: the store cannot be read.
        RegistryError: the registry cannot.
    """
    storage = open_storage(settings.bundle_store, settings.s3)
    found = [
        _held(f"{LABELLED} of {usecase}", days, settings.keep_labelled_days, now)
        for usecase, days in _days(storage).items()
    ]
    found.append(_held(QUARANTINES, _quarantines(settings), settings.keep_quarantine_days, now))
    for what, folders in _folders(settings).items():
        found.append(_held(what, folders, settings.keep_runs_days, now, _spared(settings, folders)))
    return found


def apply(settings: Settings, now: float, say: Callable[[str], None]) -> None:
    """Removes what the settings say is too old.

    Args:
        settings: how long each kind is kept.
        now: in seconds since 1970.
        say: told what was removed, a line each.

    Raises:
        StorageError: something cannot be removed; what went before it is gone.
        RegistryError: the registry does not say what serves.
    """
    if settings.keep_labelled_days:
        _remove_labelled(settings, now - settings.keep_labelled_days * DAY, say)
    if settings.keep_quarantine_days:
        before = now - settings.keep_quarantine_days * DAY
        for path in (path for path, at in _quarantines(settings).items() if at < before):
            path.unlink()
            say(f"removed {path}")
    if settings.keep_runs_days:
        before = now - settings.keep_runs_days * DAY
        for what, folders in _folders(settings).items():
            spared = _spared(settings, folders)
            for path in (path for path, at in folders.items() if at < before and path not in spared):
                shutil.rmtree(path)
                say(f"removed of the {what} {path.name}")


def _remove_labelled(settings: Settings, before: float, say: Callable[[str], None]) -> None:
    storage = open_storage(settings.bundle_store, settings.s3)
    for usecase, days in _days(storage).items():
        # The date of a part is that of one of its rows.
        old = [key for key, at in days.items() if at < before]
        # All words about a prediction go together: without the one that came first another's would stand.
        young = _younger(storage, [key for key, at in days.items() if at >= before - DAY], before, say)
        erased = erase_rows(storage, usecase, partial(_old, before=before, young=young), keys=old)
        say(f"removed {erased.rows:,} labelled rows of {usecase}, whose truth came before {_day(before)}")
        for key, reason in erased.unread.items():
            say(f"left {key}: {reason}")


def _younger(storage: Storage, keys: list[str], before: float, say: Callable[[str], None]) -> set[tuple[str, int]]:
    """The rows, by request and place in it, about which a truth came since."""
    found: set[tuple[str, int]] = set()
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder:
        path = Path(folder) / "part.parquet"
        for key in keys:
            storage.download(key, path)
            try:
                rows = pq.read_table(path, columns=[PUID, ROW, LABELLED_AT])
            except (pa.ArrowInvalid, OSError) as error:  # nor does a run find a word in it
                say(f"left {key}: {first_line(error)}")
                continue
            recent = rows.filter(pc.greater_equal(rows.column(LABELLED_AT), before))
            found |= set(zip(recent.column(PUID).to_pylist(), recent.column(ROW).to_pylist(), strict=True))
    return found


def _old(rows: pa.Table, *, before: float, young: set[tuple[str, int]]) -> NDArray[np.bool_]:
    names = zip(rows.column(PUID).to_pylist(), rows.column(ROW).to_pylist(), strict=True)
    kept = np.fromiter((name in young for name in names), dtype=bool, count=rows.num_rows)
    return np.asarray(np.less(rows.column(LABELLED_AT).to_numpy(), before) & ~kept)


def _days(storage: Storage) -> dict[str, dict[str, float]]:
    """Of each use case with labelled rows its parts, with the begin of their day."""
    usecases = sorted({key.split("/")[1] for key in storage.keys(f"{FOLDER}/")})
    return {usecase: {key: day_of(key) for key in part_keys(storage, usecase)} for usecase in usecases}


def _quarantines(settings: Settings) -> dict[Path, float]:
    """The files of broken rows of runs that are over, and when each was written."""
    files = (file for file in row_files(settings.home_path) if file.kind == QUARANTINE and not is_under_way(file.run))
    return {file.path: file.path.stat().st_mtime for file in files}


def _folders(settings: Settings) -> dict[str, dict[Path, float]]:
    home = settings.home_path
    runs = {home / RUNS / run.folder: run.began for run in list_runs(home, count_runs(home))}
    loops = {home / LOOPS / name: began for name, _, began in list_loops(home, 1 << 30)}
    return {RUNS: runs, DEMONSTRATIONS: loops}


def _spared(settings: Settings, folders: dict[Path, float]) -> set[Path]:
    """Those of what serves and of what would be rolled back to, whose pages others lead to; and those under way."""
    usecases = {run.usecase for run in list_runs(settings.home_path, count_runs(settings.home_path))}
    serving = {digest for name in usecases for digest in _champions(settings, name)}
    return {path for path in folders if is_under_way(path) or bundle_digest(path) in serving}


def _champions(settings: Settings, usecase: str) -> Iterator[str]:
    overview = Registry(settings).overview(usecase)
    return (one.digest for one in (overview.champion, overview.previous) if one is not None)


def _held(what: str, kept: Mapping[Any, float], days: int, now: float, spared: AbstractSet[Any] = frozenset()) -> Held:
    old = {one for one, at in kept.items() if days and at < now - days * DAY}
    return Held(what, len(kept), min(kept.values(), default=None), days, len(old - spared), len(old & spared))


def _day(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
