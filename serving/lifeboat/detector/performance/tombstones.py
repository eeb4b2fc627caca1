"""Which predictions were given up: a truth for one of them is late, not unknown.

Eight bytes for each name, in blocks in the database; a search is one comparison over all of them.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Name = tuple[str, str, str]


class Tombstones:
    """Remembers model, kind (puid or entity) and name.

    Args:
        limit: how many at most; beyond it the oldest are forgotten.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._hashes: NDArray[np.uint64] | None = None

    def load(self, _connection: sqlite3.Connection) -> None:
        """Reads again when it is asked."""
        self._hashes = None

    def add(self, connection: sqlite3.Connection, names: Iterable[Name]) -> None:
        """Takes names; inside a transaction."""
        block = b"".join(map(_hash, names))
        connection.execute("INSERT INTO gone (hashes) VALUES (?)", (block,))
        kept = 0
        for id_, size in connection.execute("SELECT id, length(hashes) FROM gone ORDER BY id DESC").fetchall():
            if kept > self._limit:
                connection.execute("DELETE FROM gone WHERE id = ?", (id_,))
            kept += size // 8
        self._hashes = None

    def has(self, connection: sqlite3.Connection, name: Name) -> bool:
        """Whether it was given up."""
        if self._hashes is None:
            blocks = [block for (block,) in connection.execute("SELECT hashes FROM gone")]
            self._hashes = np.frombuffer(b"".join(blocks), np.uint64)
        return bool((self._hashes == np.frombuffer(_hash(name), np.uint64)[0]).any())


def _hash(name: Name) -> bytes:
    return blake2b("\0".join(name).encode(errors="surrogatepass"), digest_size=8).digest()
