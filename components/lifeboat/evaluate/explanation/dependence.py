"""Partial dependence: the mean answer when all rows have one value of a column (Friedman, 2001, section 8.2).

Rows get the value whatever else they are, so that a combination that does not occur is asked about as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np

from lifeboat.evaluate.explanation.grid import Grid, GridPoint, grids
from lifeboat.evaluate.explanation.sample import Inputs, Sample
from lifeboat.tasks.task import Floats
from lifeboat.usecase.schema import Column

# Columns that are shown, rows that get each value, and numbers of an answer that are followed.
COLUMNS, ROWS, OUTPUTS = 4, 500, 6


@dataclass(frozen=True)
class DependencePoint:
    """The mean answers at one value; see `GridPoint` for the others, `answers` has one for each of the outputs."""

    label: str
    at: float | None
    rows: int
    answers: list[float]


@dataclass(frozen=True)
class Dependence:
    """What a model makes of a column.

    Args:
        column: its name.
        by: see `Grid`.
        rows: how many held-out rows got each value.
        outputs: names of the numbers of an answer, as `Task.names` has them: those that move most.
        points: in the order of an axis.
    """

    column: str
    by: str
    rows: int
    outputs: tuple[str, ...]
    points: tuple[DependencePoint, ...]


def partial_dependence(sample: Sample, ranked: Iterable[str], columns: int = COLUMNS) -> list[Dependence]:
    """Of the first so many columns that can be shown: none whose values may not be shown.

    Args:
        sample: the rows and the model; the grids are of all of its values, and its first `ROWS` rows get them.
        ranked: names of columns, the most important first.
        columns: how many.
    """
    known, values = sample.scorer.schema.known, sample.inputs
    possible = ((name, found) for name in ranked if (found := grids(known[name], values[name][:, 0])))
    shown = list(islice(possible, columns))
    used = sample.first(ROWS)
    inputs = used.inputs
    return [_along(used, inputs, known[name], grid) for name, found in shown for grid in found]


def _along(used: Sample, inputs: Inputs, column: Column, grid: Grid) -> Dependence:
    task = used.scorer.task
    answers = np.array(list(_means(used, inputs, column.name, grid.points)))
    moves = np.argsort(-np.ptp(answers, axis=0), kind="stable")[:OUTPUTS]
    followed = np.sort(moves)
    points = tuple(
        DependencePoint(point.label, point.at, point.rows, row[followed].tolist())
        for point, row in zip(grid.points, answers, strict=True)
    )
    outputs = tuple(task.names[task.explained[place]] for place in followed)
    return Dependence(column.name, grid.by, len(used.y), outputs, points)


def _means(used: Sample, inputs: Inputs, name: str, points: Iterable[GridPoint]) -> Iterator[Floats]:
    rows, explained, counted = len(used.y), list(used.scorer.task.explained), used.counted
    for point in points:
        # Evenly through all that stand for the point, which are sorted.
        donors = point.donors[np.arange(rows) * len(point.donors) // rows]
        answers = used.ask({**inputs, name: donors.reshape(-1, 1)})[:, explained].astype(np.float64)
        yield counted @ answers / counted.sum()
