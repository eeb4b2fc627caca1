"""The held-out rows: reading them, refusing those that say nothing, and the trivial model's answers."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lifeboat.config.errors import BundleError, DataError
from lifeboat.data.cells import check_label
from lifeboat.data.labelled.hidden_columns import SOURCE
from lifeboat.evaluate.evaluation import Data
from lifeboat.model.bundle import Bundle
from lifeboat.model.scoring import accepts
from lifeboat.preprocess.step import HOLDOUT, METADATA
from lifeboat.system.files import file_digest
from lifeboat.tasks.task import Floats, Task
from lifeboat.usecase.column import is_null
from lifeboat.usecase.schema import Column, Schema


@dataclass(frozen=True)
class HeldOut:
    """The held-out rows.

    Args:
        table: all columns.
        y: labels, [n].
        position: of each row's group in the split, in [0, 1), [n].
        source: who said what was true of a row that came back from serving, "" for a row of the table, [n].
        data: facts for the report.
    """

    table: pa.Table
    y: NDArray[Any]
    position: Floats
    source: NDArray[np.object_]
    data: Data


def read_heldout(path: Path, bundle: Bundle) -> HeldOut:
    """Reads the table that `preprocess` held out when the bundle's rows were split.

    Raises:
        DataError: unreadable, without rows, without a column, with a label that says nothing, or of another split.
    """
    table = _read(path)
    _refuse_other_split(table, bundle, path)
    schema = bundle.schema
    missing = [name for name in (*schema.names, schema.label.name, HOLDOUT) if name not in table.column_names]
    if missing:
        raise DataError(f"columns missing: {', '.join(missing)}", file=str(path))
    y = _labels(table.column(schema.label.name), bundle.task, path)
    position = table.column(HOLDOUT).to_numpy().astype(np.float64)
    source = _sources(table)
    return HeldOut(table, y, position, source, _facts(table, schema, path, source))


def _sources(table: pa.Table) -> NDArray[np.object_]:
    if SOURCE not in table.column_names:
        return np.full(table.num_rows, "", dtype=object)
    return np.asarray(table.column(SOURCE).to_pylist(), dtype=object)


def _read(path: Path) -> pa.Table:
    try:
        table = pq.read_table(path)
    except FileNotFoundError as error:
        raise DataError("no such file", file=str(path)) from error
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"is not a readable Parquet file: {error}", file=str(path)) from error
    if not table.num_rows:
        raise DataError("holds no rows: there is nothing to evaluate on", file=str(path))
    return table


def _refuse_other_split(table: pa.Table, bundle: Bundle, path: Path) -> None:
    """Rows that another split held out may be among those the bundle was trained on."""
    written = (table.schema.metadata or {}).get(METADATA)
    if written is None:
        return
    summary, lineage = json.loads(written), bundle.manifest.get("lineage", {})
    here = (summary["digest"], summary["split"])
    there = (lineage.get("data", {}).get("digest"), lineage.get("split"))
    if here != there:
        problem = f"is of the data and split {here}, the bundle of {there}: it may have seen these rows"
        raise DataError(problem, file=str(path))


def _labels(column: pa.ChunkedArray, task: Task[Any, Any], path: Path) -> NDArray[Any]:
    """As numbers, as `preprocess` writes them."""
    label = task.label
    name = label.name
    if not accepts(Column(name, "float"), column.type):
        raise DataError(f"holds {column.type}, not numbers", file=str(path), column=name)
    cells = check_label(column, label.stored, str(path))
    if cells.broken:
        row, problem = cells.broken[0]
        raise DataError(problem, file=str(path), row=row + 1, column=name)
    y = np.asarray(cells.values).astype(label.dtype)
    if lacks := task.lacks(y):
        raise DataError(f"of all {len(y):,} rows {lacks}", file=str(path), column=name)
    return y


def _facts(table: pa.Table, schema: Schema, path: Path, source: NDArray[np.object_]) -> Data:
    grouped = schema.group is not None and schema.group in table.column_names
    groups = int(pc.count_distinct(table.column(schema.group)).as_py()) if grouped else None
    nulls = {column.name: _null_share(table.column(column.name)) for column in schema.columns}
    return Data(path.name, file_digest(path), groups, nulls, dict(Counter(filter(None, source.tolist())).most_common()))


def _null_share(values: pa.ChunkedArray) -> float:
    return float(is_missing(values).mean())


def is_missing(values: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Where a column is null: NaN, the empty string or Arrow's null, [n]."""
    if pa.types.is_floating(values.type):
        found = pc.is_null(values, nan_is_null=True)
    elif pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        found = pc.equal(pc.fill_null(values, ""), "")
    else:
        found = pc.is_null(values)
    return np.asarray(found.to_numpy(), dtype=bool)


def baseline_answers(table: pa.Table, manifest: dict[str, Any]) -> Floats:
    """The trivial model: one answer for all rows of a group, as the training rows of it say, [n, width].

    The answers come from the bundle; a group that did not occur in training gets that of all training rows.

    Raises:
        BundleError: the manifest holds no baseline for columns of the table.
    """
    try:
        known = manifest["training"]["baseline"]
        answers = {tuple(map(_plain, group["values"])): group["answer"] for group in known["groups"]}
        columns = [table.column(name).to_pylist() for name in known["columns"]]
        overall = known["overall"]
        keys = zip(*columns, strict=True) if columns else [()] * table.num_rows
        return np.array([answers.get(tuple(map(_plain, key)), overall) for key in keys], dtype=np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise BundleError(f"the bundle's manifest holds no usable baseline: {error}") from error


def uninformed_answers(rows: int, manifest: dict[str, Any]) -> Floats:
    """What is said of so many rows by who knows none of their columns: one answer, as all training rows say it.

    Of a manifest that `baseline_answers` took.
    """
    return np.tile(np.asarray(manifest["training"]["baseline"]["overall"], dtype=np.float64), (rows, 1))


def _plain(value: object) -> object:
    """One form for each value: None for any null, float for any number (2 in JSON is 2.0 in the table)."""
    if is_null(value):
        return None
    return float(value) if isinstance(value, int | float) else value
