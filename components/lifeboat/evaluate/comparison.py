"""Two models on the same rows, none of which either has seen in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.config.errors import BundleError, DataError
from lifeboat.evaluate.heldout import HeldOut
from lifeboat.evaluate.slices import Part
from lifeboat.evaluate.statistics import (
    bootstrap,
    holm,
    improvements,
    intervals,
    losses_worse,
    mcnemar,
    mcnemar_worse,
)
from lifeboat.model.bundle import Bundle
from lifeboat.model.scoring import Scorer, accepts
from lifeboat.tasks.task import Floats, Scored, Task
from lifeboat.usecase.datetimes import parse_moment, read_zone
from lifeboat.usecase.gates import Interval, Paired, SliceTest
from lifeboat.usecase.schema import Schema

FEWEST_ROWS = 50
UTC = read_zone("UTC")


@dataclass(frozen=True)
class Pair:
    """Two models compared: the evidence, and each one's own figures on these rows."""

    paired: Paired
    first: dict[str, Interval]
    second: dict[str, Interval]


class NotComparableError(Exception):
    """Why the champion cannot be compared; the words go into the verdict."""


def compare(
    task: Task[Any, Any],
    y: NDArray[Any],
    first: Scored,
    second: Scored,
    parts: Sequence[Part] = (),
    *,
    seed: int,
    say: Callable[[str], None],
) -> Pair:
    """Holds one model's answers against another's on the same rows.

    Args:
        task: of both.
        y: labels of these rows, [n].
        first, second: the model judged and the other one, each with its own decision.
        parts: slices of these rows to test by themselves.
        seed: of the bootstrap.
        say: told of its progress.
    """
    models = [first, second]
    values = np.stack([model.figures() for model in models])
    draws = bootstrap(task.drawn_among(y), models, seed=seed, say=say)
    won, lost = first.beats(second), second.beats(first)
    paired = Paired(
        rows=len(y),
        won=int(won.sum()),
        lost=int(lost.sum()),
        mcnemar_p=mcnemar(int(won.sum()), int(lost.sum())),
        improvement=improvements(task.metrics, values, draws),
        slices=_test_slices(parts, (won, lost), _gains(first, second)),
    )
    figures = (intervals(task.metrics, values[place], draws[:, place]) for place in (0, 1))
    return Pair(paired, *figures)


def _gains(first: Scored, second: Scored) -> Floats | None:
    """How much less the first one loses on each row, [n]; None where decisions are counted instead."""
    return None if first.losses is None or second.losses is None else second.losses - first.losses


def _test_slices(
    parts: Sequence[Part], better: tuple[NDArray[np.bool_], NDArray[np.bool_]], gains: Floats | None
) -> dict[str, SliceTest]:
    """Whether the first model is worse in a part: by the exact McNemar test of the decisions, or by the losses."""
    won, lost = better
    counts = {part.name: (int((won & part.rows).sum()), int((lost & part.rows).sum())) for part in parts}
    adjusted = holm(
        {
            part.name: mcnemar_worse(*counts[part.name]) if gains is None else losses_worse(gains[part.rows])
            for part in parts
        }
    )
    return {part.name: SliceTest(int(part.rows.sum()), *counts[part.name], adjusted[part.name]) for part in parts}


def champion_rows(bundle: Bundle, champion: Bundle, rows: HeldOut) -> NDArray[np.bool_]:
    """The held-out rows that the champion did not train on either, bool [n].

    A split holds out every group whose position is under its `below`, but for those that are too large for it, and some
    further ones that depend on the table. So all rows count when both models come from the same split of the same table
    (what came from feedback moves nothing in it, see `lifeboat.data.split.hold_out_later`), else those under both. By
    time all rows count that are not before the champion's boundary.

    Raises:
        NotComparableError: there are too few such rows, or the champion answers another question.
    """
    if champion.schema.label != bundle.schema.label:
        raise NotComparableError("the champion predicts another label")
    if _unit(champion.schema) != _unit(bundle.schema):
        raise NotComparableError("the champion's rows were split by another group, it may have seen these")
    _check_inputs(champion, rows.table)
    chosen = _unseen(bundle.manifest.get("lineage", {}), champion.manifest.get("lineage", {}), rows.position)
    count = int(chosen.sum())
    if count < FEWEST_ROWS:
        raise NotComparableError(f"{count} rows are new to both models, at least {FEWEST_ROWS} are needed")
    if lacks := bundle.task.lacks(rows.y[chosen]):
        raise NotComparableError(f"of the {count} rows new to both models {lacks}")
    return chosen


def _unit(schema: Schema) -> object:
    """What a split keeps together: with another one the same position means other rows."""
    return schema.group or schema.id or schema.names


def _check_inputs(champion: Bundle, table: pa.Table) -> None:
    types = {field.name: field.type for field in table.schema}
    for column in champion.schema.columns:
        if column.name not in types:
            raise NotComparableError(f"the champion needs the column {column.name}, which the rows do not have")
        if not accepts(column, types[column.name]):
            found = f"the rows hold {types[column.name]}"
            raise NotComparableError(f"the champion takes the column {column.name} as {column.kind}, {found}")


def _unseen(bundle: dict[str, Any], champion: dict[str, Any], position: Floats) -> NDArray[np.bool_]:
    ours, theirs = bundle.get("split"), champion.get("split")
    if not ours or not theirs:
        raise NotComparableError("the lineage of a bundle does not say how its rows were split")
    if ours.get("by") != theirs.get("by") or ours.get("column") != theirs.get("column"):
        raise NotComparableError("the rows were split otherwise for the champion, it may have seen them")
    if ours.get("by") == "time":
        # Before its own boundary the champion learned; what it left out there is not told apart.
        return np.asarray(position >= max(parse_moment(one["boundary"], UTC) for one in (ours, theirs)), dtype=bool)
    if ours["salt"] != theirs["salt"]:
        salts = f"{ours['salt']!r} here, {theirs['salt']!r} for the champion"
        raise NotComparableError(f"the rows were split by another salt ({salts}), it may have seen them")
    table = ("share", "table")
    if all(name in ours and ours[name] == theirs.get(name) for name in table):
        return np.ones(len(position), dtype=bool)
    large = [*ours.get("large", ()), *theirs.get("large", ())]
    return np.asarray((position < min(ours["below"], theirs["below"])) & ~np.isin(position, large), dtype=bool)


def score_champion(champion: Bundle, table: pa.Table) -> NDArray[np.float32]:
    """The champion's answers, [n, width].

    Raises:
        NotComparableError: its model fails on these rows.
    """
    try:
        return Scorer(champion.model, champion.schema).answers(table)
    except (BundleError, DataError) as error:
        raise NotComparableError(f"the champion cannot be scored: {error}") from error
