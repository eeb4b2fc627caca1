"""Rows that no training table promises: what the schema lets in beside them, to hold a graph against scikit-learn.

A probe is a training row with something else in one column, or in several: a null, a category that was not seen, a
limit of the schema, a value beside the point where the graph's answer jumps.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from operator import attrgetter
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.model.scoring import Scorer
from lifeboat.model.tensors import tensor_type
from lifeboat.usecase.column import HIDDEN_VALUE, Column, Value
from lifeboat.usecase.datetimes import parse_moment, read_zone
from lifeboat.usecase.schema import Schema

# Training rows that are changed; values tried of a column; jumps followed of a column and row.
_BASES, _GRID, _JUMPS = 3, 17, 8
_CATEGORIES = 20
# Below this two answers do not differ by a threshold.
_JUMP = 1e-5
# Before 1970, at its start, on leap days that were and were not, in the last days of years with a 53rd week.
_MOMENTS = (
    "1899-12-31T23:59:59.999999", "1900-02-28", "1900-03-01", "1970-01-01T00:00:00Z", "2000-02-29", "2004-12-31T23:59",
    "2020-12-31", "2027-01-03T12:00", "2100-03-01",
)  # fmt: skip
# Texts that are hardly in any training table; of each column as far as its rules let them in.
_TEXTS = ("unseen by training", "Ünseen ÉÀ", " ", "a.b,c;d")


@dataclass(frozen=True)
class Probes:
    """Rows and what is special about each.

    Args:
        rows: columns of the schema, typed as the model takes them, n rows.
        reasons: n texts such as 'Age is null'.
    """

    rows: pa.Table
    reasons: list[str]


@dataclass(frozen=True)
class _Change:
    """A row of the table with other values in some columns."""

    base: int
    values: dict[str, Value]
    reason: str


def make_probes(schema: Schema, table: pa.Table, scorer: Scorer, *, thresholds: bool = True) -> Probes:
    """All probes of a table: some tens of rows for each column.

    Args:
        schema: says what may come.
        table: the training rows; those that are changed are spread over it.
        scorer: of the graph, whose jumps are looked for.
        thresholds: whether to look for them.
    """
    bases = np.unique(np.linspace(0, table.num_rows - 1, _BASES).astype(int))
    changes = [change for base in bases for change in _changes(schema, table, int(base))]
    if thresholds:
        changes += _beside_jumps(schema, table, scorer, bases[:2])
    return Probes(_rows(schema, table, changes), [change.reason for change in changes])


def _changes(schema: Schema, table: pa.Table, base: int) -> Iterator[_Change]:
    nullable = [column for column in schema.columns if column.nullable]
    if nullable:
        everything = {column.name: column.null for column in nullable}
        yield _Change(base, everything, f"{', '.join(everything)} {'is' if len(everything) == 1 else 'are'} null")
    for column in schema.columns:
        for value in _odd_values(column, table[column.name]):
            yield _Change(base, {column.name: value}, _said(column, value))


def _said(column: Column, value: Value) -> str:
    null = value != value or value == ""
    return f"{column.name} is null" if null else f"{column.name} is {value!r}"


def _odd_values(column: Column, cells: pa.ChunkedArray) -> list[Value]:
    values: list[Value] = [column.null] if column.nullable else []
    if column.categories:
        seen = set(cells.unique().to_pylist())
        new_first = sorted(column.categories, key=lambda category: category in seen)
        return values + [value if isinstance(value, str) else float(value) for value in new_first[:_CATEGORIES]]
    if column.kind == "boolean":
        return [*values, 0.0, 1.0]
    if column.is_datetime:
        return [*values, *_moments(column)]
    return values + (_numbers(column, cells) if column.is_number else _texts(column))


def _texts(column: Column) -> list[Value]:
    return [text for text in _TEXTS if len(text) <= column.max_length and _accepts(column, text)]


def _accepts(column: Column, value: Value) -> bool:
    try:
        column.parse(value)
    except ValueError:
        return False
    return True


def _moments(column: Column) -> list[Value]:
    """The limits, and moments of `_MOMENTS` within them."""
    known = [parse_moment(text, read_zone(column.zone)) for text in _MOMENTS]
    return [column.lower, *(float(moment) for moment in known if column.lower < moment < column.upper), column.upper]


def _numbers(column: Column, cells: pa.ChunkedArray) -> list[Value]:
    """The limits, 0 and -0; where there is no limit, far outside of what the table holds."""
    known = _known(cells)
    low, high = (float(known.min()), float(known.max())) if len(known) else (0.0, 1.0)
    far = 10 * max(abs(low), abs(high), 1.0)
    ends = [column.lower if column.minimum is not None else max(-far, column.lower)]
    ends += [column.upper if column.maximum is not None else min(far, column.upper)]
    if column.kind == "integer":
        ends = [float(np.trunc(end)) for end in ends]
    return [value for value in (*ends, 0.0, -0.0) if _accepts(column, value)]


def _known(cells: pa.ChunkedArray) -> NDArray[np.float64]:
    values = cells.to_numpy().astype(np.float64)
    known: NDArray[np.float64] = values[~np.isnan(values)]
    return known


def _rows(schema: Schema, table: pa.Table, changes: list[_Change]) -> pa.Table:
    taken = table.select(list(schema.names)).take(pa.array([change.base for change in changes], pa.int64()))
    made = {}
    for column in schema.columns:
        cells = taken[column.name].to_numpy(zero_copy_only=False).astype(tensor_type(column))
        for place, change in enumerate(changes):
            if column.name in change.values:
                cells[place] = change.values[column.name]
        made[column.name] = pa.array(cells, pa.string() if not column.is_number else None)
    return pa.table(made)


def _beside_jumps(schema: Schema, table: pa.Table, scorer: Scorer, bases: NDArray[np.int64]) -> list[_Change]:
    """At each jump that is found: the last value before it, the first one after it, and one more on either side."""
    columns = [column for column in schema.columns if column.is_number and not column.categories]
    columns = [column for column in columns if column.kind != "boolean"]
    intervals = [
        _Interval(int(base), column, a, b) for column in columns for base in bases for a, b in _grid(table, column)
    ]
    if not intervals:
        return []
    low, high = (_answers(schema, table, scorer, [i.change(place(i)) for i in intervals]) for place in _ENDS)
    kept: Any = _largest(intervals, _apart(low, high))
    intervals, low, high = [intervals[place] for place in kept], low[kept], high[kept]
    while any(interval.low + 1 < interval.high for interval in intervals):
        middle = _answers(schema, table, scorer, [interval.change(interval.middle) for interval in intervals])
        left = _apart(low, middle) >= _apart(middle, high)
        intervals = [interval.half(first=bool(first)) for interval, first in zip(intervals, left, strict=True)]
        low, high = np.where(left[:, None], low, middle), np.where(left[:, None], middle, high)
        # What changes little by little has no jump.
        kept = np.flatnonzero(_apart(low, high) > _JUMP)
        intervals, low, high = [intervals[place] for place in kept], low[kept], high[kept]
    return [change for interval in intervals for change in interval.beside()]


@dataclass(frozen=True)
class _Interval:
    """Two values of a column, as places in the order of all its values."""

    base: int
    column: Column
    low: int
    high: int

    @property
    def middle(self) -> int:
        return (self.low + self.high) // 2

    def half(self, *, first: bool) -> _Interval:
        """The first or the second half; itself where there is nothing between its ends."""
        if self.low + 1 >= self.high:
            return self
        low, high = (self.low, self.middle) if first else (self.middle, self.high)
        return _Interval(self.base, self.column, low, high)

    def change(self, place: int) -> _Change:
        value = _value(self.column, place)
        return _Change(self.base, {self.column.name: value}, f"{self.column.name} is {value!r}, where the answer jumps")

    def beside(self) -> list[_Change]:
        places = (self.low - 1, self.low, self.high, self.high + 1)
        changes = [self.change(place) for place in places]
        return [change for change in changes if _accepts(self.column, change.values[self.column.name])]


_ENDS = (attrgetter("low"), attrgetter("high"))


def _grid(table: pa.Table, column: Column) -> list[tuple[int, int]]:
    """Neighbouring pairs among some values of a column, and its limits, as places."""
    known = np.unique(_known(table[column.name]))
    if len(known) < 2:
        return []
    chosen = known[np.unique(np.linspace(0, len(known) - 1, _GRID).astype(int))]
    limits = ((column.minimum, column.lower), (column.maximum, column.upper))
    ends = [end for given, end in limits if given is not None]
    places = sorted({_place(column, float(value)) for value in (*chosen, *ends)})
    return list(pairwise(places))


def _largest(intervals: list[_Interval], change: NDArray[np.float32]) -> list[int]:
    """Of each row and column the places of the intervals in which the answer changes most."""
    kept: dict[tuple[int, str], int] = {}
    chosen = []
    for place in np.argsort(-change, kind="stable").tolist():
        key = intervals[place].base, intervals[place].column.name
        if change[place] > _JUMP and kept.get(key, 0) < _JUMPS:
            kept[key] = kept.get(key, 0) + 1
            chosen.append(place)
    return chosen


def _answers(schema: Schema, table: pa.Table, scorer: Scorer, changes: list[_Change]) -> NDArray[np.float32]:
    """What the graph answers to each, [n, width]."""
    return scorer.answers(_rows(schema, table, changes))


def _apart(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """By how much answers differ, [n]."""
    apart: NDArray[np.float32] = np.abs(second - first).max(axis=1)
    return apart


def _place(column: Column, value: float) -> int:
    """The place of a value in the order of its column's values: whole numbers, or floats by their bits."""
    if column.is_whole:
        return int(value)
    bits = int(np.float64(value).view(np.int64) if column.is_wide else np.float32(value).view(np.int32))
    return bits if bits >= 0 else -(bits & (2**63 - 1 if column.is_wide else 2**31 - 1))


def _value(column: Column, place: int) -> float:
    if column.is_whole:
        return float(place)
    value = float(np.int64(abs(place)).view(np.float64) if column.is_wide else np.int32(abs(place)).view(np.float32))
    return value if place >= 0 else -value


def describe_row(row: dict[str, Any], schema: Schema) -> str:
    """A row in a sentence, at most 200 characters, without what is personal."""
    hidden = {column.name for column in schema.columns if column.personal}
    text = ", ".join(f"{name}={HIDDEN_VALUE if name in hidden else repr(value)}" for name, value in row.items())
    return text if len(text) <= 200 else f"{text[:197]}..."
