"""The page as HTML, complete in itself: nothing is loaded, and nothing runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifeboat.preprocess.profile.association import COLUMNS, ROWS, Field, Pair, associations
from lifeboat.preprocess.profile.bins import Bins, Floats, bins_of, numbers_of, writer
from lifeboat.preprocess.profile.broken_rules import BrokenRule
from lifeboat.preprocess.profile.chart import Chart, Series, histogram, levels
from lifeboat.preprocess.profile.keys import key_profiles
from lifeboat.preprocess.profile.shift import Shift, shift_of
from lifeboat.system.pages.templates import render
from lifeboat.usecase.schema import Column
from lifeboat.usecase.usecase import UseCase

# Columns of a matrix of all pairs; of more the strongest pairs are listed.
MATRIX, LISTED = 12, 25


@dataclass(frozen=True)
class ColumnProfile:
    """A column in figures and charts.

    Args:
        column: its declaration.
        missing, missing_share, distinct: counts, and a share.
        figures: name to text, of a number; none of what is personal.
        counts: how many rows are where, and how many of them are marked; None where all is missing or personal.
        sides: the shares of training and held-out rows; None as well.
        shift: how far these are apart.
    """

    column: Column
    missing: int
    missing_share: float
    distinct: int
    figures: Mapping[str, str]
    counts: Chart | None
    sides: Chart | None
    shift: Shift


def render_profile(
    rows: pa.Table, usecase: UseCase, summary: Mapping[str, Any], test: NDArray[np.bool_], broken: Sequence[BrokenRule]
) -> str:
    """Renders the page.

    Args:
        rows: the checked rows with their label and keys.
        usecase: names and schema.
        summary: counts of the preprocess step.
        test: which of the rows are held out, [n].
        broken: why others are in quarantine.
    """
    schema = usecase.schema
    marked, mark = usecase.task.marked(rows.column(schema.label.name).to_numpy())
    profiles = [_profile(rows.column(column.name), column, marked, mark, test) for column in schema.columns]
    pairs = associations(*_fields(rows, usecase))
    return render(
        "lifeboat.preprocess",
        "profile.html.j2",
        usecase=usecase,
        profiles=profiles,
        summary=summary,
        mark=mark,
        broken=broken,
        keys=key_profiles(rows, schema, test),
        looked=min(ROWS, rows.num_rows),
        label=_label_sides(usecase, rows, test),
        **_shown_pairs(pairs, [*(profile.column.name for profile in profiles), schema.label.name]),
    )


def _profile(
    values: pa.ChunkedArray, column: Column, marked: NDArray[np.bool_], mark: str, test: NDArray[np.bool_]
) -> ColumnProfile:
    bins, numbers = bins_of(values, column), numbers_of(values, column)
    missing = int((bins.place < 0).sum())
    distinct = int(pc.count_distinct(values.filter(pa.array(bins.place >= 0))).as_py())
    drawn = bool(bins.names) and not column.personal
    return ColumnProfile(
        column=column,
        missing=missing,
        missing_share=missing / max(len(bins.place), 1),
        distinct=distinct,
        figures=_figures(numbers, column) if drawn and numbers is not None and bins.edges is not None else {},
        counts=_counts(bins, column, marked, mark) if drawn else None,
        sides=_sides(bins, column, test) if drawn else None,
        shift=shift_of(bins, numbers, test),
    )


def _figures(numbers: Floats, column: Column) -> dict[str, str]:
    known, written = numbers[~np.isnan(numbers)], writer(column)
    names = ("minimum", "quartile", "median", "upper quartile", "maximum")
    points = np.quantile(known, (0, 0.25, 0.5, 0.75, 1))
    unit = " characters" if column.is_free_text else ""
    found = {name: f"{written(point)}{unit}" for name, point in zip(names, points, strict=True)}
    mean = written(known.mean()) if column.is_datetime else f"{known.mean():.4g}{unit}"
    return found | {"mean": mean}


def _counts(bins: Bins, column: Column, marked: NDArray[np.bool_], mark: str) -> Chart:
    """All rows, and over them those that are marked."""
    rows, found = bins.count(), bins.count(marked)
    titles = [f"{name}: {count:,} rows, {part / max(count, 1):.0%} {mark}"
              for name, count, part in zip(bins.names, rows, found, strict=True)]  # fmt: skip
    layers = [Series("all", rows.tolist(), titles), Series("marked", found.tolist(), titles)]
    return _draw(bins, column, layers, "rows", beside=False)


def _sides(bins: Bins, column: Column, test: NDArray[np.bool_]) -> Chart:
    """The share of training rows, and beside it that of held-out rows."""
    layers = []
    for kind, side, words in (("train", ~test, "training rows"), ("held", test, "held-out rows")):
        counts = bins.count(side)
        shares = 100 * counts / max(int(counts.sum()), 1)
        titles = [f"{name}: {share:.1f} % of the {words}" for name, share in zip(bins.names, shares, strict=True)]
        layers.append(Series(kind, shares.tolist(), titles))
    return _draw(bins, column, layers, "% of each side", beside=True)


def _draw(bins: Bins, column: Column, layers: Sequence[Series], axis: str, *, beside: bool) -> Chart:
    if bins.edges is None:
        return levels(bins.names, layers, beside, axis)
    dates = column.is_datetime
    unit = ", by length in characters" if column.is_free_text else ""
    shown = (lambda value: bins.written(value)[:10]) if dates else bins.written
    return histogram(bins.edges.tolist(), layers, beside, axis + unit, shown, ends_only=dates)


def _fields(rows: pa.Table, usecase: UseCase) -> tuple[list[Field], Field]:
    """The columns that are compared, and the label, of some of the rows; of free text there is nothing to compare."""
    chosen = np.sort(np.random.default_rng(0).permutation(rows.num_rows)[:ROWS])
    some, schema = rows.take(pa.array(chosen)), usecase.schema
    fields = [_field(some.column(column.name), column) for column in schema.columns if not column.is_free_text]
    y = some.column(schema.label.name).to_numpy()
    if schema.label.column is not None:
        return fields, Field.of_numbers(schema.label.name, y.astype(np.float64))
    return fields, Field(schema.label.name, None, usecase.task.strata(y))


def _field(values: pa.ChunkedArray, column: Column) -> Field:
    numbers = None if column.kind == "boolean" else numbers_of(values, column)
    return Field(column.name, None, bins_of(values, column).place) if numbers is None else Field.of_numbers(
        column.name, numbers
    )  # fmt: skip


def _shown_pairs(pairs: Sequence[Pair], names: Sequence[str]) -> dict[str, Any]:
    """A matrix of all pairs where there are few columns, else a list of the strongest."""
    there = {name for pair in pairs for name in (pair.first, pair.second)}
    order = [name for name in names if name in there]
    both = {(pair.first, pair.second): pair for pair in pairs}
    both |= {(second, first): pair for (first, second), pair in both.items()}
    if len(order) <= MATRIX:
        return {"matrix": [(one, [both.get((one, other)) for other in order]) for one in order], "strongest": [],
                "matrix_names": order, "compared": COLUMNS}  # fmt: skip
    known = [pair for pair in pairs if not np.isnan(pair.value)]
    strongest = sorted(known, key=lambda pair: -abs(pair.value))[:LISTED]
    return {"matrix": [], "strongest": strongest, "matrix_names": order, "compared": COLUMNS}


def _label_sides(usecase: UseCase, rows: pa.Table, test: NDArray[np.bool_]) -> tuple[str, str]:
    """What training and held-out rows hold of the label."""
    y = rows.column(usecase.schema.label.name).to_numpy()
    return usecase.task.composition(y[~test]), usecase.task.composition(y[test])
