"""The drift reference: training rows that look as serving should, with the scores the model gives such rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.data.split import positions
from lifeboat.preprocess.merge import TIME
from lifeboat.train.search import Search
from lifeboat.usecase.usecase import UseCase

# A number for each group, whose rows are alike; its name is nobody's business.
GROUP = "__group"
# So many windows of rows from feedback say what serving looks like now.
WINDOWS = 2


def make_reference(
    table: pa.Table, groups: list[str], found: Search, usecase: UseCase, say: Callable[[str], None]
) -> pa.Table:
    """Raw inputs, what is watched of the answer of a model that did not see the row, and `GROUP`.

    On the rows it was trained on a model is surer than on new ones, which would look like drift. So only rows of the
    search come into question, which have such a score.

    Args:
        table: the training rows.
        groups: group of each row, [n].
        found: the search over these rows.
        usecase: how many rows, and the size of a window.
        say: told where the reference comes from.
    """
    chosen = _newest(table, found, usecase)
    if chosen is None:
        chosen = _random(groups, found, usecase)
    else:
        say(f"drift reference: the newest {len(chosen):,} rows from feedback")
    reference = table.select(list(usecase.schema.names)).take(pa.array(found.rows[chosen]))
    names = [groups[row] for row in found.rows[chosen]]
    numbers = np.unique(names, return_inverse=True)[1].astype(np.int32)
    task = usecase.task
    for name, values in task.watched(task.kept(found.answers[chosen])).items():
        reference = reference.append_column(name, pa.array(values))
    reference = reference.append_column(GROUP, pa.array(numbers))
    return reference.replace_schema_metadata(None)


def _newest(table: pa.Table, found: Search, usecase: UseCase) -> NDArray[np.int64] | None:
    """The newest rows from feedback, as places in the search, if they are enough.

    After a change of the world the reference must be what serving looks like now, or the retrained model alarms at
    once.
    """
    time = table.column(TIME).to_numpy()[found.rows]
    known = np.flatnonzero(~np.isnan(time))
    if len(known) < WINDOWS * usecase.drift.window:
        return None
    order = known[np.argsort(-time[known], kind="stable")]
    return np.sort(order[: usecase.drift.reference])


def _random(groups: list[str], found: Search, usecase: UseCase) -> NDArray[np.int64]:
    """A random but repeatable part of the search's rows, as places in it."""
    rows = [f"{groups[row]}/{row}" for row in found.rows]
    order = np.argsort(positions(rows, f"{usecase.split.salt}/reference"))
    return np.sort(order[: usecase.drift.reference])
