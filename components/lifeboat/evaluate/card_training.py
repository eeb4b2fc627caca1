"""How the model was found, on the card: what was chosen, with which parameters, and every trial beside it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lifeboat.evaluate.card_figures import LATENCY_TITLES, number_text, within
from lifeboat.evaluate.reports.report import Report
from lifeboat.tasks.task import Metric, Task

# Trials and candidates that are shown.
_MOST = 30


def training_content(
    training: Mapping[str, Any], task: Task[Any, Any], report: Report[Any, Any, Any]
) -> dict[str, Any]:
    """What the card shows of the training that a bundle's manifest tells of; nothing of what it does not tell."""
    titles = {metric.name: metric.title for metric in task.metrics} | LATENCY_TITLES
    return {
        "facts": list(_facts(training, titles, report)),
        "parameters": [(_parameter(name), _value(value)) for name, value in training.get("parameters", {}).items()],
        **_trials(training, task),
    }


def _facts(
    training: Mapping[str, Any], titles: Mapping[str, str], report: Report[Any, Any, Any]
) -> Iterator[tuple[str, str]]:
    if "candidate" in training:
        yield "Candidate", training["candidate"]
    if known := training.get("cross_validation"):
        yield "Searched on", f"{known['rows']:,} training rows, cross-validated in {known['folds']} folds"
    if chosen_by := training.get("chosen_by"):
        yield "Chosen by", f"the best mean {within(titles.get(chosen_by, chosen_by))} over the folds"
    if "calibration" in training:
        yield "Calibration", report.calibrated(training["calibration"])
    if weight := training.get("weight"):
        yield "Rows count by", weight
    if weights := training.get("class_weights"):
        yield "Classes count", ", ".join(f"{name} {times:g} times" for name, times in weights.items())


def _trials(training: Mapping[str, Any], task: Task[Any, Any]) -> dict[str, Any]:
    """The table: its metrics' titles, and a row for each trial, those given up and the candidates left out."""
    tried, given_up = training.get("trials", ()), training.get("given_up", ())
    known = {metric.name: metric for metric in task.metrics}
    first = training.get("chosen_by", task.steering)
    shown = [known[name] for name in dict.fromkeys((first, *known)) if any(name in one for one in tried)]
    folds = training.get("cross_validation", {}).get("folds", 0)
    rows = [_row(one, shown, _outcome(place, one, tried, shown)) for place, one in enumerate(tried)]
    rows += [_row(one, shown, f"given up after {one['folds']} of {folds} folds: worse than most before it")
             for one in given_up]  # fmt: skip
    rows += [
        {"candidate": name, "parameters": "", "figures": [""] * len(shown), "outcome": f"left out: {why}"}
        for name, why in training.get("left_out", {}).items()
    ]
    more = len(rows) - _MOST
    return {
        "metrics": [metric.title for metric in shown],
        "trials": rows[:_MOST],
        "more_trials": f"and {more:,} more" if more > 0 else "",
    }


def _row(trial: Mapping[str, Any], shown: Sequence[Metric], outcome: str) -> dict[str, Any]:
    parameters = ", ".join(f"{_parameter(name)} {_value(value)}" for name, value in trial["parameters"].items())
    return {
        "candidate": trial["candidate"],
        "parameters": parameters or "its own",
        "figures": [_mean(trial, metric.name) for metric in shown],
        "outcome": outcome,
    }


def _mean(trial: Mapping[str, Any], name: str) -> str:
    """Over the folds, with their standard deviation where it is known and there is more than one."""
    value, spread = trial.get(name), trial.get(f"{name}_spread")
    if value is None:
        return ""
    return (
        number_text(value)
        if spread is None or trial.get("folds") == 1
        else f"{number_text(value)} ± {number_text(spread)}"
    )


def _outcome(place: int, trial: Mapping[str, Any], tried: Sequence[Mapping[str, Any]], shown: Sequence[Metric]) -> str:
    """Why it was chosen or not, by the metric that decided."""
    if not place:
        return "chosen"
    metric, best = shown[0], tried[0]
    if trial.get(metric.name) is None or best.get(metric.name) is None:
        return "no fold could tell"
    worse = metric.loss(trial[metric.name]) - metric.loss(best[metric.name])
    spread = best.get(f"{metric.name}_spread")
    beside = ", within the spread of the folds" if spread is not None and worse < spread else ""
    return f"{within(metric.title)} worse by {worse:.4f}{beside}" if worse > 0 else "equal, and tried later"


def _parameter(name: str) -> str:
    """As people say it: of a pipeline's 'logisticregression__C' the last part, 'C'."""
    return name.rpartition("__")[2].replace("_", " ")


def _value(value: object) -> str:
    return f"{value:.6g}" if isinstance(value, float) else "none" if value is None else str(value)
