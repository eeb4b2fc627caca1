"""The cells of one column, held against its declaration: whole Arrow columns at a time, in the words of `Column`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifeboat.config.errors import DataError, first_line
from lifeboat.data.moments import blank_to_null, read_moments
from lifeboat.usecase.column import FALSE_TEXTS, LARGEST_INPUT, TRUE_TEXTS, Column, is_null
from lifeboat.usecase.label import Label

_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_INT64 = np.iinfo(np.int64)
Broken = list[tuple[int, str]]


@dataclass(frozen=True)
class Cells:
    """A column after the check; a broken cell is a null.

    Args:
        values: strings ("" for null), float64 (NaN for null; of a datetime microseconds since 1970), or for an integer
            int64 with Arrow's nulls.
        broken: 0-based row and a sentence, of each broken cell; a column's is a `Problem`, which knows its rule.
        nulls: texts that were read as a null, beside the empty one, and how often.
    """

    values: Any
    broken: Broken
    nulls: dict[str, int] = field(default_factory=dict)


def check_cells(cells: Any, column: Column, name: str) -> Cells:
    """Holds the cells of a column against it.

    Args:
        cells: as the table has them: text, numbers, or text of numbers.
        column: what they should be.
        name: of the file, for errors.

    Raises:
        DataError: the cells are of a type that can be none of its values.
    """
    cells = _plain(cells)
    texts = is_text(cells.type)
    if not column.is_number:
        if not texts and not pa.types.is_null(cells.type):
            raise DataError(f"has type {cells.type}, asked: string", file=name, column=column.name)
        _refuse_broken_text(cells, column.name, name)
        return _check_strings(pc.fill_null(cells.cast(pa.string()), ""), column)
    if column.is_datetime:
        return _check_datetimes(cells, column, name)
    if not texts and not _is_numeric(cells.type, column):
        raise DataError(f"has type {cells.type}, asked: {column.kind}", file=name, column=column.name)
    return _check_integers(cells, column) if column.kind == "integer" else _check_floats(cells, column)


def check_label(cells: Any, label: Label, name: str) -> Cells:
    """The label of each row, float64 with NaN for a cell that is none; arguments and errors as for `check_cells`."""
    if label.column is not None:
        return check_cells(cells, label.column, name)
    cells = _plain(cells)
    if is_text(cells.type):
        _refuse_broken_text(cells, label.name, name)
    try:
        distinct = pc.dictionary_encode(cells, null_encoding="encode")
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise DataError(f"has type {cells.type}, which holds no classes", file=name, column=label.name) from error
    codes = np.full(len(distinct.dictionary), np.nan)
    problems: dict[int, str] = {}
    for place, value in enumerate(distinct.dictionary.to_pylist()):
        try:
            codes[place] = label.parse(value)
        except ValueError as error:
            problems[place] = str(error)
    places = distinct.indices.to_numpy(zero_copy_only=False)
    broken = [(int(row), problems[int(places[row])]) for row in np.flatnonzero(np.isin(places, list(problems)))]
    return Cells(codes[places], broken)


def _plain(cells: Any) -> Any:
    if isinstance(cells, pa.ChunkedArray):
        cells = pa.concat_arrays(cells.chunks) if cells.num_chunks else pa.array([], cells.type)
    return cells.dictionary_decode() if pa.types.is_dictionary(cells.type) else cells


def is_text(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_string(dtype) or pa.types.is_large_string(dtype))


def _is_numeric(dtype: pa.DataType, column: Column) -> bool:
    if pa.types.is_boolean(dtype):
        return column.kind == "boolean"
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_null)
    return any(test(dtype) for test in tests)


def _refuse_broken_text(cells: Any, column: str, name: str) -> None:
    """Parquet promises UTF-8 but nobody checks it on writing."""
    try:
        cells.validate(full=True)
    except pa.ArrowInvalid as error:
        raise DataError(f"holds text that is not UTF-8: {first_line(error)}", file=name, column=column) from error


# Texts.


def _check_strings(cells: Any, column: Column) -> Cells:
    written = cells
    cells, nulls = _without_nulls(cells, column)
    empty = pc.equal(cells, "").to_numpy(zero_copy_only=False)
    broken: Broken = []
    if not column.nullable:
        broken = [(int(row), column.problem("null", written[int(row)].as_py())) for row in np.flatnonzero(empty)]
    if not pc.any(_suspicious(cells, column)).as_py():
        return Cells(cells, broken, nulls)
    distinct = pc.dictionary_encode(cells)
    # A suspicious value goes, once however often it occurs, through the very code that checks a request.
    suspects = np.flatnonzero(_suspicious(distinct.dictionary, column).to_numpy(zero_copy_only=False))
    texts = distinct.dictionary.take(pa.array(suspects)).to_pylist()
    problems = {
        int(code): problem
        for code, text in zip(suspects, texts, strict=True)
        if (problem := _problem(column, text)) is not None
    }
    if problems:
        codes = distinct.indices.to_numpy()
        bad = np.isin(codes, list(problems))
        broken += [(int(row), problems[int(codes[row])]) for row in np.flatnonzero(bad)]
        cells = pc.if_else(pa.array(bad), "", cells)
    return Cells(cells, broken, nulls)


def _without_nulls(cells: Any, column: Column) -> tuple[Any, dict[str, int]]:
    """Text cells with "" for each text that means a null, and how often each of these stood there."""
    spelled = pc.is_in(cells, pa.array(column.na, cells.type)) if column.na else None
    if spelled is None or not pc.any(spelled).as_py():
        return cells, {}
    counts = pc.value_counts(cells.filter(spelled)).to_pylist()
    return pc.if_else(spelled, "", cells), {entry["values"]: entry["counts"] for entry in counts}


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


# Numbers.


def _check_floats(cells: Any, column: Column) -> Cells:
    raw = cells
    nulls: dict[str, int] = {}
    unreadable: Broken = []
    if is_text(cells.type):
        cells, nulls, values, unreadable = _read_texts(cells, column, _read_floats)
    else:
        values = cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    skip = np.zeros(len(values), dtype=bool)
    skip[[row for row, _ in unreadable]] = True
    null = np.isnan(values)
    # Suspects are found at once and worded one by one, by the code that checks a request.
    suspect = ~null & ~((values >= column.lower) & (values <= column.upper) & np.isfinite(values))
    if column.kind == "boolean":
        suspect |= ~null & (values != 0) & (values != 1)
    if column.categories:
        suspect |= ~null & ~np.isin(values, np.asarray(column.categories, dtype=np.float64))
    if not column.nullable:
        suspect |= null
    rows = np.flatnonzero(suspect & ~skip)
    broken = [(int(row), _words(column, raw, int(row), _shown(values[row]))) for row in rows]
    # Adding zero makes the negative zero zero; every NaN becomes the same one.
    return Cells(np.where(suspect | null, np.nan, values + 0.0), unreadable + broken, nulls)


def _check_integers(cells: Any, column: Column) -> Cells:
    """Whole numbers as int64: through a float those beyond 2^53 would become others."""
    raw = cells
    nulls: dict[str, int] = {}
    broken: Broken = []
    if is_text(cells.type):
        cells, nulls, numbers, broken = _read_texts(cells, column, _read_integers)
    else:
        numbers = _cast_integers(cells)
    if not isinstance(numbers, pa.Array):
        numbers, broken = _exact_integers(cells, numbers, column, broken)
    values, null = pc.fill_null(numbers, 0).to_numpy(), pc.is_null(numbers).to_numpy(zero_copy_only=False)
    known = {row for row, _ in broken}
    lower, upper = max(math.ceil(column.lower), _INT64.min), min(math.floor(column.upper), _INT64.max)
    suspect = ~null & ((values < lower) | (values > upper))
    if column.categories:
        suspect |= ~null & ~np.isin(values, [int(one) for one in column.categories])
    rows = np.flatnonzero(suspect if column.nullable else suspect | null)
    words = ((int(row), None if null[row] else int(values[row])) for row in rows if int(row) not in known)
    broken = broken + [(row, _words(column, raw, row, value)) for row, value in words]
    return Cells(pa.array(values, mask=null | suspect), broken, nulls)


def _cast_integers(cells: Any) -> Any:
    """Arrow's int64, or float64 values where that cannot be."""
    if pa.types.is_integer(cells.type) or pa.types.is_null(cells.type):
        try:
            return cells.cast(pa.int64())
        except pa.ArrowInvalid:  # an unsigned one beyond it
            pass
    return cells.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)


