"""How much each row counts, in training and in every metric of an evaluation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.usecase.usecase import UseCase

Weights = NDArray[np.float64] | None


def row_weights(usecase: UseCase, table: pa.Table) -> Weights:
    """The weight of each row, 1 on average, [n]; None where all count alike.

    A row from feedback whose client left the weight out counts as one.

    Args:
        usecase: its `weight` and `class_weights`.
        table: typed, with its label as a number.
    """
    if not usecase.is_weighted:
        return None
    weights = np.ones(table.num_rows)
    if usecase.weight is not None and usecase.weight in table.column_names:
        weights = np.nan_to_num(table.column(usecase.weight).to_numpy().astype(np.float64), nan=1.0)
    label = usecase.schema.label
    y = table.column(label.name).to_numpy()
    for name, weight in usecase.class_weights.items():
        weights[y == label.parse(name)] *= weight
    return weights / weights.mean() if weights.sum() > 0 else None


def some(weights: Weights, rows: NDArray[Any]) -> Weights:
    """Those of some rows."""
    return None if weights is None else weights[rows]
