"""Holding tables against the schema, whole columns at a time.

The rules and the words are those of `usecase.schema`; here they run over Arrow columns (`data.cells`): a million rows
take seconds. `tests/data/test_table.py` holds the two against each other on generated rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa

from lifeboat.config.errors import DataError
from lifeboat.data.cells import Cells, check_cells, check_label
from lifeboat.usecase.column import Problem, listed
from lifeboat.usecase.schema import Column, Schema

# So many names of a table stand in a message.
_NAMES = 20


@dataclass(frozen=True)
class Checked:
    """A table after the check.

    Args:
        table: typed columns: float32 with NaN for null (float64 where `Column.is_wide`), strings with "" for null, keys
            that are whole numbers int64; a broken cell is null too.
        problems: 0-based row to sentences that each name a column, the value and the limit, and know column and rule.
        assumed: what was taken for granted of the table's columns, in sentences.
        nulls: column to the texts in it that were read as a null, beside the empty one, and how often each was.
    """

    table: pa.Table
    problems: dict[int, list[Problem]]
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

    def first_error(self, name: str, before: int = 0) -> DataError:
        """Of the first row with a problem.

        Args:
            name: of the file.
            before: rows of it that come before this table.
        """
        row, sentences = next(iter(self.problems.items()))
        return DataError(sentences[0], file=name, row=before + row + 1)


def check_columns(names: Sequence[str], schema: Schema, *, labelled: bool, name: str) -> list[str]:
    """Every column that may not be left out is there; gives what is assumed of the others, in sentences.

    Without a label the keys are optional. A column that the schema does not name is left out, unless it is strict.

    Raises:
        DataError: naming the columns that are missing, nearly right, repeated, or unknown to a strict schema.
    """
    problems = column_problems(names, schema, labelled=labelled)
    if problems:
        raise DataError("; ".join(problems), file=name)
    wanted = [*schema.columns, *(schema.keys if labelled else ())]
    absent = [column.name for column in wanted if column.name not in names]
    return list(_assumed(_extra(names, schema), absent))


def column_problems(names: Sequence[str], schema: Schema, *, labelled: bool) -> list[str]:
    """What the columns of a table and those of a schema have against each other, in sentences; see `check_columns`."""
    wanted = [*schema.columns, *(schema.keys if labelled else ())]
    absent = {column.name: column.is_optional for column in wanted if column.name not in names}
    absent |= {schema.label.name: False} if labelled and schema.label.name not in names else {}
    extra = _extra(names, schema)
    near = _nearly_right(absent, extra)
    missing = sorted(name for name, optional in absent.items() if not optional and name not in near)
    problems = [f"columns named twice: {', '.join(repeated)}"] if (repeated := _repeated(names)) else []
    problems += [
        f"the table has {there!r} where the schema says {name!r}: give both one name" for name, there in near.items()
    ]
    if missing:
        problems.append(f"columns missing: {', '.join(missing)}; the table has: {listed(names, _NAMES)}")
    if schema.strict and (unknown := [name for name in extra if name not in near.values()]):
        known = ", ".join([*schema.known, schema.label.name])
        remedy = "name them in the schema's ignore, or take away its strict"
        problems.append(f"columns unknown: {', '.join(unknown)}; known: {known}; {remedy}")
    return problems


def _repeated(names: Sequence[str]) -> list[str]:
    return sorted({name for name in names if names.count(name) > 1})


def _extra(names: Sequence[str], schema: Schema) -> list[str]:
    """Columns that the schema does not name."""
    return [name for name in names if name not in {*schema.known, schema.label.name, *schema.ignore}]


def _assumed(extra: Sequence[str], absent: Sequence[str]) -> Iterator[str]:
    if extra:
        yield f"columns that the schema does not name are left out: {listed(extra, _NAMES)}"
    if absent:
        yield f"columns that the table does not have are null: {listed(absent, _NAMES)}"


def _nearly_right(absent: Iterable[str], extra: Sequence[str]) -> dict[str, str]:
    """Columns that are missing, and what most likely is the same one under a name that is written otherwise."""
    given = {_letters(name): name for name in extra}
    return {name: given[_letters(name)] for name in absent if _letters(name) in given}


def _letters(name: str) -> str:
    """A name without what is often written otherwise: capitals, blanks, dots, dashes and underscores."""
    return re.sub(r"[\s._\-]+", "", name).casefold()


def check_table(table: pa.Table, schema: Schema, *, labelled: bool, name: str) -> Checked:
    """Holds every cell against the schema.

    Args:
        table: as `read_table` gives it.
        schema: of the rows.
        labelled: whether keys and label must be there, and the label becomes a number; else keys are checked where they
            are there and may be null, and a label is not looked at.
        name: of the file, for errors.

    Raises:
        DataError: a column is missing, or of a type that cannot be read at all.
    """
    assumed = check_columns(table.column_names, schema, labelled=labelled, name=name)
    keys = schema.keys if labelled else [replace(key, nullable=True) for key in schema.keys]
    typed: dict[str, Any] = {}
    problems: dict[int, list[Problem]] = {}
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
        typed[schema.label.name] = np.nan_to_num(cells.values).astype(schema.label.dtype)
        _note(problems, schema.label.name, cells)
    return Checked(pa.table(typed), dict(sorted(problems.items())), tuple(assumed), nulls)


def _note(problems: dict[int, list[Problem]], name: str, cells: Cells) -> None:
    for row, problem in cells.broken:
        rule = problem.rule if isinstance(problem, Problem) else ""
        problems.setdefault(row, []).append(Problem(f"column {name}: {problem}", rule, name))


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
