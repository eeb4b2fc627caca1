"""What the evaluate step found: plain values for JSON, Kubeflow's artifacts and the model card."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from lifeboat.model.decision import Decision
from lifeboat.usecase.gates import Evidence, Interval, Verdict


@dataclass(frozen=True)
class Roc:
    """The receiver operating characteristic, at most 200 points from (0, 0) to (1, 1).

    A row counts as positive from the threshold on; all thresholds are finite, the first is just above 1.
    """

    fpr: list[float]
    tpr: list[float]
    thresholds: list[float]


@dataclass(frozen=True)
class PrecisionRecall:
    """Precision by recall, at most 200 points; a row counts as positive from the threshold on, which descends."""

    recall: list[float]
    precision: list[float]
    thresholds: list[float]


@dataclass(frozen=True)
class Confusion:
    """Rows by true class (outer list) and by the class that the decision gives them (inner list)."""

    classes: tuple[str, str]
    matrix: list[list[int]]


@dataclass(frozen=True)
class SliceReport:
    """A part of the rows.

    Args:
        name: such as 'Sex = female' or 'Age 16 to 40'.
        column: that it was cut by.
        rows, positives: how many, and how many of them of class 1.
        metrics: name to value; no roc_auc where only one class occurs, none at all without rows.
        intervals: of the metrics, where there are rows enough.
    """

    name: str
    column: str
    rows: int
    positives: int
    metrics: Mapping[str, float]
    intervals: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True)
class CalibrationBin:
    """Rows of similar probability: its mean, and the share of class 1 with its Wilson interval."""

    rows: int
    predicted: float
    observed: Interval


@dataclass(frozen=True)
class Histogram:
    """Rows of each class by probability; `counts` is [2][bins], `edges` [bins + 1]."""

    edges: list[float]
    counts: list[list[int]]


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
        decision: the threshold of class 1, by which a row has a class, and why it is this one.
        metrics: of the bundle, and its latency in microseconds for one row (latency_p50_us, latency_p99_us).
        baseline: of the trivial model on the same rows.
        champion: of the champion on the rows of the comparison, None without one.
        evidence, verdict: what the gates saw and said.
        rows, positives: how many, and how many of them of class 1.
    """

    decision: Decision
    metrics: dict[str, Interval]
    baseline: dict[str, Interval]
    champion: dict[str, Interval] | None
    evidence: Evidence
    verdict: Verdict
    roc: Roc
    precision_recall: PrecisionRecall
    confusion: Confusion
    slices: tuple[SliceReport, ...]
    calibration: tuple[CalibrationBin, ...]
    histogram: Histogram
    rows: int
    positives: int
    data: Data

    def to_json(self) -> str:
        """All of it as strict JSON (no NaN, no infinity)."""
        return json.dumps(asdict(self), indent=1, allow_nan=False, ensure_ascii=False) + "\n"
