"""What the evaluate step found: plain values for JSON, Kubeflow's artifacts and the model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from lifeboat.evaluate.explanation.model_explanation import ModelExplanation
from lifeboat.usecase.gates import Evidence, Interval, Verdict


@dataclass(frozen=True)
class SliceReport:
    """A part of the rows.

    Args:
        name: such as 'Sex = female' or 'Age 16 to 40'.
        column: that it was cut by.
        rows: how many.
        composition: what they hold of the label, in a few words.
        metrics: name to value; without those that the rows cannot tell.
        intervals: of the metrics, where there are rows enough.
    """

    name: str
    column: str
    rows: int
    composition: str
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class Data:
    """The held-out rows.

    Args:
        file, sha256: name and digest of their file.
        groups: how many there are, None without groups.
        nulls: share of each input.
        sources: rows that came back from serving with their truth, by the source of that; the others are the table's.
    """

    file: str
    sha256: str
    groups: int | None
    nulls: Mapping[str, float]
    sources: Mapping[str, int] = field(default_factory=dict)

    @property
    def feedback(self) -> int:
        """How many rows came back from serving."""
        return sum(self.sources.values())


@dataclass(frozen=True)
class Evaluation:
    """All figures of one bundle on the held-out rows.

    Args:
        titles: of the metrics, for people.
        decision: what an answer is taken to say, and why.
        metrics: of the bundle, and its latency in microseconds for one row (latency_p50_us, latency_p99_us).
        baseline: of the trivial model on the same rows.
        uninformed: metric to value, of one answer for all rows that is that of all training rows.
        champion: of the champion on the rows of the comparison, None without one.
        evidence, verdict: what the gates saw and said.
        details: curves and counts of the task's own, see its `Report`.
        rows: how many.
        label: what they hold of it, see `Task.facts`.
        composition: the same in a few words.
        explanation: why the model answers as it does.
        evaluated_at: when, in UTC, such as 2026-11-28T05:02:31Z.
    """

    titles: dict[str, str]
    decision: dict[str, Any]
    metrics: dict[str, Interval]
    baseline: dict[str, Interval]
    uninformed: dict[str, float]
    champion: dict[str, Interval] | None
    evidence: Evidence
    verdict: Verdict
    details: Any
    slices: tuple[SliceReport, ...]
    rows: int
    label: dict[str, Any]
    composition: str
    data: Data
    explanation: ModelExplanation
    evaluated_at: str

    def to_json(self) -> str:
        """All of it as strict JSON (no NaN, no infinity)."""
        return json.dumps(asdict(self), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
