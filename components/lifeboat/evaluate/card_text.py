"""What stands in the model card: every figure, limit and lineage entry as a string."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lifeboat.data.labelled.hidden_columns import SOURCE
from lifeboat.evaluate.evaluation import Evaluation, SliceReport
from lifeboat.evaluate.reports.report import Report, report_of
from lifeboat.model.bundle import Bundle
from lifeboat.tasks.task import Task
from lifeboat.usecase.gates import Interval
from lifeboat.usecase.schema import Column
from lifeboat.usecase.usecase import UseCase

LATENCY_TITLES = {
    "latency_p50_us": "Latency, median",
    "latency_p99_us": "Latency, 99th percentile",
}
# Shares of nulls from here on are worth a sentence.
_OFTEN_MISSING = 0.1
_LIST_ITEMS = 12


def card_content(evaluation: Evaluation, bundle: Bundle, usecase: UseCase) -> dict[str, Any]:
    """All that the two templates show; every figure is already a string."""
    task, report = usecase.task, report_of(usecase.task)
    titles = {**evaluation.titles, **LATENCY_TITLES}
    return {
        "usecase": usecase,
        "bundle": bundle,
        "evaluation": evaluation,
        "verdict": evaluation.verdict,
        "purpose": report.purpose(),
        "trivial": report.trivial(),
        "label": bundle.schema.label.name,
        "tested": report.tested,
        "plot_titles": {**report.titles, "slices": f"{titles[task.of_slices[0]]} by slice"},
        "tiles": _tiles(evaluation, task, titles),
        "metrics": _metric_rows(evaluation, titles),
        "champion": _champion_sentence(evaluation, task),
        "gate_metrics": [titles[name] for name in _gate_metrics(usecase)],
        "slice_metrics": [titles[name] for name in task.of_slices],
        "origins": [_figures_row(part, _gate_metrics(usecase)) for part in evaluation.slices if part.column == SOURCE],
        "slices": [_figures_row(part, task.of_slices) for part in evaluation.slices if part.column != SOURCE],
        "slice_tests": _slice_tests(evaluation),
        "inputs": [_input_row(column, evaluation.data.nulls) for column in bundle.schema.columns],
        "limits": _limits(evaluation, bundle, report),
        "sections": _sections(evaluation, bundle.manifest),
    }


def _tiles(evaluation: Evaluation, task: Task[Any, Any], titles: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Title, figure and limits of what is read first."""
    names = (name for name in (*task.headline, "latency_p50_us") if name in evaluation.metrics)
    tiles = [(titles[name], *_figure(name, evaluation.metrics[name])) for name in names]
    return [*tiles, ("Held-out rows", f"{evaluation.rows:,}", evaluation.composition)]


def _figure(name: str, figure: Interval) -> tuple[str, str]:
    """A value and its limits: '0.852' and '0.785 to 0.909'."""
    if name.endswith("_us"):
        return f"{figure.value:,.0f} µs", f"{figure.low:,.0f} to {figure.high:,.0f} µs"
    return _number(figure.value), f"{_number(figure.low)} to {_number(figure.high)}"


def _gain(figure: Interval) -> tuple[str, str]:
    return _number(figure.value, "+"), f"{_number(figure.low, '+')} to {_number(figure.high, '+')}"


def _number(value: float, sign: str = "") -> str:
    """Three digits behind the point, of large numbers fewer."""
    size = abs(value)
    return f"{value:{sign},.{3 if size < 100 else 1 if size < 10_000 else 0}f}"


