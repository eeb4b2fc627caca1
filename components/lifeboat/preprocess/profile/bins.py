"""How the values of a column are counted: by bins of a number, or by levels; nulls by themselves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifeboat.usecase.datetimes import format_moment
from lifeboat.usecase.schema import Column
from lifeboat.usecase.zone_calendar import SECOND

BINS = 20
LEVELS = 8
OTHERS = "all others"
Whole = NDArray[np.int64]
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Bins:
    """Where each row of a column is counted.

    Args:
        place: of each row, -1 where the value is missing, [n].
        names: of the places.
        edges: of the places, where these are bins of a number, [places + 1]; else None.
        written: a number of the column as text.
    """

    place: Whole
    names: tuple[str, ...]
    edges: Floats | None
    written: Callable[[float], str]

    def count(self, rows: NDArray[np.bool_] | None = None) -> Whole:
        """How many rows are of each place, [places]."""
        place = self.place if rows is None else self.place[rows]
        return np.bincount(place[place >= 0], minlength=len(self.names))


def numbers_of(values: pa.ChunkedArray, column: Column) -> Floats | None:
    """What is counted by bins, NaN where it is missing: a number, of a free text its length; None of a category."""
    if column.is_free_text:
        lengths = pc.utf8_length(values).to_numpy().astype(np.float64)
        return np.where(lengths > 0, lengths, np.nan)
    return values.to_numpy().astype(np.float64) if column.is_number else None


def bins_of(values: pa.ChunkedArray, column: Column) -> Bins:
    """Of a checked column, [n]; of a free text no value is looked at but by its length."""
    numbers = numbers_of(values, column)
    if numbers is None:
        return _by_level(values)
    distinct = np.unique(numbers[~np.isnan(numbers)])
    written = writer(column)
    if len(distinct) <= LEVELS and not column.is_free_text:
        return _by_value(numbers, distinct, column)
    whole = column.is_free_text or (column.is_whole and not column.is_datetime)
    return _by_bin(numbers, distinct, written, whole=whole)


def writer(column: Column) -> Callable[[float], str]:
    """How its numbers are written: moments to the second."""
    return moment if column.is_datetime else "{:.6g}".format


def moment(value: float) -> str:
    """To the second: what a person reads."""
    return format_moment(value // SECOND * SECOND)


def _by_value(numbers: Floats, distinct: Floats, column: Column) -> Bins:
    known = ~np.isnan(numbers)
    place = np.where(known, np.searchsorted(distinct, np.where(known, numbers, 0)), -1).astype(np.int64)
    names = ("no", "yes") if column.kind == "boolean" else None
    written = writer(column)
    return Bins(place, tuple(names[int(one)] if names else written(one) for one in distinct), None, written)


def _by_bin(numbers: Floats, distinct: Floats, written: Callable[[float], str], *, whole: bool) -> Bins:
    if not len(distinct):
        return Bins(np.full(len(numbers), -1), (), None, written)
    edges = whole_edges(distinct[0], distinct[-1]) if whole else np.histogram_bin_edges(distinct, bins=BINS)
    known = ~np.isnan(numbers)
    place = np.searchsorted(edges[1:-1], np.where(known, numbers, edges[0]), side="right")
    ends = [(low + 0.5, high - 0.5) if whole else (low, high) for low, high in pairwise(edges)]
    names = tuple(written(low) if low == high else f"{written(low)} to {written(high)}" for low, high in ends)
    return Bins(np.where(known, place, -1).astype(np.int64), names, edges, written)


def whole_edges(low: float, high: float) -> Floats:
    """Of bins that hold as many whole numbers each, half a number beside them: else some hold none."""
    width = np.ceil((high - low + 1) / BINS)
    return np.asarray(low - 0.5 + width * np.arange(np.ceil((high - low + 1) / width) + 1))


def _by_level(values: pa.ChunkedArray) -> Bins:
    """The commonest ones by their frequency, the others together."""
    encoded: Any = pc.dictionary_encode(values.combine_chunks())
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    names, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
    counts = np.bincount(codes, minlength=len(names))
    known = [code for code in np.argsort(-counts, kind="stable") if names[code] != ""]
    shown = known[:LEVELS]
    places = np.full(max(len(names), 1), len(shown), dtype=np.int64)
    places[shown] = np.arange(len(shown))
    places[[code for code, name in enumerate(names) if name == ""]] = -1
    more = (OTHERS,) if len(known) > len(shown) else ()
    return Bins(places[codes], (*(str(names[code]) for code in shown), *more), None, str)
