"""A use case is a value: everything that differs between two tables, and nothing that does not.

The platform imports it by name, by dotted module or by path (`lifeboat.usecase.importing`) and takes its `USECASE`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from lifeboat.config.errors import UseCaseError
from lifeboat.data.csv.dialect import PLAIN, Csv
from lifeboat.tasks.binary.decision import ThresholdDecision
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.task import PREDICTION, Task
from lifeboat.usecase.drift_policy import DriftPolicy, Limit
from lifeboat.usecase.explain_policy import USUAL, ExplainPolicy
from lifeboat.usecase.feature_store import FeatureStore, refuse_unfit_store
from lifeboat.usecase.gates import Gate, refuse_unknown_metrics
from lifeboat.usecase.importing import import_reference
from lifeboat.usecase.schema import LARGEST_INPUT, Schema
from lifeboat.usecase.sql import Sql
from lifeboat.usecase.threshold import LIKELIER_CLASS, ThresholdRule

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

Correction = Literal["calibrated", "bonferroni", "fdr"]
_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}")
# What the drift detector calls the answer, beside the columns.
SCORE = "score"
# Columns that start so are the platform's own: in the labelled rows, the prepared tables and the drift reference.
HIDDEN_PREFIX = "__"


@dataclass(frozen=True)
class Between:
    """A range that a parameter is drawn from, ends included; of whole numbers where both ends are.

    Args:
        low, high: the ends.
        log: drawn evenly on a logarithmic scale.
    """

    low: float
    high: float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high or (self.log and self.low <= 0):
            raise UseCaseError(f"{self}: low must be below high, and above 0 on a logarithmic scale")

    @property
    def is_whole(self) -> bool:
        return isinstance(self.low, int) and isinstance(self.high, int)


@dataclass(frozen=True)
class Sampled:
    """A search by Optuna (the extra `search`): each trial's parameters follow from those before it (TPE), and a trial
    that is worse than most after some folds is given up (median pruning).

    Args:
        space: parameter name to a `Between`, or to the values to choose from.
        trials: at most so many.
        seconds: after so many no further one begins. How many there are then depends on the machine; without it the
            same seed gives the same trials and the same bundle.
    """

    space: Mapping[str, Between | Sequence[Any]]
    trials: int = 30
    seconds: float | None = None

    def __post_init__(self) -> None:
        if not self.space or any(not isinstance(one, Between) and not len(one) for one in self.space.values()):
            raise UseCaseError("a search has a space, and each of its parameters a range or values")
        if self.trials < 1 or (self.seconds is not None and self.seconds <= 0):
            raise UseCaseError(f"a search of {self.trials} trials in {self.seconds} seconds tries nothing")

    @property
    def first(self) -> dict[str, Any]:
        """One point of it, for a look at the candidate."""
        return {name: one.low if isinstance(one, Between) else one[0] for name, one in sorted(self.space.items())}


@dataclass(frozen=True)
class Candidate:
    """One family of models to try.

    Args:
        name: in progress, metrics and the model card.
        estimator: an unfitted scikit-learn classifier over the features, with a fixed `random_state`.
        grid: parameter name to values; every combination is tried.
        search: instead of a grid, parameters that are drawn.
        stop_after: of one that learns in rounds (LightGBM, XGBoost, CatBoost, HistGradientBoosting): a fit ends after
            so many that did not better the loss on a tenth of its rows, which it does not learn from: whole groups, by
            time the newest.
    """

    name: str
    estimator: BaseEstimator
    grid: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    search: Sampled | None = None
    stop_after: int | None = None

    def __post_init__(self) -> None:
        if self.grid and self.search is not None:
            raise UseCaseError(f"candidate {self.name!r} has a grid and a search; give one of the two")
        if self.stop_after is not None and self.stop_after < 1:
            raise UseCaseError(f"candidate {self.name!r}: stop_after is {self.stop_after}, less than one round")


@dataclass(frozen=True)
class Slice:
    """A part of the rows to judge by itself: one per value of a column, or per band of a number.

    Args:
        column: name of an input.
        edges: inner limits of the bands, ascending; (16, 40) makes 'under 16', '16 to 40' and '40 and over'.
    """

    column: str
    edges: tuple[float, ...] = ()


@dataclass(frozen=True)
class Split:
    """How rows are divided.

    Args:
        test: share of the rows held out, which training never sees; by time also the moment from which on they are,
            such as "2013-11-01". A share moves on as rows come in, a moment stays: what is later is never learned.
        folds: of the cross-validation among the training rows; by time each is held against all rows before it.
        salt: with another salt other groups are held out.
        by: "group", by a hash of each group's name, or "time": the newest rows are held out. Groups stay together
            either way; by time the earlier rows of a group that has later ones do not train.
        column: by time, the datetime column, an input or a key, that says when a row was asked about.
        gap: by time, so long before what is held out nothing is learned, because it was not known by then.
    """

    test: float | str = 0.2
    folds: int = 5
    salt: str = "lifeboat"
    by: Literal["group", "time"] = "group"
    column: str | None = None
    gap: timedelta = timedelta(0)

    @property
    def gap_microseconds(self) -> float:
        """As times are counted."""
        return self.gap / timedelta(microseconds=1)

    def __post_init__(self) -> None:
        if self.by not in ("group", "time"):
            raise UseCaseError(f"split: by is {self.by!r}, neither 'group' nor 'time'")
        if (self.column is None) == (self.by == "time"):
            raise UseCaseError("split: by time there is a column that says when, and only then")
        if self.by != "time" and (isinstance(self.test, str) or self.gap):
            raise UseCaseError("split: only by time is test a moment, or is there a gap")
        if not isinstance(self.test, str) and not 0 < self.test < 1:
            raise UseCaseError(f"split: test is {self.test}, not a share between 0 and 1")
        if self.gap < timedelta(0):
            raise UseCaseError(f"split: gap is {self.gap}, which is negative")
        if self.folds < 2:
            raise UseCaseError(f"split: folds is {self.folds}, less than 2")


@dataclass(frozen=True)
class Drift(DriftPolicy):
    """When the world counts as changed: the policy of the windows, and how one is tested.

    Args:
        p_value: chance of a false alarm over all features of one window.
        correction: how `p_value` is divided among the features: 'calibrated' (by simulation from the reference),
            'bonferroni' (safe, too strict where features go together) or 'fdr' (false discovery rate).
        reference: at most so many training rows are kept as the reference.
    """

    p_value: float = 0.05
    correction: Correction = "calibrated"
    reference: int = 1000

    def __post_init__(self) -> None:
        if self.problem:
            raise UseCaseError(f"drift: {self.problem}")

    def _limits(self) -> tuple[Limit, ...]:
        return (
            *super()._limits(),
            ("p_value", 0.001 <= self.p_value < 1, "at least 0.001, the least that can be calibrated, and below 1"),
            ("correction", self.correction in get_args(Correction), f"one of {', '.join(get_args(Correction))}"),
            ("reference", self.reference >= self.minimum, f"at least the minimum of {self.minimum}"),
        )


@dataclass(frozen=True)
class UseCase:
    """All the platform has to know of one prediction task.

    Args:
        name: lower case letters, digits and hyphens; names the model in the registry and at the endpoint.
        title: one line for people.
        schema: of the raw rows.
        data: where the labelled table is: path or URL of a CSV or Parquet file, of a folder or pattern of them, or a
            `Sql`.
        features: makes an unfitted transformer from a raw data frame (float32 and string columns) to float32 [n, k],
            built from exportable parts only (`lifeboat.usecase.transformers` and scikit-learn's own).
        candidates: the models to search.
        gates: what a model must show to be shipped.
        baseline: columns whose group means are the trivial model to beat.
        slices: parts of the rows reported, and judged against the champion, by themselves.
        split, drift, explain: see there.
        store: of columns that a caller cannot send; see docs/features.md.
        max_quarantine: share of rows that may break the schema before `preprocess` fails.
        threshold: of two classes, how the threshold of the decision is found: `Threshold` sets it; `BestF1`,
            `LowestCost`, `RecallAtLeast` and `PrecisionAtLeast` choose it on the cross-validation.
        chosen_by: name of the metric by which the search chooses among the candidates, on the cross-validation; the
            task's own unless given (log loss of classes, mean absolute error of a number).
        weight: name of a number without nulls, an input or a key, that says how much a row counts, in training and in
            every metric; all count alike unless given. Live figures count each prediction once.
        class_weights: name of a class to how much its rows count; those that are not named count once.
        deduplicate: drop rows that are alike in every column, of a table whose rows have no id. They are data, and
            dropping them moves the base rate; rows of one id are one row in any case.
        csv: how the CSV files of the use case are written, to train on and to score, as far as it is not recognised.
    """

    name: str
    title: str
    schema: Schema
    data: str | Path | Sql
    features: Callable[[], BaseEstimator]
    candidates: tuple[Candidate, ...]
    gates: tuple[Gate, ...]
    baseline: tuple[str, ...]
    slices: tuple[Slice, ...] = ()
    split: Split = Split()
    drift: Drift = Drift()
    explain: ExplainPolicy = USUAL
    store: FeatureStore | None = None
    max_quarantine: float = 0.02
    threshold: ThresholdRule = LIKELIER_CLASS
    deduplicate: bool = False
    csv: Csv = PLAIN
    chosen_by: str = ""
    weight: str | None = None
    class_weights: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_weighted(self) -> bool:
        """Whether rows count more or less."""
        return self.weight is not None or bool(self.class_weights)

    @property
    def task(self) -> Task[Any, Any]:
        """What its label asks for."""
        return task_of(self.schema.label)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise UseCaseError(f"use case name {self.name!r} is not lower case letters, digits and hyphens")
        wanted = {*self.baseline, *(part.column for part in self.slices)}
        unknown = sorted(wanted - set(self.schema.names))
        if unknown:
            raise UseCaseError(f"use case {self.name}: baseline or slices name no input: {', '.join(unknown)}")
        if not self.candidates or not self.gates:
            raise UseCaseError(f"use case {self.name}: at least one candidate and one gate are needed")
        output = self.task.output
        if output in self.schema.names:
            raise UseCaseError(f"use case {self.name}: {output} is the model's output, no column may be called so")
        if SCORE in self.schema.names:
            raise UseCaseError(f"use case {self.name}: {SCORE} is the detector's name for what the model answers")
        self._refuse_metrics()
        hidden = [name for name in (*self.schema.known, self.schema.label.name) if name.startswith(HIDDEN_PREFIX)]
        if hidden:
            raise UseCaseError(f"use case {self.name}: column {hidden[0]}: names that start with __ are the platform's")
        self._refuse_columns()
        try:
            refuse_unfit_store(self.store, self.schema)
        except UseCaseError as error:
            raise UseCaseError(f"use case {self.name}: {error}") from None
        self._refuse_groups()
        self._refuse_time()
        self._refuse_weights()
        names = [candidate.name for candidate in self.candidates]
        if len(set(names)) < len(names):
            raise UseCaseError(f"use case {self.name}: two candidates share a name: {', '.join(sorted(names))}")

    def _refuse_metrics(self) -> None:
        """What is asked of the kind of answer that there is not."""
        if not self.chosen_by:
            object.__setattr__(self, "chosen_by", self.task.steering)
        known = [metric.name for metric in self.task.metrics]
        if self.chosen_by not in known:
            raise UseCaseError(f"use case {self.name}: chosen_by is {self.chosen_by!r}, none of {', '.join(known)}")
        refuse_unknown_metrics(self.gates, self.task)
        first = self.task.metric(self.task.live[0])
        other = "error" if first.higher_is_better else "accuracy"
        if getattr(self.drift, other) is not None:
            raise UseCaseError(f"use case {self.name}: drift: {other} is no figure of such a label, {first.name} is")
        if self.threshold != LIKELIER_CLASS and not issubclass(self.task.decision, ThresholdDecision):
            raise UseCaseError(f"use case {self.name}: a threshold is of two classes, and its label is another")

    def _refuse_weights(self) -> None:
        if self.weight is not None:
            column = self.schema.known.get(self.weight)
            if column is None or not column.is_number or column.is_datetime or column.nullable or column.lower < 0:
                problem = f"weight: {self.weight} is no number with a minimum of 0 or more and without nulls"
                raise UseCaseError(f"use case {self.name}: {problem}")
        classes = getattr(self.schema.label, "classes", ())
        for name, weight in self.class_weights.items():
            if name not in classes:
                raise UseCaseError(f"use case {self.name}: class_weights: {name!r} is no class of the label")
            if not 0 <= weight < math.inf:
                raise UseCaseError(f"use case {self.name}: class_weights: {name} is {weight}, not 0 or more")

    def _refuse_groups(self) -> None:
        try:
            self.explain.players(self.schema.names)
        except UseCaseError as error:
            raise UseCaseError(f"use case {self.name}: explain: {error}") from None

    def _refuse_time(self) -> None:
        """A split by time whose column does not say when."""
        if self.split.column is None:
            return
        column = self.schema.known.get(self.split.column)
        if column is None or not column.is_datetime or column.nullable:
            raise UseCaseError(
                f"use case {self.name}: split: {self.split.column} is no datetime column that has no null"
            )
        if isinstance(self.split.test, str):
            try:
                column.parse(self.split.test)
            except ValueError as error:
                raise UseCaseError(f"use case {self.name}: split: test: {error}") from None

    def _refuse_columns(self) -> None:
        """What can be declared by itself, but not be trained on or answered."""
        for name in (*self.baseline, *(part.column for part in self.slices)):
            if self.schema.known[name].personal:
                problem = f"{name} is personal, and the card would show its values: it is no baseline and no slice"
                raise UseCaseError(f"use case {self.name}: {problem}")
        for column in self.schema.columns:
            if column.kind == "integer" and max(abs(column.lower), abs(column.upper)) > LARGEST_INPUT:
                limit = f"beyond {LARGEST_INPUT} a model cannot take it exactly; make it a key, or text"
                raise UseCaseError(
                    f"use case {self.name}: column {column.name}: its limits are {column.limits}: {limit}"
                )
        answers = {PREDICTION, *self.task.columns}
        for key in self.schema.keys:
            if key.name in answers:
                raise UseCaseError(f"use case {self.name}: key {key.name}: batch scoring calls its answers so")


def load_usecase(reference: str) -> UseCase:
    """Gives the use case of a name under `components/lifeboat/usecases`, of a dotted module or of a path.

    Raises:
        UseCaseError: there is no such module, importing it fails, or it holds no USECASE.
    """
    module = import_reference(reference)
    usecase = getattr(module, "USECASE", None)
    if not isinstance(usecase, UseCase):
        raise UseCaseError(f"{module.__name__} holds no USECASE of type UseCase")
    return usecase
