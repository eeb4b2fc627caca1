"""Evaluate: a bundle on the held-out rows, against a trivial model and the champion; the gates' verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.data.timestamps import format_timestamp
from lifeboat.data.weights import Weights, row_weights, some
from lifeboat.evaluate.comparison import NotComparableError, Pair, Shared, compare, score_champion, shared_rows
from lifeboat.evaluate.evaluation import Evaluation
from lifeboat.evaluate.explanation.model_explanation import explain_model
from lifeboat.evaluate.explanation.sample import Sample
from lifeboat.evaluate.heldout import HeldOut, baseline_answers, read_heldout, uninformed_answers
from lifeboat.evaluate.latency import latency
from lifeboat.evaluate.reports.report import report_of
from lifeboat.evaluate.slices import Part, by_origin, cut, report
from lifeboat.model.bundle import Bundle
from lifeboat.model.scoring import Scorer
from lifeboat.tasks.task import Task
from lifeboat.usecase.gates import Evidence, Interval, Paired, judge
from lifeboat.usecase.usecase import UseCase

Say = Callable[[str], None]


def evaluate(
    usecase: UseCase,
    bundle: Bundle,
    test: Path,
    *,
    champion: Bundle | None = None,
    extra_gates: str = "",
    begin_anew: str = "",
    seed: int = 0,
    say: Say = print,
) -> Evaluation:
    """Judges a bundle.

    Args:
        usecase: its slices and gates are used.
        bundle: the model to judge; its ONNX graph is asked, nothing of training.
        test: the held-out rows, a Parquet file made by `preprocess`.
        champion: the bundle in service, if there is one.
        extra_gates: further bounds, see `lifeboat.usecase.gates.parse_bounds`.
        begin_anew: why the champion is not to be compared with; empty where it is.
        seed: of the bootstrap, and of what explains the model.
        say: told of each stage.

    Raises:
        DataError: the rows cannot be used: none, of two classes only one, a column missing, another split.
        BundleError: the model cannot be scored or carries no baseline.
        GateError: a gate names an unknown metric, or an extra bound cannot be read.
    """
    rows = read_heldout(test, bundle)
    say(f"scoring {len(rows.y):,} held-out rows{_from_feedback(rows)}")
    scorer = Scorer(bundle.model, bundle.schema)
    task, answers = usecase.task, scorer.answers(rows.table)
    weights = row_weights(usecase, rows.table)
    model = task.score(rows.y, answers, bundle.decision).weighted(weights)
    judged = _Judged(bundle, rows, task, answers, model, cut(rows.table, usecase.slices), weights)
    say("comparing with the baseline")
    trivial = task.score(rows.y, baseline_answers(rows.table, bundle.manifest), task.decision()).weighted(weights)
    baseline = compare(task, rows.y, model, trivial, seed=seed, say=say)
    contest = _against_champion(judged, champion, begin_anew, seed=seed, say=say)
    say("measuring the latency")
    metrics = baseline.first | latency(scorer, rows.table)
    evidence = Evidence(
        metrics, baseline.paired, contest.paired, identical=contest.identical, note=contest.note, anew=contest.anew,
        unread=contest.unread,
    )  # fmt: skip
    opponent = champion.digest if champion else None
    verdict = judge(usecase.gates, evidence, bundle=bundle.digest, champion=opponent, extra=extra_gates)
    reported = [*judged.parts, *by_origin(rows.source)]
    say("explaining the model")
    sample = Sample(scorer, bundle.decision, rows.table, rows.y, weights)
    explanation = explain_model(bundle, sample, seed=seed, say=say)
    say(f"evaluating {len(reported)} slices")
    return Evaluation(
        titles={metric.name: metric.title for metric in task.metrics},
        decision=bundle.decision.to_manifest(),
        metrics=metrics,
        baseline=baseline.second,
        uninformed=_uninformed(task, rows, bundle, weights),
        champion=contest.metrics,
        evidence=evidence,
        verdict=verdict,
        details=report_of(task).details(model, bundle.decision),
        slices=tuple(
            report(part, task, rows.y, answers, bundle.decision, weights=weights, seed=seed, say=say)
            for part in reported
        ),
        rows=len(rows.y),
        label=task.facts(rows.y),
        composition=task.composition(rows.y),
        data=rows.data,
        explanation=explanation,
        evaluated_at=format_timestamp(datetime.now(UTC).replace(microsecond=0)),
    )


def _uninformed(task: Task[Any, Any], rows: HeldOut, bundle: Bundle, weights: Weights) -> dict[str, float]:
    """What each metric is worth where nothing is known of a row; without those that the rows cannot tell."""
    answers = uninformed_answers(len(rows.y), bundle.manifest)
    values = task.score(rows.y, answers, task.decision()).weighted(weights).figures()
    found = zip(task.metrics, values, strict=True)
    return {metric.name: float(value) for metric, value in found if not np.isnan(value)}


def _from_feedback(rows: HeldOut) -> str:
    return f", {rows.data.feedback:,} of them from feedback" if rows.data.feedback else ""


@dataclass(frozen=True)
class _Judged:
    """The model judged and what it said of the rows."""

    bundle: Bundle
    rows: HeldOut
    task: Task[Any, Any]
    answers: NDArray[np.float32]
    model: Any
    parts: list[Part]
    weights: Weights


@dataclass(frozen=True)
class _Contest:
    """What came of the comparison with the champion: evidence and its metrics, or why there are none."""

    identical: bool = False
    paired: Paired | None = None
    metrics: dict[str, Interval] | None = None
    note: str = ""
    anew: str = ""
    unread: tuple[str, ...] = ()


def _against_champion(judged: _Judged, champion: Bundle | None, begin_anew: str, *, seed: int, say: Say) -> _Contest:
    if champion is not None and begin_anew:
        say(f"begun anew, without a comparison with the champion: {begin_anew}")
        return _Contest(anew=begin_anew)
    if champion is None or champion.digest == judged.bundle.digest:
        return _Contest(identical=champion is not None)
    try:
        shared = shared_rows(judged.bundle, champion, judged.rows)
        pair = _compare_champion(judged, champion, shared, seed=seed, say=say)
    except NotComparableError as error:
        say(f"no comparison with the champion: {error}; lifeboat run --begin-anew REASON starts without one")
        return _Contest(note=str(error))
    return _Contest(paired=pair.paired, metrics=pair.second, unread=shared.notes)


def _compare_champion(judged: _Judged, champion: Bundle, shared: Shared, *, seed: int, say: Say) -> Pair:
    rows, chosen = judged.rows, shared.chosen
    say(f"comparing with the champion on {int(chosen.sum()):,} rows")
    for note in shared.notes:
        say(f"the champion: {note}")
    theirs = score_champion(champion, shared.table.filter(pa.array(chosen)))
    parts = [Part(part.name, part.column, part.rows[chosen]) for part in judged.parts]
    task, y = judged.task, rows.y[chosen]
    weights = some(judged.weights, chosen)
    ours = task.score(y, judged.answers[chosen], judged.bundle.decision).weighted(weights)
    other = task.score(y, theirs, champion.decision).weighted(weights)
    return compare(task, y, ours, other, parts, seed=seed, say=say)
