"""Work that waits its turn: bounded, and each piece with a deadline."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from lifeboat.http.errors import RequestError, again_in

T = TypeVar("T")
# The time of a row as the last ones took, so that one that was slow does not count for ever.
_WEIGHT = 0.1
# Before the first row was timed.
FIRST_GUESS = 0.05


class WorkQueue:
    """Threads that explain, in the order in which they are asked.

    Args:
        threads: how many.
        most: rows that wait or are worked on, in all.

    Attributes:
        rows: that wait or are worked on.
    """

    def __init__(self, threads: int, most: int) -> None:
        self._pool, self._threads, self._most = ThreadPoolExecutor(threads, "explain"), threads, most
        self.rows = 0
        self._seconds = FIRST_GUESS

    async def run(self, rows: int, seconds: float, work: Callable[[Callable[[], None]], T]) -> T:
        """Does some work when its turn comes.

        Args:
            rows: how many it is of.
            seconds: until its answer is of no use.
            work: takes what it is to call before each row, which raises once that is so.

        Raises:
            RequestError: 503 where too many rows wait, with the time until they are done; 504 at the deadline.
        """
        if self.rows + rows > self._most:
            after = self.rows * self._seconds / self._threads
            info = f"{self.rows} rows wait to be explained, the limit is {self._most}"
            raise RequestError(503, info, again_in(after))
        late = RequestError(504, f"no explanation within {seconds:g} s: {self.rows} rows waited before it")
        deadline = time.monotonic() + seconds

        def proceed() -> None:
            if time.monotonic() > deadline:
                raise late

        self.rows += rows
        done = asyncio.get_running_loop().run_in_executor(self._pool, self._timed, rows, work, proceed)
        done.add_done_callback(lambda _: self._finish(rows))
        try:
            return await asyncio.wait_for(asyncio.shield(done), seconds)
        except TimeoutError:
            done.add_done_callback(lambda future: future.cancelled() or future.exception())
            raise late from None

    def close(self) -> None:
        """Drops what waits."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _timed(self, rows: int, work: Callable[[Callable[[], None]], T], proceed: Callable[[], None]) -> T:
        proceed()
        begun = time.monotonic()
        found = work(proceed)
        self._seconds += _WEIGHT * ((time.monotonic() - begun) / rows - self._seconds)
        return found

    def _finish(self, rows: int) -> None:
        self.rows -= rows
