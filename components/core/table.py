"""Holding tables against the schema, whole columns at a time.

The rules and the words are those of `core.schema`; here they run over Arrow columns (`core.cells`), so that a million
rows take seconds. `tests/core/test_table.py` holds the two against each other on generated rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from components.core.cells import Cells, check_cells, check_label
from components.core.errors import DataError
from components.core.schema import Column, Schema

# So many names of a table stand in a message.
_NAMES = 20


@dataclass(frozen=True)
class Checked:
    """A table after the check.

    Args:
        table: typed columns: float32 with NaN for null (float64 where `Column.is_wide`), strings with "" for null, keys
            that are whole numbers int64; a broken cell is null too.
        problems: 0-based row to sentences that each name a column, the value and the limit.
        assumed: what was taken for granted of the table's columns, in sentences.
        nulls: column to the texts in it that were read as a null, beside the empty one, and how often each was.
    """

    table: pa.Table
    problems: dict[int, list[str]]
    assumed: tuple[str, ...] = ()
    nulls: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def good(self) -> pa.Table:
        """The rows without a problem."""
        if not self.problems:
            return self.table
        keep = np.ones(self.table.num_rows, dtype=bool)
        keep[list(self.problems)] = False
        return self.table.filter(pa.array(keep))


def check_columns(names: Sequence[str], schema: Schema, *, labelled: bool, name: str) -> list[str]:
    """Every column that may not be null is there; gives what is assumed of the others, in sentences.

    Without a label the keys are optional. A column that the schema does not name is left out, unless it is strict.

    Raises:
        DataError: naming the columns that are missing, nearly right, repeated, or unknown to a strict schema.
    """
    repeated = sorted({column for column in names if names.count(column) > 1})
    if repeated:
        raise DataError(f"columns named twice: {', '.join(repeated)}", file=name)
    wanted = [*schema.columns, *(schema.keys if labelled else ())]
    absent = [column for column in wanted if column.name not in names]
    missing = [column.name for column in absent if not column.nullable]
    missing += [schema.label.name] if labelled and schema.label.name not in names else []
    extra = [column for column in names if column not in {*schema.known, schema.label.name, *schema.ignore}]
    _refuse_nearly_right([*(column.name for column in absent), *missing], extra, name)
    if missing:
        there = ", ".join(names[:_NAMES]) + (f" and {len(names) - _NAMES} more" if len(names) > _NAMES else "")
        raise DataError(f"columns missing: {', '.join(sorted(set(missing)))}; the table has: {there}", file=name)
    if extra and schema.strict:
        known = ", ".join([*schema.known, schema.label.name])
        remedy = "name them in the schema's ignore, or take away its strict"
        raise DataError(f"columns unknown: {', '.join(extra)}; known: {known}; {remedy}", file=name)
    return list(_assumed(extra, [column.name for column in absent if column.nullable]))


def _assumed(extra: list[str], absent: list[str]) -> Iterator[str]:
    if extra:
        shown = ", ".join(extra[:_NAMES]) + (f" and {len(extra) - _NAMES} more" if len(extra) > _NAMES else "")
        yield f"columns that the schema does not name are left out: {shown}"
    if absent:
        yield f"columns that the table does not have are null: {', '.join(absent)}"


def _refuse_nearly_right(missing: list[str], extra: list[str], name: str) -> None:
    """A column left out beside one that is missing is most likely the same one."""
    given = {_letters(column): column for column in extra}
    for column in missing:
        near = given.get(_letters(column))
        if near is not None:
            problem = f"the table has {near!r} where the schema says {column!r}: give both one name"
            raise DataError(problem, file=name, column=column)


def _letters(name: str) -> str:
    """A name without what is often written otherwise: capitals, blanks, dots, dashes and underscores."""
    return re.sub(r"[\s._\-]+", "", name).casefold()


def check_table(table: pa.Table, schema: Schema, *, labelled: bool, name: str) -> Checked:
    """Holds every cell against the schema.

    Args:
        table: as `read_table` gives it.
        schema: of the rows.
        labelled: whether keys and label must be there, and the label becomes int8; else keys are checked where they
            are there and may be null, and a label is not looked at.
        name: of the file, for errors.

    Raises:
        DataError: a column is missing, or of a type that cannot be read at all.
    """
    assumed = check_columns(table.column_names, schema, labelled=labelled, name=name)
    keys = schema.keys if labelled else [replace(key, nullable=True) for key in schema.keys]
    typed: dict[str, Any] = {}
    problems: dict[int, list[str]] = {}
    nulls: dict[str, dict[str, int]] = {}
    for column in (*schema.columns, *keys):
        if column.name in table.column_names:
            cells = check_cells(table.column(column.name), column, name)
        elif labelled or column.name in schema.names:
            cells = check_cells(pa.nulls(table.num_rows), column, name)
        else:
            continue
        typed[column.name] = _as_stored(cells.values, column, schema)
        _note(problems, column.name, cells)
        nulls |= {column.name: cells.nulls} if cells.nulls else {}
    if labelled:
        cells = check_label(table.column(schema.label.name), schema.label, name)
        typed[schema.label.name] = np.nan_to_num(cells.values).astype(np.int8)
        _note(problems, schema.label.name, cells)
    return Checked(pa.table(typed), dict(sorted(problems.items())), tuple(assumed), nulls)


def _note(problems: dict[int, list[str]], name: str, cells: Cells) -> None:
    for row, problem in cells.broken:
        problems.setdefault(row, []).append(f"column {name}: {problem}")


def say_nulls(nulls: Mapping[str, Mapping[str, int]]) -> list[str]:
    """A sentence for each column of `Checked.nulls`."""
    shown = {name: [f"{text!r} ({count:,})" for text, count in sorted(texts.items())] for name, texts in nulls.items()}
    return [f"column {name}: null is written as {', '.join(texts)}" for name, texts in shown.items()]


def _as_stored(values: Any, column: Column, schema: Schema) -> Any:
    """Inputs as the model takes them; a key is no input and keeps every digit."""
    if not column.is_number or column.name not in schema.names:
        return values
    dtype = np.float64 if column.is_wide else np.float32
    if isinstance(values, pa.Array):
        values = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return values.astype(dtype)
