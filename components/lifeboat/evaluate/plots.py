"""Plots of the model card: matplotlib's object-oriented interface, no global state and no window."""

from __future__ import annotations

from collections.abc import Sequence
from textwrap import fill
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifeboat.evaluate.evaluation import Evaluation
from lifeboat.tasks.task import Metric

INK, MUTED, GRID, PAPER = "#1c2733", "#5b6b7a", "#dde4ea", "#ffffff"
# Blue and orange stay apart for colour-blind eyes and in grey.
CLASS_COLORS = ("#1f5a8a", "#d9822b")
# Of further lines.
LINE_COLORS = (*CLASS_COLORS, "#2e7d4f", "#8a4fa0", "#b3471a", "#0f766e")
FEW_ROWS_COLOR = "#a9b6c2"
# On a ground whose colour says something, which is the same in light and dark.
_ON_DARK, _ON_LIGHT = "#fefefe", "#101820"
# Of an axis's title, that stand in an inch of a figure.
_LETTERS = 10.5
# Of lines that are no data.
DASHED = (0, (4, 3))


def draw_confusion(matrix: Sequence[Sequence[int]], classes: Sequence[str]) -> Figure:
    """Rows by true and predicted class; shade and percentage are shares of the true class."""
    counts = np.array(matrix)
    many = len(classes) > 2
    size = max(4.2, 1.4 + 0.55 * len(classes)) if many else 4.2
    figure, axes = new_axes("Predicted class", "True class", size=(size, size if many else 3.7))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
    for (row, column), count in np.ndenumerate(counts):
        color = _ON_DARK if shares[row, column] > 0.65 else _ON_LIGHT
        if many:
            axes.text(column, row, f"{count:,}", ha="center", va="center", color=color, fontsize=9)
            continue
        axes.text(column, row - 0.06, f"{count:,}", ha="center", va="center", color=color, fontsize=17)
        share = f"{shares[row, column]:.0%}"
        axes.text(column, row + 0.16, share, ha="center", va="center", color=color, fontsize=9)
    names = [plain(short(name)) for name in classes]
    axes.set_xticks(range(len(names)), names, **({"rotation": 40, "ha": "right"} if many else {}))
    axes.set_yticks(range(len(names)), names, **({} if many else {"rotation": 90, "va": "center"}))
    axes.grid(visible=False)
    axes.tick_params(length=0)
    return figure


def draw_slices(evaluation: Evaluation, metric: Metric) -> Figure:
    """A metric of each slice with its interval, against that of all rows; hollow where rows are few."""
    parts = [part for part in evaluation.slices if metric.name in part.metrics]
    better = "higher" if metric.higher_is_better else "lower"
    figure, axes = new_axes(f"{metric.title} ({better} is better)", "", size=(8.6, 0.9 + 0.32 * len(parts)))
    whole = evaluation.metrics[metric.name]
    axes.axvspan(whole.low, whole.high, color=CLASS_COLORS[0], alpha=0.08, linewidth=0)
    axes.axvline(whole.value, color=CLASS_COLORS[0], linewidth=1)
    for place, part in enumerate(parts):
        known = part.intervals.get(metric.name)
        color = CLASS_COLORS[0] if known else FEW_ROWS_COLOR
        if known:
            axes.plot([known.low, known.high], [place, place], color=color, linewidth=1.6)
        fill = color if known else PAPER
        axes.plot(part.metrics[metric.name], place, "o", color=color, markerfacecolor=fill, markersize=5.5)
    labels = [f"{plain(short(part.name))}  (n = {part.rows:,})" for part in parts]
    axes.set_yticks(range(len(parts)), labels)
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    return figure


def new_axes(x: str, y: str, size: tuple[float, float] = (4.2, 3.7)) -> tuple[Figure, Any]:
    """A figure of a size in inches with one panel, and that panel."""
    figure = Figure(figsize=size, layout="constrained", facecolor=PAPER)
    axes = figure.add_subplot()
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_xlabel(fill(x, int(_LETTERS * size[0])), color=MUTED, fontsize=9)
    axes.set_ylabel(fill(y, int(_LETTERS * size[1])), color=MUTED, fontsize=9)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    return figure, axes


def unit_square(axes: Any) -> None:
    """Both axes from 0 to 1, with a little room."""
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)


def plain(text: str) -> str:
    """Text of the data as it stands: a dollar sign would start a formula, which may not even parse."""
    return text.replace("$", r"\$")


def short(text: str) -> str:
    """Its beginning, where it is long."""
    return text if len(text) <= 28 else f"{text[:27]}…"
