"""Holding tables against the schema, whole columns at a time.

The rules and the words are those of `core.schema`; here they run over Arrow columns, so that a million rows take
seconds. `tests/core/test_table.py` holds the two against each other on generated rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
from numpy.typing import NDArray

from components.core.errors import DataError, first_line
from components.core.schema import Column, Schema

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
# JSON writes whole floats below this without an exponent.
_LONGEST = 1e16


@dataclass(frozen=True)
class Checked:
    """A table after the check.

    Args:
        table: typed columns: float32 with NaN for null, strings with "" for null; a broken cell is null too.
        problems: 0-based row to sentences that each name a column, the value and the limit.
    """

    table: pa.Table
    problems: dict[int, list[str]]

    @property
    def good(self) -> pa.Table:
        """The rows without a problem."""
        if not self.problems:
            return self.table
        keep = np.ones(self.table.num_rows, dtype=bool)
        keep[list(self.problems)] = False
        return self.table.filter(pa.array(keep))


def check_columns(names: list[str], schema: Schema, *, labelled: bool, name: str) -> None:
    """Every column of the schema is there and no other; without a label the keys are optional.

    Raises:
        DataError: naming the missing, the unknown and the repeated columns.
    """
    repeated = sorted({column for column in names if names.count(column) > 1})
    if repeated:
        raise DataError(f"columns named twice: {', '.join(repeated)}", file=name)
    keys = [key.name for key in schema.keys]
    required = {*schema.names, *(keys if labelled else []), *([schema.label.name] if labelled else [])}
    missing = sorted(required - set(names))
    unknown = sorted(set(names) - required - set(keys) - {schema.label.name})
    if missing:
        raise DataError(f"columns missing: {', '.join(missing)}", file=name)
    if unknown:
        raise DataError(f"columns unknown: {', '.join(unknown)}; known: {', '.join(sorted(required))}", file=name)


def check_table(table: pa.Table, schema: Schema, *, labelled: bool, name: str) -> Checked:
    """Holds every cell against the schema.

    Args:
        table: as `read_table` gives it.
        schema: of the rows.
        labelled: whether keys and label must be there; the label becomes int8.
        name: of the file, for errors.

    Raises:
        DataError: a column is missing, unknown or of a type that cannot be read at all.
    """
    check_columns(table.column_names, schema, labelled=labelled, name=name)
    label = Column(schema.label.name, "integer", categories=(0, 1))
    columns = [*schema.columns, *schema.keys, label] if labelled else list(schema.columns)
    typed: dict[str, Any] = {}
    problems: dict[int, list[str]] = {}
    for column in columns:
        cells = table.column(column.name).combine_chunks()
        values, broken = _check_column(cells, column, name)
        typed[column.name] = values
        for row, problem in broken:
            problems.setdefault(row, []).append(f"column {column.name}: {problem}")
    for column in columns:
        typed[column.name] = _as_stored(typed[column.name], column, schema)
    return Checked(pa.table(typed), dict(sorted(problems.items())))


def _as_stored(values: Any, column: Column, schema: Schema) -> Any:
    """Inputs as the model takes them; a key is no input and keeps every digit; the label is int8."""
    if not column.is_number:
        return values
    if column.name in schema.names:
        return values.astype(np.float32)
    whole = np.int8 if column.name == schema.label.name else np.int64
    if column.kind != "integer":
        return values
    return pa.array(np.nan_to_num(values).astype(whole), mask=np.isnan(values))


def _check_column(cells: Any, column: Column, name: str) -> tuple[Any, list[tuple[int, str]]]:
    """Typed values, and the broken cells with their sentences."""
    if isinstance(cells, pa.ChunkedArray):
        cells = pa.concat_arrays(cells.chunks) if cells.num_chunks else pa.array([], cells.type)
    if pa.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    texts = pa.types.is_string(cells.type) or pa.types.is_large_string(cells.type)
    if not column.is_number:
        if not texts and not pa.types.is_null(cells.type):
            raise DataError(f"has type {cells.type}, asked: string", file=name, column=column.name)
        _refuse_broken_text(cells, column, name)
        return _check_strings(pc.fill_null(cells.cast(pa.string()), ""), column)
    return _check_numbers(cells, column, name) if not texts else _check_number_texts(cells, column)


def _refuse_broken_text(cells: Any, column: Column, name: str) -> None:
    """Parquet promises UTF-8 but nobody checks it on writing."""
    try:
        cells.validate(full=True)
    except pa.ArrowInvalid as error:
        raise DataError(f"holds text that is not UTF-8: {first_line(error)}", file=name, column=column.name) from error


def _check_strings(cells: Any, column: Column) -> tuple[Any, list[tuple[int, str]]]:
    empty = pc.equal(cells, "").to_numpy(zero_copy_only=False)
    broken = [] if column.nullable else [(int(row), column.problem("null")) for row in np.flatnonzero(empty)]
    if not pc.any(_suspicious(cells, column)).as_py():
        return cells, broken
    distinct = pc.dictionary_encode(cells)
    # A suspicious value goes, once however often it occurs, through the very code that checks a request.
    suspects = np.flatnonzero(_suspicious(distinct.dictionary, column).to_numpy(zero_copy_only=False))
    texts = distinct.dictionary.take(pa.array(suspects)).to_pylist()
    verdicts = {
        int(code): verdict
        for code, text in zip(suspects, texts, strict=True)
        if (verdict := _problem(column, text)) is not None
    }
    if verdicts:
        codes = distinct.indices.to_numpy()
        bad = np.isin(codes, list(verdicts))
        broken += [(int(row), verdicts[int(codes[row])]) for row in np.flatnonzero(bad)]
        cells = pc.if_else(pa.array(bad), "", cells)
    return cells, broken


def _suspicious(texts: Any, column: Column) -> Any:
    """Whether a string may break the schema; Python alone judges a pattern, RE2 does not speak all of its language."""
    written = pc.not_equal(texts, "")
    if column.pattern is not None:
        return written
    suspicious = pc.greater(pc.utf8_length(texts), column.max_length)
    if column.categories:
        allowed = pa.array([text for text in column.categories if isinstance(text, str)], pa.string())
        suspicious = pc.or_(suspicious, pc.invert(pc.is_in(texts, allowed)))
    return pc.and_(written, suspicious)


def _check_number_texts(cells: Any, column: Column) -> tuple[NDArray[np.float64], list[tuple[int, str]]]:
    if (read := _read_numbers(cells)) is not None:
        return _limit_numbers(read, column, skip=np.zeros(len(read), dtype=bool))
    texts = pc.utf8_trim_whitespace(pc.fill_null(cells, ""))
    if column.kind == "boolean":
        lowered = pc.utf8_lower(texts)
        texts = pc.if_else(pc.equal(lowered, "true"), "1", pc.if_else(pc.equal(lowered, "false"), "0", texts))
    written = pc.match_substring_regex(texts, _NUMBER)
    null = pc.equal(texts, "").to_numpy(zero_copy_only=False)
    unreadable = ~written.to_numpy(zero_copy_only=False) & ~null
    numbers = pc.if_else(written, texts, None).cast(pa.float64())
    values = numbers.to_numpy(zero_copy_only=False)
    broken = [(int(row), column.problem("type", texts[int(row)].as_py())) for row in np.flatnonzero(unreadable)]
    limited, more = _limit_numbers(values, column, skip=unreadable)
    return limited, broken + more


def _read_numbers(cells: Any) -> NDArray[np.float64] | None:
    """The short way for a column of nothing but plain numbers and nulls; None where any text needs a closer look."""
    try:
        numbers = pc.replace_with_mask(cells, pc.equal(cells, ""), pa.scalar(None, cells.type)).cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    # Arrow reads "nan" and "inf" too, which are no numbers here.
    values: NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
    return values if np.isfinite(values).sum() == len(values) - numbers.null_count else None


def _check_numbers(cells: Any, column: Column, name: str) -> tuple[NDArray[np.float64], list[tuple[int, str]]]:
    try:
        if not _is_numeric(cells.type, column):
            raise pa.ArrowNotImplementedError("not a number")  # noqa: TRY301  # one sentence for all types
        values = cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"has type {cells.type}, asked: {column.kind}", file=name, column=column.name) from error
    return _limit_numbers(values, column, skip=np.zeros(len(values), dtype=bool))


def _is_numeric(dtype: pa.DataType, column: Column) -> bool:
    if pa.types.is_boolean(dtype):
        return column.kind == "boolean"
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(test(dtype) for test in tests)


def _limit_numbers(
    values: NDArray[np.float64], column: Column, *, skip: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], list[tuple[int, str]]]:
    """Nulls, whole numbers, categories and ranges; what is broken or skipped becomes NaN."""
    null = np.isnan(values)
    # Suspects are found at once and worded one by one, by the code that checks a request.
    suspect = ~null & ~((values >= column.lower) & (values <= column.upper) & np.isfinite(values))
    if column.kind == "integer":
        suspect |= ~null & (values != np.floor(values))
    if column.kind == "boolean":
        suspect |= ~null & (values != 0) & (values != 1)
    if column.categories:
        suspect |= ~null & ~np.isin(values, np.asarray(column.categories, dtype=np.float64))
    if not column.nullable:
        suspect |= null & ~skip
    rows = np.flatnonzero(suspect & ~skip)
    broken = [(int(row), str(_problem(column, _plain(values[row])))) for row in rows]
    return np.where(suspect | skip, np.nan, values), broken


def _problem(column: Column, value: object) -> str | None:
    try:
        column.parse(value)
    except ValueError as error:
        return str(error)
    return None


def _plain(value: np.float64) -> float | int | None:
    if np.isnan(value):
        return None
    return int(value) if float(value).is_integer() and abs(value) < _LONGEST else float(value)
