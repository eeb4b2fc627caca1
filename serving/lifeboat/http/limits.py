"""What a listener lets its clients cost."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Self


@dataclass(frozen=True)
class ListenerLimits:
    """Limits and time-outs of a listener and its connections.

    Args:
        max_body: of a request, in bytes.
        max_connections: open at a time; one more is answered 503.
        request_seconds: for a request to arrive whole.
        keep_alive_seconds: that an idle connection is kept. Longer than the 90 s of Go's clients, such as Seldon's
            executor: who closes first may close on a request, and a POST is not sent again.
        drain_idle_seconds: the same while the server drains.
        drain_seconds: after which a draining server ends whatever is unanswered.
        spin_us: microseconds to poll on after a request instead of sleeping.
    """

    max_body: int
    max_connections: int
    request_seconds: float = 10.0
    keep_alive_seconds: float = 120.0
    drain_idle_seconds: float = 2.0
    drain_seconds: float = 20.0
    spin_us: int = 0

    @classmethod
    def of(cls, settings: Any) -> Self:
        """Those among a server's settings, by their names; the others as they usually are."""
        return cls(**{spec.name: getattr(settings, spec.name) for spec in fields(cls) if hasattr(settings, spec.name)})
