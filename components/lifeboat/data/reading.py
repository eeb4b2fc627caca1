"""Reading tables, CSV and Parquet, whole or batch by batch; what cannot be read is named by file and row."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lifeboat.config.errors import DataError, first_line
from lifeboat.data.csv.bytes import CsvFile, compression, first_bytes
from lifeboat.data.csv.dialect import PLAIN, Csv, Dialect, recognise
from lifeboat.data.csv.parser import CsvParser

# Of a longer table a look takes these.
FIRST_ROWS = 200_000
_CSV_BLOCK = 2 << 20
_BATCH = 65_536
_SAMPLE = 1 << 16
_PARQUET = b"PAR1"
_NEITHER = {
    b"PK\x03\x04": "a zip archive, as a .xlsx workbook is; save or unpack it as CSV",
    b"\xd0\xcf\x11\xe0": "an old Office file, as a .xls workbook is; save it as CSV",
}
# As in core.csv_dialect, for Arrow's RE2.
_DECIMAL_COMMA = r"^\s*[+-]?(\d+,\d*|,\d+)([eE][+-]?\d+)?\s*$"
_GROUPED = r"^\s*[+-]?\d{1,3}(\.\d{3})+\s*$"


def ignore(_: str) -> None:
    """Takes a sentence about what was assumed and keeps nothing."""


def read_table(
    path: Path, *, name: str | None = None, csv: Csv = PLAIN, assume: Callable[[str], None] = ignore
) -> pa.Table:
    """Reads a whole CSV (every cell a string) or Parquet file.

    Args:
        path: a local file; its content says what it is, and a CSV file may be packed (gzip, bzip2, zstd, lz4, xz).
        name: how errors call the file, if not by its path.
        csv: how a CSV file is written, as far as that is declared.
        assume: told once, in a sentence, of each thing that was recognised and is not the usual.

    Raises:
        DataError: missing, empty, without rows, of another encoding, a row with a wrong number of fields, an unclosed
            quote, a repeated column.
        StorageError: the disk fails.
    """
    batches = list(read_batches(path, name=name, csv=csv, assume=assume))
    if not sum(batch.num_rows for batch in batches):
        raise DataError("has a header but no rows", file=name or str(path))
    return pa.Table.from_batches(batches)


def read_batches(
    path: Path, *, name: str | None = None, csv: Csv = PLAIN, assume: Callable[[str], None] = ignore
) -> Iterator[pa.RecordBatch]:
    """Reads a CSV or Parquet file batch by batch in bounded memory; arguments and errors as for `read_table`."""
    shown = name or str(path)
    if path.is_dir():
        raise DataError("is a directory, not a file of rows", file=shown)
    if not path.is_file():
        raise DataError("no such file", file=shown)
    start = first_bytes(path)
    if not start:
        raise DataError("the file is empty", file=shown)
    for magic, problem in _NEITHER.items():
        if start.startswith(magic):
            raise DataError(f"is {problem}", file=shown)
    if is_parquet(path):
        yield from _parquet_batches(path, shown)
    else:
        yield from _csv_batches(CsvFile(path, shown, csv), assume)


def read_first_rows(
    path: Path, *, name: str, csv: Csv = PLAIN, assume: Callable[[str], None] = ignore
) -> tuple[pa.Table, bool]:
    """At least the first `FIRST_ROWS` of a table, for a look at it, and whether they are all of it.

    Arguments and errors as for `read_table`.
    """
    batches: list[pa.RecordBatch] = []
    rows = 0
    for batch in read_batches(path, name=name, csv=csv, assume=assume):
        batches.append(batch)
        rows += batch.num_rows
        if rows >= FIRST_ROWS:
            break
    if not rows:
        raise DataError("has a header but no rows", file=name)
    return pa.Table.from_batches(batches), rows < FIRST_ROWS


def is_parquet(path: Path) -> bool:
    """Whether a file is, or says by its name that it is, a Parquet file."""
    return path.suffix == ".parquet" or first_bytes(path).startswith(_PARQUET)


def is_packed(path: Path) -> bool:
    """Whether a file is compressed as a whole."""
    return compression(path) is not None


def _parquet_batches(path: Path, name: str) -> Iterator[pa.RecordBatch]:
    try:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=_BATCH):
                yield from without_views(pa.Table.from_batches([batch])).to_batches()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OSError) as error:
        raise DataError(f"is not a readable Parquet file: {first_line(error)}", file=name) from error


def without_views(table: pa.Table) -> pa.Table:
    """The same rows, with strings in place of string views, which pyarrow can neither take rows of nor decode."""
    return pa.table([_without_views(cells) for cells in table.columns], table.column_names)


def _without_views(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_dictionary(cells.type) and pa.types.is_string_view(cells.type.value_type):
        texts = [chunk.dictionary.cast(pa.string()).take(chunk.indices) for chunk in cells.chunks]
        return pa.chunked_array(texts, pa.string())
    return cells.cast(pa.string()) if pa.types.is_string_view(cells.type) else cells


def _csv_batches(file: CsvFile, assume: Callable[[str], None]) -> Iterator[pa.RecordBatch]:
    sample, whole = file.sample(_SAMPLE)
    dialect = recognise(sample, file.csv, whole=whole, name=file.name)
    for sentence in (*file.assumed, *dialect.assumed):
        assume(sentence)
    parser = CsvParser(file, dialect, _CSV_BLOCK)
    rows = 0
    for batch in parser.batches():
        yield _with_points(_named(batch, dialect), dialect, rows, file.name)
        rows += batch.num_rows
    if parser.empty_lines:
        taken = "rows without a value" if len(dialect.names) == 1 else "left out"
        assume(f"empty lines are {taken} ({parser.empty_lines:,})")


def _named(batch: pa.RecordBatch, dialect: Dialect) -> pa.RecordBatch:
    start = int(dialect.counted)
    return pa.RecordBatch.from_arrays(batch.columns[start:], list(dialect.names[start:]))


def _with_points(batch: pa.RecordBatch, dialect: Dialect, before: int, name: str) -> pa.RecordBatch:
    """The batch with points for decimal commas, in the columns that may have them.

    Raises:
        DataError: a number has points between its thousands, which would be read as a smaller number.
    """
    columns = list(batch.columns)
    for number in dialect.decimal_columns:
        column = number - int(dialect.counted)
        if column < 0:
            continue
        grouped = pc.index(pc.match_substring_regex(columns[column], _GROUPED), True).as_py()
        if grouped >= 0:
            problem = (
                "a number has points between its thousands, for this file writes decimals with a comma; write numbers "
                "without them, or declare Csv(decimal='.') where they are decimal points"
            )
            raise DataError(problem, file=name, row=before + grouped + 1, column=dialect.names[number])
        commas = pc.match_substring_regex(columns[column], _DECIMAL_COMMA)
        if pc.any(commas).as_py():
            points = pc.replace_substring(columns[column], ",", ".")
            columns[column] = pc.if_else(commas, points, columns[column])
    return pa.RecordBatch.from_arrays(columns, batch.schema.names)
