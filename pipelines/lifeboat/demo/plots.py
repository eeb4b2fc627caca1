"""The circle in one picture: what the model got right, what the detector saw and how long clients waited."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifeboat.demo.driver import DemoResult
from lifeboat.evaluate.plots import CLASS_COLORS, GRID, INK, MUTED

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


def draw_loop(result: DemoResult) -> bytes:
    """Three panels over the same seconds, as SVG."""
    figure = Figure(figsize=(11, 8.2), layout="constrained", facecolor="white")
    panels = figure.subplots(3, 1, sharex=True)
    start = result.answers[0].time
    for panel in panels:
        _style(panel)
    _draw_right(panels[0], result, start)
    _draw_p_values(panels[1], result, start)
    _draw_latency(panels[2], result, start)
    _mark_moments(panels, result, start)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg")
    return buffer.getvalue()


def _draw_right(panel: Any, result: DemoResult, start: float) -> None:
    """A line for each version: the share of its last answers that were right."""
    versions = sorted({answer.version for answer in result.answers if answer.version})
    for version, color in zip(versions, CLASS_COLORS * len(versions), strict=False):
        answers = [answer for answer in result.answers if answer.version == version]
        right = np.cumsum([0, *(answer.right for answer in answers)])
        ends = np.arange(1, len(answers) + 1)
        share = (right[ends] - right[np.maximum(ends - ROLLING, 0)]) / np.minimum(ends, ROLLING)
        seconds = [answer.time - start for answer in answers]
        panel.plot(seconds[9:], share[9:], color=color, linewidth=1.8, label=f"version {version}")
    panel.set_ylim(0, 1.02)
    panel.set_ylabel(f"{result.rightness} of the last {ROLLING}", color=MUTED, fontsize=9)
    panel.legend(frameon=False, fontsize=9, loc="lower left", labelcolor=INK)


def _draw_p_values(panel: Any, result: DemoResult, start: float) -> None:
    """A point for each window: its smallest p-value, named where it is another feature's than before; the threshold."""
    before = ""
    for window in result.windows:
        feature, p_value = min(window["p_values"].items(), key=lambda item: item[1])
        shown, seconds = max(p_value, SMALLEST), window["closed"] - start
        color = CLASS_COLORS[1] if window["drift"] else CLASS_COLORS[0]
        panel.plot(seconds, shown, "o", color=color, markersize=6, markeredgecolor="white")
        panel.hlines(window["threshold"], seconds - 2, seconds + 2, color=INK, linewidth=1)
        if feature != before and window["drift"]:
            panel.annotate(feature, (seconds, shown), (6, 4), textcoords="offset points", fontsize=8, color=MUTED)
        before = feature
    panel.set_ylim(SMALLEST / 10, 3)
    panel.set_yscale("log")
    panel.set_ylabel("smallest p-value of a window", color=MUTED, fontsize=9)


def _draw_latency(panel: Any, result: DemoResult, start: float) -> None:
    """Every answer's time, and each one that failed."""
    seconds = [answer.time - start for answer in result.answers]
    panel.plot(seconds, [1000 * answer.seconds for answer in result.answers], ".", color=CLASS_COLORS[0], markersize=2)
    for answer in result.failed:
        panel.axvline(answer.time - start, color="#b3471a", linewidth=0.8)
    panel.set_yscale("log")
    panel.set_ylabel(f"milliseconds ({len(result.failed)} failed)", color=MUTED, fontsize=9)
    panel.set_xlabel("seconds", color=MUTED, fontsize=9)


def _mark_moments(panels: Any, result: DemoResult, start: float) -> None:
    """A line through all panels at the first moment of each kind after the world has changed."""
    changed = [moment.time for moment in result.timeline.moments if moment.kind == "world"][-1]
    for place, (kind, words) in enumerate(MARKS.items()):
        times = [moment.time for moment in result.timeline.moments if moment.kind == kind and moment.time >= changed]
        if not times:
            continue
        for panel in panels:
            panel.axvline(times[0] - start, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
        height = 1.02 + 0.09 * place
        panels[0].text(
            times[0] - start, height, words, transform=panels[0].get_xaxis_transform(), fontsize=8, color=INK
        )


def _style(panel: Any) -> None:
    panel.set_axisbelow(True)
    panel.grid(color=GRID, linewidth=0.7)
    panel.tick_params(colors=MUTED, labelsize=9, length=0)
    panel.spines[["top", "right"]].set_visible(False)
    panel.spines[["left", "bottom"]].set_color(GRID)
