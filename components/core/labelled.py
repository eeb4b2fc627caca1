"""Labelled rows from feedback: predictions whose truth came later, a dated Parquet dataset in the store.

A part is STORE/labelled/USECASE/date=YYYY-MM-DD/PART.parquet. It is named after its content, so writing the same rows
twice changes nothing. It holds the raw values as they were asked (numbers as float64: a limit is checked on what was
said, not on its nearest float32), the keys where the client gave them, the label, and the hidden columns below.

Nothing is ever changed in place: a truth that is corrected becomes a new row of the same prediction with a later
`__labelled_at`, and readers take the latest.
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from components.core.errors import DataError
from components.core.reading import first_line
from components.core.schema import Column, Schema
from components.core.storage import Storage
from components.core.table import check_table

FOLDER = "labelled"
PUID, ROW, VERSION, SCORE = "__puid", "__row", "__version", "__score"
PREDICTED_AT, LABELLED_AT = "__predicted_at", "__labelled_at"
# The end of the year 9999, beyond which there is no date.
_LAST_SECOND = 253_402_300_799
HIDDEN = (
    Column(PUID, "string", max_length=1024, description="Identifier of the request"),
    Column(ROW, "integer", minimum=0, description="Position of the row in its request"),
    Column(VERSION, "string", nullable=True, description="Version of the model that answered"),
    Column(SCORE, "float", minimum=0, maximum=1, description="Probability of class 1 that it gave"),
    Column(PREDICTED_AT, "float", minimum=0, maximum=_LAST_SECOND, description="Seconds since 1970"),
    Column(LABELLED_AT, "float", minimum=0, maximum=_LAST_SECOND, description="Seconds since 1970"),
)


@dataclass(frozen=True)
class Labelled:
    """The labelled rows of a use case.

    Args:
        table: raw columns as the parts hold them (numbers float64, a null is Arrow's null or ""), one row for each
            prediction, ordered by request and row; hidden columns included.
        digest: sha256 over the sorted sha256 of the parts used: the same parts under any name give the same.
        parts: how many were used.
        refused: key to reason of the parts that cannot be used.
    """

    table: pa.Table
    digest: str
    parts: int
    refused: dict[str, str]


def without_keys(schema: Schema) -> Schema:
    """The schema with keys that may be null: a request need not say them."""
    return replace(schema, keys=tuple(replace(key, nullable=True) for key in schema.keys))


def write_labelled(storage: Storage, usecase: str, schema: Schema, rows: Sequence[dict[str, Any]]) -> str:
    """Writes one part, whole or not at all, and gives its key; the date is that of the first row's truth in UTC.

    Args:
        storage: the store.
        usecase: its name.
        schema: of the rows.
        rows: each with every column of the schema, its keys, its label and `HIDDEN`; None for a null.

    Raises:
        DataError: no rows, or one that breaks the schema or lacks a column; names row and column.
        StorageError: the part cannot be written.
    """
    if not rows:
        raise DataError("no labelled rows to write")
    columns = _columns(schema)
    for number, row in enumerate(rows, start=1):
        _check_row(row, columns, number)
    arrays = {
        column.name: pa.array([_stored(row[column.name], kind) for row in rows], kind)
        for column, kind in columns.items()
    }
    day = datetime.fromtimestamp(rows[0][LABELLED_AT], UTC).date()
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder:
        path = Path(folder) / "part.parquet"
        pq.write_table(pa.table(arrays), path)
        key = f"{FOLDER}/{usecase}/date={day}/{_digest(path)[:32]}.parquet"
        # After a crash the same part comes again: its name is its content's, and a store may allow no second write.
        if key not in storage.keys(key):
            storage.upload(path, key)
    return key


def _columns(schema: Schema) -> dict[Column, pa.DataType]:
    """All columns of a part and their types.

    An input that is a whole number is a float64 as well: should the schema change, its rows are judged one by one.
    """
    label = Column(schema.label.name, "integer", categories=(0, 1))
    others = (*without_keys(schema).keys, label, *HIDDEN)
    kinds = {"string": pa.string(), "integer": pa.int64(), "float": pa.float64(), "boolean": pa.float64()}
    inputs = {column: pa.float64() if column.is_number else pa.string() for column in schema.columns}
    return inputs | {column: kinds[column.kind] for column in others}


def _check_row(row: dict[str, Any], columns: Iterable[Column], number: int) -> None:
    unknown = sorted(row.keys() - {column.name for column in columns})
    if unknown:
        raise DataError("unknown", row=number, column=unknown[0])
    for column in columns:
        if column.name not in row:
            raise DataError("missing", row=number, column=column.name)
        try:
            column.parse(row[column.name])
        except ValueError as error:
            raise DataError(str(error), row=number, column=column.name) from error


def _stored(value: Any, kind: pa.DataType) -> Any:
    if value is None or value == "" or kind == pa.string():
        return value or None
    return int(value) if kind == pa.int64() else float(value)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_labelled(storage: Storage, usecase: str, schema: Schema) -> pa.Table:
    """The labelled rows, typed as `core.table` types them, the latest truth of each prediction, hidden columns last.

    Raises:
        DataError: a part cannot be used, or a row breaks the schema; names the key, or row and column.
        StorageError: the store cannot be read.
    """
    found = load_labelled(storage, usecase, schema)
    for key, reason in found.refused.items():
        raise DataError(reason, file=key)
    hidden = [column.name for column in HIDDEN]
    name = f"{storage.url}/{FOLDER}/{usecase}"
    checked = check_table(found.table.drop_columns(hidden), without_keys(schema), labelled=True, name=name)
    for row, problems in checked.problems.items():
        raise DataError("; ".join(problems), file=name, row=row + 1)
    for column in hidden:
        checked = replace(checked, table=checked.table.append_column(column, found.table.column(column)))
    return checked.table


def load_labelled(storage: Storage, usecase: str, schema: Schema) -> Labelled:
    """Reads all parts of a use case; their rows are not yet held against the schema.

    A part that is damaged or was written under a schema that does not fit is left out and named with the reason: one
    bad file should not end every retraining, and nobody should have to search for it. A column the schema no longer
    has is dropped; a nullable one the part did not know is null. A store that cannot be read is an error: training
    on whatever happened to be readable would give another model for no reason in the data.

    Raises:
        StorageError: the store cannot be read.
    """
    columns = _columns(schema)
    parts: dict[str, pa.Table] = {}
    refused: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder:
        path = Path(folder) / "part.parquet"
        for key in _keys(storage, usecase):
            storage.download(key, path)
            try:
                parts[_digest(path)] = _read_part(path, columns)
            except DataError as error:
                refused[key] = str(error)
    digests = sorted(parts)
    table = pa.concat_tables([no_rows(schema).table, *(parts[digest] for digest in digests)])
    digest = hashlib.sha256("\n".join(digests).encode()).hexdigest()
    return Labelled(_latest(table, schema.label.name), digest, len(parts), refused)


def no_rows(schema: Schema) -> Labelled:
    """What `load_labelled` gives of an empty store."""
    empty = pa.schema([(column.name, kind) for column, kind in _columns(schema).items()]).empty_table()
    return Labelled(empty, hashlib.sha256().hexdigest(), 0, {})


def _keys(storage: Storage, usecase: str) -> Iterator[str]:
    return (key for key in storage.keys(f"{FOLDER}/{usecase}/") if key.endswith(".parquet"))


def _read_part(path: Path, columns: Mapping[Column, pa.DataType]) -> pa.Table:
    try:
        table = pq.ParquetFile(path).read()
        table.validate(full=True)  # a file promises UTF-8, but nobody checked it on writing
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"is not a readable Parquet file: {first_line(error)}") from error
    missing = [column.name for column in columns if column.name not in table.column_names and not column.nullable]
    if missing:
        raise DataError(f"columns missing: {', '.join(missing)}")
    return pa.table({column.name: _cells(table, column, kind) for column, kind in columns.items()})


def _cells(table: pa.Table, column: Column, kind: pa.DataType) -> Any:
    if column.name not in table.column_names:
        return pa.nulls(table.num_rows, kind)
    values = table.column(column.name)
    text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    try:
        if text == column.is_number and not pa.types.is_null(values.type):
            raise pa.ArrowInvalid("another kind")  # noqa: TRY301  # one sentence for all kinds
        values = values.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"has type {values.type}, asked: {column.kind}", column=column.name) from error
    if column in HIDDEN and not column.nullable and values.null_count:
        raise DataError(column.problem("null"), column=column.name)
    return values


def _latest(table: pa.Table, label: str) -> pa.Table:
    """The row of the latest truth of each prediction; of two at the same moment, always the same one."""
    order = [(name, "ascending") for name in (PUID, ROW, LABELLED_AT, label)]
    table = table.take(pc.sort_indices(table, sort_keys=order)).combine_chunks()
    if table.num_rows < 2:
        return table
    pairs = [(table.column(name).slice(0, table.num_rows - 1), table.column(name).slice(1)) for name in (PUID, ROW)]
    differs = pc.or_(*(pc.not_equal(one, other) for one, other in pairs))
    return table.filter(pa.chunked_array([*differs.chunks, pa.array([True])]))