def _exact_integers(cells: Any, values: NDArray[np.float64], column: Column, broken: Broken) -> tuple[pa.Array, Broken]:
    """int64 of numbers that were not all written as whole ones; the large ones go back to how they were written."""
    known = np.isnan(values)
    odd = ~known & ~((np.abs(values) < LARGEST_INPUT) & (values == np.floor(values)))
    whole = np.where(known | odd, 0, values).astype(np.int64)
    more: Broken = []
    for row in np.flatnonzero(odd):
        try:
            whole[row] = int(column.parse(_written(cells[int(row)].as_py())))
            odd[row] = False
        except ValueError as error:
            more.append((int(row), error.args[0]))
    return pa.array(whole, mask=known | odd), broken + more


def _written(cell: Any) -> int | float:
    """A cell's number as exact as it was written."""
    if isinstance(cell, str):
        number = Decimal(cell.strip())
        return int(number) if number == number.to_integral_value() else float(number)
    if isinstance(cell, Decimal) and cell == cell.to_integral_value():
        return int(cell)
    return cell if isinstance(cell, int) else float(cell)


# Datetimes.


def _check_datetimes(cells: Any, column: Column, name: str) -> Cells:
    nulls: dict[str, int] = {}
    raw = cells
    if is_text(cells.type):
        _refuse_broken_text(cells, column.name, name)
        cells, nulls = _without_nulls(pc.utf8_trim_whitespace(pc.fill_null(cells.cast(pa.string()), "")), column)
    found = read_moments(cells, column)
    if found is None:
        is_number = column.epoch is None and _is_numeric(cells.type, column)
        hint = '; epoch="s" or "ms" says what a number is' if is_number else ""
        raise DataError(f"has type {cells.type}, asked: datetime{hint}", file=name, column=column.name)
    values, suspect = found
    null = np.isnan(values) & ~suspect
    suspect |= ~null & ~((values >= column.lower) & (values <= column.upper))
    if not column.nullable:
        suspect |= null
    broken = [(int(row), _moment_problem(column, raw[int(row)])) for row in np.flatnonzero(suspect)]
    return Cells(np.where(suspect, np.nan, values), broken, nulls)


