"""Training rows and held-out rows, of the table and of feedback together."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from lifeboat.data.split import Holdout, group_names, hold_out, hold_out_later, positions, split_digest
from lifeboat.preprocess.feedback import Feedback
from lifeboat.preprocess.merge import contradicting_rows, merge
from lifeboat.usecase.usecase import UseCase


@dataclass(frozen=True)
class Parts:
    """All rows that are left, their sides, and what became of the others.

    Args:
        rows: with the hidden column TIME.
        holdout: their sides.
        split: for the lineage: salt, share, `below` and `large` of `data.split.Holdout`, and a digest of all groups of
            the table and their sides. Where salt, share and digest agree, no row held out here was trained on there.
        duplicates, replaced, conflicts: see `feedback.Merged`.
        withheld: rows from feedback that may be the same as a row on the other side.
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

    def warnings(self, usecase: UseCase) -> list[str]:
        """What of the division may not be meant, in sentences."""
        asked, held_out = f"{usecase.split.test:.0%} to hold out", f"{self.holdout.test.mean():.0%} are held out"
        rows = "of the rows, more than the"
        return [
            f"{usecase.schema.group} {name} has {share:.0%} {rows} {asked}: it trains, and {held_out}"
            for name, share in self.large.items()
        ]


def split_holdout(base: pa.Table, feedback: Feedback, usecase: UseCase) -> Parts:
    """Puts rows from feedback beside the table's and says which are held out.

    The table is split as if it were alone; what came from feedback follows.

    Args:
        base: the table's rows, each once.
        feedback: its good rows are taken.
        usecase: schema and split.
    """
    schema, share, salt = usecase.schema, usecase.split.test, usecase.split.salt
    strata = usecase.task.strata(base.column(schema.label.name).to_numpy())
    groups = group_names(base, schema)
    known = hold_out(groups, strata, share=share, salt=salt)
    large = _large(groups, known)
    fed, position = feedback.good, known.position
    merged = merge(base, fed, schema, feedback.found.trust.kept)
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


def _large(groups: list[str], known: Holdout) -> dict[str, float]:
    rows = np.flatnonzero(np.isin(known.position, known.large))
    counts = Counter(groups[row] for row in rows)
    return {name.partition(" ")[2]: count / len(groups) for name, count in counts.most_common()}
