"""Rows as Arrow's CSV writer takes them, whatever the types of a Parquet file."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def writable(rows: pa.Table) -> pa.Table:
    """The same rows, with text in place of cells that have no form in CSV: lists, structs, bytes."""
    return pa.table([_cells(column) for column in rows.columns], rows.column_names)


def _cells(cells: Any) -> Any:
    plain = pc.cast(cells, cells.type.value_type) if pa.types.is_dictionary(cells.type) else cells
    if _is_writable(plain.type):
        return plain
    texts = [None if value is None else str(value) for value in plain.to_pylist()]
    return pa.chunked_array([pa.array(texts, pa.string())])


def _is_writable(kind: pa.DataType) -> bool:
    """By the type alone, so that all pieces of one file are written alike."""
    if any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary)):
        return False
    try:
        pc.cast(pa.array([], kind), pa.string())
    except pa.ArrowNotImplementedError:
        return False
    return True
