"""From a seed and an index to a case, and from nothing else: any case can be had again alone."""

from __future__ import annotations

from random import Random

from . import seldon, v2
from .case import Case, Facts
from .events import Events
from .framing import Framing


class Grammar:
    """Makes the cases of a run.

    Args:
        seed: of the run.
        facts: of the processes.
    """

    def __init__(self, seed: str, facts: Facts) -> None:
        self._seed = seed
        self._events, self._framing = Events(seed, facts), Framing(facts)

    def case(self, index: int) -> Case:
        """The case of an index."""
        rng = Random(f"{self._seed}:{index}")  # noqa: S311  # to be repeatable is what it is for
        draw = rng.random()
        if draw < 0.33:
            return seldon.prediction(rng)
        if draw < 0.58:
            return v2.inference(rng)
        if draw < 0.69:
            return seldon.feedback(rng)
        return self._events.case(rng, index) if draw < 0.84 else self._framing.case(rng)
