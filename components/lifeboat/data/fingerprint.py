"""The digest of a table's rows, whatever files they came in."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lifeboat.config.errors import DataError

_NUMBERS = {pa.float64(): "<f8", pa.int64(): "<i8"}


def table_digest(table: pa.Table) -> str:
    """The sha256 of names, types and cells, in order.

    It is taken from the values themselves and not from Arrow's or Parquet's bytes, which depend on how a table was cut
    into pieces and on the version of the library.

    Args:
        table: columns of float64, int64, string and moments in microseconds; a null is Arrow's.

    Raises:
        DataError: a column of another type.
    """
    digest = hashlib.sha256()
    for name, column in zip(table.column_names, table.columns, strict=True):
        for block in (name.encode(), *_blocks(column, name)):
            digest.update(len(block).to_bytes(8, "little"))
            digest.update(block)
    return digest.hexdigest()


def _blocks(column: pa.ChunkedArray, name: str) -> Iterator[Any]:
    """The type, which cells are known, and their values, as bytes."""
    kind = column.type
    yield str(kind).encode()
    yield np.packbits(column.is_valid().to_numpy()).tobytes()
    if pa.types.is_timestamp(kind):
        column, kind = column.cast(pa.int64()), pa.int64()
    if kind in _NUMBERS:
        yield pc.fill_null(column, 0).to_numpy().astype(_NUMBERS[kind]).tobytes()
    elif pa.types.is_string(kind):
        yield from _texts(pc.fill_null(column, "").cast(pa.large_string()))
    else:
        raise DataError(f"has type {kind}, which has no digest", column=name)


def _texts(column: pa.ChunkedArray) -> Iterator[Any]:
    """Where each text begins, and all of them in one; behind an empty one, so that Arrow makes both anew."""
    cells = pa.concat_arrays([pa.array([""], pa.large_string()), *column.chunks])
    _, places, text = cells.buffers()
    begin = np.frombuffer(places, dtype="<i8")[: len(cells) + 1]
    yield begin.tobytes()
    yield memoryview(text)[: begin[-1]]
