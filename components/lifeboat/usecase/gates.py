"""The gate: what a model must show before it ships, and the verdict with every reason.

A gate is a value in the use case; `judge` holds each against the evidence that the evaluate step gathered on rows no
model has seen. Improvements are signed so that positive means better for every metric.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol

from lifeboat.config.errors import GateError
from lifeboat.tasks.task import Task
from lifeboat.usecase.sample_size import interval_rows, mcnemar_rows, say_needed

# With fewer rows on which two models disagree no paired test can reach p < 0.05 (0.5**5 is 0.03, two-sided 0.06).
FEWEST_DISCORDANT = 5
# Microseconds of one row; there is no second model to hold them against.
LATENCIES = ("latency_p50_us", "latency_p99_us")


@dataclass(frozen=True)
class Interval:
    """A figure with its bootstrap confidence limits."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class SliceTest:
    """Challenger against champion in one slice: rows, rows only one got right, Holm-adjusted one-sided p of 'worse'."""

    rows: int
    won: int
    lost: int
    p_worse: float


@dataclass(frozen=True)
class Paired:
    """Two models on the same rows.

    Args:
        rows: how many both were asked.
        won, lost: rows that only the new model, or only the other one, labelled rightly.
        mcnemar_p: two-sided p of the exact McNemar test.
        improvement: metric to the paired bootstrap interval of the gain.
        slices: name to the test in that slice.
    """

    rows: int
    won: int
    lost: int
    mcnemar_p: float
    improvement: Mapping[str, Interval]
    slices: Mapping[str, SliceTest] = field(default_factory=dict)


@dataclass(frozen=True)
class Evidence:
    """All that a gate may look at.

    Args:
        metrics: name to value with confidence limits, on the held-out rows.
        baseline: the model against the trivial one.
        champion: the model against the champion; None when there is no champion yet.
        identical: the model is the champion, byte for byte.
        note: why the champion could not be compared, if so.
        anew: why somebody wanted no comparison with it, if so.
        unread: what the champion could not read of the rows, in sentences.
    """

    metrics: Mapping[str, Interval]
    baseline: Paired
    champion: Paired | None = None
    identical: bool = False
    note: str = ""
    anew: str = ""
    unread: tuple[str, ...] = ()


@dataclass(frozen=True)
class Criterion:
    """One gate's outcome: what was asked, what was found, whether it holds and why."""

    name: str
    value: float | None
    bound: float
    passed: bool
    why: str


@dataclass(frozen=True)
class Verdict:
    """The gate's answer for one bundle.

    Args:
        bundle: digest of the bundle judged.
        champion: digest of the champion it was compared with, or None.
        passed: all criteria hold.
        criteria: every one of them, in the use case's order.
    """

    bundle: str
    champion: str | None
    passed: bool
    criteria: tuple[Criterion, ...]

    @property
    def reasons(self) -> list[str]:
        """Why it did not pass; empty when it did."""
        return [f"{item.name}: {item.why}" for item in self.criteria if not item.passed]

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Verdict:
        """Reads what `to_json` wrote.

        Raises:
            GateError: it is not a verdict, or says 'passed' though a criterion failed.
        """
        try:
            document: dict[str, Any] = json.loads(text)
            criteria = tuple(Criterion(**item) for item in document.pop("criteria"))
            verdict = cls(criteria=criteria, **document)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise GateError(f"not a gate verdict: {error}") from error
        if verdict.passed is not (bool(criteria) and all(item.passed for item in criteria)):
            raise GateError("the verdict contradicts its own criteria")
        return verdict


class Gate(Protocol):
    """Anything that can hold evidence against a bound."""

    def check(self, evidence: Evidence) -> Criterion: ...


@dataclass(frozen=True)
class AtLeast:
    """The metric on the held-out rows is no lower than the bound.

    Args:
        metric: of the use case's task, or of `LATENCIES`.
        bound: a finite number.
    """

    metric: str
    bound: float

    def __post_init__(self) -> None:
        _refuse(self.metric, bound=self.bound)

    def check(self, evidence: Evidence) -> Criterion:
        return _bounded(evidence, self.metric, self.bound, "at least")


@dataclass(frozen=True)
class AtMost:
    """The metric on the held-out rows is no higher than the bound; arguments as for `AtLeast`."""

    metric: str
    bound: float

    def __post_init__(self) -> None:
        _refuse(self.metric, bound=self.bound)

    def check(self, evidence: Evidence) -> Criterion:
        return _bounded(evidence, self.metric, self.bound, "at most")


@dataclass(frozen=True)
class BeatsBaseline:
    """The gain over the trivial model is surely above the margin: the lower confidence limit clears it.

    Args:
        metric: of the use case's task.
        margin: 0 asks for a gain; a negative one allows a loss that small.
    """

    metric: str
    margin: float = 0.0

    def __post_init__(self) -> None:
        _refuse(self.metric, margin=self.margin)

    def check(self, evidence: Evidence) -> Criterion:
        gain = _known(evidence.baseline.improvement, self.metric)
        return _cleared(f"{self.metric} beats the baseline", gain, self.margin, evidence.baseline.rows)


