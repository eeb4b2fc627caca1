"""Rows from feedback beside those of the table: whose they are, which of them count, and which would leak.

What holds afterwards, whatever clients send (`tests/preprocess/test_feedback.py`):

- No group and no id is both trained on and held out, and rows with the same inputs are only where both say whose they
  are, by group or id, and differ.
- A row without an id is itself and no other's: a prediction is counted once, and rows that look alike are all kept.
- No row of the table changes its side because of feedback. So no model ever trains on a row of the table that another
  model of the same table was judged on.
- No row of the table is replaced: it is curated. A truth that contradicts it, or an earlier truth of another source, is
  a conflict: it is kept apart, and told until somebody settles it (`lifeboat features conflicts`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from lifeboat.data.labelled.hidden_columns import LABELLED_AT, PREDICTED_AT, PUID, ROW, SOURCE
from lifeboat.data.split import Holdout
from lifeboat.usecase.column import entity_name, is_null
from lifeboat.usecase.schema import Schema

# When the row was predicted, seconds since 1970; NaN for a row of the table.
TIME = "__time"
# Of a conflict: whose word stands, and which class that is.
STANDS_BY, STANDS = "__stands_by", "__stands"
# How `lifeboat.data.split.group_names` calls a row that has neither group nor id.
_UNNAMED = "cells "


@dataclass(frozen=True)
class Merged:
    """Rows of the table and of feedback, each entity once.

    Args:
        table: of good rows, with `TIME`; each in the place where its entity was first seen, so the table's come first.
        duplicates: rows dropped because the one of the same id that stands has the same inputs and label.
        replaced: rows dropped because another one of the same id stands: the table's, or the newest of its source.
        conflicts: rows dropped because their label contradicts the one that stands, the table's or another source's;
            with `STANDS_BY`, whose that is ("" for the table's), and `STANDS`, which class.
    """

    table: pa.Table
    duplicates: int
    replaced: int
    conflicts: pa.Table


def merge(base: pa.Table, fed: pa.Table, schema: Schema, settled: Mapping[str, str] | None = None) -> Merged:
    """Puts the rows from feedback beside those of the table.

    Of one id the table's row stands; without one the newest prediction of the source whose truth came first, or of the
    source that was settled on.

    Args:
        base: the table's rows, each once.
        fed: `Feedback.beside`.
        schema: of both.
        settled: whose word holds, by id.
    """
    if not fed.num_rows:
        table = base.append_column(TIME, pa.array(np.full(base.num_rows, np.nan)))
        return Merged(table.append_column(SOURCE, pa.array([""] * base.num_rows)), 0, 0, _no_conflicts(fed))
    plain = fed.drop_columns([PREDICTED_AT, LABELLED_AT, SOURCE, PUID, ROW])
    rows = pa.concat_tables([base, _with_keys(base, plain, schema).select(base.column_names)]).combine_chunks()
    said = _Claim.of(rows, fed, schema, settled or {})
    winner = said.winners()
    content = _codes(rows, [*schema.names, schema.label.name])
    dropped = winner != np.arange(rows.num_rows)
    same, conflict = content == content[winner], said.conflicts(winner)
    table = rows.append_column(TIME, pa.array(said.predicted)).append_column(SOURCE, pa.array(said.source))
    against = fed.take(pa.array(np.flatnonzero(conflict) - base.num_rows))
    against = against.append_column(STANDS_BY, pa.array(said.source[winner[conflict]].tolist(), pa.string()))
    against = against.append_column(STANDS, pa.array(said.label[winner[conflict]]))
    return Merged(
        table.take(pa.array(_in_turn(winner))),
        int((dropped & same).sum()),
        int((dropped & ~same & ~conflict).sum()),
        against,
    )


def _no_conflicts(fed: pa.Table) -> pa.Table:
    return fed.append_column(STANDS_BY, pa.array([], pa.string())).append_column(STANDS, pa.array([], pa.int64()))


@dataclass(frozen=True)
class _Claim:
    """Whose word each row is, those of the table first, [n] each.

    Args:
        entity: the same number for rows of one id.
        source: of the truth; "" for the table.
        label: as numbers.
        predicted, labelled: when, seconds since 1970; NaN for the table.
        settled: whether somebody decided about the rows of this id.
        chosen: whether it is the word of the source that was settled on.
    """

    entity: NDArray[np.int64]
    source: NDArray[np.object_]
    label: NDArray[Any]
    predicted: NDArray[np.float64]
    labelled: NDArray[np.float64]
    settled: NDArray[np.bool_]
    chosen: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: pa.Table, fed: pa.Table, schema: Schema, settled: Mapping[str, str]) -> _Claim:
        table = rows.num_rows - fed.num_rows
        source = np.array([""] * table + fed.column(SOURCE).to_pylist(), dtype=object)
        names = (
            [""] * rows.num_rows if schema.id is None else list(map(entity_name, rows.column(schema.id).to_pylist()))
        )
        kept = np.array([settled.get(name) if name else None for name in names], dtype=object)
        unknown = np.full(table, np.nan)
        predicted, labelled = (
            np.concatenate([unknown, fed.column(name).to_numpy()]) for name in (PREDICTED_AT, LABELLED_AT)
        )
        label = rows.column(schema.label.name).to_numpy()
        entity, decided = _entities(rows, schema), np.array([keep is not None for keep in kept], dtype=bool)
        return cls(entity, source, label, predicted, labelled, decided, np.equal(kept, source).astype(bool))

    def winners(self) -> NDArray[np.int64]:
        """For each row the one of its entity that stands."""
        code = np.unique(self.source.astype(str), return_inverse=True)[1]
        _, voice = np.unique(np.stack([self.entity, code]), axis=1, return_inverse=True)
        first = np.full(voice.max() + 1, np.inf)
        np.minimum.at(first, voice.ravel(), np.nan_to_num(self.labelled, nan=-np.inf))
        newest = np.lexsort((np.arange(len(code)), np.nan_to_num(self.labelled), np.nan_to_num(self.predicted)))[::-1]
        age = np.empty(len(code), dtype=np.int64)
        age[newest] = np.arange(len(code))
        return _winners(self.entity, np.lexsort((age, code, first[voice.ravel()], ~self.chosen, self.source != "")))

    def conflicts(self, winner: NDArray[np.int64]) -> NDArray[np.bool_]:
        """The rows that contradict another source's, or the table's, and nobody has settled it."""
        other = np.not_equal(self.source, self.source[winner]).astype(bool)
        found: NDArray[np.bool_] = (self.label != self.label[winner]) & other & ~self.settled
        return found


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
    seen = _Known(schema)
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


class _Known:
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


def contradicting_rows(rows: pa.Table, groups: list[str], holdout: Holdout, schema: Schema) -> NDArray[np.bool_]:
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
