"""From a seed and an index to a case, and from nothing else: any case can be had again alone.

A grammar of our own and not Hypothesis, which makes some hundred examples a second, since it notes every choice so as
to shrink what fails; this makes over ten thousand. What fails here is small already, and is sent again by its index.
"""

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
        if draw < 0.36:
            return seldon.prediction(rng)
        if draw < 0.64:
            return v2.inference(rng)
        if draw < 0.78:
            return seldon.feedback(rng)
        return self._events.case(rng, index) if draw < 0.9 else self._framing.case(rng)
