"""Training rows and held-out rows, of the table and of feedback together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lifeboat.data.split import Holdout, group_names, hold_out, hold_out_later, kept_groups, positions, split_digest
from lifeboat.data.time_split import boundary_of, split_by_time
from lifeboat.preprocess.feedback import Feedback
from lifeboat.preprocess.merge import TIME, Merged, contradicting_rows, merge
from lifeboat.usecase.column import HIDDEN_VALUE
from lifeboat.usecase.datetimes import format_moment
from lifeboat.usecase.usecase import UseCase


@dataclass(frozen=True)
class Parts:
    """All rows that are left, their sides, and what became of the others.

    Args:
        rows: with the hidden column TIME.
        holdout: their sides.
        split: for the lineage: salt, share, `below` and `large` of `data.split.Holdout`, and a digest of all groups of
            the table and their sides. Where salt, share and digest agree, no row held out here was trained on there. By
            time column, share or moment, gap, and the boundary that came of them.
        duplicates, replaced, conflicts: see `feedback.Merged`.
        withheld: rows from feedback that may be the same as a row on the other side.
        between: by time, rows of the gap, and earlier ones of a group that is held out.
        large: names of the table's groups that hold more rows than are to be held out, and their share of its rows.
    """

    rows: pa.Table
    holdout: Holdout
    split: dict[str, Any]
    duplicates: int
    replaced: int
    conflicts: pa.Table
    withheld: int
    large: dict[str, float]
    between: int = 0

    def warnings(self, usecase: UseCase) -> list[str]:
        """What of the division may not be meant, in sentences."""
        held_out = f"it trains, and {self.holdout.test.mean():.0%} are held out"
        group = usecase.schema.group
        hidden = group is not None and usecase.schema.known[group].personal
        return [
            f"{group} {HIDDEN_VALUE if hidden else name} has {share:.0%} of the rows, more than the "
            f"{float(usecase.split.test):.0%} to hold out: {held_out}"
            for name, share in self.large.items()
        ]


def split_holdout(base: pa.Table, feedback: Feedback, usecase: UseCase) -> Parts:
    """Puts rows from feedback beside the table's and says which are held out.

    By group the table is split as if it were alone, and what came from feedback follows. By time all are one table.

    Args:
        base: the table's rows, each once.
        feedback: its good rows are taken.
        usecase: schema and split.
    """
    if usecase.split.by == "time":
        return _split_by_time(
            merge(base, feedback.beside(base), usecase.schema, feedback.settled(base, usecase.schema.id)), usecase
        )
    schema, share, salt = usecase.schema, float(usecase.split.test), usecase.split.salt
    strata = usecase.task.strata(base.column(schema.label.name).to_numpy())
    groups = group_names(base, schema)
    known = hold_out(groups, strata, share=share, salt=salt)
    large = _large(groups, known)
    fed, position = feedback.beside(base), known.position
    merged = merge(base, fed, schema, feedback.settled(base, usecase.schema.id))
    if fed.num_rows:  # else they are the same, and of a million rows they take two seconds
        groups = group_names(merged.table, schema)
        position = positions(groups, salt)
    holdout = hold_out_later(known, position, share=share)
    keep = ~contradicting_rows(merged.table, groups, holdout, schema)
    return Parts(
        rows=merged.table.filter(pa.array(keep)),
        holdout=Holdout(holdout.test[keep], holdout.position[keep], holdout.below),
        split={
            "salt": salt,
            "share": share,
            "below": holdout.below,
            "large": list(holdout.large),
            "table": split_digest(known),
        },
        duplicates=merged.duplicates,
        replaced=merged.replaced,
        conflicts=merged.conflicts,
        withheld=int((~keep).sum()),
        large=large,
    )


def _split_by_time(merged: Merged, usecase: UseCase) -> Parts:
    """The rows with the same inputs on both sides stay: at another time they are others."""
    schema, split = usecase.schema, usecase.split
    assert split.column is not None  # noqa: S101  # the use case sees to it
    times = merged.table.column(split.column).to_numpy()
    # Of a key that a client left out it is when the prediction was asked for.
    times = np.where(np.isnan(times), merged.table.column(TIME).to_numpy() * 1e6, times)
    groups = kept_groups(group_names(merged.table, schema), schema) if schema.group else None
    if isinstance(split.test, str):
        boundary = float(schema.known[split.column].parse(split.test))
    else:
        boundary = boundary_of(times, split.test)
    found = split_by_time(times, groups, boundary=boundary, gap=split.gap_microseconds)
    keep = found.test | found.train
    lineage = {"by": "time", "column": split.column, "test": split.test, "gap": split.gap.total_seconds()}
    return Parts(
        rows=merged.table.filter(pa.array(keep)),
        holdout=Holdout(found.test[keep], times[keep], boundary),
        split={**lineage, "boundary": format_moment(boundary) if np.isfinite(boundary) else ""},
        duplicates=merged.duplicates,
        replaced=merged.replaced,
        conflicts=merged.conflicts,
        withheld=0,
        large={},
        between=int((~keep).sum()),
    )


def _large(groups: list[str], known: Holdout) -> dict[str, float]:
    rows = np.flatnonzero(np.isin(known.position, known.large))
    counts = Counter(groups[row] for row in rows)
    return {name.partition(" ")[2]: count / len(groups) for name, count in counts.most_common()}
