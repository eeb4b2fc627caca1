"""Rows from feedback beside those of the table: whose they are, which of them count, and which would leak.

What holds afterwards, whatever clients send (`tests/preprocess/test_feedback.py`):

- No group and no id is both trained on and held out, and rows with the same inputs are only where both say whose they
  are, by group or id, and differ.
- A row without an id is itself and no other's: a prediction is counted once, and rows that look alike are all kept.
- No row of the table changes its side because of feedback. So no model ever trains on a row of the table that another
  model of the same table was judged on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from components.core.column import is_null
from components.core.labelled import HIDDEN, LABELLED_AT, PREDICTED_AT, PUID, ROW, load_labelled, no_rows, stored_schema
from components.core.moment import show_moment
from components.core.schema import Schema
from components.core.split import Holdout
from components.core.storage import Storage
from components.core.table import Checked, check_table
from components.core.usecase import UseCase

# When the row was predicted, seconds since 1970; NaN for a row of the table.
TIME = "__time"
# How `core.split.group_names` calls a row that has neither group nor id.
_UNNAMED = "cells "


@dataclass(frozen=True)
class Feedback:
    """The labelled rows of the store, held against the schema.

    Args:
        raw: as they were asked, with the hidden columns.
        checked: the same rows; keys may be null.
        digest: of them, empty without any.
        refused: key to reason of the parts that cannot be used.
        until: when the last of their truths came; the store as of then gives the same rows. Empty without any.
    """

    raw: pa.Table
    checked: Checked
    digest: str
    refused: dict[str, str]
    until: str = ""

    @property
    def good(self) -> pa.Table:
        """The rows without a problem, in the order in which their truth came."""
        timed = self.checked.table
        for name in (PREDICTED_AT, LABELLED_AT, PUID, ROW):
            timed = timed.append_column(name, self.raw.column(name))
        good = Checked(timed, self.checked.problems).good
        return good.sort_by([(name, "ascending") for name in (LABELLED_AT, PUID, ROW)]).drop_columns([PUID, ROW])


def read_feedback(
    store: Storage | None, usecase: UseCase, say: Callable[[str], None], *, as_of: datetime | None = None
) -> Feedback:
    """Reads the labelled rows of a use case; none at all are no error, and without a store there are none.

    Args:
        store: the feature store.
        usecase: whose rows.
        say: told what was read.
        as_of: read as it was known then; now unless given.

    Raises:
        StorageError: the store cannot be read.
    """
    found = load_labelled(store, usecase.name, usecase.schema, until=as_of) if store else no_rows(usecase.schema)
    cells = found.table.drop_columns([column.name for column in HIDDEN])
    checked = check_table(cells, stored_schema(usecase.schema), labelled=True, name="labelled rows")
    for key, reason in found.refused.items():
        say(f"left out {key}: {reason}")
    if found.parts or as_of:
        known = f" as of {show_moment(as_of)}" if as_of else ""
        rows, broken = found.table.num_rows, len(checked.problems)
        say(f"read {rows:,} labelled rows from feedback{known}, {broken:,} break the schema")
    if found.until:
        say(f"the last of their truths came at {found.until}: a run as of then takes the same rows")
    return Feedback(found.table, checked, found.digest, found.refused, found.until)


@dataclass(frozen=True)
class Merged:
    """Rows of the table and of feedback, each entity once.

    Args:
        table: of good rows, with `TIME`; each in the place where its entity was first seen, so the table's come first.
        duplicates: rows dropped because a newer one of the same id has the same inputs and label.
        replaced: rows dropped because a newer one of the same id says otherwise.
    """

    table: pa.Table
    duplicates: int
    replaced: int


def merge(base: pa.Table, fed: pa.Table, schema: Schema) -> Merged:
    """Puts the rows from feedback beside those of the table; of one id the newest prediction wins, the table is older.

    Args:
        base: the table's rows, each once.
        fed: `Feedback.good`.
        schema: of both.
    """
    if not fed.num_rows:
        return Merged(base.append_column(TIME, pa.array(np.full(base.num_rows, np.nan))), 0, 0)
    plain = fed.drop_columns([PREDICTED_AT, LABELLED_AT])
    rows = pa.concat_tables([base, _with_keys(base, plain, schema).select(base.column_names)]).combine_chunks()
    unknown = np.full(base.num_rows, -np.inf)
    times = [np.concatenate([unknown, fed.column(name).to_numpy()]) for name in (LABELLED_AT, PREDICTED_AT)]
    newest = np.lexsort([np.arange(rows.num_rows), *times])[::-1]
    winner = _winners(_entities(rows, schema), newest)
    content = _codes(rows, [*schema.names, schema.label.name])
    dropped = winner != np.arange(rows.num_rows)
    same = content == content[winner]
    time = np.where(np.isfinite(times[1]), times[1], np.nan)
    table = rows.append_column(TIME, pa.array(time)).take(pa.array(_in_turn(winner)))
    return Merged(table, int((dropped & same).sum()), int((dropped & ~same).sum()))


def _with_keys(base: pa.Table, fed: pa.Table, schema: Schema) -> pa.Table:
    """Fed rows with the keys of the entity they are of, as it was first seen; the table was there before feedback.

    An id that is known has the keys it had then. A row without group is of the group of the row with the same inputs.
    """
    if not schema.keys:
        return fed
    cells = _codes(pa.concat_tables([base.select(schema.names), fed.select(schema.names)]), schema.names)
    of_base, of_fed = cells[: base.num_rows], cells[base.num_rows :]
    relevant = np.isin(of_base, of_fed)
    if schema.id is not None:
        relevant |= pc.is_in(base.column(schema.id), fed.column(schema.id).combine_chunks()).to_numpy()
    names = [key.name for key in schema.keys]
    known = base.select(names).filter(pa.array(relevant)).to_pylist()
    seen = _Seen(schema)
    # In an order that does not depend on where rows stand in the file.
    for keys, code in sorted(zip(known, of_base[relevant].tolist(), strict=True), key=lambda item: str(item[0])):
        seen.note(keys, code)
    filled = []
    for keys, code in zip(fed.select(names).to_pylist(), of_fed.tolist(), strict=True):
        filled.append(seen.identify(keys, code))
        seen.note(filled[-1], code)
    for name in names:
        kind = fed.schema.field(name).type
        column = pa.array([keys[name] for keys in filled], kind)
        fed = fed.set_column(fed.column_names.index(name), name, column)
    return fed


class _Seen:
    """Keys of the entities seen so far, by id and by inputs."""

    def __init__(self, schema: Schema) -> None:
        self._id, self._group = schema.id, schema.group
        self._by_id: dict[Any, dict[str, Any]] = {}
        self._by_cells: dict[int, dict[str, Any]] = {}

    def note(self, keys: dict[str, Any], cells: int) -> None:
        if self._id and not is_null(keys[self._id]):
            self._by_id.setdefault(keys[self._id], keys)
        self._by_cells.setdefault(cells, keys)

    def identify(self, keys: dict[str, Any], cells: int) -> dict[str, Any]:
        """The keys of a row: those its id had before; without a group that of the row with the same inputs.

        The same inputs tell nobody's id: two people may have them. The group only keeps the two on one side.
        """
        known = self._by_id.get(keys[self._id]) if self._id else None
        if known is not None or self._group is None or not is_null(keys[self._group]):
            return known or keys
        return keys | {self._group: self._by_cells.get(cells, keys)[self._group]}


def _codes(rows: pa.Table, names: Sequence[str]) -> NDArray[np.int64]:
    """A number for each row, the same where all these columns are, [n]."""
    codes = np.zeros(rows.num_rows, dtype=np.int64)
    for name in names:
        encoded = pc.dictionary_encode(rows.column(name).combine_chunks(), null_encoding="encode")
        encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
        pairs: NDArray[np.int64] = codes * max(len(encoded.dictionary), 1) + encoded.indices.to_numpy()
        codes = np.unique(pairs, return_inverse=True)[1]
    return codes


def _entities(rows: pa.Table, schema: Schema) -> NDArray[np.int64]:
    """A number for each row, the same for rows of one id; a row without one is its own entity, [n]."""
    own = np.arange(rows.num_rows)
    if schema.id is None:
        return own
    cells = rows.column(schema.id)
    given = np.array([not is_null(cell) for cell in cells.to_pylist()], dtype=bool)
    return np.where(given, _codes(rows, [schema.id]), rows.num_rows + own)


def _winners(entity: NDArray[np.int64], order: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each row the first row of its entity in this order, [n]."""
    _, first, inverse = np.unique(entity[order], return_index=True, return_inverse=True)
    winner = np.empty(len(order), dtype=np.int64)
    winner[order] = order[first][inverse]
    return winner


