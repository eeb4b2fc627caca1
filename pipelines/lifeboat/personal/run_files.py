"""The files of a home's runs in which rows are: those trained on, those held out, and those that broke the schema."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from lifeboat.config.errors import StorageError, first_line
from lifeboat.model.bundle import MANIFEST
from lifeboat.system.files import replacing
from lifeboat.ui.runs import RUNS
from lifeboat.usecase.column import Column, entity_name

TRAIN, TEST, QUARANTINE = "train_rows", "test_rows", "quarantine"


@dataclass(frozen=True)
class RowFile:
    """A file of a run; `kind` is one of the three above."""

    run: Path
    kind: str
    path: Path


def row_files(home: Path) -> Iterator[RowFile]:
    """Those of all runs of a home, by run."""
    for run in sorted((home / RUNS).iterdir()) if (home / RUNS).is_dir() else ():
        for kind in (TRAIN, TEST, QUARANTINE):
            for path in sorted(run.glob(f"*/preprocess/{kind}")):
                yield RowFile(run, kind, path)


def spelled(column: Column) -> Callable[[Any], str]:
    """What an id is called, however a table writes it: 17, "17", " 17" and 17.0 of a number are one."""

    def name(cell: Any) -> str:
        return entity_name(number_of(cell) if column.is_number and isinstance(cell, str) else cell)

    return name


def number_of(text: str) -> int | float | str:
    """The number that a text says; the text itself where it says none."""
    for read in (int, float):
        with suppress(ValueError):
            return read(text)
    return text


def holds(file: RowFile, column: Column, names: set[str]) -> bool:
    """Whether one of the entities is in a run's Parquet file.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        if column.name not in pq.read_schema(file.path).names:
            return False
        cells = pq.read_table(file.path, columns=[column.name]).column(0)
    except (pa.ArrowInvalid, OSError) as error:
        raise StorageError(f"{file.path} cannot be read: {first_line(error)}") from error
    return not names.isdisjoint(map(spelled(column), cells.to_pylist()))


def take_out(file: RowFile, column: Column, names: set[str]) -> int:
    """Takes the rows of entities out of a quarantine, which is a CSV file, and gives how many there were.

    Raises:
        StorageError: it cannot be read or written.
    """
    try:
        with file.path.open(encoding="utf-8", newline="") as source:
            header, *rows = csv.reader(source)
            place, name = header.index(column.name) if column.name in header else None, spelled(column)
            kept = [row for row in rows if place is None or name(row[place]) not in names]
        if len(kept) < len(rows):
            with replacing(file.path) as temporary, temporary.open("w", encoding="utf-8", newline="") as target:
                csv.writer(target, lineterminator="\n").writerows([header, *kept])
    except (OSError, ValueError, csv.Error) as error:
        raise StorageError(f"{file.path} cannot be read: {error}") from error
    return len(rows) - len(kept)


def bundle_digest(run: Path) -> str:
    """That of the bundle that a run made; empty where it came to none."""
    manifest = next(run.glob(f"*/train/bundle/{MANIFEST}"), None)
    try:
        return "" if manifest is None else str(json.loads(manifest.read_bytes())["digest"])
    except (OSError, ValueError, KeyError) as error:
        raise StorageError(f"{manifest} cannot be read: {error}") from error
