"""Taking rows out of the labelled rows for good, which is the one thing that changes what was written.

The rows that stay are written first, as a part of their own name, and then the old part goes, with all that the store
has kept of it. Ended between the two, both are there, which means the same rows; the next try takes the old one out.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lifeboat.config.errors import first_line
from lifeboat.data.labelled.hidden_columns import LABELLED_AT
from lifeboat.data.labelled.labelled_rows import part_key, part_keys
from lifeboat.registry.storage import Storage

Chosen = Callable[[pa.Table], NDArray[np.bool_]]


@dataclass
class Erased:
    """What was taken out.

    Args:
        rows, parts: how many, and of how many files.
        since: when the first of their truths came, in seconds since 1970; infinite without any.
        unread: key to reason of the files that cannot be read, and may hold such rows.
    """

    rows: int = 0
    parts: int = 0
    since: float = math.inf
    unread: dict[str, str] = field(default_factory=dict)


def erase_rows(storage: Storage, usecase: str, chosen: Chosen, *, keys: Iterable[str] | None = None) -> Erased:
    """Takes rows out of the labelled rows of a use case.

    Args:
        storage: the store.
        usecase: its name.
        chosen: says of the rows of a part, with the hidden columns, which ones go, bool [n].
        keys: of the parts to look into; all unless given.

    Raises:
        StorageError: the store cannot be read or written; what went before it is gone.
    """
    erased = Erased()
    with tempfile.TemporaryDirectory(prefix="lifeboat-") as folder:
        path = Path(folder) / "part.parquet"
        for key in part_keys(storage, usecase) if keys is None else keys:
            storage.download(key, path)
            try:
                rows = pq.ParquetFile(path).read()
                gone = chosen(rows)
            except (pa.ArrowInvalid, KeyError, OSError) as error:
                erased.unread[key] = first_line(error)
                continue
            if gone.any():
                _write_rest(storage, key, rows.filter(pa.array(~gone)), path)
                storage.erase(key)
                erased.rows, erased.parts = erased.rows + int(gone.sum()), erased.parts + 1
                first = np.nanmin(rows.column(LABELLED_AT).to_numpy()[gone])
                erased.since = min(erased.since, float(first))
    return erased


def _write_rest(storage: Storage, key: str, rest: pa.Table, path: Path) -> None:
    if rest.num_rows:
        pq.write_table(rest, path)
        new = part_key(key.rpartition("/")[0], path)
        if new not in storage.keys(new):
            storage.upload(path, new)
