"""Dividing rows by group: the same group is always on the same side.

Every group gets a position in [0, 1) from a hash of its name and a salt. Within a stratum (groups with mostly negative
or mostly positive rows) groups are taken in the order of their positions until the share is reached. So the split is
stratified, needs no random state, runs in n log n, and moves only few groups when rows are added.

Rows that come in later, from feedback, move none at all: `hold_out_later` leaves the groups of the table where they are
and decides on any other by its position alone, whatever its label.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from components.core.column import is_null
from components.core.schema import Schema

_SCALE = 2.0**-64


@dataclass(frozen=True)
class Holdout:
    """Which rows are held out.

    Args:
        test: true for a held-out row, bool [n].
        position: of each row's group, float64 [n].
        below: every group with a position below this one is held out, whatever its stratum.
    """

    test: NDArray[np.bool_]
    position: NDArray[np.float64]
    below: float


def group_names(rows: pa.Table, schema: Schema) -> list[str]:
    """The name of each row's group, [n]: the schema's group, for a row without one its id, and else its cells.

    Nothing depends on where a row stands, so a row keeps its group when the file grows.

    Args:
        rows: as `core.table.check_table` gives them; other columns are ignored.
        schema: says which columns are group and id.
    """
    names: list[str] = [""] * rows.num_rows
    for role, key in (("group", schema.group), ("id", schema.id)):
        if key is not None and not all(names):
            cells = rows.column(key).to_pylist()
            names = [name or _group_name(role, cell) for name, cell in zip(names, cells, strict=True)]
    alone = [row for row, name in enumerate(names) if not name]
    columns = [rows.column(name).take(pa.array(alone, pa.int64())).to_pylist() for name in schema.known]
    for row, cells in zip(alone, zip(*columns, strict=True), strict=True):
        names[row] = f"cells {cells!r}"
    return names


def _group_name(role: str, cell: object) -> str:
    return "" if is_null(cell) else f"{role} {cell}"


def positions(groups: list[str], salt: str) -> NDArray[np.float64]:
    """A position in [0, 1) for each name, from the first 8 bytes of BLAKE2b(salt, name)."""
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    names = dict.fromkeys(groups)
    digests = b"".join([hashlib.blake2b(name.encode(), key=key, digest_size=8).digest() for name in names])
    known = dict(zip(names, (np.frombuffer(digests, ">u8") * _SCALE).tolist(), strict=True))
    return np.fromiter(map(known.__getitem__, groups), np.float64, len(groups))


def hold_out(groups: list[str], labels: NDArray[np.int8], *, share: float, salt: str) -> Holdout:
    """Holds out about `share` of the rows of each stratum, whole groups at a time.

    Args:
        groups: name of each row's group, [n].
        labels: 0 or 1, [n].
        share: between 0 and 1.
        salt: another salt holds out other groups.
    """
    position = positions(groups, salt)
    before = _rows_before(position, labels)
    test = before < share
    # A group that trains has its stratum's cut or more, so below the lowest of them none does.
    below = float(position[~test].min()) if not test.all() else 1.0
    return Holdout(test, position, below)


def hold_out_later(known: Holdout, position: NDArray[np.float64], *, share: float) -> Holdout:
    """Sides of rows of a table that grew: a group that `known` has stays where it is, of others `share` is held out.

    Args:
        known: the split of the table.
        position: of each row's group by the salt of `known`, [n]: those of the table and others.
        share: that of `known`.
    """
    divided, first = np.unique(known.position, return_index=True)
    place = np.minimum(np.searchsorted(divided, position), len(divided) - 1)
    test = np.where(divided[place] == position, known.test[first][place], position < share)
    return Holdout(test, position, min(known.below, share))


def split_digest(known: Holdout) -> str:
    """One digest over all groups of a table and their sides, sha256."""
    divided, first = np.unique(known.position, return_index=True)
    return hashlib.sha256(divided.tobytes() + known.test[first].tobytes()).hexdigest()


def assign_folds(groups: list[str], labels: NDArray[np.int8], *, folds: int, salt: str) -> NDArray[np.int64]:
    """The fold of each row, 0 to folds - 1, [n]; groups stay whole and folds are stratified."""
    before = _rows_before(positions(groups, f"{salt}/folds"), labels)
    return np.minimum((before * folds).astype(np.int64), folds - 1)


def _rows_before(position: NDArray[np.float64], labels: NDArray[np.int8]) -> NDArray[np.float64]:
    """For each row the share of its stratum's rows that are in groups of a lower position, [n]."""
    _, group, counts = np.unique(position, return_inverse=True, return_counts=True)
    positive = np.bincount(group, weights=labels) * 2 >= counts
    share = np.empty(len(counts))
    for stratum in (False, True):
        members = np.flatnonzero(positive == stratum)
        rows = counts[members]
        # Groups are numbered in the order of their positions, and so are a stratum's members.
        share[members] = (np.cumsum(rows) - rows) / max(rows.sum(), 1)
    return share[group]
