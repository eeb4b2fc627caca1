"""Dividing rows by group: the same group is always on the same side.

Every group gets a position in [0, 1) from a hash of its name and a salt. Within a stratum (groups of which most rows
are of one class, see `Task.strata`) groups are taken in the order of their positions until the share is reached as
nearly as whole groups allow. So the split is stratified, needs no random state, runs in n log n, and moves only few
groups when rows are added. A group larger than the share to be held out trains, so that the others can be held out.

Rows that come in later, from feedback, move none at all: `hold_out_later` leaves the groups of the table where they are
and decides on any other by its position alone, whatever its label.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.usecase.column import is_null
from lifeboat.usecase.schema import Schema

_SCALE = 2.0**-64


@dataclass(frozen=True)
class Holdout:
    """Which rows are held out.

    Args:
        test: true for a held-out row, bool [n].
        position: of each row's group, float64 [n]; by time the row's own, microseconds since 1970.
        below: by time the boundary, in microseconds; else every group with a position below this one is held out,
            whatever its stratum, but for those in `large`.
        large: positions of the groups that are larger than the share to be held out; all of them train.
    """

    test: NDArray[np.bool_]
    position: NDArray[np.float64]
    below: float
    large: tuple[float, ...] = ()


def group_names(rows: pa.Table, schema: Schema) -> list[str]:
    """The name of each row's group, [n]: the schema's group, for a row without one its id, and else its cells.

    Nothing depends on where a row stands, so a row keeps its group when the file grows.

    Args:
        rows: as `lifeboat.data.table.check_table` gives them; other columns are ignored.
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


def kept_groups(rows_groups: list[str], schema: Schema) -> NDArray[np.int64] | None:
    """A number for each row's group, [n]; None where the schema keeps none together.

    Args:
        rows_groups: their names, see `group_names`.
        schema: of the rows.
    """
    return None if schema.group is None else np.unique(rows_groups, return_inverse=True)[1]


def positions(groups: list[str], salt: str) -> NDArray[np.float64]:
    """A position in [0, 1) for each name, from the first 8 bytes of BLAKE2b(salt, name)."""
    key = hashlib.blake2b(salt.encode(), digest_size=32).digest()
    names = dict.fromkeys(groups)
    digests = b"".join([hashlib.blake2b(name.encode(), key=key, digest_size=8).digest() for name in names])
    known = dict(zip(names, (np.frombuffer(digests, ">u8") * _SCALE).tolist(), strict=True))
    return np.fromiter(map(known.__getitem__, groups), np.float64, len(groups))


def hold_out(groups: list[str], strata: NDArray[np.int64], *, share: float, salt: str) -> Holdout:
    """Holds out about `share` of the rows of each stratum, whole groups at a time.

    Args:
        groups: name of each row's group, [n].
        strata: of each row, from 0, [n].
        share: between 0 and 1.
        salt: another salt holds out other groups.
    """
    position = positions(groups, salt)
    _, first, group, counts = np.unique(position, return_index=True, return_inverse=True, return_counts=True)
    large = counts > share * len(groups)
    if large.all():
        # No whole group comes near the share: of each stratum what misses it least.
        large = np.zeros(len(counts), dtype=bool)
    # What the large ones cannot give, the others do.
    share = min(1.0, share * len(groups) / counts[~large].sum())
    chosen = np.zeros(len(counts), dtype=bool)
    for members in _strata(group, counts, strata):
        others = members[~large[members]]
        if len(others):
            chosen[others], large[others] = _nearest(counts[others], share)
    # A group that trains and is not large has its stratum's cut or more, so below the lowest of them none does.
    ordinary = position[first][~chosen & ~large]
    below = float(ordinary.min()) if len(ordinary) else 1.0
    return Holdout(chosen[group], position, below, tuple(position[first][large & ~chosen].tolist()))


