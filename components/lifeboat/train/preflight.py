"""Which candidates cannot be trained, exported or served, found out on a few rows before a search begins.

Each candidate is fitted on some hundred rows, exported, loaded in ONNX Runtime and held against scikit-learn on these
rows and on probes of what the schema lets in.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.model_selection import ParameterGrid
from sklearn.pipeline import FeatureUnion, Pipeline
from threadpoolctl import threadpool_limits

from lifeboat.config.errors import BundleError, UseCaseError, first_line
from lifeboat.data.weights import Weights
from lifeboat.model.onnx.nodes import parts
from lifeboat.model.onnx.onnx_export import export_onnx
from lifeboat.model.scoring import Scorer
from lifeboat.tasks.learning import Fitted, Learning, learning_of
from lifeboat.train.features import make_features
from lifeboat.train.fitting import Stopping, fit, seeded, small
from lifeboat.train.folds import StopRows
from lifeboat.train.parity import check_parity
from lifeboat.train.remedies import remedy, remedy_of_difference, remedy_of_refusal
from lifeboat.train.words import words_of
from lifeboat.usecase.schema import Schema
from lifeboat.usecase.usecase import Candidate, UseCase

# Rows of all strata of the label together, of each at least, and rows with a null in each nullable column.
_ROWS, _ROWS_OF_A_STRATUM, _NULLS = 240, 4, 6
# What scikit-learn and skl2onnx raise where something cannot be done: no other library's code runs there.
REFUSALS = (ValueError, TypeError, AttributeError, RuntimeError, NameError, LookupError, ArithmeticError)


@dataclass(frozen=True)
class Finding:
    """A candidate that cannot be used.

    Args:
        candidate: its name.
        problem: a sentence: which step, why, and what to use instead.
    """

    candidate: str
    problem: str


def examine(usecase: UseCase, X: Any, y: NDArray[Any], *, seed: int = 0) -> list[Finding]:
    """Fits, exports, loads and probes each candidate on a few rows.

    Args:
        usecase: features, candidates and schema.
        X: raw training rows, a data frame, [n, columns].
        y: labels, [n].
        seed: of the estimators.

    Returns:
        One finding for each candidate that cannot be used, in the candidates' order.
    """
    learning = learning_of(usecase.task)
    rows = _some_rows(usecase.schema, X, usecase.task.strata(y))
    X, y = X.iloc[rows], y[rows]
    with threadpool_limits(1, "openmp"):
        try:
            with _refusing("the features cannot be made"):
                features = make_features(usecase, X)
                made = features.fit_transform(X, y)
        except UseCaseError as error:
            return [Finding(candidate.name, str(error)) for candidate in usecase.candidates]
        weights = np.ones(len(y)) if usecase.is_weighted else None
        known = _Known(
            learning, usecase.schema, features, made, X, y, seed, weights, _first_of_each(usecase.task.strata(y))
        )
        found = [_examine(candidate, known) for candidate in usecase.candidates]
    return [finding for finding in found if finding]


@dataclass(frozen=True)
class _Known:
    """What all candidates are examined on."""

    learning: Learning[Any]
    schema: Schema
    features: Any
    made: Any
    X: Any
    y: NDArray[Any]
    seed: int
    weights: Weights
    stop_rows: StopRows


def _examine(candidate: Candidate, known: _Known) -> Finding | None:
    """What is wrong with one candidate, if anything."""
    try:
        parameters = first_parameters(candidate)
        with _refusing(f"it cannot be trained with {parameters or 'its own parameters'}"):
            estimator = small(seeded(clone(candidate.estimator).set_params(**parameters), known.seed))
            stopping = None if candidate.stop_after is None else Stopping(candidate.stop_after, known.stop_rows)
            fit(estimator, known.made, known.y, known.weights, stopping)
        _refuse_wrong_kind(estimator, known.learning)
        pipeline = Pipeline([("features", known.features), ("estimator", estimator)])
        uncalibrated = known.learning.uncalibrated(known.y)
        check_export(Fitted(pipeline, known.learning, uncalibrated), known.schema, known.X)
    except (UseCaseError, BundleError) as error:
        return Finding(candidate.name, str(error))
    return None


def _refuse_wrong_kind(estimator: Any, learning: Learning[Any]) -> None:
    if problem := learning.problem(estimator):
        name = type(estimator[-1] if isinstance(estimator, Pipeline) else estimator).__name__
        raise UseCaseError(f"{name} {problem}; use {remedy(name)}")


def check_export(model: Fitted, schema: Schema, X: Any) -> tuple[bytes, Scorer, float]:
    """Exports a fitted model and holds the graph against it, on the rows of X and on probes.

    Returns:
        The graph, as bytes and loaded, and the largest difference of an answer.

    Raises:
        UseCaseError: with the step, the cause and the remedy.
    """
    try:
        graph = export_onnx(model, schema, X)
        return graph, *check_parity(model, graph, schema, _table(X))
    except BundleError as error:
        raise UseCaseError(f"{error}; {remedy_of_refusal(str(error)) or _instead(model.pipeline)}") from error
    except REFUSALS as error:
        name, part = _culprit(model.pipeline, error)
        instead = f"; use {remedy(type(part).__name__)}"
        raise UseCaseError(f"{name} cannot become an ONNX graph: {_cause(error, schema)}{instead}") from error


def first_parameters(candidate: Candidate) -> dict[str, Any]:
    """The first parameters of the grid, or some of the search.

    Raises:
        UseCaseError: the grid cannot be used.
    """
    with _refusing("its grid cannot be used"):
        if candidate.search is not None:
            return candidate.search.first
        return dict(sorted(next(iter(ParameterGrid(dict(candidate.grid)))).items()))


@contextmanager
def _refusing(what: str) -> Iterator[None]:
    try:
        yield
    except REFUSALS as error:
        instead = remedy_of_refusal(str(error))
        raise UseCaseError(f"{what}: {first_line(error)}" + (f"; {instead}" if instead else "")) from error


def _some_rows(schema: Schema, X: Any, strata: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows of every stratum spread over the table, and some with a null in each column that may be null."""
    known = np.unique(strata)
    count = max(_ROWS // len(known), _ROWS_OF_A_STRATUM)
    chosen = [_spread(np.flatnonzero(strata == stratum), count) for stratum in known]
    for column in schema.columns:
        if column.nullable:
            values = X[column.name].to_numpy()
            null = np.isnan(values.astype(np.float64)) if column.is_number else values == ""
            chosen.append(_spread(np.flatnonzero(null), _NULLS))
    return np.unique(np.concatenate(chosen))


def _first_of_each(strata: NDArray[np.int64]) -> StopRows:
    """Holds one row of every stratum."""
    held = np.zeros(len(strata), bool)
    held[np.unique(strata, return_index=True)[1]] = True
    return StopRows(~held, held)


def _spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most so many of them, at irregular distances: a table may repeat itself every few rows."""
    if len(rows) <= count:
        return rows
    return np.sort(np.random.default_rng(0).permutation(rows)[:count])


def _table(X: Any) -> pa.Table:
    return pa.table({name: pa.array(X[name].to_numpy()) for name in X.columns})


def _cause(error: Exception, schema: Schema) -> str:
    text = words_of(error, schema)
    return "the class has no converter" if text.startswith("Unable to find a shape calculator") else text


def _instead(model: Pipeline) -> str:
    """The remedy of the step that the table of remedies knows, else of any."""
    for name, part in reversed(named_steps(model)):
        if instead := remedy_of_difference(type(part).__name__):
            return f"{name} may be the cause: use {instead}"
    return f"use {remedy('')}"


def _culprit(model: Pipeline, error: Exception) -> tuple[str, Any]:
    """The step at which a conversion failed: the last one that a frame of the error was about."""
    names = {id(part): name for name, part in named_steps(model)}
    found, trace = None, error.__traceback__
    while trace is not None:
        for value in trace.tb_frame.f_locals.values():
            part = getattr(value, "raw_operator", value)
            if id(part) in names:
                found = part
        trace = trace.tb_next
    if found is None:
        return "a step", None
    return names[id(found)], found


def named_steps(model: Pipeline) -> list[tuple[str, Any]]:
    """Every estimator inside a pipeline of features and classifier, with its place in words; the innermost last."""
    named = [(f"features, {name}" if name else "the features", part) for name, part in _inner(model[0], "")]
    named += [(f"the estimator, {name}" if name else "the estimator", part) for name, part in _inner(model[-1], "")]
    return [(f"{name} {type(part).__name__}", part) for name, part in named]


def _inner(part: Any, name: str) -> Iterator[tuple[str, Any]]:
    """An estimator and those inside it."""
    yield name, part
    if isinstance(part, ColumnTransformer):
        inner = [(step, inner) for step, inner, _ in part.transformers_]
    elif isinstance(part, FeatureUnion):
        inner = list(part.transformer_list)
    elif isinstance(part, Pipeline):
        inner = list(part.steps)
    else:
        inner = []
        for item in parts(part)[1:]:
            yield name, item
    for step, item in inner:
        if not isinstance(item, str):
            yield from _inner(item, f"step {step!r}")
