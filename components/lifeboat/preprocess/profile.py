"""The data profile: one page on what the rows hold, for the Kubeflow UI and a browser."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import jinja2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifeboat.usecase.datetimes import format_moment
from lifeboat.usecase.schema import Column
from lifeboat.usecase.usecase import UseCase
from lifeboat.usecase.zone_calendar import SECOND

BINS = 20
LEVELS = 8


@dataclass(frozen=True)
class Bar:
    """One bar of a column's chart: rows in it (also as a share of the highest) and the share of marked ones."""

    name: str
    rows: int
    height: float
    marked: float


@dataclass(frozen=True)
class ColumnProfile:
    """A column in figures."""

    column: Column
    missing: int
    missing_share: float
    distinct: int
    figures: dict[str, str]
    bars: list[Bar]


def render_profile(rows: pa.Table, usecase: UseCase, summary: dict[str, Any]) -> str:
    """The page as HTML, complete in itself.

    Args:
        rows: the checked rows with their label.
        usecase: names and schema.
        summary: counts of the preprocess step.
    """
    marked, mark = usecase.task.marked(rows.column(usecase.schema.label.name).to_numpy())
    profiles = [_profile(rows.column(column.name), column, marked) for column in usecase.schema.columns]
    environment = jinja2.Environment(loader=jinja2.PackageLoader("lifeboat.preprocess"), autoescape=True)
    template = environment.get_template("profile.html.j2")
    return template.render(usecase=usecase, profiles=profiles, summary=summary, rows=rows.num_rows, mark=mark)


def _profile(values: Any, column: Column, marked: Any) -> ColumnProfile:
    missing = pc.is_nan(values) if column.is_number else pc.equal(values, "")
    known = ~missing.to_numpy()
    count = int((~known).sum())
    numbers = values.to_numpy()[known] if column.is_number else None
    distinct = pc.count_distinct(values.filter(pa.array(known))).as_py()
    if numbers is not None and not column.categories and distinct > LEVELS:
        exact, rough = (_moment, _moment) if column.is_datetime else ("{:g}".format, "{:.4g}".format)
        bars, figures = _histogram(numbers, marked[known], rough), _quantiles(numbers, exact, rough)
    else:
        levels = values.filter(pa.array(known))
        if column.is_datetime:
            levels = pa.chunked_array([pa.array([_moment(value) for value in levels.to_pylist()], pa.string())])
        bars, figures = _levels(levels, marked[known]), {}
    return ColumnProfile(column, count, count / max(len(known), 1), distinct, figures, bars)


def _moment(value: float) -> str:
    """To the second: what a person reads."""
    return format_moment(value // SECOND * SECOND)


def _quantiles(numbers: Any, exact: Callable[[float], str], rough: Callable[[float], str]) -> dict[str, str]:
    names = ("minimum", "quartile", "median", "upper quartile", "maximum")
    points = np.quantile(numbers, (0, 0.25, 0.5, 0.75, 1))
    return {name: exact(point) for name, point in zip(names, points, strict=True)} | {"mean": rough(numbers.mean())}


def _histogram(numbers: Any, marked: Any, shown: Callable[[float], str]) -> list[Bar]:
    counts, edges = np.histogram(numbers, bins=BINS)
    found, _ = np.histogram(numbers, bins=edges, weights=marked.astype(np.float64))
    names = [f"{shown(low)} to {shown(high)}" for low, high in pairwise(edges)]
    return _bars(names, counts, found)


def _levels(values: Any, marked: Any) -> list[Bar]:
    encoded = pc.dictionary_encode(values.combine_chunks())
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    names = encoded.dictionary.to_pylist()
    codes = encoded.indices.to_numpy()
    counts = np.bincount(codes, minlength=len(names))
    found = np.bincount(codes, weights=marked, minlength=len(names))
    if pa.types.is_string(values.type) and len(names) > max(LEVELS, len(codes) // 2):
        return []  # nearly every value is another: bars of one row each say nothing
    top = np.argsort(-counts, kind="stable")[:LEVELS]
    if not pa.types.is_string(values.type):
        top = np.asarray(sorted(top, key=lambda i: names[i]), dtype=np.int64)  # numbers stand in their own order
    shown = [f"{names[i]:g}" if isinstance(names[i], float) else str(names[i]) for i in top]
    return _bars(shown, counts[top], found[top])


def _bars(names: list[str], counts: Any, found: Any) -> list[Bar]:
    highest = max(int(counts.max()), 1) if len(counts) else 1
    return [
        Bar(name, int(rows), float(rows) / highest, float(marked / rows) if rows else 0.0)
        for name, rows, marked in zip(names, counts, found, strict=True)
    ]
