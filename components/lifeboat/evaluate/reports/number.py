"""A number: predicted against true, the errors, and how often the interval holds the truth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lifeboat.evaluate.plots import CLASS_COLORS, DASHED, INK, MUTED, new_axes, plain
from lifeboat.evaluate.reports import report
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.number.scored import NumberScored
from lifeboat.tasks.number.task import NumberTask
from lifeboat.usecase.gates import Interval

# Points of a plot, bins of a histogram, bands of predicted values.
MOST_POINTS, BINS, BANDS = 500, 40, 10


@dataclass(frozen=True)
class Band:
    """Rows of similar predicted value.

    Args:
        rows: how many.
        predicted, observed: means.
        low, median, high: of value less truth, the 5 %, 50 % and 95 % quantiles.
        coverage: share of rows whose truth the interval holds.
    """

    rows: int
    predicted: float
    observed: float
    low: float
    median: float
    high: float
    coverage: float


@dataclass(frozen=True)
class NumberDetails:
    """What the plots show.

    Args:
        level: that the interval is to hold.
        true, predicted: of at most 500 rows, evenly drawn.
        edges, counts: of the histogram of value less truth; its outermost bins hold what lies beyond.
        bands: by ascending predicted value.
    """

    level: float
    true: list[float]
    predicted: list[float]
    edges: list[float]
    counts: list[int]
    bands: tuple[Band, ...]


class Report(report.Report[NumberTask, NumberScored, NumberDetails]):
    """Of a number."""

    titles: ClassVar[Mapping[str, str]] = {
        "predicted": "Predicted and true",
        "errors": "Errors",
        "residuals": "Error by predicted value",
        "coverage": "Coverage by predicted value",
    }
    tested: ClassVar[str] = (
        "Won and lost: rows on which this model, or the champion, is nearer to the truth. "
        "p of worse: one-sided randomization test (Fisher) of the mean loss, adjusted over the slices by Holm."
    )

    def details(self, model: NumberScored, decision: Decision) -> NumberDetails:  # noqa: ARG002  # none is made
        chosen = np.unique(np.linspace(0, model.rows - 1, MOST_POINTS).astype(int))
        low, high = np.quantile(model.error, (0.005, 0.995))
        edges = np.linspace(low, high, BINS + 1) if low < high else np.linspace(low - 0.5, high + 0.5, BINS + 1)
        counts = np.histogram(model.error.clip(edges[0], edges[-1]), bins=edges)[0]
        order = np.argsort(model.value, kind="stable")
        parts = [part for part in np.array_split(order, BANDS) if len(part)]
        return NumberDetails(
            level=self.task.label.level,
            true=model.y[chosen].tolist(),
            predicted=model.value[chosen].tolist(),
            edges=edges.tolist(),
            counts=counts.tolist(),
            bands=tuple(_band(model, part) for part in parts),
        )

    def plots(self, details: NumberDetails, metrics: Mapping[str, Interval]) -> dict[str, Figure]:
        return {
            "predicted": draw_predicted(details, metrics, self._unit),
            "errors": draw_errors(details, self._unit),
            "residuals": draw_residuals(details, self._unit),
            "coverage": draw_coverage(details, metrics, self._unit),
        }

    def purpose(self) -> str:
        label = self.task.label
        unit = f" in {label.unit}" if label.unit else ""
        return f"the value of “{label.name}”{unit}, with the interval that holds {label.level:.0%} of such values,"

    def trivial(self) -> str:
        return "the median of all rows"

    def decided(self, decision: Decision) -> str:
        level = f"the interval beside it is to hold {self.task.label.level:.0%} of all truths"
        return f"An answer is taken as {decision.rule}; {level}."

    def calibrated(self, known: Any) -> str:
        if not isinstance(known, dict):
            return super().calibrated(known)
        unit = f" {self.task.label.unit}" if self.task.label.unit else ""
        return (
            f"the interval reaches {known['below']:.4g}{unit} below the value and {known['above']:.4g}{unit} above it"
        )

    def answer_axis(self) -> str:
        return f"Mean answer{self._unit}"

    def contribution_axis(self) -> str:
        return f"Mean absolute contribution{self._unit}"

    @property
    def _unit(self) -> str:
        """In brackets, for the title of an axis; empty where there is none."""
        return f" ({plain(self.task.label.unit)})" if self.task.label.unit else ""

    def limits(self, decision: Decision, rows: int) -> list[str]:  # noqa: ARG002  # none is made
        level = f"it is to hold {self.task.label.level:.0%} of all rows"
        return [
            f"The interval is as wide for every row: {level}, and of some kinds of rows it holds more than of others."
        ]


def _band(model: NumberScored, rows: NDArray[Any]) -> Band:
    low, median, high = np.quantile(model.error[rows], (0.05, 0.5, 0.95)).tolist()
    means = float(model.value[rows].mean()), float(model.y[rows].mean())
    return Band(len(rows), *means, low, median, high, float(model.right[rows].mean()))


def draw_predicted(details: NumberDetails, metrics: Mapping[str, Interval], unit: str) -> Figure:
    """True against predicted, and the line on which both are the same."""
    figure, axes = new_axes(f"Predicted{unit}", f"True{unit}")
    both = [*details.true, *details.predicted]
    axes.plot([min(both), max(both)], [min(both), max(both)], color=MUTED, linewidth=0.8, linestyle=DASHED)
    axes.plot(details.predicted, details.true, "o", color=CLASS_COLORS[0], markersize=2.5, alpha=0.45)
    words = f"mean absolute error {metrics['mae'].value:.4g}"
    if "r2" in metrics:
        words += f"\nR² {metrics['r2'].value:.3f}"
    axes.text(0.03, 0.97, words, ha="left", va="top", color=INK, fontsize=9, transform=axes.transAxes)
    return figure


def draw_errors(details: NumberDetails, unit: str) -> Figure:
    """Rows by predicted less true."""
    figure, axes = new_axes(f"Predicted less true{unit}", "Held-out rows")
    edges = np.array(details.edges)
    axes.bar(edges[:-1], details.counts, np.diff(edges) * 0.92, align="edge", color=CLASS_COLORS[0])
    axes.axvline(0, color=INK, linewidth=0.8, linestyle=DASHED)
    return figure


def draw_residuals(details: NumberDetails, unit: str) -> Figure:
    """Median and the middle nine tenths of the error, by predicted value."""
    figure, axes = new_axes(f"Predicted{unit}", f"Predicted less true{unit}")
    x = [band.predicted for band in details.bands]
    axes.axhline(0, color=MUTED, linewidth=0.8, linestyle=DASHED)
    for band in details.bands:
        axes.plot([band.predicted] * 2, [band.low, band.high], color=CLASS_COLORS[0], linewidth=1.4)
    axes.plot(x, [band.median for band in details.bands], "o", color=CLASS_COLORS[0], markersize=4.5)
    return figure


def draw_coverage(details: NumberDetails, metrics: Mapping[str, Interval], unit: str) -> Figure:
    """The share of rows whose truth the interval holds, by predicted value."""
    figure, axes = new_axes(f"Predicted{unit}", "Share within the interval")
    axes.axhline(details.level, color=MUTED, linewidth=0.8, linestyle=DASHED)
    axes.plot([band.predicted for band in details.bands], [band.coverage for band in details.bands], "o-",
              color=CLASS_COLORS[0], markersize=4.5, linewidth=1.2)  # fmt: skip
    whole = metrics["coverage"]
    words = f"of all rows {whole.value:.1%}, asked {details.level:.0%}"
    axes.text(0.97, 0.05, words, ha="right", va="bottom", color=INK, fontsize=9, transform=axes.transAxes)
    axes.set_ylim(0, 1.04)
    return figure
