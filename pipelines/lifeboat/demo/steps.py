"""The steps of a run, as its log tells them: so that whoever watches the circle sees that it goes on."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

# As `lifeboat run` prints them.
_STEP = re.compile(r"\d+\. (\w+)")


class StepReader:
    """Tells the steps that a log names, each once.

    Args:
        tell: takes a step's name.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._told: dict[Path, int] = {}

    def look(self, log: Path) -> None:
        """Tells what is new in a log, which may not be there yet."""
        try:
            text = log.read_text(errors="replace")
        except FileNotFoundError:
            return
        steps = [found[1] for line in text.splitlines() if (found := _STEP.fullmatch(line.strip()))]
        for step in steps[self._told.get(log, 0) :]:
            self._tell(step)
        self._told[log] = len(steps)
