"""How the model takes a column: the one place that says so. numpy only, for training and serving alike."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.usecase.column import Column

# ONNX Runtime's names of the types.
ONNX_TYPES: dict[type[np.generic], str] = {
    np.object_: "tensor(string)",
    np.float32: "tensor(float)",
    np.float64: "tensor(double)",
}


def tensor_type(column: Column) -> type[np.generic]:
    """Object of str, float32, or float64 where a float32 would round the column's integers."""
    if not column.is_number:
        return np.object_
    return np.float64 if column.is_wide else np.float32


def tensor_types(columns: Iterable[Column]) -> tuple[tuple[str, type[np.generic]], ...]:
    """Name and `tensor_type` of each column."""
    return tuple((column.name, tensor_type(column)) for column in columns)


def stack(kinds: Sequence[tuple[str, type[np.generic]]], columns: Sequence[list[Any]]) -> dict[str, NDArray[Any]]:
    """The graph's inputs of rows that were read: one [n, 1] tensor a column.

    Args:
        kinds: `tensor_types` of the schema's inputs.
        columns: of each n values, floats (NaN for null) or strings ("" for null). Keys, which may come behind the
            columns, are no inputs.
    """
    pairs = zip(kinds, columns, strict=False)
    return {name: np.array(values, dtype).reshape(-1, 1) for (name, dtype), values in pairs}
