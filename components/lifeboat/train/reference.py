"""The drift reference: training rows that look as serving should, with the scores the model gives such rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.data.split import positions
from lifeboat.preprocess.merge import TIME
from lifeboat.preprocess.step import HOLDOUT
from lifeboat.train.search import Search
from lifeboat.usecase.usecase import UseCase

# A number for each group, whose rows are alike; its name is nobody's business.
GROUP = "__group"
# So many windows of rows from feedback say what serving looks like now.
WINDOWS = 1.5


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

    def newest(column: str, fewest: float) -> NDArray[np.int64] | None:
        return _newest(table.column(column).to_numpy()[found.rows], fewest, usecase)

    # After a change of the world the reference must be what serving looks like now, or the new model alarms at once.
    chosen, source = newest(TIME, WINDOWS * usecase.drift.window), "rows from feedback"
    if chosen is None and usecase.split.by == "time":
        chosen, source = newest(HOLDOUT, 0), "rows"
    if chosen is None:
        chosen = _random(groups, found, usecase)
    else:
        say(f"drift reference: the newest {len(chosen):,} {source}")
    reference = table.select(list(usecase.schema.names)).take(pa.array(found.rows[chosen]))
    names = [groups[row] for row in found.rows[chosen]]
    numbers = np.unique(names, return_inverse=True)[1].astype(np.int32)
    task = usecase.task
    for name, values in task.watched(task.kept(found.answers[chosen])).items():
        reference = reference.append_column(name, pa.array(values))
    reference = reference.append_column(GROUP, pa.array(numbers))
    return reference.replace_schema_metadata(None)


def _newest(time: NDArray[np.float64], fewest: float, usecase: UseCase) -> NDArray[np.int64] | None:
    """The newest of the rows that have a time, as places in the search; None where these are too few."""
    known = np.flatnonzero(~np.isnan(time))
    if len(known) < fewest:
        return None
    order = known[np.argsort(-time[known], kind="stable")]
    return np.sort(order[: usecase.drift.reference])


def _random(groups: list[str], found: Search, usecase: UseCase) -> NDArray[np.int64]:
    """A random but repeatable part of the search's rows, as places in it."""
    rows = [f"{groups[row]}/{row}" for row in found.rows]
    order = np.argsort(positions(rows, f"{usecase.split.salt}/reference"))
    return np.sort(order[: usecase.drift.reference])
