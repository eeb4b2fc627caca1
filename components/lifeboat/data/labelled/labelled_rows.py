"""Labelled rows: predictions whose truth came later, from feedback, as a dated Parquet dataset.

A part is STORE/labelled/USECASE/date=YYYY-MM-DD/PART.parquet. It is named after its content, so writing the same rows
twice changes nothing. It holds the raw values as they were asked (numbers as float64: a limit is checked on what was
said, not on its nearest float32), the keys where the client gave them, the label, and the hidden columns below.

Nothing is ever changed in place, but where somebody has to be forgotten (`erasing`): a truth that its source corrects
becomes a new row of the same prediction with a later `__labelled_at`, and readers take the latest; or the latest that
was known by a moment in the past. Known means that the truth had come, which is `__labelled_at`; the part that holds it
may have been written a little later.

Not every row teaches (`labelled.trust`): those of sources that are not trusted wait, and of two trusted sources that
disagree about a prediction the first one's word stands. What is kept apart stays in the store, and is told.
"""

from __future__ import annotations

import math
import shlex
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from lifeboat.config.errors import DataError, first_line
from lifeboat.config.pseudonyms import LONGEST
from lifeboat.config.sources import ANONYMOUS, ONLY_ANONYMOUS
from lifeboat.data.fingerprint import table_digest
from lifeboat.data.labelled.hidden_columns import HIDDEN, LABELLED_AT, PUID, ROW, SOURCE
from lifeboat.data.labelled.point_in_time import rows_as_of
from lifeboat.data.labelled.standing import standing_words
from lifeboat.data.labelled.trust import Trust, read_trust
from lifeboat.data.table import check_table
from lifeboat.data.timestamps import show_seconds
from lifeboat.registry.storage import Storage
from lifeboat.system.files import file_digest
from lifeboat.usecase.schema import Column, Schema

FOLDER = "labelled"
_TYPES: dict[str, pa.DataType] = {
    "string": pa.string(),
    "category": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "boolean": pa.float64(),
    "datetime": pa.timestamp("us", "UTC"),
}
# Sources named one by one.
MOST_SOURCES = 10
SETTLE = "lifeboat features conflicts shows them"


@dataclass(frozen=True)
class LabelledRows:
    """The labelled rows of a use case.

    Args:
        table: raw columns as the parts hold them (numbers float64, a null is Arrow's null or ""), one row for each
            prediction, ordered by request and row; hidden columns included.
        digest: sha256 over the table, "" without rows: the same rows in any parts give the same, and so does the same
            moment, whatever came since.
        parts: how many of them hold a truth that was known.
        corrected: truths that a later one of the same prediction and source contradicts.
        refused: key to reason of the parts that cannot be used.
        apart: rows that do not teach, by why (`waiting`, `rejected`, or `contradicted` by an earlier truth) and source.
        conflicts: rows of trusted sources that say otherwise than the one that stands, in the same columns.
        trust: by which the rows were told apart.
    """

    table: pa.Table
    digest: str
    parts: int
    corrected: int
    refused: dict[str, str]
    apart: dict[str, dict[str, int]]
    conflicts: pa.Table
    trust: Trust

    @property
    def sources(self) -> dict[str, int]:
        """Rows by the source of their truth."""
        return _counts(self.table.column(SOURCE))

    @property
    def latest(self) -> float | None:
        """When the last of these truths came, in seconds since 1970: as of then, or any time until the next one."""
        found: float | None = pc.max(self.table.column(LABELLED_AT)).as_py()
        return found

    @property
    def since(self) -> str:
        """When the first of these truths came, as people write it; empty without any."""
        first = pc.min(self.table.column(LABELLED_AT)).as_py()
        return "" if first is None else show_seconds(first)

    @property
    def until(self) -> str:
        """`latest` as people write it: the store as of then gives the same rows. Empty without any."""
        return "" if self.latest is None else show_seconds(self.latest)


def stored_schema(schema: Schema) -> Schema:
    """The schema of stored rows: keys may be null, for a request need not say them; the label is a class's number.

    Of a personal key there may be a pseudonym, which keeps none of its limits.
    """
    return replace(schema, keys=tuple(map(_stored_key, schema.keys)), label=schema.label.stored)


