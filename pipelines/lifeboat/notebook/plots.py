"""Plots for a person, as matplotlib figures without a window or global state; Jupyter shows a cell's last one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from lifeboat.evaluate.plots import CLASS_COLORS, GRID, INK, MUTED
from lifeboat.usecase.gates import Interval
from lifeboat.usecase.usecase import UseCase

STYLE: dict[str, Any] = {
    "axes.axisbelow": True, "axes.edgecolor": GRID, "axes.grid": True, "axes.labelcolor": MUTED, "axes.labelsize": 9,
    "axes.spines.right": False, "axes.spines.top": False, "axes.titlecolor": INK, "axes.titlelocation": "left",
    "axes.titlesize": 10, "figure.facecolor": "white", "grid.color": GRID, "grid.linewidth": 0.7,
    "legend.fontsize": 9, "legend.frameon": False, "legend.labelcolor": INK, "xtick.color": MUTED,
    "xtick.labelsize": 8.5, "xtick.major.size": 0, "ytick.color": MUTED, "ytick.labelsize": 8.5, "ytick.major.size": 0,
}  # fmt: skip
styled = rc_context(STYLE)
BINS = 20
LEVELS = 8
# Smaller p-values are drawn here.
SMALLEST = 1e-12


@styled
def draw_columns(rows: Any, usecase: UseCase) -> Figure:
    """Rows, and how many of them are marked, by the values of every column that has few of them or is a number.

    Args:
        rows: a data frame of the inputs and the label.
        usecase: names them; its task says which rows are marked, such as those of class 1.
    """
    marked, mark = usecase.task.marked(rows[usecase.schema.label.name].to_numpy())
    columns = [column for column in usecase.schema.columns if column.is_number or column.categories]
    figure, panels = _panels(len(columns), across=4, size=(2.7, 2.3))
    for panel, column in zip(panels, columns, strict=True):
        values = rows[column.name]
        if column.is_datetime:
            values = values.astype("datetime64[us]")
        missing = (values.isna() if column.is_number else values == "").to_numpy()
        panel.set_title(f"{column.name}, {missing.sum():,} missing" if missing.any() else column.name)
        _draw_parts(panel, values.to_numpy()[~missing], marked[~missing], ("others", mark))
    panels[0].set_ylabel("rows")
    panels[0].legend(loc="upper left")
    return figure


def _draw_parts(panel: Any, values: Any, marked: Any, names: Sequence[str]) -> None:
    """Stacked bars, one for each level, or for each of 20 bins where there are more than a few levels."""
    levels, codes = np.unique(values, return_inverse=True)
    if len(levels) > LEVELS:
        parts = [values[~marked], values[marked]]
        panel.hist(parts, bins=BINS, stacked=True, color=CLASS_COLORS, label=names)
        return
    counts = [np.bincount(codes[marked == each], minlength=len(levels)) for each in (False, True)]
    for name, count, color, bottom in zip(names, counts, CLASS_COLORS, (0, counts[0]), strict=True):
        panel.bar(range(len(levels)), count, 0.75, bottom=bottom, color=color, label=name)
    panel.set_xticks(range(len(levels)), [_word(level) for level in levels])


@styled
def draw_shares(rows: Any, usecase: UseCase, column: str, by: str) -> Figure:
    """The share of marked rows, such as those of class 1, by a column's values, a group of bars for each value of
    another, with the number of rows."""
    marked, mark = usecase.task.marked(rows[usecase.schema.label.name].to_numpy())
    table = rows.assign(marked=marked).groupby([by, column])["marked"].agg(["mean", "size"]).unstack()
    figure, [panel] = _panels(1, across=1, size=(6.4, 3.2))
    width = 0.8 / len(table.index)
    for number, (group, cells) in enumerate(table.iterrows()):
        places = np.arange(len(cells["mean"])) + (number - (len(table.index) - 1) / 2) * width
        color = CLASS_COLORS[number % 2]
        bars = panel.bar(places, cells["mean"], width * 0.94, color=color, label=f"{by} {_word(group)}")
        words = [f"{share:.0%}\nof {size:.0f}" for share, size in zip(cells["mean"], cells["size"], strict=True)]
        panel.bar_label(bars, words, fontsize=8, color=INK, padding=2)
    panel.set(xlabel=column, ylabel=f"share that {mark}", ylim=(0, 1.2))
    panel.set_xticks(range(len(table["mean"].columns)), [_word(value) for value in table["mean"].columns])
    panel.set_yticks(np.linspace(0, 1, 6))
    panel.set_title(f"Who {mark}, by {column} and {by}")
    panel.legend(loc="upper right", ncols=len(table.index))
    return figure


def _word(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:g}"


@styled
def draw_gains(gains: Mapping[str, Interval], title: str) -> Figure:
    """Each metric's gain with its 95 % interval, against none: to the right of the line the first model is better."""
    figure, [panel] = _panels(1, across=1, size=(6.4, 0.9 + 0.38 * len(gains)))
    panel.axvline(0, color=INK, linewidth=1)
    for place, gain in enumerate(gains.values()):
        color = MUTED if gain.low <= 0 <= gain.high else CLASS_COLORS[0 if gain.low > 0 else 1]
        panel.plot([gain.low, gain.high], [place, place], color=color, linewidth=2)
        panel.plot(gain.value, place, "o", color=color, markersize=6)
    panel.set_yticks(range(len(gains)), [name.replace("_", " ") for name in gains])
    panel.set_ylim(len(gains) - 0.5, -0.5)
    panel.set(xlabel="worse   ←   gain, with its 95 % interval   →   better", title=title)
    return figure


