"""The drift reference: training rows that look as serving should, with the scores the model gives such rows."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.data.split import positions
from lifeboat.preprocess.merge import TIME
from lifeboat.preprocess.step import HOLDOUT
from lifeboat.train.folds import Rows
from lifeboat.train.refit import answers_unseen
from lifeboat.train.search import Search
from lifeboat.usecase.usecase import UseCase

# A number for each group, whose rows are alike; its name is nobody's business.
GROUP = "__group"
_FEEDBACK = "rows from feedback"
# So many windows of rows from feedback say what serving looks like now.
WINDOWS = 1.5


def make_reference(
    table: pa.Table, rows: Rows, found: Search, usecase: UseCase, *, seed: int, say: Callable[[str], None]
) -> pa.Table:
    """Raw inputs, what is watched of the answer of a model that did not see the row, and `GROUP`.

    On the rows it was trained on a model is surer than on new ones, which would look like drift.

    Args:
        table: the training rows.
        rows: the same, to learn from.
        found: the search over these rows.
        usecase: how many rows, and the size of a window.
        seed: of the estimators.
        say: told where the reference comes from, and of fits for it.
    """
    chosen, source = _choose(table, rows, found, usecase)
    if source:
        say(f"drift reference: the newest {len(chosen):,} {source}")
    if source == _FEEDBACK and rows.times is not None:
        answers = answers_unseen(usecase, found, rows, chosen, seed=seed, say=say)
    else:
        answers = found.answers[np.searchsorted(found.rows, chosen)]
    reference = table.select(list(usecase.schema.names)).take(pa.array(chosen))
    names = [rows.groups[row] for row in chosen]
    numbers = np.unique(names, return_inverse=True)[1].astype(np.int32)
    task = usecase.task
    for name, values in task.watched(task.kept(answers)).items():
        reference = reference.append_column(name, pa.array(values))
    reference = reference.append_column(GROUP, pa.array(numbers))
    return reference.replace_schema_metadata(None)


def _choose(table: pa.Table, rows: Rows, found: Search, usecase: UseCase) -> tuple[NDArray[np.int64], str]:
    """Places of rows, ascending, and what kind of newest rows they are; empty where they are of any time."""
    # After a change of the world the reference must be what serving looks like now, or the new model alarms at once.
    asked = found.rows if rows.times is None else np.arange(len(rows))
    time = table.column(TIME).to_numpy()
    # So many must be known, though the reference may hold fewer.
    if np.count_nonzero(~np.isnan(time[asked])) >= WINDOWS * usecase.drift.window:
        return _newest(time, asked, usecase), _FEEDBACK
    if rows.times is not None:
        return _newest(table.column(HOLDOUT).to_numpy(), found.rows, usecase), "rows"
    named = [f"{rows.groups[row]}/{row}" for row in found.rows]
    order = np.argsort(positions(named, f"{usecase.split.salt}/reference"))
    return found.rows[np.sort(order[: usecase.drift.reference])], ""


def _newest(time: NDArray[np.float64], asked: NDArray[np.int64], usecase: UseCase) -> NDArray[np.int64]:
    """The newest of the asked rows that have a time, ascending."""
    known = asked[~np.isnan(time[asked])]
    order = known[np.argsort(-time[known], kind="stable")]
    return np.sort(order[: usecase.drift.reference])