def _in_turn(winner: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each winner once, in the place of the first row of its entity."""
    winners, first = np.unique(winner, return_index=True)
    return winners[np.argsort(first)]


def opposite_twins(rows: pa.Table, groups: list[str], holdout: Holdout, schema: Schema) -> NDArray[np.bool_]:
    """Fed rows that have the inputs of a row on the other side, where one of the two has no name, bool [n].

    A row without group and id may be anybody: the one with the same inputs on the other side too. The row that was
    there first stays.
    """
    withheld = np.zeros(rows.num_rows, dtype=bool)
    fed = ~np.isnan(rows.column(TIME).to_numpy())
    if not fed.any():
        return withheld
    cells = _codes(rows, schema.names)
    unnamed = np.array([name.startswith(_UNNAMED) for name in groups], dtype=bool)
    doubtful = (np.bincount(cells, weights=unnamed) > 0) & (np.bincount(cells, weights=fed) > 0)
    rows_in_doubt = np.flatnonzero(doubtful[cells])
    met: set[tuple[int, bool, bool]] = set()
    for row in rows_in_doubt[np.argsort(fed[rows_in_doubt], kind="stable")]:
        code, side = int(cells[row]), bool(holdout.test[row])
        opposite = {nameless for nameless in (True, False) if (code, not side, nameless) in met}
        withheld[row] = fed[row] and (True in opposite or (bool(opposite) and unnamed[row]))
        met.add((code, side, bool(unnamed[row])))
    return withheld
