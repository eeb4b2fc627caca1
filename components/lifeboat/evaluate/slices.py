"""Parts of the rows: by the values of a column, or by bands of a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifeboat.data.labelled.hidden_columns import SOURCE
from lifeboat.data.weights import Weights, some
from lifeboat.evaluate.evaluation import SliceReport
from lifeboat.evaluate.heldout import is_missing
from lifeboat.evaluate.statistics import bootstrap, intervals
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Task
from lifeboat.usecase.usecase import Slice

# A column with more values than this is no way to cut rows: the rarest share one slice.
MOST_VALUES = 12
# For a report, not for a decision: half as many as for the gate.
REPLICATES = 1_000


@dataclass(frozen=True)
class Part:
    """The rows of one slice: its name, its column and whether each row is in it, bool [n]."""

    name: str
    column: str
    rows: NDArray[np.bool_]


def cut(table: pa.Table, slices: tuple[Slice, ...]) -> list[Part]:
    """All parts, in the order of the use case. Parts of one column are disjoint and hold every row once."""
    return [part for each in slices for part in _cut_one(table.column(each.column), each)]


def by_origin(source: NDArray[np.object_]) -> list[Part]:
    """The rows of the table and those of each source of truth: what does a verdict rest on, and on whose word?

    These are reported and not held against the champion: of a changed world one model knows more, the other less.

    Args:
        source: who said what was true of each row, "" for the table, [n].
    """
    names = [name for name, _ in Counter(source.tolist()).most_common() if name]
    if not names:
        return []
    parts = [Part("from the table", SOURCE, np.equal(source, "").astype(bool))]
    parts += [Part(f"from {name}", SOURCE, np.equal(source, name).astype(bool)) for name in names[:MOST_VALUES]]
    if others := names[MOST_VALUES:]:
        parts.append(Part(f"from {len(others):,} other sources", SOURCE, np.isin(source, others)))
    return parts


def _cut_one(values: pa.ChunkedArray, by: Slice) -> Iterator[Part]:
    missing = is_missing(values)
    parts = _by_bands(values, by) if by.edges else _by_values(values, by)
    for name, rows in parts:
        yield Part(name, by.column, rows & ~missing)
    if missing.any():
        yield Part(f"{by.column} missing", by.column, missing)


def _by_bands(values: pa.ChunkedArray, by: Slice) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    # In float32, as the values are: else 7.1 would fall below an edge of 7.1.
    edges = np.asarray(by.edges, dtype=np.float32)
    numbers = np.asarray(pc.fill_null(values, np.nan).to_numpy(), dtype=np.float32)
    band = np.digitize(numbers, edges)
    for number, name in enumerate(_band_names(by.edges)):
        yield f"{by.column} {name}", band == number


def _band_names(edges: tuple[float, ...]) -> list[str]:
    between = [f"{low:g} to {high:g}" for low, high in pairwise(edges)]
    return [f"under {edges[0]:g}", *between, f"{edges[-1]:g} and over"]


def _by_values(values: pa.ChunkedArray, by: Slice) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    encoded = pc.dictionary_encode(values, null_encoding="encode").combine_chunks()
    codes, levels = encoded.indices.to_numpy(), encoded.dictionary.to_pylist()
    frequent = np.argsort(-np.bincount(codes, minlength=len(levels)), kind="stable")[:MOST_VALUES]
    shown = [code for code in frequent if levels[code] not in (None, "") and levels[code] == levels[code]]
    for code in sorted(shown, key=lambda each: levels[each]):
        yield f"{by.column} = {_written(levels[code])}", codes == code
    if len(levels) > MOST_VALUES:
        yield f"{by.column}: any other", ~np.isin(codes, frequent)


def _written(level: object) -> str:
    return f"{level:g}" if isinstance(level, float) else str(level)


def report(
    part: Part,
    task: Task[Any, Any],
    y: NDArray[np.int8],
    answers: NDArray[np.float32],
    decision: Decision,
    *,
    weights: Weights = None,
    seed: int,
    say: Callable[[str], None],
) -> SliceReport:
    """The figures of one part.

    Args:
        part: of the rows.
        task: what the answers are.
        y, answers: of all rows, [n] and [n, width].
        decision: of the model.
        weights: how much each row counts, [n].
        seed: of the bootstrap.
        say: told of its progress.
    """
    labels = y[part.rows]
    about = part.name, part.column, len(labels), task.composition(labels)
    if not len(labels):
        return SliceReport(*about, {})
    model = task.score(labels, answers[part.rows], decision).weighted(some(weights, part.rows))
    values = model.figures()
    known = zip(task.metrics, values, strict=True)
    found = {metric.name: float(value) for metric, value in known if not np.isnan(value)}
    if not task.suffices(labels):
        return SliceReport(*about, found)
    draws = bootstrap(task.drawn_among(labels), [model], replicates=REPLICATES, seed=seed, say=say)
    limits = intervals(task.metrics, values, draws[:, 0])
    return SliceReport(*about, found, limits)
