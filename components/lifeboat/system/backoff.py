"""How long to wait before something is tried, or started, again."""

from __future__ import annotations

import random
from collections.abc import Iterator

# What lived this long did not die of its start.
HEALTHY_SECONDS = 30.0


def pauses(first: float, longest: float) -> Iterator[float]:
    """Seconds to wait before each further try, without end: they double up to the longest.

    Each is shorter by chance, by up to a half: those that failed together do not come again together.
    """
    bound = min(first, longest)
    while True:
        yield round(random.uniform(bound / 2, bound), 3)  # noqa: S311  # no secret
        bound = min(2 * bound, longest)


class Backoff:
    """The pauses of something that is started again whenever it ends; the first again once it has lived long.

    Args:
        first, longest: in seconds.
    """

    def __init__(self, first: float, longest: float) -> None:
        self._first, self._longest = first, longest
        self._pauses = pauses(first, longest)

    def pause(self, lived: float) -> float:
        """Seconds to wait now.

        Args:
            lived: how long it ran, in seconds.
        """
        if lived > HEALTHY_SECONDS:
            self._pauses = pauses(self._first, self._longest)
        return next(self._pauses)
