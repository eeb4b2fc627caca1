"""Keys: what identifies rows, and what keeps them together. None of their values is said."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifeboat.usecase.column import is_null
from lifeboat.usecase.schema import Column, Schema


@dataclass(frozen=True)
class KeyProfile:
    """One key.

    Args:
        column: its declaration.
        role: what it is for, in words.
        missing: rows without it.
        distinct: how many values there are.
        repeated: rows whose value another row has, too.
        largest: rows of the commonest value.
        both: values that are on both sides of the split.
    """

    column: Column
    role: str
    missing: int
    distinct: int
    repeated: int
    largest: int
    both: int


def key_profiles(rows: pa.Table, schema: Schema, test: NDArray[np.bool_]) -> list[KeyProfile]:
    """Of every key, and of an input that is the id or the group.

    Args:
        rows: that are left, with their keys.
        schema: of them.
        test: which of them are held out, [n].
    """
    named = [name for name in (schema.id, schema.group) if name in schema.names]
    return [_profile(rows.column(column.name), column, _role(column, schema), test)
            for column in (*schema.keys, *(schema.known[name] for name in dict.fromkeys(named) if name))]  # fmt: skip


def _role(column: Column, schema: Schema) -> str:
    roles = {"identifies a row": schema.id, "keeps rows together": schema.group}
    return ", ".join(words for words, name in roles.items() if name == column.name) or "not seen by the model"


def _profile(values: pa.ChunkedArray, column: Column, role: str, test: NDArray[np.bool_]) -> KeyProfile:
    encoded = pc.dictionary_encode(values.combine_chunks(), null_encoding="encode")
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    codes, names = encoded.indices.to_numpy(zero_copy_only=False), encoded.dictionary.to_pylist()
    unknown = [code for code, name in enumerate(names) if is_null(name)]
    sides = [np.bincount(codes[side], minlength=len(names)) for side in (~test, test)]
    missing = sum(int(side[unknown].sum()) for side in sides)
    for side in sides:
        side[unknown] = 0
    counts = sides[0] + sides[1]
    return KeyProfile(
        column, role, missing, int((counts > 0).sum()), int(counts[counts > 1].sum()), int(counts.max(initial=0)),
        int(((sides[0] > 0) & (sides[1] > 0)).sum()),
    )  # fmt: skip
