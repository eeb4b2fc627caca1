"""The reasons of answers as a table: of each row and number of its answer, a line for each column or group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import ArrayLike

from lifeboat.model.explaining.explainer import Explanation
from lifeboat.tasks.task import Task


def of_model(found: Explanation) -> pa.Table:
    """Of an explanation that was worked out here; see `lifeboat.api.Model.explain`."""
    error = np.zeros_like(found.contributions) if found.exact else found.error
    return _table(found.names, found.outputs, found.answers, found.base, found.contributions, error, start=0)


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
    return pa.table(
        {
            "row": np.repeat(np.arange(start, start + rows), players * numbers),
            "output": pa.array(np.tile(np.repeat(np.asarray(outputs, object), players), rows), pa.string()),
            "answer": np.repeat(np.asarray(answers, float).reshape(-1), players),
            "base": np.tile(np.repeat(np.asarray(base, float), players), rows),
            "column": pa.array(np.tile(np.asarray(columns, object), rows * numbers), pa.string()),
            "contribution": np.swapaxes(contributions, 1, 2).reshape(-1),
            "error": np.swapaxes(error, 1, 2).reshape(-1),
        }
    )
