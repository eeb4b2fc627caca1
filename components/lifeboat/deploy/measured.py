"""What a stage of a rollout measured, told with the sentence that says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """One figure of a stage.

    Args:
        name: what it is.
        new, old: of the version that is rolled out, and of the one that serves; empty where there is none.
        limit: what was asked of it; empty for nothing.
    """

    name: str
    new: str
    old: str = ""
    limit: str = ""


@dataclass(frozen=True)
class Measurement:
    """The figures of a stage.

    Args:
        stage: such as "At 10 % of the traffic".
        passed: whether it went on from there.
        figures: that it was judged by, and that are shown beside them.
        objections: why it did not.
    """

    stage: str
    passed: bool
    figures: tuple[Figure, ...]
    objections: tuple[str, ...] = ()


class MeasuredNote(str):
    """A sentence with the figures behind it: a line for whoever prints it, a table for the page.

    Args:
        text: the sentence.
        measurement: the figures.
    """

    __slots__ = ("measurement",)
    measurement: Measurement

    def __new__(cls, text: str, measurement: Measurement) -> MeasuredNote:
        made = super().__new__(cls, text)
        made.measurement = measurement
        return made
