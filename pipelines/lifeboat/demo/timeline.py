"""What happened when, told as it happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TimelineEntry:
    """Something that happened.

    Args:
        time: in seconds since 1970.
        kind: for the page: `world`, `window`, `alarm`, `alert`, `retrain`, `model`, `step` or `note`.
        text: one sentence.
    """

    time: float
    kind: str
    text: str


@dataclass
class DemoTimeline:
    """The moments of one circle, in order.

    Args:
        show: told of each moment and the seconds since the first.
    """

    show: Callable[[float, TimelineEntry], None]
    moments: list[TimelineEntry] = field(default_factory=list)

    def note(self, kind: str, text: str) -> float:
        """Something happens now; gives when that is, in seconds since 1970."""
        moment = TimelineEntry(time.time(), kind, text)
        self.moments.append(moment)
        self.show(moment.time - self.moments[0].time, moment)
        return moment.time

    def since(self, first: str, second: str) -> float:
        """Seconds from the last moment of one kind to the first of another kind after it.

        Raises:
            ValueError: there is no such pair.
        """
        start = next((moment.time for moment in reversed(self.moments) if moment.kind == first), None)
        ends = [moment.time for moment in self.moments if start and moment.kind == second and moment.time >= start]
        if start is None or not ends:
            raise ValueError(f"no {second} after {first}")
        return ends[0] - start
