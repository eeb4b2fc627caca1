"""The table's rows by themselves: each once, and enough of them to learn from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifeboat.config.errors import DataError
from lifeboat.data.split import Holdout
from lifeboat.tasks.task import Task
from lifeboat.usecase.column import MOST_CATEGORIES, is_null
from lifeboat.usecase.usecase import UseCase


def deduplicate(rows: pa.Table, usecase: UseCase, name: str) -> tuple[pa.Table, int]:
    """Drops rows that are there twice, and gives how many; the same id on different rows is an error.

    Rows that are alike are the same row where they say so, by an id, or where the use case says so. Otherwise they are
    data: two passengers of one age and class, and how often each kind of row occurs is the base rate.
    """
    schema = usecase.schema
    kept = rows
    if schema.id is not None or usecase.deduplicate:
        numbered = rows.append_column("__row", pa.array(np.arange(rows.num_rows)))
        first = numbered.group_by(rows.column_names, use_threads=False).aggregate([("__row", "min")]).combine_chunks()
        keep = first.column("__row_min").to_numpy()
        if schema.id is not None and not usecase.deduplicate:
            nameless = np.array([is_null(cell) for cell in rows.column(schema.id).to_pylist()], dtype=bool)
            keep = np.union1d(keep, np.flatnonzero(nameless))
        kept = rows.take(pa.array(np.sort(keep)))
    if schema.id is not None:
        known = kept.column(schema.id).drop_null()
        counts = pc.value_counts(known.filter(pc.not_equal(known.cast(pa.string()), "")))
        repeated = [entry["values"] for entry in counts.filter(pc.greater(counts.field(1), 1)).slice(0, 3).to_pylist()]
        if repeated:
            shown = ", ".join(schema.known[schema.id].show(name) for name in repeated)
            raise DataError(f"the same id on different rows: {shown}", file=name, column=schema.id)
    return kept, rows.num_rows - kept.num_rows


def refuse_useless(rows: pa.Table, usecase: UseCase, absent: set[str], name: str) -> None:
    """Raises where nothing can be learned: no row, a column without a value, of two classes only one.

    Args:
        rows: checked, each once.
        usecase: schema and task.
        absent: nullable columns that the table does not have, which are null and known to be.
        name: of the file, for errors.
    """
    if not rows.num_rows:
        raise DataError("no row is left", file=name)
    schema = usecase.schema
    for column in schema.columns:
        if column.name in absent:
            continue
        values = rows.column(column.name)
        known = pc.invert(pc.is_nan(values)) if column.is_number else pc.not_equal(values, "")
        if not pc.any(known).as_py():
            raise DataError("all values are missing", file=name, column=column.name)
        if column.kind == "category" and (count := pc.count_distinct(values).as_py()) > MOST_CATEGORIES:
            problem = f"has {count:,} different values, a category {MOST_CATEGORIES:,} at most; declare it a string"
            raise DataError(problem, file=name, column=column.name)
    if lacks := usecase.task.lacks(rows.column(schema.label.name).to_numpy(), learn=True):
        raise DataError(lacks, file=name, column=schema.label.name)


def refuse_one_sided(task: Task[Any, Any], label: NDArray[Any], holdout: Holdout, name: str) -> None:
    """Raises where the training rows cannot be learned from, or nothing be judged on the held-out rows.

    Args:
        task: of the label.
        label: [n].
        holdout: of the same rows.
        name: of the file, for errors.
    """
    for part, chosen, learn in (("training", ~holdout.test, True), ("held-out", holdout.test, False)):
        if lacks := task.lacks(label[chosen], learn=learn):
            problem = f"too few rows, or groups too large: of the {part} rows ({chosen.sum():,}) {lacks}"
            raise DataError(f"{problem}; a larger table, or another group or test share, would help", file=name)
