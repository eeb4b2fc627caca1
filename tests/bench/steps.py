"""What the benchmark runs, each in a process of its own: `python -m tests.bench.steps STEP DIRECTORY ROWS`.

Progress goes to standard error; the last line of standard output is JSON.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

from lifeboat.evaluate.step import evaluate
from lifeboat.model.bundle import open_bundle
from lifeboat.preprocess.step import Outputs, preprocess
from lifeboat.train.step import train
from lifeboat.usecase.usecase import load_usecase
from tests.bench.ratio import compare
from tests.bench.table import write_table

USECASE = "titanic"
TABLE, TRAIN, TEST, BUNDLE = "table.csv", "train.parquet", "test.parquet", "bundle"


def main() -> None:
    """Runs one step and prints what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("directory", type=Path)
    parser.add_argument("rows", type=int)
    arguments = parser.parse_args()
    start = time.perf_counter()
    found = STEPS[arguments.step](arguments.directory, arguments.rows)
    print(json.dumps({"seconds": time.perf_counter() - start, "peak_bytes": _peak(), "found": found}))


def _table(directory: Path, rows: int) -> None:
    write_table(directory / TABLE, rows)


def _preprocess(directory: Path, _: int) -> None:
    outputs = Outputs(directory / TRAIN, directory / TEST, directory / "quarantine.csv", directory / "profile.html")
    preprocess(load_usecase(USECASE), str(directory / TABLE), outputs, say=_say)


def _train(directory: Path, _: int) -> None:
    train(load_usecase(USECASE), directory / TRAIN, directory / BUNDLE, say=_say)


def _evaluate(directory: Path, _: int) -> None:
    evaluate(load_usecase(USECASE), open_bundle(directory / BUNDLE), directory / TEST, say=_say)


def _score(directory: Path, _: int) -> dict[str, Any]:
    return compare(load_usecase(USECASE), directory / TABLE, _say)


def _say(line: str) -> None:
    print(f"    {line}", file=sys.stderr, flush=True)


def _peak() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


STEPS = {"table": _table, "preprocess": _preprocess, "train": _train, "evaluate": _evaluate, "score": _score}

if __name__ == "__main__":
    main()
