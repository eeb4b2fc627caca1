"""The runs and the demonstrations of a home, from their folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from lifeboat.config.errors import StorageError
from lifeboat.pipeline.run_record import RunRecord, is_under_way, read_record
from lifeboat.system.files import is_within

RUNS, LOOPS = "runs", "loops"
# The pages of a run's folder, and how they are called.
RUN_PAGES = {"model-card.html": "Model card", "data-profile.html": "Data profile", "rollout.html": "Rollout"}
RUN_LOG = "run.log"
LOOP_PAGE = "loop.html"
# As the folders are called: NAME-DATE-TIME, of a run with microseconds.
_FOLDER = re.compile(r"(?P<usecase>.+?)-(?P<stamp>\d{8}-\d{6})(?:-\d{6})?")


@dataclass(frozen=True)
class RunView:
    """A run.

    Args:
        folder: its name.
        usecase: of which.
        began: in seconds since 1970.
        tone, words: what came of it, `good`, `bad`, `watch` or `idle`, and in a few words.
        reasons: why it was not deployed, or failed.
        seconds: that it took; None where that is not known.
        digest: of its bundle; empty where it came to none.
        pages: file to title, of those that are there.
    """

    folder: str
    usecase: str
    began: float
    tone: str
    words: str
    reasons: tuple[str, ...]
    seconds: float | None
    digest: str
    pages: dict[str, str]


def list_runs(home: Path, most: int) -> list[RunView]:
    """The newest runs of a home, the last one first."""
    return [_run(path, usecase, began) for path, usecase, began in _newest(home / RUNS, most)]


def count_runs(home: Path) -> int:
    """How many there are."""
    return sum(1 for _ in _named(home / RUNS))


def list_loops(home: Path, most: int) -> list[tuple[str, str, float]]:
    """Name, use case and begin of the newest demonstrations that have a page, the last one first."""
    found = _newest(home / LOOPS, most)
    return [(path.name, usecase, began) for path, usecase, began in found if is_within(path / LOOP_PAGE, path)]


def _newest(folder: Path, most: int) -> list[tuple[Path, str, float]]:
    return sorted(_named(folder), key=lambda item: item[0].name.removeprefix(item[1]), reverse=True)[:most]


def _named(folder: Path) -> Iterator[tuple[Path, str, float]]:
    for path in folder.iterdir() if folder.is_dir() else ():
        found = _FOLDER.fullmatch(path.name)
        if found and path.is_dir():
            began = datetime.strptime(found["stamp"], "%Y%m%d-%H%M%S").replace(tzinfo=UTC).timestamp()
            yield path, found["usecase"], began


def _run(path: Path, usecase: str, began: float) -> RunView:
    pages = {name: title for name, title in {**RUN_PAGES, RUN_LOG: "Log"}.items() if is_within(path / name, path)}
    try:
        record = read_record(path)
    except StorageError as error:
        return RunView(path.name, usecase, began, "bad", "unknown", (str(error),), None, "", pages)
    if record is None:
        words = "under way" if is_under_way(path) else "no record of its end"
        return RunView(path.name, usecase, began, "idle", words, (), None, "", pages)
    tone, words, reasons = _outcome(record)
    digest = str((record.verdict or {}).get("bundle", ""))
    return RunView(path.name, usecase, began, tone, words, reasons, record.ended - record.began, digest, pages)


def _outcome(record: RunRecord) -> tuple[str, str, tuple[str, ...]]:
    if record.error:
        return "bad", "failed", (record.error,)
    if record.deployment is not None:
        return "good", f"deployed version {record.deployment['version']}", ()
    criteria = (record.verdict or {}).get("criteria", [])
    reasons = tuple(f"{one['name']}: {one['why']}" for one in criteria if not one["passed"])
    return "watch", "not deployed", reasons
