"""How long to wait before something that ended is started again."""

from __future__ import annotations

from dataclasses import dataclass

# What lived this long did not die of its start.
HEALTHY_SECONDS = 30.0


@dataclass
class Backoff:
    """Pauses that double as long as what is started does not live long.

    Args:
        seconds: the first pause is twice as long.
        longest: pause, in seconds.
    """

    seconds: float
    longest: float

    def __post_init__(self) -> None:
        self._pause = self.seconds

    def pause(self, lived: float) -> float:
        """Seconds to wait now.

        Args:
            lived: how long it ran, in seconds.
        """
        self._pause = self.seconds if lived > HEALTHY_SECONDS else min(2 * self._pause, self.longest)
        return self._pause
