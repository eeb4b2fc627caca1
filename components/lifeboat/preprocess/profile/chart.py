"""Small charts as rectangles and ticks, for SVG within the page: no library draws them, and they follow its colours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

# Of a chart, in its own units, which are about pixels; of its left and lower margins, where the axes' numbers stand.
WIDTH, HEIGHT, LEFT, BELOW = 320, 150, 44, 34
# Of levels one below the other: height of each, and room for their names.
LEVEL, NAMES = 22, 104
_TOP, _RIGHT = 8, 10
_LONGEST = 17


@dataclass(frozen=True)
class Box:
    """A bar, or a part of one: `kind` is the class that colours it, `title` what it says when pointed at."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True)
class Tick:
    """A number on an axis; `anchor` is SVG's text-anchor."""

    x: float
    y: float
    label: str
    anchor: str


@dataclass(frozen=True)
class Chart:
    """What the template draws.

    Args:
        height: of the whole; it is `WIDTH` wide.
        boxes: bars and parts of bars.
        ticks: labels of both axes.
        lines: of the grid, (x1, y1, x2, y2) each.
        axis: what the numbers count, with their unit.
    """

    height: float
    boxes: tuple[Box, ...]
    ticks: tuple[Tick, ...]
    lines: tuple[tuple[float, float, float, float], ...]
    axis: str


@dataclass(frozen=True)
class Series:
    """Bars of one colour.

    Args:
        kind: class of the boxes.
        sizes: one for each place.
        titles: one for each place.
    """

    kind: str
    sizes: Sequence[float]
    titles: Sequence[str]


def histogram(
    edges: Sequence[float], layers: Sequence[Series], beside: bool, axis: str, written: Callable[[float], str],
    ends_only: bool = False,
) -> Chart:  # fmt: skip
    """Bars over an axis of numbers.

    Args:
        edges: of the bins, [n + 1].
        layers: one over another, each from the axis on, or beside each other within the bin.
        beside: which of the two.
        axis: what the bars count.
        written: a number of the lower axis as text.
        ends_only: label the ends and the middle, as for dates, which have no round numbers.
    """
    low, high = edges[0], edges[-1]
    most = max((max(layer.sizes) for layer in layers), default=1) or 1
    right, bottom = WIDTH - _RIGHT, HEIGHT - BELOW

    def across(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (right - LEFT)

    def up(size: float) -> float:
        return bottom - size / most * (bottom - _TOP)

    boxes = []
    for number, layer in enumerate(layers):
        for start, end, size, title in zip(edges[:-1], edges[1:], layer.sizes, layer.titles, strict=True):
            x, width = across(start), across(end) - across(start)
            if beside:
                x, width = x + number * width / len(layers), width / len(layers)
            boxes.append(Box(x + 0.4, up(size), max(width - 0.8, 0.4), bottom - up(size), layer.kind, title))
    places = [low, (low + high) / 2, high] if ends_only else round_numbers(low, high, 5)
    anchors = ["start", "middle", "end"] if ends_only else ["middle"] * len(places)
    heights = round_numbers(0, most, 3)
    ticks = [Tick(across(value), bottom + 13, written(value), anchor)
             for value, anchor in zip(places, anchors, strict=True)]  # fmt: skip
    ticks += [Tick(LEFT - 5, up(value) + 3, short_number(value), "end") for value in heights]
    lines = tuple((LEFT, up(value), right, up(value)) for value in heights)
    return Chart(HEIGHT, tuple(boxes), tuple(ticks), lines, axis)


def levels(names: Sequence[str], layers: Sequence[Series], beside: bool, axis: str) -> Chart:
    """A bar for each name, one below the other; arguments as for `histogram`."""
    most = max((max(layer.sizes) for layer in layers), default=1) or 1
    right, bottom = WIDTH - _RIGHT, _TOP + LEVEL * len(names)

    def along(size: float) -> float:
        return size / most * (right - NAMES)

    boxes, thickness = [], LEVEL - 6.0
    for number, layer in enumerate(layers):
        for place, (size, title) in enumerate(zip(layer.sizes, layer.titles, strict=True)):
            y, height = _TOP + LEVEL * place + 3.0, thickness
            if beside:
                y, height = y + number * thickness / len(layers), thickness / len(layers)
            boxes.append(Box(NAMES, y, along(size), height, layer.kind, title))
    ticks = [Tick(NAMES - 5, _TOP + LEVEL * (place + 0.5) + 3.5, shortened(name), "end")
             for place, name in enumerate(names)]  # fmt: skip
    sizes = round_numbers(0, most, 4)
    ticks += [Tick(NAMES + along(value), bottom + 13, short_number(value), "middle") for value in sizes]
    lines = tuple((NAMES + along(value), _TOP, NAMES + along(value), bottom) for value in sizes)
    return Chart(bottom + BELOW, tuple(boxes), tuple(ticks), lines, axis)


def round_numbers(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten within a range, both ends included: so many of them at most."""
    if not high > low:
        return [low]
    raw = (high - low) / most
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(digit * power for digit in (1, 2, 5, 10) if digit * power >= raw * (1 - 1e-9))
    first, last = int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9))
    return [float(f"{number * step:.12g}") for number in range(first, last + 1)]


def short_number(value: float) -> str:
    """As an axis has it: '1.2M', '20k', '0.05'."""
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size or (abs(value) >= size and size > 1e3):
            return f"{value / size:g}{letter}"
    return f"{value:g}"


def shortened(name: str) -> str:
    """What fits beside a bar."""
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
