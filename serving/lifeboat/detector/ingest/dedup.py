"""Which events were counted already: the newest ids, in memory and in blocks in the database.

A row for each id would make every transaction write pages all over a large index; a block holds the ids of one pass.
"""

from __future__ import annotations

import sqlite3
from collections import deque
from hashlib import blake2b

SIZE = 16


class Dedup:
    """Remembers events by source and id.

    Args:
        limit: how many at most; beyond it the oldest are forgotten.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._known: set[bytes] = set()
        self._blocks: deque[tuple[int, bytes]] = deque()
        self._new: list[bytes] = []

    def load(self, connection: sqlite3.Connection) -> None:
        """Reads what is in the database."""
        self._new = []
        self._blocks = deque(connection.execute("SELECT block, digests FROM ids ORDER BY block"))
        self._known = {digest for _, block in self._blocks for digest in _split(block)}

    def first(self, source: str, id_: str) -> bool:
        """Whether this event comes for the first time; from now on it does not."""
        digest = blake2b(f"{source}\0{id_}".encode(errors="surrogatepass"), digest_size=SIZE).digest()
        if digest in self._known:
            return False
        self._known.add(digest)
        self._new.append(digest)
        return True

    def flush(self, connection: sqlite3.Connection) -> None:
        """Writes the ids of this pass and forgets the oldest."""
        if not self._new:
            return
        block = b"".join(self._new)
        number = self._blocks[-1][0] + 1 if self._blocks else 1
        connection.execute("INSERT INTO ids VALUES (?, ?)", (number, block))
        self._blocks.append((number, block))
        self._new = []
        while len(self._known) > self._limit and len(self._blocks) > 1:
            number, block = self._blocks.popleft()
            self._known.difference_update(_split(block))
            connection.execute("DELETE FROM ids WHERE block = ?", (number,))


def _split(block: bytes) -> list[bytes]:
    return [block[start : start + SIZE] for start in range(0, len(block), SIZE)]