def _metric_rows(evaluation: Evaluation, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Per metric the figures of the model, the baseline and the champion, and what is gained on both."""
    return [_metric_row(evaluation, titles[name], name, figure) for name, figure in evaluation.metrics.items()]


def _metric_row(evaluation: Evaluation, title: str, name: str, figure: Interval) -> dict[str, Any]:
    row: dict[str, Any] = {"title": title, "model": _figure(name, figure)}
    paired = evaluation.evidence.champion
    for key, other in (("baseline", evaluation.baseline), ("champion", evaluation.champion or {})):
        row[key] = _figure(name, other[name]) if name in other else None
    for key, gains in (("over_baseline", evaluation.evidence.baseline), ("over_champion", paired)):
        row[key] = _gain(gains.improvement[name]) if gains and name in gains.improvement else None
    return row


def _champion_sentence(evaluation: Evaluation, task: Task[Any, Any]) -> str:
    evidence, champion = evaluation.evidence, evaluation.verdict.champion
    if champion is None:
        return "There is no champion yet: the model was held against the baseline and the fixed bounds only."
    if evidence.identical:
        return "This bundle is the champion, byte for byte."
    paired = evidence.champion
    if evidence.anew:
        return f"A line is begun anew, without a comparison with the champion {champion[:12]}: {evidence.anew}."
    if paired is None:
        return f"It was not compared with the champion {champion[:12]}: {evidence.note}."
    won = (
        f"This model {task.better.format(f'{paired.won:,}')} where the champion does not, the champion {paired.lost:,}"
    )
    test = f"(exact McNemar test: p {_p_value(paired.mcnemar_p)})"
    unread = f" Of the champion: {'; '.join(evidence.unread)}." if evidence.unread else ""
    return f"Compared with the champion {champion[:12]} on {paired.rows:,} rows new to both. {won} {test}.{unread}"


def _gate_metrics(usecase: UseCase) -> list[str]:
    """The metrics of the use case's gates that rows have, in their order."""
    named = dict.fromkeys(getattr(gate, "metric", "") for gate in usecase.gates)
    known = {metric.name for metric in usecase.task.metrics}
    return [name for name in named if name in known]


def _figures_row(part: SliceReport, names: Sequence[str]) -> dict[str, Any]:
    figures = [_figure(name, Interval(part.metrics[name], 0, 0))[0] if name in part.metrics else "" for name in names]
    limits = [_figure(name, part.intervals[name])[1] if name in part.intervals else "" for name in names]
    return {
        "name": part.name,
        "rows": f"{part.rows:,}",
        "share": part.composition,
        "figures": list(zip(figures, limits, strict=True)),
    }


def _slice_tests(evaluation: Evaluation) -> dict[str, tuple[str, str]]:
    """Slice to rows won and lost, and the p value: empty where it was not tested, all without a comparison."""
    if not evaluation.evidence.champion:
        return {}
    tests = evaluation.evidence.champion.slices
    shown = {name: (f"{test.won:,} : {test.lost:,}", _p_value(test.p_worse)) for name, test in tests.items()}
    return {part.name: ("", "") for part in evaluation.slices} | shown


def _p_value(p: float) -> str:
    return f"= {p:.3f}" if p >= 0.001 else "< 0.001"


def _input_row(column: Column, nulls: Mapping[str, float]) -> dict[str, str]:
    asked = ", ".join(map(str, column.categories)) if column.categories else ""
    if not asked and column.is_number and column.kind != "boolean":
        asked = column.limits
    if not asked and column.pattern:
        asked = f"pattern {column.pattern}"
    missing = f"{nulls[column.name]:.0%}" if column.nullable else "not allowed"
    return {
        "name": column.name,
        "kind": column.kind,
        "asked": asked,
        "missing": missing,
        "description": column.description,
    }


def _limits(evaluation: Evaluation, bundle: Bundle, report: Report[Any, Any, Any]) -> list[str]:
    """What the figures do not say, in sentences."""
    sentences = (
        *_sample_limits(evaluation),
        *report.limits(bundle.decision, evaluation.rows),
        *_data_limits(evaluation, bundle.schema.group),
        _weight_limit(bundle.manifest.get("training", {})),
        _time_limit(bundle.manifest.get("lineage", {}).get("split", {})),
        "Latency is that of one row in one ONNX Runtime session with one thread, without network and HTTP.",
    )
    return [sentence for sentence in sentences if sentence]


def _weight_limit(training: Mapping[str, Any]) -> str:
    by = [training["weight"]] if "weight" in training else []
    by += [f"{name} {weight:g} times" for name, weight in training.get("class_weights", {}).items()]
    said = "counts of decisions, curves and live figures count each row once"
    return f"Figures weigh the rows ({', '.join(by)}); {said}." if by else ""


def _time_limit(split: Mapping[str, Any]) -> str:
    if split.get("by") == "time":
        since = f"The held-out rows are of {split['boundary']} and later, the model learned from earlier ones"
        return f"{since}; a year has seasons, and what is true of these weeks need not be of others."
    return "Rows from another source or another time than the training data are not covered."


def _sample_limits(evaluation: Evaluation) -> Iterator[str]:
    few = [f"{part.name} ({part.rows:,})" for part in evaluation.slices if not part.intervals]
    yield f"All figures rest on {evaluation.rows:,} held-out rows: {evaluation.composition}."
    if evaluation.data.feedback:
        sources = evaluation.data.sources
        curated = f"{evaluation.rows - evaluation.data.feedback:,} of these rows came in the table"
        told = ", ".join(f"{rows:,} of {source}" for source, rows in list(sources.items())[:_LIST_ITEMS])
        more = len(sources) - _LIST_ITEMS
        others = f" and {more:,} other sources" if more > 0 else ""
        yield f"{curated}; the others came back from serving with a truth: {told}{others}."
    if few:
        yield f"Too few rows, or too few of one class, for confidence limits: {', '.join(few)}."


def _data_limits(evaluation: Evaluation, group: str | None) -> Iterator[str]:
    groups, rows = evaluation.data.groups, evaluation.rows
    often = [f"{name} ({share:.0%})" for name, share in evaluation.data.nulls.items() if share >= _OFTEN_MISSING]
    if groups is not None and groups < rows:
        alike = f"The {rows:,} rows are {groups:,} groups that share a {group}, and rows of one group are alike"
        yield f"{alike}; the confidence limits treat rows as independent and are somewhat too narrow."
    if often:
        yield f"Often missing in these rows: {', '.join(often)}."


def _sections(evaluation: Evaluation, manifest: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Titled lists of names and values: where model and figures come from, however deeply nested."""
    parts = {
        "Lineage": manifest.get("lineage"),
        "Held-out rows": {
            "file": evaluation.data.file,
            "sha256": evaluation.data.sha256,
            "curated": evaluation.rows - evaluation.data.feedback,
            "from_feedback": dict(evaluation.data.sources),
        },
        "Versions": manifest.get("versions"),
        "Training": manifest.get("training"),
    }
    return {title: _flatten(part) for title, part in parts.items() if part}


def _flatten(value: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        pairs = [_flatten(inner, f"{path}, {name}" if path else str(name)) for name, inner in value.items()]
        return [pair for part in pairs for pair in part]
    if isinstance(value, list) and any(isinstance(item, dict) for item in value):
        rows = [(f"{path} {number}", _inline(item)) for number, item in enumerate(value[:_LIST_ITEMS], start=1)]
        more = len(value) - len(rows)
        return [*rows, *([(path, f"and {more} more")] if more else [])]
    return [(path.replace("_", " "), _inline(value))]


def _inline(value: Any) -> str:
    """A value on one line: 'candidate: random forest, log_loss: 0.425'."""
    if isinstance(value, dict):
        return ", ".join(f"{name}: {_inline(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_inline, value)) or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value is None else str(value)
