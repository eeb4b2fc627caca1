"""The reasons of answers as a table: of each row and number of its answer, a line for each column or group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from lifeboat.model.explaining.explainer import Explanation
from lifeboat.tasks.task import Task

_NUMBER = pa.float64()
SCHEMA = pa.schema(
    [("row", pa.int64()), ("output", pa.string()), ("answer", _NUMBER), ("base", _NUMBER), ("column", pa.string()),
     ("contribution", _NUMBER), ("error", _NUMBER)]
)  # fmt: skip


def of_model(found: Explanation) -> pa.Table:
    """Of an explanation that was worked out here; see `lifeboat.api.Model.explain`."""
    return _table(found.names, found.outputs, found.answers, found.base, found.contributions, found.error, start=0)


def of_endpoint(said: Mapping[str, Any], task: Task[Any, Any], start: int) -> pa.Table:
    """Of an explanation as a server answers it.

    Args:
        said: the tag `explanation`.
        task: what its answers are.
        start: place of its first row.
    """
    outputs = [task.columns[task.names.index(name)] for name in said["outputs"]]
    contributions = np.asarray(said["contributions"], float)
    error = np.asarray(said.get("errors", np.zeros_like(contributions)), float)
    return _table(said["columns"], outputs, said["answers"], said["base"], contributions, error, start)


def _table(
    columns: Sequence[str], outputs: Sequence[str], answers: ArrayLike, base: ArrayLike, contributions: Any, error: Any,
    start: int,
) -> pa.Table:  # fmt: skip
    rows, players, numbers = contributions.shape
    parts = (
        np.repeat(np.arange(start, start + rows), players * numbers),
        np.tile(np.repeat(np.asarray(outputs, object), players), rows),
        np.repeat(np.asarray(answers, float).reshape(-1), players),
        np.tile(np.repeat(np.asarray(base, float), players), rows),
        np.tile(np.asarray(columns, object), rows * numbers),
        np.swapaxes(contributions, 1, 2).reshape(-1),
        np.swapaxes(error, 1, 2).reshape(-1),
    )
    return pa.table(list(map(pa.array, parts)), SCHEMA)
