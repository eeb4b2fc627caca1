"""Of several sources that say something about one prediction, whose word stands."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifeboat.data.labelled.hidden_columns import LABELLED_AT, PUID, ROW, SOURCE
from lifeboat.data.labelled.trust import Trust

_FIRST = "__first"


@dataclass(frozen=True)
class Words:
    """What sources say, told apart.

    Args:
        standing: one row of each prediction's row, ordered by request and row.
        conflicts: rows that say otherwise than the one that stands, and nobody has settled it.
    """

    standing: pa.Table
    conflicts: pa.Table


def standing_words(rows: pa.Table, every: pa.Table, label: str, trust: Trust) -> Words:
    """Tells apart: the source that spoke first stands, also where it has corrected itself, or the one settled on.

    Args:
        rows: the latest word of each source that teaches, one row of each request, row and source.
        every: all words there are, which say when each source first spoke.
        label: name of the column in which two sources may disagree.
        trust: settles.
    """
    if rows.group_by([PUID, ROW]).aggregate([]).num_rows == rows.num_rows:
        return Words(rows, rows.slice(0, 0))
    by = [PUID, ROW, SOURCE]
    first = every.group_by(by).aggregate([(LABELLED_AT, "min")]).rename_columns([*by, _FIRST])
    rows = rows.join(first, by).combine_chunks()
    name = pc.binary_join_element_wise(rows.column(PUID), rows.column(ROW).cast(pa.string()), ":")
    names = np.asarray(name.to_pylist(), dtype=object)
    settlements = trust.kept
    kept = np.array([settlements.get(each, "") for each in names], dtype=object)
    settled = kept == np.asarray(rows.column(SOURCE).to_pylist(), dtype=object)
    order = pc.sort_indices(
        rows.append_column("__others", pa.array(~settled)),
        [
            (PUID, "ascending"),
            (ROW, "ascending"),
            ("__others", "ascending"),
            (_FIRST, "ascending"),
            (SOURCE, "ascending"),
        ],
    )
    rows, names, kept = rows.take(order).drop_columns([_FIRST]), names[order], kept[order]
    stands = np.append(True, names[1:] != names[:-1])
    labels = rows.column(label).to_numpy()
    against = labels != labels[stands][np.cumsum(stands) - 1]
    return Words(rows.filter(pa.array(stands)), rows.filter(pa.array(against & (kept == ""))))
