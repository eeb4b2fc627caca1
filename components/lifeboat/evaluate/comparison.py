"""Two models on the same rows, none of which either has seen in training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.config.errors import BundleError, DataError
from lifeboat.data.cells import check_cells
from lifeboat.data.moments import as_timestamps
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
from lifeboat.model.tensors import tensor_type
from lifeboat.tasks.task import Floats, Scored, Task
from lifeboat.usecase.datetimes import parse_moment, read_zone
from lifeboat.usecase.gates import Interval, Paired, SliceTest
from lifeboat.usecase.schema import Column, Schema

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
    if first.losses is None or second.losses is None:
        return None
    return (second.losses - first.losses) * (1.0 if first.base is None else first.base)


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


@dataclass(frozen=True)
class Shared:
    """The held-out rows that both models can be asked about.

    Args:
        chosen: which these are, bool [n].
        table: all rows as the champion takes them.
        notes: what it cannot read of them, in sentences.
    """

    chosen: NDArray[np.bool_]
    table: pa.Table
    notes: tuple[str, ...]


def shared_rows(bundle: Bundle, champion: Bundle, rows: HeldOut) -> Shared:
    """The held-out rows that the champion did not train on either, as far as its schema lets them in.

    A column that the rows no longer have is null to the champion where it takes nulls.

    A split holds out every group whose position is under its `below`, but for those that are too large for it, and some
    further ones that depend on the table. So all rows count when both models come from the same split of the same table
    (what came from feedback moves nothing in it, see `lifeboat.data.split.hold_out_later`), else those under both. By
    time all rows count that are not before the champion's boundary.

    Raises:
        NotComparableError: there are too few such rows, or the champion answers another question.
    """
    if champion.schema.label != bundle.schema.label:
        raise NotComparableError("the champion predicts another label")
    ours, theirs = (one.manifest.get("lineage", {}) for one in (bundle, champion))
    by_time = (ours.get("split") or {}).get("by") == "time"
    if _unit(champion.schema, by_time) != _unit(bundle.schema, by_time):
        said = "were split by another group"
        if not bundle.schema.group and not bundle.schema.id:
            said = "have no id and were told apart by their columns, which are others now"
        raise NotComparableError(f"the champion's rows {said}, it may have seen these")
    table, readable, notes = _as_champion_takes(champion.schema, bundle.schema, rows.table)
    chosen = _unseen(ours, theirs, rows.position) & readable
    count = int(chosen.sum())
    if count < FEWEST_ROWS:
        read = " and can be read by both" if notes else ""
        raise NotComparableError(f"{count} rows are new to both models{read}, at least {FEWEST_ROWS} are needed")
    if lacks := bundle.task.lacks(rows.y[chosen]):
        raise NotComparableError(f"of the {count} rows new to both models {lacks}")
    return Shared(chosen, table, notes)


def _unit(schema: Schema, by_time: bool) -> object:
    """What a split keeps together: with another one the same position means other rows; by time it is the time."""
    return schema.group or (None if by_time else schema.id or schema.names)


def _as_champion_takes(
    champion: Schema, ours: Schema, table: pa.Table
) -> tuple[pa.Table, NDArray[np.bool_], tuple[str, ...]]:
    """The rows with the champion's columns, which of them its schema lets in, and what it cannot read of them."""
    readable = np.ones(table.num_rows, dtype=bool)
    notes = []
    for column in champion.columns:
        if column.name not in table.column_names:
            if not column.nullable:
                raise NotComparableError(
                    f"the champion needs the column {column.name}, which the rows do not have and it takes no null for"
                )
            nulls = np.full(table.num_rows, column.null, dtype=tensor_type(column))
            table = table.append_column(column.name, pa.array(nulls, None if column.is_number else pa.string()))
            notes.append(f"{column.name}, which these rows do not have, was null to it")
            continue
        kind, known = table.schema.field(column.name).type, ours.known.get(column.name)
        if not accepts(column, kind) or (known is not None and known.is_datetime != column.is_datetime):
            found = f"the rows hold {kind if known is None else known.kind}"
            raise NotComparableError(f"the champion takes the column {column.name} as {column.kind}, {found}")
        if known == column:
            continue
        refused = ~_let_in(column, table.column(column.name))
        if refused.any():
            notes.append(f"{int(refused.sum()):,} rows hold a {column.name} that it refuses, and were left out")
        readable &= ~refused
    return table, readable, tuple(notes)


def _let_in(column: Column, values: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Which typed values a column accepts, bool [n]."""
    if column.is_datetime:
        values = as_timestamps(values)
    accepted = np.ones(len(values), dtype=bool)
    accepted[[row for row, _ in check_cells(values, column, "the held-out rows").broken]] = False
    return accepted


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
