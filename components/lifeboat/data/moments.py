"""Whole Arrow columns of moments to microseconds since 1970; the rules and the forms are those of `Column.parse`."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifeboat.usecase.column import Column
from lifeboat.usecase.datetimes import EPOCHS
from lifeboat.usecase.zone_calendar import DAY, zone_table

# What Arrow reads as `usecase.datetimes` does; all else is read text by text.
_NAIVE = r"^\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?)?$"
_ZONED = r"^\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)$"
_UNITS = {"s": (1_000_000, 1), "ms": (1_000, 1), "us": (1, 1), "ns": (1, 1_000)}
# Beyond this many microseconds no column reaches.
_FAR = 2.0**62
Moments = tuple[NDArray[np.float64], NDArray[np.bool_]]


def read_moments(cells: Any, column: Column) -> Moments | None:
    """Microseconds, NaN for a null and for what is none, and which are none, [n] each; None of a type that has none.

    Args:
        cells: one Arrow array: text with "" for null, timestamps of any unit, with a zone or without, days, or numbers
            where the column has an `epoch`.
        column: gives zone and epoch.
    """
    kind = cells.type
    if pa.types.is_null(kind):
        return np.full(len(cells), np.nan), np.zeros(len(cells), dtype=bool)
    if pa.types.is_string(kind):
        return _read_texts(cells, column)
    if pa.types.is_timestamp(kind):
        found = _scaled(cells.cast(pa.int64()), *_UNITS[kind.unit])
        return found if kind.tz else _localised(found, column)
    if pa.types.is_date(kind):
        return _localised(_scaled(cells.cast(pa.date32()).cast(pa.int32()), DAY, 1), column)
    if column.epoch is not None and pa.types.is_integer(kind):
        return _scaled(cells, EPOCHS[column.epoch], 1)
    if column.epoch is not None and pa.types.is_floating(kind):
        values = cells.cast(pa.float64()).to_numpy(zero_copy_only=False)
        return np.rint(values * EPOCHS[column.epoch]), np.isinf(values)
    return None


def _scaled(cells: Any, factor: int, divisor: int) -> Moments:
    """Whole numbers of another unit as microseconds; what is cut off is earlier, before 1970 too."""
    null = cells.is_null().to_numpy(zero_copy_only=False)
    whole = pc.fill_null(cells, 0).cast(pa.int64()).to_numpy()
    far = np.abs(whole.astype(np.float64)) * factor / divisor > _FAR
    moments = np.where(far, 0, whole) * factor // divisor
    return np.where(null | far, np.nan, moments.astype(np.float64)), far


def _localised(found: Moments, column: Column) -> Moments:
    """Of what clocks show the moments; what none ever showed is none."""
    local, wrong = found
    known = ~np.isnan(local)
    moments, skipped = zone_table(column.zone).to_moments(np.where(known, local, 0).astype(np.int64))
    wrong = wrong | (known & skipped)
    return np.where(known & ~wrong, moments, np.nan), wrong


def _read_texts(cells: Any, column: Column) -> Moments:
    written = cells.filter(pc.not_equal(cells, ""))
    for form, kind in ((_NAIVE, pa.timestamp("us")), (_ZONED, pa.timestamp("us", "UTC"))):
        if pc.all(pc.match_substring_regex(written, form)).as_py():
            try:
                found = _scaled(blank_to_null(cells).cast(kind).cast(pa.int64()), 1, 1)
            except pa.ArrowInvalid:  # no day of the calendar
                break
            return found if kind.tz else _localised(found, column)
    distinct = pc.dictionary_encode(cells)
    values = np.array([_parsed(text, column) for text in distinct.dictionary.to_pylist()])
    codes = distinct.indices.to_numpy()
    moments = values[codes] if len(values) else np.zeros(0)
    return np.where(np.isinf(moments), np.nan, moments), np.isinf(moments)


def blank_to_null(cells: Any) -> Any:
    """Texts with Arrow's null for each ""."""
    return pc.replace_with_mask(cells, pc.equal(cells, ""), pa.scalar(None, cells.type))


def _parsed(text: str, column: Column) -> float:
    """Infinite for what is none, or outside of the column's limits."""
    try:
        return float(column.parse(text)) if text else np.nan
    except ValueError:
        return np.inf


def as_timestamps(moments: Any) -> Any:
    """Microseconds as `read_moments` gives them, as an Arrow column that says what they are."""
    values = moments.to_numpy()
    return pa.array(np.nan_to_num(values).astype(np.int64), pa.timestamp("us", "UTC"), mask=np.isnan(values))
