"""Train: search, final fit, calibration, ONNX export, parity check, bundle."""

from __future__ import annotations

import io
import json
import platform
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.pipeline import Pipeline
from threadpoolctl import threadpool_limits

from lifeboat.config.errors import BundleError, UseCaseError
from lifeboat.config.seeds import check_seed
from lifeboat.data.split import group_names
from lifeboat.data.weights import row_weights, some
from lifeboat.model.bundle import GOLDEN, MODEL, REFERENCE, SCHEMA, write_bundle
from lifeboat.model.onnx.nodes import parts
from lifeboat.model.onnx.onnx_converters import BOOSTERS
from lifeboat.model.scoring import Scorer
from lifeboat.preprocess.step import HOLDOUT, Summary, read_summary
from lifeboat.system.progress import LEFT_OUT
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.learning import Fitted
from lifeboat.train.candidate_cache import Examine, examine_anew
from lifeboat.train.features import make_features
from lifeboat.train.folds import Rows
from lifeboat.train.parity import data_frame
from lifeboat.train.preflight import check_export
from lifeboat.train.reference import make_reference
from lifeboat.train.refit import fit_best, seen_nearly_all
from lifeboat.train.search import Search, Trial, search
from lifeboat.usecase.column import json_value
from lifeboat.usecase.schema import Schema
from lifeboat.usecase.usecase import UseCase

GOLDEN_ROWS = 20
# Threads of a fit wait for each other many times. On fewer rows than this they gain nothing, and where another process
# wants one of their cores each wait lasts until that gives way: 5 times as long for 5,000 rows.
ROWS_FOR_THREADS = 10_000
# Of the rows' summary, what the manifest says of the data.
LINEAGE = (
    "digest", "rows", "labelled", "labelled_digest", "labelled_since", "labelled_until", "sources", "train", "test",
)  # fmt: skip
_ROW = "__row"
VERSIONS = ("numpy", "onnx", "onnxruntime", "pyarrow", "scikit-learn", "skl2onnx")


@dataclass(frozen=True)
class Trained:
    """What training gave: the bundle's digest, the fitted model, the search."""

    digest: str
    model: Fitted
    search: Search


def train(
    usecase: UseCase,
    rows: Path,
    bundle: Path,
    *,
    seed: int = 0,
    code: str = "unknown",
    version: str = "unknown",
    source: Mapping[str, str] | None = None,
    examine: Examine = examine_anew,
    say: Callable[[str], None] = print,
) -> Trained:
    """Trains the use case's best model and writes its bundle.

    Args:
        usecase: features, candidates and schema.
        rows: the training rows of `preprocess`.
        bundle: directory to make.
        seed: of everything random.
        code, version: the commit and the version of Lifeboat, for the lineage.
        source: commit and digest of the use case's own source, for the lineage.
        examine: finds the candidates that cannot be used.
        say: told of each trial and stage.

    Raises:
        DataError: rows was not written by `preprocess`.
        SettingsError: the seed is none that the generators take.
        UseCaseError: no candidate's graph gives what its pipeline gives.
    """
    check_seed(seed)
    summary = read_summary(rows)
    table = pq.read_table(rows)
    known = training_rows(table, usecase)
    with threadpool_limits(1 if len(known) < ROWS_FOR_THREADS else None, "openmp"):
        found = search(usecase, known, seed=seed, say=say, examine=examine)
        found, model, graph, scorer = _fit_best(usecase, found, known, seed, say)
    decision = found.learning.decide(usecase.threshold, found.labels, found.answers, found.weights)
    say(decision.explain(usecase.schema.label))
    reference = make_reference(table, known, found, usecase, seed=seed, say=say)
    files = {
        MODEL: graph,
        SCHEMA: usecase.schema.to_json().encode(),
        REFERENCE: _parquet(reference),
        GOLDEN: _golden(reference.select(list(usecase.schema.names)), scorer, usecase.schema),
    }
    lineage = {"code": code, "version": version, "usecase": dict(source or {}), "seed": seed}
    digest = write_bundle(bundle, files, _manifest(usecase, summary, found, model, decision, table, lineage))
    return Trained(digest, model, found)


def training_rows(table: pa.Table, usecase: UseCase) -> Rows:
    """The rows of a table that `preprocess` wrote.

    Args:
        table: inputs, keys, label and the hidden columns.
        usecase: schema and split.
    """
    schema = usecase.schema
    times = None if usecase.split.by != "time" else table.column(HOLDOUT).to_numpy()
    y = table.column(schema.label.name).to_numpy()
    return Rows(data_frame(table, schema), y, group_names(table, schema), times, row_weights(usecase, table))


def _fit_best(
    usecase: UseCase,
    found: Search,
    rows: Rows,
    seed: int,
    say: Callable[[str], None],
) -> tuple[Search, Fitted, bytes, Scorer]:
    """Fits and exports the best candidate; where its graph answers otherwise, the next best.

    Args:
        usecase, found, seed, say: see `train`.
        rows: to learn from.

    Raises:
        UseCaseError: none is left.
    """
    X, y = rows.X, rows.y
    while True:
        whole = seen_nearly_all(usecase, found, rows, seed=seed, say=say)
        known = whole.calibration.to_manifest()
        say(f"best: {found.best.candidate}; calibration {'does not help' if known is None else f'helps: {known}'}")
        model = _fit(usecase, whole, rows, seed)
        try:
            graph, scorer, worst = check_export(model, usecase.schema, X)
        except UseCaseError as error:
            say(f"{LEFT_OUT}candidate {found.best.candidate!r}: {error}")
            found = found.without_best(str(error))
            continue
        say(f"ONNX graph of {len(graph):,} bytes differs from scikit-learn by at most {worst:.1e} over {len(y):,} rows")
        for name, problem in found.left_out.items():
            say(f"not among the candidates: {name}: {problem}")
        return whole, model, graph, scorer


