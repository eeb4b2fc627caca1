"""How a version takes over: the part of the settings that a rollout reads, checked."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from lifeboat.config.errors import SettingsError
from lifeboat.config.settings import Settings, variable

CANARY, SHADOW, SWITCH = "canary", "shadow", "switch"
MODES = (CANARY, SHADOW, SWITCH)


@dataclass(frozen=True)
class Limits:
    """What a challenger must keep to.

    Args:
        requests: that it, and the champion, answered at least.
        error_ratio: how much larger its share of failed requests may be, 0 to 1.
        latency_ratio: how many times the champion's its 99th percentile may be, or the highest that the answers tell.
        latency_seconds: such a percentile that is no objection.
        score_distance: largest Kolmogorov distance of its scores to the champion's, 0 to 1.
    """

    requests: int
    error_ratio: float
    latency_ratio: float
    latency_seconds: float
    score_distance: float


@dataclass(frozen=True)
class Pace:
    """Seconds.

    Args:
        poll: between two looks at the cluster.
        grace: for which a cause must stand before it ends the rollout; pulls and quotas may still come right.
        room: the same where no node takes a pod: an autoscaler makes one in minutes, and what fills the others,
            such as a run's steps, ends.
        lease: without a sign of life after which the holder of a rollout counts as dead.
        spread: from a change of the VirtualService until the last proxy of the mesh goes by it.
    """

    poll: float = 1.0
    grace: float = 20.0
    room: float = 300.0
    lease: float = 30.0
    spread: float = 5.0


@dataclass(frozen=True)
class RolloutPlan:
    """A rollout's course.

    Args:
        mode: canary, shadow or switch.
        steps: percentages for the challenger, rising.
        window: seconds each step is watched.
        patience: seconds until a version is up, and until a step has enough requests.
        limits: to keep to.
        pace: of asking.
    """

    mode: str
    steps: tuple[int, ...]
    window: int
    patience: int
    limits: Limits
    pace: Pace = Pace()

    @classmethod
    def from_settings(cls, settings: Settings, pace: Pace | None = None) -> RolloutPlan:
        """Raises SettingsError."""
        if settings.rollout not in MODES:
            raise SettingsError(f"{variable('rollout')} is {settings.rollout!r}; there are {', '.join(MODES)}")
        limits = Limits(**{name: getattr(settings, f"rollout_{name}") for name in Limits.__annotations__})
        course: dict[str, Any] = {"window": settings.rollout_window, "patience": settings.rollout_patience}
        return cls(settings.rollout, _steps(settings.rollout_steps), **course, limits=limits, pace=pace or Pace())

    def at_once(self) -> RolloutPlan:
        """The same without steps and judging: for going back to what has served before."""
        return replace(self, mode=CANARY if self.mode == SHADOW else self.mode, steps=())


def _steps(text: str) -> tuple[int, ...]:
    try:
        steps = tuple(int(part) for part in text.split(","))
    except ValueError:
        raise SettingsError(f"{variable('rollout_steps')} is {text!r}, not percentages such as 10,25,50") from None
    if list(steps) != sorted(set(steps)) or not 0 < steps[0] <= steps[-1] < 100:
        raise SettingsError(f"{variable('rollout_steps')} is {text!r}; percentages rise and are 1 to 99")
    return steps
