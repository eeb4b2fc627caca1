"""Explanations: `python -m tests.bench.explanations [--rows N] [--rounds N] [--seconds S] [--rate R]`.

For each use case that ships: whether base and contributions sum to the answer, what a row costs on one core, and beside
shap's KernelExplainer with its own number of questions, what that costs and how far it is from the exact values. Then
the time of predictions at a steady rate while nobody and while everybody asks for explanations, in turns, as a laptop
runs the three programs: on whatever core, the explainer behind the others.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from sklearn.compose import ColumnTransformer

from lifeboat.model.bundle import MODEL, Bundle, open_bundle
from lifeboat.model.explaining.explainer import Explainer
from lifeboat.model.scoring import feeds
from lifeboat.usecase.gates import AtMost
from lifeboat.usecase.schema import Column
from lifeboat.usecase.transformers import CategoryCodes, Floats32
from lifeboat.usecase.usecase import UseCase, load_usecase
from tests.bench.load import Contender, Result, pace, wait_for
from tests.bench.training import make_bundle
from tests.explainer.world import explainer
from tests.server.world import ROOT, ndarray, server

PEER = ROOT / "tests" / "model" / "explaining" / "shap_peer.py"
PYTHON = ROOT / ".venvs" / "shap" / "bin" / "python"
WIDE = "wide-flights"
USECASES = ("titanic", "penguins", "flights", WIDE)
# Rows that are asked of KernelExplainer, which takes a second each.
KERNEL_ROWS = 10
# Clients that ask for explanations, one after the other, and connections of the predictions.
CLIENTS, CONNECTIONS = 4, 16
say = sys.stdout.write


@dataclass(frozen=True)
class Trained:
    """A use case's bundle in a store, and rows that it did not learn from."""

    bundle: Bundle
    rows: pa.Table


