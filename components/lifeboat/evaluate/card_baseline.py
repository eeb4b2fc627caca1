"""What the baseline is, on the card, and whether to beat it says anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lifeboat.evaluate.card_figures import number_text, within
from lifeboat.evaluate.evaluation import Evaluation
from lifeboat.evaluate.reports.report import Report
from lifeboat.tasks.task import Metric
from lifeboat.usecase.usecase import UseCase

# What rounding leaves between two figures that are the same.
_SAME = 1e-9


def baseline_sentences(
    evaluation: Evaluation, manifest: Mapping[str, Any], usecase: UseCase, report: Report[Any, Any, Any]
) -> list[str]:
    """What the baseline knows; and where it, or the model, is no better than who knows nothing.

    That is held against one answer for all rows, by the metrics that a model is chosen and first read by.
    """
    known = manifest["training"]["baseline"]
    task, same = usecase.task, f"one answer for all rows ({report.trivial()})"
    names = dict.fromkeys((usecase.chosen_by, task.steering, task.headline[0]))
    metrics = [metric for metric in map(task.metric, names) if metric.name in evaluation.uninformed]
    if not known["columns"]:
        found = [f"The baseline is trivial: it knows no column, and gives {same}."]
    else:
        kinds = "values" if len(known["columns"]) == 1 else "combinations of values"
        said = f"one answer for each of {len(known['groups']):,} {kinds}"
        found = [f"The baseline knows only {' and '.join(known['columns'])}: {said}."]
        figures = {name: figure.value for name, figure in evaluation.baseline.items()}
        if worse := list(_no_better(figures, evaluation.uninformed, metrics)):
            found.append(f"It is no better than {same}: {', '.join(worse)}. To beat it says little.")
    figures = {name: figure.value for name, figure in evaluation.metrics.items()}
    if worse := list(_no_better(figures, evaluation.uninformed, metrics)):
        found.append(f"The model itself is no better than {same}: {', '.join(worse)}.")
    return found


def _no_better(figures: Mapping[str, float], others: Mapping[str, float], metrics: list[Metric]) -> Iterator[str]:
    """Each metric in which the figures gain nothing on the others, with both: 'log loss 0.712 against 0.662'."""
    for metric in metrics:
        if metric.name not in figures:
            continue
        own, other = figures[metric.name], others[metric.name]
        if metric.loss(own) > metric.loss(other) - _SAME:
            yield f"{within(metric.title)} {number_text(own)} against {number_text(other)}"
