"""Batch scoring against the scikit-learn pipeline that the bundle was exported from, on the same rows."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv

from lifeboat.data.reading import read_table
from lifeboat.data.table import check_table
from lifeboat.model.bundle import open_bundle
from lifeboat.model.scoring import Scorer
from lifeboat.pipeline.batch_scoring import PIECE, score
from lifeboat.preprocess.step import Outputs, preprocess
from lifeboat.train.parity import data_frame
from lifeboat.train.step import Trained, train
from lifeboat.usecase.schema import Schema
from lifeboat.usecase.usecase import UseCase

RUNS = 3
Say = Callable[[str], None]


@dataclass(frozen=True)
class _Sides:
    """Both sides' work: from file to file, and the bare model on rows in memory."""

    score_file: Callable[[], Any]
    sklearn_file: Callable[[], Any]
    onnx_rows: Callable[[], Any]
    sklearn_rows: Callable[[], Any]


def compare(usecase: UseCase, table: Path, say: Say) -> dict[str, Any]:
    """Trains on the use case's own table and scores another by both; the sides take turns.

    Args:
        usecase: gives data and schema.
        table: CSV file to score.
        say: told of each run.

    Returns:
        The model's name, the median seconds of each side, and the largest difference between their files.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        trained = _train(usecase, directory)
        sides = _sides(usecase.schema, trained, table, directory)
        times = _race(sides, say)
        worst = _difference(directory / "onnx.csv", directory / "sklearn.csv")
    return {"model": trained.search.best.candidate, "seconds": times, "difference": worst}


def _train(usecase: UseCase, directory: Path) -> Trained:
    parts = ("train.parquet", "test.parquet", "quarantine.csv", "profile.html")
    outputs = Outputs(*(directory / part for part in parts))
    preprocess(usecase, str(usecase.data), outputs, say=_quiet)
    return train(usecase, outputs.train, directory / "bundle", say=_quiet)


def _sides(schema: Schema, trained: Trained, table: Path, directory: Path) -> _Sides:
    bundle = open_bundle(directory / "bundle")
    rows = check_table(read_table(table), schema, labelled=False, name=str(table)).table
    frame = data_frame(rows, schema)
    scorer = Scorer(bundle.model, schema)
    pool = ThreadPoolExecutor(os.cpu_count())
    pieces = [rows.slice(start, PIECE) for start in range(0, rows.num_rows, PIECE)]
    return _Sides(
        score_file=lambda: score(bundle, table, directory / "onnx.csv", progress=_silent),
        sklearn_file=lambda: _score_by_sklearn(trained.model, schema, table, directory / "sklearn.csv"),
        onnx_rows=lambda: list(pool.map(scorer.probabilities, pieces)),
        sklearn_rows=lambda: trained.model.predict_proba(frame),
    )


def _score_by_sklearn(model: Any, schema: Schema, source: Path, target: Path) -> None:
    """What one would write without us: pandas reads, the pipeline predicts, pandas writes; nothing is checked."""
    texts = [column.name for column in schema.known.values() if not column.is_number]
    numbers = {column.name: np.float32 for column in schema.columns if column.is_number}
    frame = pd.read_csv(
        source,
        dtype={**numbers, **dict.fromkeys(texts, str)},
        keep_default_na=False,
        na_values={name: [""] for name in numbers},
    )
    probabilities = model.predict_proba(frame[list(schema.names)])
    answers = frame[[key.name for key in schema.keys]].copy()
    for number, name in enumerate(schema.label.classes):
        answers[f"probability_{name}"] = probabilities[:, number].astype(np.float32)
    answers["prediction"] = np.asarray(schema.label.classes, dtype=object)[(probabilities[:, 1] > 0.5).astype(int)]
    answers.to_csv(target, index=False)


def _race(sides: _Sides, say: Say) -> dict[str, float]:
    times: dict[str, list[float]] = {name: [] for name in vars(sides)}
    for run in range(RUNS):
        for name, work in vars(sides).items():
            start = time.perf_counter()
            work()
            times[name].append(time.perf_counter() - start)
            say(f"run {run + 1} of {RUNS}: {name} took {times[name][-1]:.2f} s")
    return {name: median(taken) for name, taken in times.items()}


def _difference(first: Path, second: Path) -> float:
    """The largest difference between two files of answers in any probability, over all rows in their order."""
    tables = [pa.csv.read_csv(path) for path in (first, second)]
    names = [name for name in tables[0].column_names if name.startswith("probability_")]
    if not tables[0].drop_columns(names).equals(tables[1].drop_columns(names)):
        raise SystemExit(f"{first} and {second} differ in keys or predictions")
    gaps = (tables[0][name].to_numpy() - tables[1][name].to_numpy() for name in names)
    return float(max(np.abs(gap).max() for gap in gaps))


def _quiet(_: str) -> None:
    pass


def _silent(_: int, __: int | None) -> None:
    pass