def _stored_key(key: Column) -> Column:
    if not key.personal:
        return replace(key, nullable=True)
    longest = max(key.max_length, LONGEST)
    return replace(key, nullable=True, kind="string", categories=(), pattern=None, max_length=longest)


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
        column.name: pa.array([_stored(row[column.name], column, kind) for row in rows], kind)
        for column, kind in columns.items()
    }
    day = datetime.fromtimestamp(rows[0][LABELLED_AT], UTC).date()
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder:
        path = Path(folder) / "part.parquet"
        pq.write_table(pa.table(arrays), path)
        key = part_key(f"{FOLDER}/{usecase}/date={day}", path)
        # After a crash the same part comes again: its name is its content's, and a store may allow no second write.
        if key not in storage.keys(key):
            storage.upload(path, key)
    return key


def _columns(schema: Schema) -> dict[Column, pa.DataType]:
    """All columns of a part and their types.

    An input that is a whole number is a float64 as well: should the schema change, its rows are judged one by one.
    """
    others = (*stored_schema(schema).keys, schema.label.stored_column, *HIDDEN)
    inputs = {column: pa.float64() if column.kind == "integer" else _TYPES[column.kind] for column in schema.columns}
    return inputs | {column: _TYPES[column.kind] for column in others}


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


def _stored(value: Any, column: Column, kind: pa.DataType) -> Any:
    if value is None or value == "" or kind == pa.string():
        return value or None
    if column.is_datetime:
        return int(column.parse(value))
    return int(value) if kind == pa.int64() else float(value)


def read_labelled(
    storage: Storage,
    usecase: str,
    schema: Schema,
    *,
    trusted: frozenset[str] = ONLY_ANONYMOUS,
    until: datetime | float | None = None,
) -> pa.Table:
    """The labelled rows, typed as `data.table` types them, the standing truth of each prediction, hidden columns last.

    Args:
        storage, usecase, schema, trusted, until: see `load_labelled`.

    Raises:
        DataError: a part cannot be used, or a row breaks the schema; names the key, or row and column.
        StorageError: the store cannot be read.
    """
    found = load_labelled(storage, usecase, schema, trusted=trusted, until=until)
    for key, reason in found.refused.items():
        raise DataError(reason, file=key)
    hidden = [column.name for column in HIDDEN]
    name = f"{storage.url}/{FOLDER}/{usecase}"
    checked = check_table(found.table.drop_columns(hidden), stored_schema(schema), labelled=True, name=name)
    for row, problems in checked.problems.items():
        raise DataError("; ".join(problems), file=name, row=row + 1)
    for column in hidden:
        checked = replace(checked, table=checked.table.append_column(column, found.table.column(column)))
    return checked.table


def load_labelled(
    storage: Storage,
    usecase: str,
    schema: Schema,
    *,
    trusted: frozenset[str],
    until: datetime | float | None = None,
) -> LabelledRows:
    """Reads all parts of a use case; their rows are not yet held against the schema.

    A part that is damaged or was written under a schema that does not fit is left out and named with the reason: one
    bad file should not end every retraining, and nobody should have to search for it. A column the schema no longer
    has is dropped; a nullable one the part did not know is null. A store that cannot be read is an error: training
    on whatever happened to be readable would give another model for no reason in the data.

    Args:
        storage: the store.
        usecase: its name.
        schema: of the rows.
        trusted: sources whose rows teach, unless the store's record says otherwise.
        until: the store as it was known then, in seconds since 1970 or with a time zone; now unless given. A truth that
            came later is not seen, so that one it corrected holds. Every part is read: the date of its folder is that
            of one of its rows.

    Raises:
        StorageError: the store cannot be read.
    """
    moment = _seconds(until)
    trust = read_trust(storage, usecase, trusted, until=moment)
    tables, refused = _known_parts(storage, usecase, schema, moment)
    rows = pa.concat_tables([_no_rows(schema), *tables])
    rows = rows.set_column(rows.column_names.index(SOURCE), SOURCE, pc.fill_null(rows.column(SOURCE), ANONYMOUS))
    latest, corrected = rows_as_of(rows, (PUID, ROW, SOURCE), LABELLED_AT, schema.label.name)
    sources, times = latest.column(SOURCE), latest.column(LABELLED_AT)
    standing = trust.standing(np.asarray(sources.to_pylist(), dtype=object), times.to_numpy())
    words = standing_words(latest.filter(pa.array(standing == "trusted", pa.bool_())), rows, schema.label.name, trust)
    without = {why: sources.filter(pa.array(standing == why, pa.bool_())) for why in ("waiting", "rejected")}
    without["contradicted"] = words.conflicts.column(SOURCE)
    apart = {why: _counts(found) for why, found in without.items() if len(found)}
    digest = table_digest(words.standing) if words.standing.num_rows else ""
    return LabelledRows(words.standing, digest, len(tables), corrected, refused, apart, words.conflicts, trust)


