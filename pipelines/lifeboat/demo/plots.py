"""The circle in one picture: what the model got right, what the detector saw and how long clients waited."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifeboat.demo.driver import DemoResult


@dataclass(frozen=True)
class PlotColors:
    """Of a picture on light or dark paper: paper, text, quieter text, lines of the grid, what is wrong, versions."""

    paper: str
    ink: str
    muted: str
    grid: str
    bad: str
    versions: tuple[str, ...]


# As in the pages' style sheet; blue and orange stay apart for colour-blind eyes and in grey.
LIGHT = PlotColors("#ffffff", "#1b2430", "#566273", "#dde2e9", "#b3261e", ("#2563c9", "#d9822b"))
DARK = PlotColors("#18202a", "#e8edf3", "#a0adbd", "#2c3744", "#ff8f85", ("#6aa5ff", "#f0bd58"))
# Answers behind each point of the line of right ones.
ROLLING = 100
# Smaller p-values are drawn here.
SMALLEST = 1e-12
MARKS = {
    "world": "the world changes",
    "alarm": "alarm",
    "alert": "alert",
    "retrain": "retraining",
    "model": "new model",
}
# Moments closer to one another than this share of the picture's width have one label.
CLOSE = 0.035
# Of a label a character takes this share of the width; labels that would touch stand in two lines.
CHARACTER = 0.0085


def draw_loop(result: DemoResult, colors: PlotColors = LIGHT) -> bytes:
    """Three panels over the same seconds, counted from the first moment, as SVG."""
    figure = Figure(figsize=(11, 8.2), layout="constrained", facecolor=colors.paper)
    panels = figure.subplots(3, 1, sharex=True)
    start = result.timeline.moments[0].time
    for panel in panels:
        _style(panel, colors)
    _draw_right(panels[0], result, start, colors)
    _draw_p_values(panels[1], result, start, colors)
    _draw_latency(panels[2], result, start, colors)
    _mark_moments(panels, result, start, colors)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", dpi=140)
    return buffer.getvalue()


def _draw_right(panel: Any, result: DemoResult, start: float, colors: PlotColors) -> None:
    """A line for each version: the share of its last answers that were right."""
    versions = sorted({answer.version for answer in result.answers if answer.version})
    for version, color in zip(versions, colors.versions * len(versions), strict=False):
        answers = [answer for answer in result.answers if answer.version == version]
        right = np.cumsum([0, *(answer.right for answer in answers)])
        ends = np.arange(1, len(answers) + 1)
        share = (right[ends] - right[np.maximum(ends - ROLLING, 0)]) / np.minimum(ends, ROLLING)
        seconds = [answer.time - start for answer in answers]
        panel.plot(seconds[9:], share[9:], color=color, linewidth=1.8, label=f"version {version}")
    panel.set_ylim(0, 1.02)
    panel.set_ylabel(f"{result.rightness} of the last {ROLLING}", color=colors.muted, fontsize=9)
    panel.legend(frameon=False, fontsize=9, loc="lower left", labelcolor=colors.ink)


def _draw_p_values(panel: Any, result: DemoResult, start: float, colors: PlotColors) -> None:
    """A point for each window: its smallest p-value; and the thresholds."""
    for window in result.windows:
        shown, seconds = max(min(window["p_values"].values()), SMALLEST), window["closed"] - start
        color = colors.bad if window["drift"] else colors.versions[0]
        panel.plot(seconds, shown, "o", color=color, markersize=6, markeredgecolor=colors.paper)
        panel.hlines(window["threshold"], seconds - 2, seconds + 2, color=colors.muted, linewidth=1)
    panel.set_ylim(SMALLEST / 10, 3)
    panel.set_yscale("log")
    panel.set_ylabel("smallest p-value of a window;\nthe line: its threshold", color=colors.muted, fontsize=9)


def _draw_latency(panel: Any, result: DemoResult, start: float, colors: PlotColors) -> None:
    """Every answer's time, and each one that failed."""
    seconds = [answer.time - start for answer in result.answers]
    times = [1000 * answer.seconds for answer in result.answers]
    # As a picture within the picture: thousands of points would be a megabyte.
    panel.plot(seconds, times, ".", color=colors.versions[0], markersize=2, rasterized=True)
    for answer in result.failed:
        panel.axvline(answer.time - start, color=colors.bad, linewidth=0.8)
    panel.set_yscale("log")
    panel.set_ylabel(f"milliseconds ({len(result.failed)} failed)", color=colors.muted, fontsize=9)
    panel.set_xlabel("seconds", color=colors.muted, fontsize=9)


def _mark_moments(panels: Any, result: DemoResult, start: float, colors: PlotColors) -> None:
    """A line through all panels at the first moment of each kind after the world has changed, named above."""
    changed = [moment.time for moment in result.timeline.moments if moment.kind == "world"][-1]
    moments = [moment for moment in result.timeline.moments if moment.kind in MARKS and moment.time >= changed]
    firsts = {moment.kind: moment.time - start for moment in reversed(moments)}
    for seconds in firsts.values():
        for panel in panels:
            panel.axvline(seconds, color=colors.muted, linewidth=0.8, linestyle=(0, (4, 3)))
    left, right = panels[0].get_xlim()
    free = [-1.0, -1.0, -1.0]
    for place, words in labels(firsts, right - left):
        at = (place - left) / (right - left)
        line = next((line for line, end in enumerate(free) if end < at), len(free) - 1)
        free[line] = at + CHARACTER * (len(words) + 1)
        transform = panels[0].get_xaxis_transform()
        panels[0].text(place, 1.03 + 0.09 * line, words, transform=transform, fontsize=8, color=colors.ink)


def labels(firsts: Mapping[str, float], width: float) -> list[tuple[float, str]]:
    """Where each label begins, and its words: moments that are close have one, with their names in order.

    Args:
        firsts: seconds of each kind's first moment.
        width: of the picture, in seconds.
    """
    found: list[tuple[float, list[str]]] = []
    for kind, seconds in sorted(firsts.items(), key=lambda item: item[1]):
        if found and seconds - found[-1][0] < CLOSE * width:
            found[-1][1].append(MARKS[kind])
        else:
            found.append((seconds, [MARKS[kind]]))
    return [(seconds, ", ".join(words)) for seconds, words in found]


def _style(panel: Any, colors: PlotColors) -> None:
    panel.set_facecolor(colors.paper)
    panel.set_axisbelow(True)
    panel.grid(color=colors.grid, linewidth=0.7)
    panel.tick_params(colors=colors.muted, labelsize=9, length=0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(colors.grid)