def _moment_problem(column: Column, cell: Any) -> str:
    """Of a cell that is broken, an Arrow scalar."""
    try:
        value = cell.as_py()
    except (OverflowError, ValueError):
        # What Python's own types cannot hold is beyond every limit.
        return column.problem("range", f"{cell.value:,} {cell.type.unit} since 1970")
    return column.problem("null", value) if is_null(value) else _problem(column, value) or ""


def _read_texts(
    cells: Any, column: Column, read: Callable[[Any], Any | None]
) -> tuple[Any, dict[str, int], Any, Broken]:
    """The cells without texts that mean null, how often each did, their numbers, and what is no number.

    Args:
        read: the short way for a column of nothing but plain numbers and nulls; None where a text needs a closer look.
    """
    numbers = read(cells)
    if numbers is not None:
        return cells, {}, numbers, []
    cells, nulls = _without_nulls(pc.utf8_trim_whitespace(pc.fill_null(cells, "")), column)
    if nulls and (numbers := read(cells)) is not None:
        return cells, nulls, numbers, []
    texts = cells
    if column.kind == "boolean":
        lowered = pc.utf8_lower(texts)
        for number, spelled in (("1", TRUE_TEXTS), ("0", FALSE_TEXTS)):
            texts = pc.if_else(pc.is_in(lowered, pa.array(spelled, lowered.type)), number, texts)
    written = pc.match_substring_regex(texts, _NUMBER)
    unreadable = pc.and_(pc.invert(written), pc.not_equal(texts, "")).to_numpy(zero_copy_only=False)
    broken: Broken = [(int(row), column.problem("type", texts[int(row)].as_py())) for row in np.flatnonzero(unreadable)]
    return cells, nulls, pc.if_else(written, texts, None).cast(pa.float64()).to_numpy(zero_copy_only=False), broken


def _read_floats(cells: Any) -> NDArray[np.float64] | None:
    try:
        numbers = blank_to_null(cells).cast(pa.float64())
    except pa.ArrowInvalid:
        return None
    # Arrow reads "nan" and "inf" too, which are no numbers here.
    values: NDArray[np.float64] = numbers.to_numpy(zero_copy_only=False)
    return values if np.isfinite(values).sum() == len(values) - numbers.null_count else None


def _read_integers(cells: Any) -> pa.Array | None:
    try:
        return blank_to_null(cells).cast(pa.int64())
    except pa.ArrowInvalid:
        return None


def _words(column: Column, raw: Any, row: int, value: float | int | None) -> str:
    """The sentence for a broken number; of a null as it was written."""
    if value is None:
        return column.problem("null", raw[row].as_py() if is_text(raw.type) else None)
    return _problem(column, value) or ""


def _problem(column: Column, value: object) -> str | None:
    try:
        column.parse(value)
    except ValueError as error:
        problem: str = error.args[0]
        return problem
    return None


def _shown(value: np.float64) -> float | int | None:
    """A number as JSON says it: whole ones without a point, but for those that have an exponent."""
    if np.isnan(value):
        return None
    return int(value) if float(value).is_integer() and abs(value) < 1e16 else float(value)
