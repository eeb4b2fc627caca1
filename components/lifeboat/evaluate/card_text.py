"""What stands in the model card: every figure, limit and lineage entry as a string."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lifeboat.data.labelled.hidden_columns import SOURCE
from lifeboat.evaluate.card_baseline import baseline_sentences
from lifeboat.evaluate.card_explanation import explanation_content
from lifeboat.evaluate.card_figures import LATENCY_TITLES, figure_text, gain_text, p_text, titled
from lifeboat.evaluate.card_lineage import commit_of, lineage_sections
from lifeboat.evaluate.card_training import training_content
from lifeboat.evaluate.evaluation import Evaluation, SliceReport
from lifeboat.evaluate.reports.report import Report, report_of
from lifeboat.model.bundle import Bundle
from lifeboat.tasks.task import Task
from lifeboat.usecase.gates import Interval
from lifeboat.usecase.schema import Column
from lifeboat.usecase.usecase import UseCase

# Shares of nulls from here on are worth a sentence.
_OFTEN_MISSING = 0.1
_LIST_ITEMS = 12


def card_content(evaluation: Evaluation, bundle: Bundle, usecase: UseCase, version: str = "") -> dict[str, Any]:
    """All that the two templates show; every figure is already a string."""
    task, report, manifest = usecase.task, report_of(usecase.task), bundle.manifest
    titles = {**evaluation.titles, **LATENCY_TITLES}
    return {
        "usecase": usecase,
        "bundle": bundle,
        "identity": _identity(evaluation, bundle, version),
        "evaluation": evaluation,
        "verdict": evaluation.verdict,
        "reasons": [titled(reason, titles) for reason in evaluation.verdict.reasons],
        "criteria": [(one.passed, titled(one.name, titles), one.why) for one in evaluation.verdict.criteria],
        "purpose": report.purpose(),
        "decided": report.decided(bundle.decision),
        "baseline": baseline_sentences(evaluation, manifest, usecase, report),
        "label": bundle.schema.label.name,
        "tested": report.tested,
        "tiles": _tiles(evaluation, task, titles),
        "metrics": _metric_rows(evaluation, titles),
        "champion": _champion_sentence(evaluation, task),
        "gate_metrics": [titles[name] for name in _gate_metrics(usecase)],
        "slice_metrics": [titles[name] for name in task.of_slices],
        "origins": [_figures_row(part, _gate_metrics(usecase)) for part in evaluation.slices if part.column == SOURCE],
        "slices": [_figures_row(part, task.of_slices) for part in evaluation.slices if part.column != SOURCE],
        "slice_tests": _slice_tests(evaluation),
        "explanation": explanation_content(evaluation.explanation, task),
        "training": training_content(manifest.get("training", {}), task, report),
        "inputs": [_input_row(column, evaluation.data.nulls) for column in bundle.schema.columns],
        "limits": _limits(evaluation, bundle, report),
        "sections": lineage_sections(evaluation, manifest),
    }


def _identity(evaluation: Evaluation, bundle: Bundle, version: str) -> list[tuple[str, str]]:
    """Which model it is, and as of when."""
    found = {
        "Model": bundle.usecase,
        "Version": version,
        "Evaluated": f"{evaluation.evaluated_at[:16].replace('T', ' ')} UTC",
        "Commit of the use case": commit_of(bundle.manifest)[:12],
        "Bundle, SHA-256": bundle.digest,
    }
    return [(title, value) for title, value in found.items() if value]


def _tiles(evaluation: Evaluation, task: Task[Any, Any], titles: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Title, figure and limits of what is read first."""
    names = (name for name in (*task.headline, "latency_p50_us") if name in evaluation.metrics)
    tiles = [(titles[name], *figure_text(name, evaluation.metrics[name])) for name in names]
    return [*tiles, ("Held-out rows", f"{evaluation.rows:,}", evaluation.composition)]


def _metric_rows(evaluation: Evaluation, titles: Mapping[str, str]) -> list[dict[str, Any]]:
    """Per metric the figures of the model, the baseline and the champion, and what is gained on both."""
    return [_metric_row(evaluation, titles[name], name, figure) for name, figure in evaluation.metrics.items()]


def _metric_row(evaluation: Evaluation, title: str, name: str, found: Interval) -> dict[str, Any]:
    row: dict[str, Any] = {"title": title, "model": figure_text(name, found)}
    paired = evaluation.evidence.champion
    for key, other in (("baseline", evaluation.baseline), ("champion", evaluation.champion or {})):
        row[key] = figure_text(name, other[name]) if name in other else None
    for key, gains in (("over_baseline", evaluation.evidence.baseline), ("over_champion", paired)):
        row[key] = gain_text(gains.improvement[name]) if gains and name in gains.improvement else None
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
    test = f"(exact McNemar test: p {p_text(paired.mcnemar_p)})"
    unread = f" Of the champion: {'; '.join(evidence.unread)}." if evidence.unread else ""
    return f"Compared with the champion {champion[:12]} on {paired.rows:,} rows new to both. {won} {test}.{unread}"


def _gate_metrics(usecase: UseCase) -> list[str]:
    """The metrics of the use case's gates that rows have, in their order."""
    named = dict.fromkeys(getattr(gate, "metric", "") for gate in usecase.gates)
    known = {metric.name for metric in usecase.task.metrics}
    return [name for name in named if name in known]


def _figures_row(part: SliceReport, names: Sequence[str]) -> dict[str, Any]:
    figures = [
        figure_text(name, Interval(part.metrics[name], 0, 0))[0] if name in part.metrics else "" for name in names
    ]
    limits = [figure_text(name, part.intervals[name])[1] if name in part.intervals else "" for name in names]
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
    shown = {name: (f"{test.won:,} : {test.lost:,}", p_text(test.p_worse)) for name, test in tests.items()}
    return {part.name: ("", "") for part in evaluation.slices} | shown


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
