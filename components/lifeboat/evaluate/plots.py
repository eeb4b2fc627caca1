"""The model card's plots as PNG: matplotlib's object-oriented interface, no global state and no window."""

from __future__ import annotations

import io
import warnings
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lifeboat.evaluate.evaluation import Evaluation

DPI = 160
INK, MUTED, GRID = "#1c2733", "#5b6b7a", "#dde4ea"
# Blue and orange stay apart for colour-blind eyes and in grey.
CLASS_COLORS = ("#1f5a8a", "#d9822b")
_FEW_ROWS_COLOR = "#a9b6c2"


def draw_all(evaluation: Evaluation) -> dict[str, bytes]:
    """Name to PNG, in the order of the card."""
    figures = {
        "roc": draw_roc(evaluation),
        "precision_recall": draw_precision_recall(evaluation),
        "calibration": draw_calibration(evaluation),
        "scores": draw_scores(evaluation),
        "confusion": draw_confusion(evaluation),
    }
    if any(part.rows for part in evaluation.slices):
        figures["slices"] = draw_slices(evaluation)
    return {name: _png(figure) for name, figure in figures.items()}


def draw_roc(evaluation: Evaluation) -> Figure:
    """True against false positive rate."""
    figure, axes = _axes("False positive rate", "True positive rate")
    area = evaluation.metrics["roc_auc"]
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.plot(evaluation.roc.fpr, evaluation.roc.tpr, color=CLASS_COLORS[0], linewidth=1.8)
    axes.fill_between(evaluation.roc.fpr, evaluation.roc.tpr, color=CLASS_COLORS[0], alpha=0.08, linewidth=0)
    words = f"AUC {area.value:.3f}\n95 % limits {area.low:.3f} to {area.high:.3f}"
    axes.text(0.97, 0.05, words, ha="right", va="bottom", color=INK, fontsize=9)
    _unit_square(axes)
    return figure


def draw_precision_recall(evaluation: Evaluation) -> Figure:
    """Precision by recall, the decision's own point, and the share of class 1, which is chance."""
    figure, axes = _axes("Recall", "Precision")
    curve = evaluation.precision_recall
    precision, recall = (evaluation.metrics[name].value for name in ("precision", "recall"))
    share = evaluation.positives / evaluation.rows
    axes.axhline(share, color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.step([0.0, *curve.recall], [curve.precision[0], *curve.precision], color=CLASS_COLORS[0], linewidth=1.8)
    axes.plot([recall], [precision], "o", color=CLASS_COLORS[1], markersize=6)
    area = evaluation.metrics["average_precision"]
    words = f"average precision {area.value:.3f}\n95 % limits {area.low:.3f} to {area.high:.3f}"
    words += f"\nat the threshold {evaluation.decision.threshold:.3f}: {precision:.2f} at {recall:.2f}"
    axes.text(0.03, 0.05, words, ha="left", va="bottom", color=INK, fontsize=9)
    _unit_square(axes)
    return figure


def draw_calibration(evaluation: Evaluation) -> Figure:
    """Observed share of class 1 against predicted probability, with Wilson intervals."""
    positive = evaluation.confusion.classes[1]
    figure, axes = _axes("Predicted probability", f"Share of “{_plain(positive)}”")
    bins = evaluation.calibration
    predicted = [each.predicted for each in bins]
    observed = np.array([each.observed.value for each in bins])
    below = observed - [each.observed.low for each in bins]
    above = [each.observed.high for each in bins] - observed
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, linestyle=(0, (4, 3)))
    # Rounding may put a share of 0 or 1 a hair outside its own interval.
    errors = np.clip([below, above], 0, 1)
    style = {"fmt": "o", "markersize": 4.5, "elinewidth": 1.1, "capsize": 0}
    axes.errorbar(predicted, observed, yerr=errors, color=CLASS_COLORS[0], **style)
    error = evaluation.metrics["ece"].value
    axes.text(0.97, 0.05, f"calibration error {error:.3f}", ha="right", va="bottom", color=INK, fontsize=9)
    _unit_square(axes)
    return figure


