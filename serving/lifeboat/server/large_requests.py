"""The work of large requests, in a thread of its own, so that none of them holds the loop.

Reading ten thousand rows takes tens of milliseconds, and scoring them again. In a thread the interpreter takes turns:
it hands over to the loop after each `SWITCH_SECONDS` of Python, and at once while numpy or ONNX Runtime work. One call
in C cannot be cut, such as parsing a body, so that its values are bounded (`structure.refuse_crowd`).
"""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from lifeboat.http.errors import RequestError

# Bytes of a body that is read on the loop: a few milliseconds at most, and faster than to hand it over.
SMALL = 32 * 1024
# The loop waits for this several times for one answer: for a connection, for its bytes, after the model.
SWITCH_SECONDS = 0.001
T = TypeVar("T")


class LargeRequests:
    """One thread; it begins with the first large request, and works on them in their order.

    Args:
        loop: the event loop.

    Attributes:
        waiting: the requests, and that which is worked on.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._thread = loop, ThreadPoolExecutor(1, "large requests")
        self.waiting: set[asyncio.Future[Any]] = set()
        sys.setswitchinterval(SWITCH_SECONDS)

    def run(self, work: Callable[[], T], then: Callable[[asyncio.Future[T]], None]) -> None:
        """Does some work in the thread; the loop then takes what came of it.

        Args:
            work: touches nothing that the loop changes.
            then: is called on the loop.
        """
        future = self._loop.run_in_executor(self._thread, partial(_uncollected, work))
        self.waiting.add(future)
        future.add_done_callback(self.waiting.discard)
        future.add_done_callback(then)


def _uncollected(work: Callable[[], T]) -> T:
    """Garbage is not looked for meanwhile: a collection stops every thread, and would look at each value of the body
    several times. JSON holds no cycle, so that all of it is freed without."""
    gc.disable()
    try:
        return work()
    except RequestError as error:
        # What leads to it leads to the whole body as well, which is to be freed here.
        error.__context__ = None
        raise error.with_traceback(None) from None
    finally:
        gc.enable()
