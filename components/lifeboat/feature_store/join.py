"""The join as of each row's time: every row gets the values that were known when it was asked about.

It is DuckDB's ASOF join. Feast's own over files joins each row with all earlier values of its key, which for a year's
flights spilled 69 GB; this one sorts both sides once. What is known, and since when, is decided before it: a value
counts from its event on, or from when it was written where that is later; among those that count the one of the latest
event is right, of one event the one written last.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifeboat.config.errors import DataError, UseCaseError
from lifeboat.data.cells import Cells, check_cells
from lifeboat.data.csv.dialect import Csv
from lifeboat.data.moments import as_timestamps
from lifeboat.registry.storage import S3
from lifeboat.registry.tables import SourceTable, read_source
from lifeboat.usecase.column import Column, listed
from lifeboat.usecase.datetimes import any_moment, read_zone
from lifeboat.usecase.feature_store import FeatureStore, View
from lifeboat.usecase.schema import Schema

if TYPE_CHECKING:
    import duckdb

# Beyond this DuckDB spills to the folder of the step.
MEMORY = "1500MB"
_ROW, _MOMENT, _EVENT, _WRITTEN, _KNOWN, _VALUE = (
    "__row", "__moment", "__event", "__written", "__known", "__value",
)  # fmt: skip


@dataclass(frozen=True)
class JoinedView:
    """What became of a view.

    Args:
        digest: of its table, see `SourceTable`.
        found: rows that got its values.
        missing: rows for which it had none yet, or that name nobody it knows.
        expired: rows whose newest value was older than its `max_age`.
    """

    digest: str
    found: int
    missing: int
    expired: int

    def say(self, name: str) -> str:
        """A line for people about the view of that name."""
        return f"view {name}: {self.found:,} rows found, {self.missing:,} missing, {self.expired:,} too old"


@dataclass(frozen=True)
class Joined:
    """Rows with their features.

    Args:
        table: the rows in their order, and a column for each of the store's; its cells are as the view's table has
            them, to be held against the schema like all others.
        views: that were joined, by name.
    """

    table: pa.Table
    views: Mapping[str, JoinedView]


def join_features(
    rows: pa.Table,
    store: FeatureStore,
    schema: Schema,
    folder: Path,
    *,
    name: str,
    csv: Csv,
    s3: S3,
    as_of: datetime | None = None,
    say: Callable[[str], None] = print,
) -> Joined:
    """Gives rows what the store knew of them at their time.

    Args:
        rows: cells as `read_source` gives them, with keys and time; a row whose time or key is none gets nulls.
        store: its views are read, but those whose columns the rows bring already.
        schema: says which columns are the store's, and what keys and times are.
        folder: takes downloads, and what DuckDB spills.
        name: of the rows' table, for errors.
        csv: how the views' CSV files are written, as far as it is not recognised.
        s3: endpoint and keys for s3:// URLs.
        as_of: nothing that was written later is known; everything is unless given.
        say: told of each view.

    Raises:
        DataError: rows bring some columns of a view and not all, or a table lacks a column, or has times that are none.
        StorageError: a table cannot be read.
        UseCaseError: DuckDB is not installed.
    """
    lacking = [view for view in store.views if not _brought(rows, store.fields(view, schema), name)]
    if not lacking:
        return Joined(rows, {})
    views: dict[str, JoinedView] = {}
    connection = _open(folder)
    try:
        # To DuckDB names that differ in capitals are the same.
        places = {key: f"__key{number}" for number, key in enumerate(sorted({*chain(*map(store.keys, lacking))}))}
        asked = {place: _key(rows, schema.known[key], name) for key, place in places.items()}
        moments = _microseconds(_cells(rows, schema.known[store.time], name).values)
        connection.register("asked", pa.table({_ROW: np.arange(rows.num_rows), _MOMENT: moments, **asked}))
        for view in lacking:
            keys, fields = {key: places[key] for key in store.keys(view)}, store.fields(view, schema)
            source = read_source(str(view.source), s3, folder, csv=csv)
            values, views[view.name] = _join(connection, view, source, keys, fields, schema, as_of)
            for column in values.column_names:
                rows = rows.append_column(column, values.column(column))
            say(views[view.name].say(view.name))
    finally:
        connection.close()
    return Joined(rows, views)


def _brought(rows: pa.Table, fields: Mapping[str, str], name: str) -> bool:
    """Whether the rows have a view's columns, as those of a join that was made elsewhere do."""
    absent = [column for column in fields if column not in rows.column_names]
    if absent and len(absent) < len(fields):
        own = ", ".join(sorted({*fields} - {*absent}))
        raise DataError(
            f"is missing, and of the same view the table has {own}: all or none", file=name, column=absent[0]
        )
    return not absent