def _fit(usecase: UseCase, found: Search, rows: Rows, seed: int) -> Fitted:
    features = make_features(usecase, rows.X)
    made = features.fit_transform(rows.X, rows.y)
    estimator = fit_best(usecase, found, rows, made, seed)
    return Fitted(Pipeline([("features", features), ("estimator", estimator)]), found.learning, found.calibration)


def _parquet(table: pa.Table) -> bytes:
    buffer = io.BytesIO()
    pq.write_table(table, buffer)
    return buffer.getvalue()


def _golden(reference: pa.Table, scorer: Scorer, schema: Schema) -> bytes:
    """Rows of the reference with the graph's answers, the last one with every null that is allowed.

    They are sent about and shown: in place of what is personal they have the column's example.
    """
    chosen = np.linspace(0, reference.num_rows - 1, GOLDEN_ROWS).astype(int)
    nobody = {column.name: column.parse(column.sample) for column in schema.columns if column.personal}
    rows = [{**row, **nobody} for row in reference.take(pa.array(chosen)).to_pylist()]
    rows.append({**rows[0], **{column.name: column.null for column in schema.columns if column.nullable}})
    known = schema.known
    try:
        answers = scorer.answers(pa.Table.from_pylist(rows, schema=reference.schema)).tolist()
    except BundleError as error:
        nullable = ", ".join(column.name for column in schema.columns if column.nullable)
        raise BundleError(f"the model must answer a row without the nullable columns {nullable}: {error}") from error
    golden = [
        {"row": {name: known[name].written(value) for name, value in row.items()}, scorer.task.output: answer}
        for row, answer in zip(rows, answers, strict=True)
    ]
    return (json.dumps(golden, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _manifest(
    usecase: UseCase,
    summary: Summary,
    found: Search,
    model: Fitted,
    decision: Decision,
    table: pa.Table,
    lineage: dict[str, Any],
) -> dict[str, Any]:
    """No path, host or time of the run stands here: the same data, code and seed give the same digest."""
    libraries = {type(part).__module__.partition(".")[0] for part in parts(model.pipeline)} & set(BOOSTERS)
    boosters = {name: sys.modules[name].__version__ for name in sorted(libraries)}
    return {
        "usecase": usecase.name,
        "title": usecase.title,
        "task": usecase.schema.label.kind,
        "decision": decision.to_manifest(),
        "versions": {"python": platform.python_version(), **{name: version(name) for name in VERSIONS}, **boosters},
        "lineage": {"data": _data(summary), "split": summary.split, **lineage},
        "training": {**_training(usecase, found), "baseline": _baseline(usecase, table)},
        "drift": asdict(usecase.drift),
        **({"explain": said} if (said := usecase.explain.to_manifest()) else {}),
        **({"store": store.to_manifest()} if (store := usecase.store) else {}),
    }


def _data(summary: Summary) -> dict[str, Any]:
    views = {"views": summary.views} if summary.views else {}
    return {name: getattr(summary, name) for name in LINEAGE} | views


def _training(usecase: UseCase, found: Search) -> dict[str, Any]:
    """How the model was found."""
    task = usecase.task
    shown = dict.fromkeys((usecase.chosen_by, task.steering, task.headline[0]))
    spread_name = f"{usecase.chosen_by}_spread"

    def rounded(figures: Mapping[str, float]) -> dict[str, float | None]:
        return {name: None if np.isnan(value) else round(value, 6) for name, value in figures.items()}

    def told(trial: Trial) -> dict[str, float | None]:
        return rounded({**{name: trial.figures[name] for name in shown}, spread_name: trial.spread})

    given_up = [
        {"candidate": trial.candidate, "parameters": trial.parameters, "folds": trial.folds, **told(trial)}
        for trial in found.given_up
    ]
    calibrated = {f"{name}_calibrated": found.calibrated[name] for name in shown}
    return {
        "candidate": found.best.candidate,
        "parameters": found.best.parameters,
        "left_out": found.left_out,
        "calibration": found.calibration.to_manifest(),
        "chosen_by": usecase.chosen_by,
        **_weighing(usecase),
        "cross_validation": {
            "rows": found.searched,
            "folds": usecase.split.folds,
            **told(found.best),
            **rounded(calibrated),
        },
        "trials": [
            {"candidate": trial.candidate, "parameters": trial.parameters, **told(trial)} for trial in found.trials
        ],
        **({"given_up": given_up} if given_up else {}),
    }


def _weighing(usecase: UseCase) -> dict[str, Any]:
    """What makes rows count more or less, where something does."""
    found = {"weight": usecase.weight, "class_weights": dict(usecase.class_weights)}
    return {name: value for name, value in found.items() if value}


def _baseline(usecase: UseCase, table: pa.Table) -> dict[str, Any]:
    """The trivial model: one answer for each group of the baseline columns, of the training rows in it."""
    task, columns = usecase.task, list(usecase.baseline)
    y, weights = table.column(usecase.schema.label.name).to_numpy(), row_weights(usecase, table)

    def answer(rows: Any) -> list[float]:
        return task.trivial(y[rows], some(weights, rows))

    cells = table.select(columns).append_column(_ROW, pa.array(np.arange(table.num_rows)))
    grouped = cells.group_by(columns, use_threads=False).aggregate([(_ROW, "list")]).to_pylist() if columns else []
    groups = [
        {"values": [json_value(row[name]) for name in columns], "answer": answer(row[f"{_ROW}_list"])}
        for row in grouped
    ]
    return {
        "columns": columns,
        "overall": task.trivial(y, weights),
        "groups": sorted(groups, key=lambda group: str(group["values"])),
    }