def draw_scores(evaluation: Evaluation) -> Figure:
    """Rows of each class by predicted probability."""
    figure, axes = _axes("Predicted probability", "Held-out rows")
    edges = np.array(evaluation.histogram.edges)
    counts = evaluation.histogram.counts
    for name, rows, color, base in zip(
        evaluation.confusion.classes, counts, CLASS_COLORS, (np.zeros(len(edges) - 1), counts[0]), strict=True
    ):
        width = np.diff(edges) * 0.9
        axes.bar(edges[:-1] + width / 1.8, rows, width, bottom=base, color=color, label=_plain(name))
    axes.axvline(evaluation.decision.threshold, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
    axes.set_xlim(0, 1)
    axes.legend(frameon=False, fontsize=9, loc="lower right", bbox_to_anchor=(1, 1), ncols=2, labelcolor=INK)
    return figure


def draw_confusion(evaluation: Evaluation) -> Figure:
    """Rows by true and predicted class; shade and percentage are shares of the true class."""
    figure, axes = _axes("Predicted class", "True class")
    matrix = np.array(evaluation.confusion.matrix)
    shares = matrix / matrix.sum(axis=1, keepdims=True)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.25, aspect="auto")
    for (row, column), count in np.ndenumerate(matrix):
        color = "white" if shares[row, column] > 0.65 else INK
        axes.text(column, row - 0.06, f"{count:,}", ha="center", va="center", color=color, fontsize=17)
        share = f"{shares[row, column]:.0%}"
        axes.text(column, row + 0.16, share, ha="center", va="center", color=color, fontsize=9)
    names = [_plain(_short(name)) for name in evaluation.confusion.classes]
    axes.set_xticks([0, 1], names)
    axes.set_yticks([0, 1], names, rotation=90, va="center")
    axes.grid(visible=False)
    axes.tick_params(length=0)
    return figure


def draw_slices(evaluation: Evaluation) -> Figure:
    """Log loss of each slice with its interval, against that of all rows; hollow where rows are few."""
    parts = [part for part in evaluation.slices if part.rows]
    figure, axes = _axes("Log loss (lower is better)", "", size=(8.6, 0.9 + 0.32 * len(parts)))
    whole = evaluation.metrics["log_loss"]
    axes.axvspan(whole.low, whole.high, color=CLASS_COLORS[0], alpha=0.08, linewidth=0)
    axes.axvline(whole.value, color=CLASS_COLORS[0], linewidth=1)
    for place, part in enumerate(parts):
        known = part.intervals.get("log_loss")
        color = CLASS_COLORS[0] if known else _FEW_ROWS_COLOR
        if known:
            axes.plot([known.low, known.high], [place, place], color=color, linewidth=1.6)
        fill = color if known else "white"
        axes.plot(part.metrics["log_loss"], place, "o", color=color, markerfacecolor=fill, markersize=5.5)
    labels = [f"{_plain(_short(part.name))}  (n = {part.rows:,})" for part in parts]
    axes.set_yticks(range(len(parts)), labels)
    axes.set_ylim(len(parts) - 0.4, -0.6)
    axes.grid(visible=False, axis="y")
    return figure


def _axes(x: str, y: str, size: tuple[float, float] = (4.2, 3.7)) -> tuple[Figure, Any]:
    figure = Figure(figsize=size, layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    axes.set_axisbelow(True)
    axes.grid(color=GRID, linewidth=0.7)
    axes.set_xlabel(x, color=MUTED, fontsize=9)
    axes.set_ylabel(y, color=MUTED, fontsize=9)
    axes.tick_params(colors=MUTED, labelsize=9, length=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GRID)
    return figure, axes


def _unit_square(axes: Any) -> None:
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)


def _plain(text: str) -> str:
    """Text of the data as it stands: a dollar sign would start a formula, which may not even parse."""
    return text.replace("$", r"\$")


def _short(text: str) -> str:
    return text if len(text) <= 28 else f"{text[:27]}…"


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # A name in a script that the font lacks is drawn as boxes; the card's text has it right.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, format="png", dpi=DPI)
    return buffer.getvalue()