def _known_parts(
    storage: Storage, usecase: str, schema: Schema, moment: float
) -> tuple[list[pa.Table], dict[str, str]]:
    """The rows of each part whose truth was known at the moment, and why others cannot be used, by their keys."""
    columns = _columns(schema)
    tables: list[pa.Table] = []
    refused: dict[str, str] = {}
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder:
        path = Path(folder) / "part.parquet"
        for key in part_keys(storage, usecase):
            storage.download(key, path)
            try:
                part = _read_part(path, columns)
            except DataError as error:
                refused[key] = str(error)
                continue
            known = part.filter(pc.less_equal(part.column(LABELLED_AT), moment))
            tables += [known] if known.num_rows else []
    return tables, refused


def _counts(sources: pa.ChunkedArray) -> dict[str, int]:
    return dict(sorted(Counter(sources.to_pylist()).items()))


def say_apart(apart: Mapping[str, Mapping[str, int]]) -> list[str]:
    """What of the labelled rows does not teach, and what to do about it, a sentence each.

    Args:
        apart: see `LabelledRows`.
    """
    remedies = {
        "waiting": "wait for somebody to accept them: lifeboat features accept --source={}",
        "rejected": "are rejected; lifeboat features accept --source={} takes them back",
        "contradicted": f"contradict an earlier truth; {SETTLE}",
    }
    return [
        f"{rows:,} rows of {source} {remedies[why].format(shlex.quote(source))}"
        for why, sources in apart.items()
        for source, rows in sorted(sources.items(), key=lambda item: -item[1])[:MOST_SOURCES]
    ]


def no_rows(schema: Schema) -> LabelledRows:
    """What `load_labelled` gives of an empty store."""
    nothing = _no_rows(schema)
    return LabelledRows(nothing, "", 0, 0, {}, {}, nothing, Trust())


def _no_rows(schema: Schema) -> pa.Table:
    return pa.schema([(column.name, kind) for column, kind in _columns(schema).items()]).empty_table()


def _seconds(until: datetime | float | None) -> float:
    if until is None:
        return math.inf
    if not isinstance(until, datetime):
        return float(until)
    if until.tzinfo is None:
        raise ValueError(f"{until} has no time zone")
    return until.timestamp()


def part_keys(storage: Storage, usecase: str) -> list[str]:
    """The keys of all parts of a use case, by day."""
    return [key for key in storage.keys(f"{FOLDER}/{usecase}/") if key.endswith(".parquet")]


def day_of(key: str) -> float:
    """When the day of a part began, in seconds since 1970: that of the truth of one of its rows."""
    return datetime.fromisoformat(key.split("/")[2].removeprefix("date=")).replace(tzinfo=UTC).timestamp()


def part_key(folder: str, path: Path) -> str:
    """The key of a part under the folder of its day: it is named after its content."""
    return f"{folder}/{file_digest(path)[:32]}.parquet"


def _read_part(path: Path, columns: Mapping[Column, pa.DataType]) -> pa.Table:
    try:
        table = pq.ParquetFile(path).read()
        table.validate(full=True)  # a file promises UTF-8, but nobody checked it on writing
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"is not a readable Parquet file: {first_line(error)}") from error
    missing = [column.name for column in columns if column.name not in table.column_names and not column.is_optional]
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
    if column in HIDDEN and column.is_number:
        outside = values.filter(pc.invert(_within(values, column)))
        if len(outside):
            raise DataError(column.problem("range", outside[0].as_py()), column=column.name)
    return values


def _within(values: pa.ChunkedArray, column: Column) -> pa.ChunkedArray:
    """Where a number keeps its limits, which a NaN does not."""
    return pc.and_(pc.greater_equal(values, column.lower), pc.less_equal(values, column.upper))
