"""Why the model answers so, on the card: what each column is worth, how far it moves answers, what is made of it."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure

from lifeboat.evaluate.card_figures import number_text, within
from lifeboat.evaluate.explanation.dependence import Dependence
from lifeboat.evaluate.explanation.model_explanation import ModelExplanation
from lifeboat.evaluate.explanation.plots import answer_limits, draw_bars, draw_dependence
from lifeboat.evaluate.reports.report import Report
from lifeboat.tasks.task import Task
from lifeboat.usecase.gates import Interval

IMPORTANCE, CONTRIBUTIONS, DEPENDENCE = "importance", "contributions", "dependence_"
Figures = dict[str, tuple[str, Figure]]


def explanation_content(found: ModelExplanation, task: Task[Any, Any]) -> dict[str, Any]:
    """A row for each column, and in sentences how it was found."""
    worth, far = found.permutation.columns, found.contributions.columns
    metric = task.metric(found.permutation.metric)
    unsure = [name for name, one in worth.items() if one.low <= 0]
    return {
        "columns": [{"name": name, "worth": _signed(one), "far": _digits(far[name])} for name, one in worth.items()],
        "worth_title": _axis(found, task),
        "how": [*_how_found(found, task.metric(found.permutation.metric).title), *_unsure(unsure, len(worth))],
        "hidden": ", ".join(found.hidden),
        "metric": within(metric.title),
    }


def explanation_figures(found: ModelExplanation, task: Task[Any, Any], report: Report[Any, Any, Any]) -> Figures:
    """Name to title and plot, in the order of the card."""
    figures: Figures = {
        IMPORTANCE: ("Permutation importance", draw_bars(found.permutation.columns, _axis(found, task))),
        CONTRIBUTIONS: (
            "Mean absolute contribution",
            draw_bars(found.contributions.columns, report.contribution_axis()),
        ),
    }
    limits = answer_limits(found.dependence)
    for place, one in enumerate(found.dependence, start=1):
        drawn = draw_dependence(one, report.answer_axis(), limits)
        figures[f"{DEPENDENCE}{place}"] = (_dependence_title(one), drawn)
    return figures


def _dependence_title(one: Dependence) -> str:
    return f"Partial dependence on {one.column}" + ("" if one.by == "value" else f", by {one.by}")


def _axis(found: ModelExplanation, task: Task[Any, Any]) -> str:
    metric = task.metric(found.permutation.metric)
    return f"{'Fall' if metric.higher_is_better else 'Rise'} of {within(metric.title)} when shuffled"


def _how_found(found: ModelExplanation, title: str) -> list[str]:
    worth, far = found.permutation, found.contributions
    shuffled = f"{worth.repeats} times among {worth.rows:,} held-out rows, of which the {within(title)} is"
    draws = f"95 % limits from {worth.replicates:,} paired bootstrap draws of rows and shuffles"
    counted = "every coalition of columns counted" if far.exact else "orders of the columns drawn"
    beside = f"the mean absolute Shapley value of {far.rows:,} held-out rows beside {far.background} of the reference"
    sentences = [
        f"Permutation importance: each column's values are shuffled {shuffled} {number_text(worth.value)}; {draws}.",
        f"Mean absolute contribution: {beside}, {counted}; 95 % limits from a bootstrap of the rows.",
    ]
    if found.dependence:
        most = found.dependence[0]
        sentences.append(
            f"Partial dependence: the mean answer when {most.rows:,} held-out rows all get the value, whatever else "
            "they are; of a number its 5 % to 95 % quantiles, of a category its commonest values, of a datetime "
            "moments of the same kind."
        )
    return sentences


def _unsure(names: list[str], columns: int) -> list[str]:
    """What must not be read into it."""
    said = ["Columns that tell the same share what they are worth, so that each seems to be worth little."]
    if names and len(names) < columns:
        said.append(f"Not shown to be worth anything on these rows: {', '.join(names)}.")
    if names and len(names) == columns:
        said.append("Of no column these rows show that it is worth anything.")
    return said


def _signed(one: Interval) -> tuple[str, str]:
    return _four(one.value, "+"), f"{_four(one.low, '+')} to {_four(one.high, '+')}"


def _digits(one: Interval) -> tuple[str, str]:
    return _four(one.value), f"{_four(one.low)} to {_four(one.high)}"


def _four(value: float, sign: str = "") -> str:
    """One digit more than the figures of the whole model have: a column is worth a part of it."""
    return f"{value:{sign}.4f}" if abs(value) < 10 else number_text(value, sign)
