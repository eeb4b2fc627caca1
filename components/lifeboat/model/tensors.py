"""How the model takes a column: the one place that says so. numpy only, for training and serving alike."""

from __future__ import annotations

import numpy as np

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