def _nearest(rows: NDArray[np.int64], share: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which groups of a stratum are held out, and which are too large to be, bool [g] each.

    Large is what alone exceeds the share; where the others are too few to come near it, what alone would miss it by
    more than holding out nothing; and where that is every group, all but the smallest.

    Args:
        rows: of each group, in the order of their positions.
        share: of the stratum's rows, wanted.
    """
    wanted = share * rows.sum()
    smallest = np.arange(len(rows)) == int(np.argmin(rows)) if len(rows) > 1 else np.ones(len(rows), dtype=bool)
    tried = [rows > wanted, rows >= 2 * wanted, ~smallest]
    found = [(_fill(rows, large, wanted), large) for large in tried]
    usable = [one for one in found if one[0].any() and (share >= 1 or not one[0].all())] or found[:1]
    return min(usable, key=lambda one: abs(rows[one[0]].sum() - wanted))


def _fill(rows: NDArray[np.int64], large: NDArray[np.bool_], wanted: float) -> NDArray[np.bool_]:
    """The groups, but the large ones, whose middle row is within the first `wanted` rows."""
    others = np.where(large, 0, rows)
    return np.asarray(~large & (np.cumsum(others) - others / 2 < wanted))


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
    return Holdout(test, position, min(known.below, share), known.large)


def split_digest(known: Holdout) -> str:
    """One digest over all groups of a table and their sides, sha256."""
    divided, first = np.unique(known.position, return_index=True)
    return hashlib.sha256(divided.tobytes() + known.test[first].tobytes()).hexdigest()


def assign_folds(groups: list[str], strata: NDArray[np.int64], *, folds: int, salt: str) -> NDArray[np.int64]:
    """The fold of each row, 0 to folds - 1, [n]; groups stay whole, folds are stratified and about equal."""
    position = positions(groups, f"{salt}/folds")
    _, group, counts = np.unique(position, return_inverse=True, return_counts=True)
    fold = np.zeros(len(counts), dtype=np.int64)
    for members in _strata(group, counts, strata):
        fold[members] = _level(counts[members], folds)
    return np.asarray(fold[group])


def _level(rows: NDArray[np.int64], folds: int) -> NDArray[np.int64]:
    """The fold of each group of a stratum, [g]: a group larger than a fold has one, the others fill up the rest."""
    fold = np.zeros(len(rows), dtype=np.int64)
    filled = np.zeros(folds)
    large = np.flatnonzero(rows * folds > rows.sum())
    for group in large[np.argsort(-rows[large], kind="stable")]:
        fold[group] = np.argmin(filled)
        filled[fold[group]] += rows[group]
    others = np.setdiff1d(np.arange(len(rows)), large)
    # What a fold may still take, were all of them level.
    room = np.maximum(rows.sum() / folds - filled, 0)
    ends = np.cumsum(room * (rows[others].sum() / max(room.sum(), 1e-9)))
    before = np.cumsum(rows[others]) - rows[others]
    # The middle of a group decides, so that no fold is left empty for one row.
    fold[others] = np.minimum(np.searchsorted(ends, before + rows[others] / 2, side="right"), folds - 1)
    return fold


def _strata(
    group: NDArray[np.int64], counts: NDArray[np.int64], strata: NDArray[np.int64]
) -> Iterator[NDArray[np.int64]]:
    """The groups of each stratum, by number, in the order of their positions.

    A group is of the stratum of most of its rows; of several the highest.
    """
    levels = int(strata.max()) + 1 if len(strata) else 1
    pairs, rows = np.unique(group * levels + strata, return_counts=True)
    owner = pairs // levels
    # The last of each group's pairs in this order has the most rows, and of those the highest stratum.
    order = np.lexsort((pairs, rows, owner))
    last = order[np.searchsorted(owner[order], np.arange(len(counts)), side="right") - 1]
    stratum = pairs[last] % levels
    for level in np.unique(stratum):
        yield np.flatnonzero(stratum == level)