@styled
def draw_versions(runs: Any, metric: str, marked: Mapping[str, str]) -> Figure:
    """A metric of every judged model, oldest first.

    Args:
        runs: as `mlflow.search_runs` gives them.
        metric: to draw.
        marked: run id to the word that stands beside it, such as 'champion'.
    """
    runs = runs.sort_values("start_time")
    figure, [panel] = _panels(1, across=1, size=(6.4, 0.9 + 0.38 * len(runs)))
    passed = runs["tags.gate"] == "passed"
    for place, (run, value, good) in enumerate(zip(runs["run_id"], runs[f"metrics.{metric}"], passed, strict=True)):
        color = CLASS_COLORS[0 if good else 1]
        panel.plot(value, place, "o", color=color, markersize=8)
        panel.annotate(marked.get(run, ""), (value, place), (8, 0), textcoords="offset points", va="center", color=INK)
    names = [
        f"{start:%d %b %H:%M}  {reason}" for start, reason in zip(runs["start_time"], runs["tags.reason"], strict=True)
    ]
    panel.set_yticks(range(len(runs)), names)
    panel.set_ylim(len(runs) - 0.5, -0.5)
    panel.margins(x=0.3)
    panel.set(xlabel=metric.replace("_", " "), title="Judged models: blue passed its gate, orange did not")
    return figure


