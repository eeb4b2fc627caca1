"""Two classes, three and a number at the endpoint: `python -m tests.bench.kinds [--rounds N] [--seconds S]`.

The passengers with three labels: whether one survived, that and the deck of the rich, and the age. The columns and the
features are the same, the model is linear, so that the graphs are of one size. Each server has the first core, the load
the other; all are measured in every round.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from lifeboat.data.reading import read_table
from lifeboat.model.bundle import open_bundle
from lifeboat.usecase.gates import BeatsBaseline
from lifeboat.usecase.schema import BinaryLabel, ClassLabel, Label, NumberLabel
from lifeboat.usecase.usecase import Candidate, UseCase
from lifeboat.usecases.titanic import USECASE
from tests.bench.load import LOAD_CORE, Contender, rounds, wait_for
from tests.bench.serving import _ours
from tests.bench.soak import message
from tests.bench.training import make_bundle

say = sys.stdout.write


def main() -> None:
    """Prints requests a second of each, and beside two classes'."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is measured (default: 5)")
    parser.add_argument("--seconds", type=int, default=3, help="length of a run (default: 3)")
    options = parser.parse_args()
    if shutil.which("taskset"):
        os.sched_setaffinity(0, {int(LOAD_CORE)})
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifeboat-bench-")))
        contenders = []
        for name, usecase, table in _kinds():
            bundle = _train(usecase, table, work / name)
            size = len(open_bundle(bundle).model)
            row = open_bundle(bundle).golden[0]["row"]
            port, _ = stack.enter_context(_ours(bundle))
            contenders.append(Contender(f"{name} ({size:,} bytes)", port, "/predict", message(row)))
            wait_for(contenders[-1])
        for connections in (1, 16):
            results = rounds(contenders, connections, options.seconds, options.rounds)
            rates = {name: statistics.median(run.rate for run in runs) for name, runs in results.items()}
            first = next(iter(rates.values()))
            say(f"\n{connections} connections\n")
            for name, rate in rates.items():
                say(f"  {name:40} {rate:10,.0f} requests/s  {rate / first:6.3f} of two classes'\n")


def _kinds() -> list[tuple[str, UseCase, pa.Table]]:
    table = read_table(Path(USECASE.data))
    survived = table.column("Survived").to_pylist()
    three = ["rich" if cabin else ("yes" if lived == "1" else "no")
             for cabin, lived in zip(table.column("Cabin").to_pylist(), survived, strict=True)]  # fmt: skip
    number = np.random.default_rng(0).normal(size=table.num_rows) + np.array(survived, dtype=float)
    logistic = make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=1000))
    made: list[tuple[str, Label, Any, Any, str]] = [
        ("two classes", BinaryLabel("Survived", ("died", "survived")), survived, logistic, "log_loss"),
        ("three classes", ClassLabel("Survived", ("no", "rich", "yes")), three, logistic, "log_loss"),
        ("a number", NumberLabel("Survived"), number, make_pipeline(SimpleImputer(), StandardScaler(), Ridge()), "mae"),
    ]
    place = table.column_names.index("Survived")
    return [
        (name, _usecase(label, estimator, metric), table.set_column(place, "Survived", pa.array(values)))
        for name, label, values, estimator, metric in made
    ]


def _usecase(label: Label, estimator: Any, metric: str) -> UseCase:
    schema = replace(USECASE.schema, label=label)
    candidates = (Candidate("linear", estimator),)
    drift = replace(USECASE.drift, accuracy=None, error=None)
    gates = (BeatsBaseline(metric),)
    return replace(USECASE, schema=schema, candidates=candidates, gates=gates, drift=drift, slices=(), chosen_by="")


def _train(usecase: UseCase, table: pa.Table, folder: Path) -> Path:
    folder.mkdir()
    pq.write_table(table, folder / "rows.parquet")
    return make_bundle(usecase, str(folder / "rows.parquet"), folder)[0]


if __name__ == "__main__":
    main()
