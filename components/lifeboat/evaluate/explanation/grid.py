"""At which values of a column a model is asked, and what stands for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.tasks.task import Floats
from lifeboat.usecase.datetimes import format_moment
from lifeboat.usecase.schema import Column
from lifeboat.usecase.zone_calendar import DAY, DAYS, PARTS, on_clocks

# Values of a number, levels of a category, periods of a datetime, at most.
VALUES, LEVELS, PERIODS = 20, 8, 10
# Of more different values the outermost twentieths are left out: few rows are there.
_QUANTILES = np.linspace(0.05, 0.95, VALUES)
_TEXT = np.dtype(object)


@dataclass(frozen=True)
class GridPoint:
    """One value of a column, or several that are one kind.

    Args:
        label: for people.
        at: where it stands on an axis of numbers (a datetime in microseconds since 1970); None for a kind.
        rows: how many of the rows have it, or are next to it.
        donors: values of the column that stand for it, [k]; an answer is asked with one or the other.
    """

    label: str
    at: float | None
    rows: int
    donors: NDArray[Any]


@dataclass(frozen=True)
class Grid:
    """All points by which a column is looked at.

    Args:
        by: what they are: "value", or of a datetime "period", "day of week" or "hour".
        points: in their order.
    """

    by: str
    points: tuple[GridPoint, ...]


def grids(column: Column, values: NDArray[Any]) -> list[Grid]:
    """The grids of a column with two points and more: of a datetime several, of one that is not shown none.

    Args:
        column: an input.
        values: of it, as the graph takes them, [n].
    """
    if not column.is_shown:
        return []
    if column.is_datetime:
        found = list(_moments(column, values))
    else:
        points = _numbers(column, values) if column.is_number else _texts(values)
        found = [Grid("value", (*points, *_missing(column, values)))]
    return [grid for grid in found if len(grid.points) > 1]


def _missing(column: Column, values: NDArray[Any]) -> Iterator[GridPoint]:
    rows = int((np.isnan(values) if column.is_number else values == "").sum())
    if rows:
        yield GridPoint("missing", None, rows, np.array([column.null], dtype=values.dtype))


def _texts(values: NDArray[Any]) -> Iterator[GridPoint]:
    """The commonest ones, the most frequent first; of equal ones by the alphabet."""
    levels, counts = np.unique(values[values != ""].astype(str), return_counts=True)
    for place in np.argsort(-counts, kind="stable")[:LEVELS]:
        yield GridPoint(str(levels[place]), None, int(counts[place]), np.array([str(levels[place])], dtype=_TEXT))


def _numbers(column: Column, values: NDArray[Any]) -> Iterator[GridPoint]:
    """Each value, or quantiles that are values; how many rows are nearest to it."""
    known = np.sort(values[~np.isnan(values)])
    if not len(known):
        return
    chosen = np.unique(known)
    if len(chosen) > VALUES:
        chosen = np.unique(np.quantile(known, _QUANTILES, method="inverted_cdf"))
    rows = np.diff(np.searchsorted(known, (chosen[1:] + chosen[:-1]) / 2), prepend=0, append=len(known))
    for value, count in zip(chosen, rows, strict=True):
        label = ("no", "yes")[int(value)] if column.kind == "boolean" else f"{value:.6g}"
        at = None if column.kind == "boolean" else float(value)
        yield GridPoint(label, at, int(count), np.array([value], dtype=values.dtype))


def _moments(column: Column, values: NDArray[Any]) -> Iterator[Grid]:
    """By period, day of the week and hour: a moment alone is all three, and stands for the others of its kind."""
    known = np.sort(values[~np.isnan(values)])
    missing = tuple(_missing(column, values))
    yield Grid("period", (*_periods(known), *missing))
    local, _ = on_clocks(known, column.zone)
    days = PARTS["day of week"](local).astype(int)
    yield Grid("day of week", tuple(_kinds(known, days, DAYS)))
    yield Grid("hour", tuple(_kinds(known, PARTS["hour"](local).astype(int))))


def _periods(known: Floats) -> Iterator[GridPoint]:
    """Of about as many rows each, by the moment in their middle; equal moments are of one."""
    if not len(known):
        return
    edges = np.unique(np.quantile(known, np.linspace(0, 1, PERIODS + 1), method="inverted_cdf"))
    place = np.searchsorted(edges[1:-1], known, side="right")
    digits = 10 if known[-1] - known[0] > PERIODS * DAY else 16
    for number in np.unique(place):
        part = known[place == number]
        middle = float(part[len(part) // 2])
        yield GridPoint(format_moment(middle)[:digits].replace("T", " "), middle, len(part), part)


def _kinds(known: Floats, kinds: NDArray[np.int64], names: tuple[str, ...] = ()) -> Iterator[GridPoint]:
    for kind in np.unique(kinds):
        part = known[kinds == kind]
        label, at = (names[kind], None) if names else (str(kind), float(kind))
        yield GridPoint(label, at, len(part), part)