@dataclass(frozen=True)
class BeatsChampion:
    """The gain over the champion on the same rows is surely above the margin.

    With fewer than five discordant rows nothing can be decided and the champion stays. Accuracy needs the exact McNemar
    test as well.

    Args:
        metric: of the use case's task.
        margin: 0 asks for a gain; a negative one allows a loss that small.
        alpha: of the McNemar test.
    """

    metric: str
    margin: float = 0.0
    alpha: float = 0.05

    def __post_init__(self) -> None:
        _refuse(self.metric, margin=self.margin)

    def check(self, evidence: Evidence) -> Criterion:
        name, paired = f"{self.metric} beats the champion", evidence.champion
        if evidence.identical:
            return Criterion(name, 0.0, self.margin, passed=False, why="it is the champion: the same bundle digest")
        if evidence.note:
            return Criterion(name, None, self.margin, passed=False, why=f"not enough evidence: {evidence.note}")
        if paired is None:
            why = f"begun anew: {evidence.anew}" if evidence.anew else "there is no champion yet"
            return Criterion(name, None, self.margin, passed=True, why=why)
        gain = _known(paired.improvement, self.metric)
        discordant = paired.won + paired.lost
        if discordant < FEWEST_DISCORDANT:
            why = f"not enough evidence: the models disagree on {discordant} of {paired.rows:,} rows"
            why += say_needed(paired.rows * FEWEST_DISCORDANT / discordant if discordant else math.inf)
            return Criterion(name, gain.value, self.margin, passed=False, why=why)
        if self.metric == "accuracy" and paired.mcnemar_p >= self.alpha:
            why = f"not enough evidence: McNemar p = {paired.mcnemar_p:.3f}, below {self.alpha:g} is asked"
            why += say_needed(mcnemar_rows(paired.rows, paired.won, paired.lost, self.alpha))
            return Criterion(name, gain.value, self.margin, passed=False, why=why)
        return _cleared(name, gain, self.margin, paired.rows)


@dataclass(frozen=True)
class NoSliceWorse:
    """In no slice is the model surely worse than the champion (one-sided McNemar, Holm over the slices)."""

    alpha: float = 0.05

    def check(self, evidence: Evidence) -> Criterion:
        name = "no slice worse than the champion"
        slices = evidence.champion.slices if evidence.champion else {}
        if not slices:
            return Criterion(name, None, self.alpha, passed=True, why="there is nothing to compare")
        worst = min(slices, key=lambda part: slices[part].p_worse)
        test = slices[worst]
        passed = test.p_worse >= self.alpha
        why = f"{worst}: won {test.won}, lost {test.lost} of {test.rows} rows, adjusted p = {test.p_worse:.3f}"
        return Criterion(name, test.p_worse, self.alpha, passed=passed, why=why)


def judge(gates: Sequence[Gate], evidence: Evidence, *, bundle: str, champion: str | None, extra: str = "") -> Verdict:
    """Holds every gate against the evidence.

    Args:
        gates: of the use case.
        evidence: about the bundle.
        bundle: its digest.
        champion: digest of the champion it was compared with.
        extra: further bounds such as 'roc_auc>=0.9,log_loss<=0.4'; they add to the gates and replace none.
    """
    criteria = tuple(gate.check(evidence) for gate in (*gates, *parse_bounds(extra)))
    return Verdict(bundle, champion, all(item.passed for item in criteria), criteria)


def parse_bounds(text: str) -> tuple[Gate, ...]:
    """Reads 'metric>=number' and 'metric<=number', separated by commas.

    Raises:
        GateError: anything else; whether there is such a metric, `refuse_unknown_metrics` says.
    """
    return tuple(_parse_bound(part.strip()) for part in text.split(",") if part.strip())


def _parse_bound(text: str) -> Gate:
    # A class stands in the name of its own metric, such as f1/Gentoo.
    match = re.fullmatch(r"([a-z0-9_]+(?:/[^<>=]*[^<>=\s])?)\s*(>=|<=)\s*([0-9.eE+-]+)", text)
    try:
        metric, sign, number = match.groups()  # type: ignore[union-attr]  # None is caught below
        bound = float(number)
    except (AttributeError, ValueError):
        bound = math.inf
    if math.isinf(bound):
        raise GateError(f"{text!r} is no bound; write for example roc_auc>=0.85 or log_loss<=0.45")
    return AtLeast(metric, bound) if sign == ">=" else AtMost(metric, bound)


def _bounded(evidence: Evidence, metric: str, bound: float, words: Literal["at least", "at most"]) -> Criterion:
    figure = _known(evidence.metrics, metric)
    passed = figure.value >= bound if words == "at least" else figure.value <= bound
    why = f"{figure.value:.4f} [{figure.low:.4f}, {figure.high:.4f}], asked: {words} {bound:g}"
    return Criterion(f"{metric} {words} {bound:g}", figure.value, bound, passed, why)


def _known(figures: Mapping[str, Interval], metric: str) -> Interval:
    try:
        return figures[metric]
    except KeyError:
        raise GateError(f"no metric {metric!r}; there are: {', '.join(figures)}") from None


def _cleared(name: str, gain: Interval, margin: float, rows: int) -> Criterion:
    passed = gain.low > margin
    why = f"gain {gain.value:+.4f} [{gain.low:+.4f}, {gain.high:+.4f}], its lower limit must exceed {margin:g}"
    if not passed and gain.high > margin:
        why = f"not enough evidence: {why}{say_needed(interval_rows(gain.value, gain.low, margin, rows))}"
    return Criterion(name, gain.value, margin, passed, why)


def refuse_unknown_metrics(gates: Iterable[object], task: Task[Any, Any]) -> None:
    """Raises where gates are declared for a label, not when a model was trained for them.

    Raises:
        GateError: a gate is on a metric that the task has not.
    """
    paired = [metric.name for metric in task.metrics]
    for gate in gates:
        known = [*paired, *LATENCIES] if isinstance(gate, AtLeast | AtMost) else paired
        metric = getattr(gate, "metric", None)
        if metric is not None and metric not in known:
            raise GateError(f"no metric {metric!r}; there are: {', '.join(known)}")


def _refuse(metric: str, **numbers: float) -> None:
    for name, number in numbers.items():
        if isinstance(number, bool) or not isinstance(number, int | float) or not math.isfinite(number):
            raise GateError(f"the {name} of a gate on {metric} is {number!r}, not a finite number")
