"""The latest truth of each prediction."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc


def rows_as_of(table: pa.Table, entity: Sequence[str], time: str, says: str) -> tuple[pa.Table, int]:
    """The last row of each entity, ordered by entity, and how many rows the next one of their entity contradicts.

    Of several rows at the same time it is always the same one, in whatever order they came: two versions that both
    answered a request learn its truth at once.

    Args:
        table: rows.
        entity: columns whose cells, none of them null, say whose a row is.
        time: the column that tells the later row from the earlier.
        says: the column in which two rows of an entity may contradict each other.
    """
    first = (*entity, time, says)
    others = [name for name in table.column_names if name not in first]
    table = table.take(pc.sort_indices(table, sort_keys=[(name, "ascending") for name in (*first, *others)]))
    if table.num_rows < 2:
        return table, 0
    again = _repeats(table, entity[0])
    for name in entity[1:]:
        again = pc.and_(again, _repeats(table, name))
    contradicted = pc.and_(again, pc.invert(_repeats(table, says)))
    last = pc.invert(again)
    return table.filter(pa.chunked_array([*last.chunks, pa.array([True])])), int(
        pc.sum(contradicted, min_count=0).as_py()
    )


def _repeats(table: pa.Table, name: str) -> pa.ChunkedArray:
    """Whether a cell is that of the next row, for all rows but the last."""
    cells = table.column(name)
    return pc.equal(cells.slice(0, len(cells) - 1), cells.slice(1))
