"""Plots of what explains a model: bars with limits, and what a model makes of a column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifeboat.evaluate.explanation.dependence import Dependence, DependencePoint
from lifeboat.evaluate.plots import CLASS_COLORS, INK, LINE_COLORS, MUTED, PAPER, new_axes, plain, short
from lifeboat.usecase.gates import Interval

# Columns of a plot of bars; the table beside it has all.
SHOWN = 20
# Labels of dates below an axis, and of numbers; so few different values have each its own.
_DATES, _TICKS, _FEW = 4, 5, 8
_HALF = 4.2
# Names of so many letters stand two in a row.
_BESIDE = 18


def draw_bars(columns: Mapping[str, Interval], title: str) -> Figure:
    """A figure of each column with its limits, the largest first.

    Args:
        columns: name to figure, in their order.
        title: of the axis, with its unit.
    """
    shown = list(columns.items())[:SHOWN]
    figure, axes = new_axes(title, "", size=(_HALF, 0.9 + 0.28 * len(shown)))
    for place, (_, one) in enumerate(shown):
        axes.barh(place, one.value, height=0.62, color=CLASS_COLORS[0], alpha=0.75)
        axes.plot([one.low, one.high], [place, place], color=INK, linewidth=1.3, solid_capstyle="butt")
    axes.axvline(0, color=MUTED, linewidth=0.8)
    axes.set_yticks(range(len(shown)), [plain(short(name)) for name, _ in shown])
    axes.set_ylim(len(shown) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    axes.locator_params(axis="x", nbins=_TICKS)
    return figure


def answer_limits(all_of_them: Sequence[Dependence]) -> tuple[float, float]:
    """One axis of answers for all of a page, so that what moves answers little looks little; with some room."""
    answers = [answer for one in all_of_them for point in one.points for answer in point.answers] or [0.0]
    room = 0.08 * (max(answers) - min(answers)) or 0.5
    return min(answers) - room, max(answers) + room


def draw_dependence(one: Dependence, answer: str, limits: tuple[float, float]) -> Figure:
    """The mean answer along a column: a line where it is a number or a period, else a point for each kind.

    Args:
        one: to draw.
        answer: title of the answer's axis, with its unit.
        limits: of that axis.
    """
    along = [point for point in one.points if point.at is not None]
    axis = plain(one.column) if one.by == "value" else f"{plain(one.column)}, {one.by}"
    if len(along) < 2:
        return _draw_kinds(one, axis, answer, limits)
    figure, axes = new_axes(axis, answer, size=(_HALF, 3.1))
    for number, name in enumerate(one.outputs):
        heights = [point.answers[number] for point in along]
        axes.plot([point.at for point in along], heights, "o-", markersize=3, linewidth=1.5,
                  color=LINE_COLORS[number], label=plain(short(name)))  # fmt: skip
    if one.by == "period" or len(along) <= _FEW:
        _label(axes, along, _DATES if one.by == "period" else _FEW)
    elif all(float(point.at).is_integer() for point in along if point.at is not None):
        axes.locator_params(axis="x", integer=True)
    axes.set_ylim(limits)
    _draw_missing(axes, one, [float(point.at) for point in along if point.at is not None])
    _explain_lines(axes, one)
    return figure


def _label(axes: Any, along: list[DependencePoint], most: int) -> None:
    """So many of the points, both ends among them, under their own names."""
    chosen = np.unique(np.linspace(0, len(along) - 1, most).astype(int))
    axes.set_xticks([along[place].at for place in chosen], [along[place].label for place in chosen])


def _draw_missing(axes: Any, one: Dependence, at: list[float]) -> None:
    """Where the column is null, beside the line: hollow, for it has no place on the axis."""
    missing = next((point for point in one.points if point.at is None), None)
    if missing is None:
        return
    place = max(at) + 0.12 * (max(at) - min(at))
    for number, answer in enumerate(missing.answers):
        axes.plot([place], [answer], "o", markersize=6, color=LINE_COLORS[number], markerfacecolor=PAPER)
    axes.annotate(missing.label, (place, max(missing.answers)), xytext=(0, 7), textcoords="offset points",
                  ha="center", fontsize=8, color=MUTED)  # fmt: skip
    axes.margins(x=0.08)


def _draw_kinds(one: Dependence, axis: str, answer: str, limits: tuple[float, float]) -> Figure:
    figure, axes = new_axes(answer, axis, size=(_HALF, max(2.0, 1.0 + 0.3 * len(one.points))))
    for number, name in enumerate(one.outputs):
        across = [point.answers[number] for point in one.points]
        axes.plot(across, range(len(across)), "o", markersize=6, color=LINE_COLORS[number], label=plain(short(name)))
    labels = [f"{plain(short(point.label))}  (n = {point.rows:,})" for point in one.points]
    axes.set_yticks(range(len(labels)), labels)
    axes.set_ylim(len(labels) - 0.5, -0.5)
    axes.set_xlim(limits)
    axes.locator_params(axis="x", nbins=_TICKS)
    _explain_lines(axes, one)
    return figure


def _explain_lines(axes: Any, one: Dependence) -> None:
    if len(one.outputs) > 1:
        columns = 2 if max(map(len, one.outputs)) < _BESIDE else 1
        axes.legend(frameon=False, fontsize=8, labelcolor=INK, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns)
