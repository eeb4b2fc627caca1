"""What the trigger asks of the place where runs go."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from lifeboat.config.errors import LifeboatError
from lifeboat.trigger.state import Run


class CannotStart(LifeboatError):  # noqa: N818  # said as it is read
    """No run was started; the sentence says why."""


class Unknown(LifeboatError):  # noqa: N818
    """Nobody can say just now whether a run goes."""


@dataclass(frozen=True)
class Going:
    """A run goes: the process id or Kubeflow's run id, and its log or page."""

    handle: str
    place: str


@dataclass(frozen=True)
class Ended:
    """A run does not go (any more); `state` is one of the final states of `lifeboat.trigger.state`."""

    state: str
    result: str = ""
    why: str = ""


class Backend(Protocol):
    """Starts runs and finds them again; `interval` is the time between two looks at a run, in seconds."""

    interval: float

    def refusal(self) -> str:
        """Why no run could be started now, as far as one sees without trying; '' if none is known."""

    def start(self, run: Run) -> Going:
        """Starts a run; raises CannotStart where none goes, Unknown where one may."""

    def look(self, run: Run) -> Going | Ended:
        """What became of a run, also of one that a trigger before this one started; raises Unknown."""