def _open(folder: Path) -> duckdb.DuckDBPyConnection:
    try:
        import duckdb
    except ImportError as error:
        raise UseCaseError("a feature store needs DuckDB; pip install 'lifeboat[store]' brings it") from error
    # It would fetch extensions from its makers' server; none is needed.
    strict = dict.fromkeys(("autoinstall_known_extensions", "autoload_known_extensions"), "false")
    return duckdb.connect(config={"memory_limit": MEMORY, "temp_directory": str(folder / ".duckdb"), **strict})


def _column(table: pa.Table, column: str, name: str) -> pa.ChunkedArray:
    if column not in table.column_names:
        there = listed(table.column_names, 20)
        raise DataError(f"is missing; the table has: {there}", file=name, column=column)
    return table.column(column)


def _cells(table: pa.Table, column: Column, name: str) -> Cells:
    return check_cells(_column(table, column.name, name), column, name)


def _key(table: pa.Table, column: Column, name: str) -> Any:
    """The cells of a key; what breaks its rules finds nothing here, and is refused with its row later."""
    values = _cells(table, column, name).values
    return values if column.is_number else pc.if_else(pc.equal(values, ""), None, values)


def _microseconds(moments: Any) -> pa.Array:
    """Since 1970, whole: DuckDB's own moments with a zone need an extension of it."""
    return as_timestamps(pa.array(moments)).cast(pa.int64())


def _join(
    connection: duckdb.DuckDBPyConnection,
    view: View,
    source: SourceTable,
    keys: Mapping[str, str],
    fields: Mapping[str, str],
    schema: Schema,
    as_of: datetime | None,
) -> tuple[pa.Table, JoinedView]:
    """The view's columns for each row, and what became of it; `keys` are called in `asked` as said there."""
    connection.register("written", _written(source.table, view, keys, fields, schema, source.name))
    until = None if as_of is None else any_moment(as_of, read_zone("UTC"))
    joined = connection.sql(_statement(view, keys.values(), fields), params={"as_of": until}).to_arrow_table()
    state = joined.column("__state")
    count = {name: pc.sum(pc.equal(state, name)).as_py() or 0 for name in ("found", "missing", "expired")}
    return joined.select(list(fields)), JoinedView(digest=source.digest, **count)


def _written(
    table: pa.Table, view: View, keys: Mapping[str, str], fields: Mapping[str, str], schema: Schema, name: str
) -> pa.Table:
    """The view's table with keys and times as the rows have them."""
    values = {f"{_VALUE}{number}": _column(table, field, name) for number, field in enumerate(fields.values())}
    made = {place: _key(table, schema.known[key], name) for key, place in keys.items()}
    for place, time in ((_EVENT, view.event_time), (_WRITTEN, view.created_time or view.event_time)):
        found = _cells(table, Column(time, "datetime", zone=view.zone), name)
        if found.broken:
            row, sentence = found.broken[0]
            raise DataError(sentence, file=name, row=row + 1, column=time)
        made[place] = _microseconds(found.values)
    return pa.table(made | values)


def _statement(view: View, keys: Iterable[str], fields: Mapping[str, str]) -> str:
    """One row for each of `asked`, in their order: the values by column, and what was found."""
    by = ", ".join(keys)
    match = " AND ".join(f"asked.{key} = latest.{key}" for key in keys)
    packed = ", ".join([_EVENT, _WRITTEN, *(f"{_VALUE}{number}" for number in range(len(fields)))])
    oldest = "NULL" if view.max_age is None else f"{_MOMENT} - {view.max_age // timedelta(microseconds=1)}"
    values = ", ".join(
        f"CASE WHEN __state = 'found' THEN {_VALUE}.{_VALUE}{number} END AS {_quoted(column)}"
        for number, column in enumerate(fields)
    )
    # Of equal events and writings the greater values: any would do, and each run has to take the same.
    return f"""
        WITH known AS (
            SELECT {by}, greatest({_EVENT}, {_WRITTEN}) AS {_KNOWN}, struct_pack({packed}) AS {_VALUE} FROM written
            WHERE $as_of::BIGINT IS NULL OR greatest({_EVENT}, {_WRITTEN}) <= $as_of
        ), latest AS (
            SELECT DISTINCT {by}, {_KNOWN}, max({_VALUE}) OVER (
                PARTITION BY {by} ORDER BY {_KNOWN} RANGE BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW
            ) AS {_VALUE} FROM known
        ), found AS (
            SELECT {_ROW}, latest.{_VALUE} AS {_VALUE}, CASE
                WHEN latest.{_VALUE} IS NULL THEN 'missing'
                WHEN latest.{_VALUE}.{_EVENT} < {oldest} THEN 'expired'
                ELSE 'found'
            END AS __state
            FROM asked ASOF LEFT JOIN latest ON {match} AND asked.{_MOMENT} >= latest.{_KNOWN}
        )
        SELECT {values}, __state FROM found ORDER BY {_ROW}
    """  # noqa: S608  # names of columns, quoted


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