@styled
def draw_curves(x: Sequence[float], curves: Mapping[str, Sequence[float]], xlabel: str, ylabel: str) -> Figure:
    """Probabilities over one input, a line for each name."""
    figure, [panel] = _panels(1, across=1, size=(7.2, 3.6))
    for number, (name, values) in enumerate(curves.items()):
        style = ("-", "--", ":")[number // 2 % 3]
        panel.plot(x, values, style, color=CLASS_COLORS[number % 2], linewidth=2, label=name)
    panel.set(xlabel=xlabel, ylabel=ylabel, ylim=(0, 1))
    panel.set_title("What the live model answers")
    panel.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


@styled
def draw_windows(model: Mapping[str, Any]) -> Figure:
    """The p-value of every feature in each judged window; below the dashed line a window has drifted."""
    windows = [window for window in model["windows"] if window["state"] == "judged"]
    figure, [panel] = _panels(1, across=1, size=(7.2, 3.6))
    places = [window["number"] for window in windows]
    last = sorted(windows[-1]["p_values"], key=windows[-1]["p_values"].get)
    for rank, name in enumerate(last):
        values = [max(window["p_values"][name], SMALLEST) for window in windows]
        shown = {"color": CLASS_COLORS[1], "label": name} if rank < 3 else {"color": MUTED, "alpha": 0.4}
        panel.plot(places, values, "o-", linewidth=1.6 if rank < 3 else 0.8, markersize=4, **shown)
        if rank < 3:
            panel.annotate(name, (places[-1], values[-1]), (7, -3 - 11 * rank + 11), textcoords="offset points",
                           fontsize=8.5, color=INK)  # fmt: skip
    panel.plot(places, [window["threshold"] for window in windows], color=INK, linestyle=(0, (4, 3)), linewidth=1.2)
    panel.set(yscale="log", ylim=(SMALLEST / 5, 3), xlabel="window of answered rows", ylabel="p-value of each feature")
    panel.set_xticks(places)
    panel.set_xlim(min(places) - 0.3, max(places) + 0.8)
    panel.set_title("Drift: below the dashed line a window differs from what the model was trained on")
    return figure


@styled
def draw_shift(verdict: Mapping[str, Any], most: int = 4) -> Figure:
    """The features that differ most in a window, beside the rows the model was trained on."""
    features = sorted(verdict["features"], key=lambda feature: float(feature["p_value"]))[:most]
    figure, panels = _panels(len(features), across=2, size=(4.2, 2.5))
    for panel, feature in zip(panels, features, strict=True):
        bins, places = feature["histogram"]["bins"], np.arange(len(feature["histogram"]["bins"]))
        for name, color, offset in (("reference", CLASS_COLORS[0], -0.2), ("window", CLASS_COLORS[1], 0.2)):
            panel.bar(places + offset, feature["histogram"][name], 0.4, color=color, label=name)
        panel.set_xticks(places, bins, rotation=30 if len(bins) > 3 else 0, ha="right" if len(bins) > 3 else "center")
        p_value = feature["p_value"]
        panel.set_title(f"{feature['name']}: p {f'= {p_value:.1g}' if p_value > SMALLEST else f'< {SMALLEST:g}'}")
        panel.set_ylabel("share of rows")
    panels[0].legend(["trained on", "asked lately"])
    return figure


@styled
def draw_reasons(reasons: Any, names: Sequence[str]) -> Figure:
    """What each column adds to answers, the strongest first, a panel each.

    Args:
        reasons: a pandas frame as `Client.explain` and `Model.explain` give it, of one number of the answer.
        names: of its rows, for the titles.
    """
    figure, panels = _panels(len(names), across=2, size=(4.2, 0.9 + 0.26 * reasons["column"].nunique()))
    for panel, name, (_, own) in zip(panels, names, reasons.groupby("row"), strict=True):
        own = own.sort_values("contribution", key=abs)  # the strongest is drawn last, on top
        colors = [CLASS_COLORS[0 if added > 0 else 1] for added in own["contribution"]]
        panel.barh(own["column"], own["contribution"], xerr=own["error"].replace(0, np.nan), color=colors)
        panel.axvline(0, color=INK, linewidth=1)
        first = own.iloc[0]
        panel.set_title(f"{name}: {first['answer']:.3g}, beside {first['base']:.3g} on average")
    return figure


def _panels(count: int, *, across: int, size: tuple[float, float]) -> tuple[Figure, list[Any]]:
    """A figure of so many panels of a size in inches, so many of them in a row."""
    across = min(across, count)
    down = -(-count // across)
    figure = Figure(figsize=(across * size[0], down * size[1]), layout="constrained")
    return figure, [figure.add_subplot(down, across, place + 1) for place in range(count)]