def main() -> None:
    """Prints all of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000, help="explained of each use case (default: 1000)")
    parser.add_argument("--meanwhile", action="store_true", help="only the predictions (default: all of it)")
    parser.add_argument("--nice", default="10", help="of the explainer (default: 10, as usual)")
    parser.add_argument("--rounds", type=int, default=7, help="of predictions with and without (default: 7)")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of each (default: 5)")
    parser.add_argument("--rate", type=float, default=500.0, help="predictions a second (default: 500)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lifeboat-bench-") as folder:
        work = Path(folder)
        first = _train(USECASES[0], work)
        for name in () if options.meanwhile else USECASES:
            _costs(name, first if name == USECASES[0] else _train(name, work), options.rows, work)
        _meanwhile(first, work, options)


def wide_flights() -> UseCase:
    """Flights by all 18 columns of the table, which no use case should: some are known after the arrival."""
    flights = load_usecase("flights")
    numbers = ["year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "flight", "air_time"]
    more = [Column(name, "float", nullable=True, example=1.0) for name in numbers]
    tail = Column("tailnum", "category", nullable=True, max_length=6, example="N14228")

    def features() -> ColumnTransformer:
        parts = [("all", Floats32(), numbers), ("tail", CategoryCodes(), ["tailnum"])]
        return ColumnTransformer([("flight", flights.features(), list(flights.schema.names)), *parts])

    schema = replace(flights.schema, columns=(*flights.schema.columns, *more, tail), ignore=())
    return replace(flights, name=WIDE, schema=schema, features=features, baseline=(), gates=(AtMost("mae", 30),))


def _train(name: str, work: Path) -> Trained:
    usecase = wide_flights() if name == WIDE else load_usecase(name)
    bundle, test = make_bundle(usecase, str(usecase.data), work / name)
    made = open_bundle(bundle)
    place = work / "store" / "bundles" / made.usecase / made.digest
    place.parent.mkdir(parents=True)
    bundle.rename(place)
    held = pq.read_table(test)
    return Trained(open_bundle(place), held.select([name for name in made.schema.names if name in held.column_names]))


def _costs(name: str, trained: Trained, rows: int, work: Path) -> None:
    tool, bundle = Explainer(trained.bundle), trained.bundle
    table = trained.rows.take(pa.array(np.arange(rows) % trained.rows.num_rows))
    inputs, seconds, off, asked = feeds(bundle.schema, table), list[float](), list[float](), list[float]()
    for place in range(rows):
        begun = time.process_time()
        found = tool.explain_rows({column: tensor[place : place + 1] for column, tensor in inputs.items()})
        seconds.append(time.process_time() - begun)
        asked.append(found.asked)
        off.append(float(np.abs(found.base + found.contributions.sum(axis=1) - found.answers).max()))
    p50, p99 = (1000 * float(np.quantile(seconds, share)) for share in (0.5, 0.99))
    say(f"\n{name}: {rows} rows of {len(bundle.schema.names)} columns, {len(bundle.model):,} bytes of graph\n")
    say(f"  sums are off by {max(off):.1e} at most; {statistics.mean(asked):,.0f} questions a row\n")
    say(f"  CPU of a row: p50 {p50:.1f} ms, p99 {p99:.1f} ms\n")
    if PYTHON.exists():
        _kernel(tool, trained, table.slice(0, KERNEL_ROWS), work / name)


def _kernel(tool: Explainer, trained: Trained, table: pa.Table, folder: Path) -> None:
    """The same rows and the same background, by KernelExplainer."""
    bundle = trained.bundle
    reference = pq.read_table(bundle.reference, columns=list(bundle.schema.names))
    chosen = np.sort(np.random.default_rng(0).permutation(reference.num_rows)[:100])
    both = {"background": feeds(bundle.schema, reference.take(pa.array(chosen))), "row": feeds(bundle.schema, table)}
    stored = {f"{part} {name}": tensor[:, 0] for part, tensors in both.items() for name, tensor in tensors.items()}
    np.savez(folder / "columns.npz", **stored)
    (folder / "model.onnx").write_bytes((bundle.directory / MODEL).read_bytes())
    found = tool.explain(table)
    question = {"columns": list(bundle.schema.names), "background": len(chosen), "output": bundle.task.output}
    (folder / "question.json").write_text(json.dumps({**question, "place": found.places[0]}))
    subprocess.run([PYTHON, PEER, "kernel", folder], check=True)
    theirs = np.load(folder / "kernel.npz")
    off = np.abs(theirs["values"] - found.contributions[:, :, 0]).max()
    say(f"  shap's KernelExplainer: p50 {1000 * statistics.median(theirs['seconds']):.0f} ms of CPU a row, ")
    say(f"off by {off:.1e} at most (the largest contribution is {np.abs(found.contributions).max():.2g})\n")


def _meanwhile(trained: Trained, work: Path, options: argparse.Namespace) -> None:
    row = [trained.rows[name][0].as_py() for name in trained.bundle.schema.names]
    body = json.dumps(ndarray(row))
    with (
        explainer(work / "store", "--nice", options.nice) as reasons,
        server(trained.bundle.directory, "--explainer-url", reasons.url) as running,
    ):
        contender = Contender("predictions", running.port, "/predict", body)
        wait_for(contender)
        quiet, busy, explained = list[Result](), list[Result](), 0
        for _ in range(options.rounds):
            quiet.append(pace(contender, CONNECTIONS, options.seconds, options.rate))
            before = reasons.metrics()["lifeboat_explainer_rows_total"]
            with _explaining(running.port, body):
                busy.append(pace(contender, CONNECTIONS, options.seconds, options.rate))
            explained += int(reasons.metrics()["lifeboat_explainer_rows_total"] - before)
    rate = explained / options.rounds / options.seconds
    say(f"\npredictions at {options.rate:g}/s, {options.rounds} rounds of {options.seconds:g} s in turns\n")
    for title, runs in (("nobody asks for reasons", quiet), (f"{rate:.0f} rows/s are explained", busy)):
        p50, p99 = (statistics.median(getattr(run, name) for run in runs) for name in ("p50", "p99"))
        say(f"  {title:34} p50 {p50:.2f} ms, p99 {p99:.2f} ms (medians of the rounds)\n")


@contextmanager
def _explaining(port: int, body: str) -> Iterator[None]:
    """Clients that ask for explanations, as fast as they are answered."""
    command = [sys.executable, "-m", "tests.bench.askers", str(port), str(CLIENTS)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(body)
        process.stdin.close()
        assert process.stdout.readline() == "ready\n"
        try:
            yield
        finally:
            process.terminate()
    assert process.returncode == 0


if __name__ == "__main__":
    main()
