"""Reading tables, CSV and Parquet, whole or batch by batch; what cannot be read is named by file and row."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from components.core.errors import DataError, StorageError, first_line

# Arrow reads up to 32 blocks ahead.
_CSV_BLOCK = 2 << 20
_BATCH = 65_536


def read_table(path: Path, *, name: str | None = None) -> pa.Table:
    """Reads a whole CSV (every cell a string) or Parquet file.

    Args:
        path: a local file that ends in .csv or .parquet.
        name: how errors call the file, if not by its path.

    Raises:
        DataError: missing, empty, without rows, not UTF-8, a row with a wrong number of fields, a repeated column.
    """
    batches = list(read_batches(path, name=name))
    if not sum(batch.num_rows for batch in batches):
        raise DataError("has a header but no rows", file=name or str(path))
    return pa.Table.from_batches(batches)


def read_batches(path: Path, *, name: str | None = None) -> Iterator[pa.RecordBatch]:
    """Reads a CSV or Parquet file batch by batch in bounded memory; arguments and errors as for `read_table`."""
    shown = name or str(path)
    if not path.is_file():
        raise DataError("no such file", file=shown)
    if not path.stat().st_size:
        raise DataError("the file is empty", file=shown)
    if path.suffix == ".parquet":
        yield from _parquet_batches(path, shown)
    elif path.suffix == ".csv":
        yield from _csv_batches(path, shown)
    else:
        raise DataError("is neither .csv nor .parquet", file=shown)


def _parquet_batches(path: Path, name: str) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=_BATCH)
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"is not a readable Parquet file: {first_line(error)}", file=name) from error


def _csv_batches(path: Path, name: str) -> Iterator[pa.RecordBatch]:
    names = _header(path, name)
    wrong: list[Any] = []

    def note(row: Any) -> str:
        wrong.append(row)
        return "error"

    try:
        with pa.csv.open_csv(
            path,
            pa.csv.ReadOptions(use_threads=False, block_size=_CSV_BLOCK),
            pa.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note, ignore_empty_lines=True),
            pa.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False),
        ) as reader:
            yield from reader
    except pa.ArrowInvalid as error:
        if wrong:
            row = wrong[0].number - 1 if wrong[0].number is not None else None
            problem = f"has {wrong[0].actual_columns} fields, the header has {wrong[0].expected_columns}"
            raise DataError(problem, file=name, row=row) from error
        _refuse_bytes(path, name)
        if "Empty CSV" in str(error):  # a header without the end of its line
            return
        raise DataError(f"is not a readable CSV file: {first_line(error)}", file=name) from error


def _header(path: Path, name: str) -> list[str]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            names = next(csv.reader(file), [])
    except UnicodeDecodeError:
        _refuse_bytes(path, name)
        raise
    except csv.Error as error:
        raise DataError(f"has no readable header: {error}", file=name) from error
    except OSError as error:
        raise StorageError(f"{name} cannot be read: {error.strerror}") from error
    if not names:
        raise DataError("its first line is empty and should be the header", file=name)
    repeated = sorted({column for column in names if names.count(column) > 1})
    if repeated:
        raise DataError(f"columns named twice: {', '.join(repeated)}", file=name)
    return names


def _refuse_bytes(path: Path, name: str) -> None:
    """Raises where the file has bytes that are not UTF-8, naming the line."""
    with path.open("rb") as file:
        for number, line in enumerate(file):
            try:
                line.decode()
            except UnicodeDecodeError as error:
                problem = f"byte {line[error.start]:#04x} at position {error.start + 1} of the line is not UTF-8"
                raise DataError(problem, file=name, row=number) from error
