"""The benchmark of the steps and of batch scoring: `python -m tests.bench.pipeline [--rows N]`.

The Titanic table, repeated with noise to a million rows, goes through preprocess, train and evaluate at three sizes;
time and peak memory of each, and how fast time grows. Then it is scored by `lifeboat score`'s own function and by the
scikit-learn pipeline. Ends with 1 where a limit is broken.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

ROWS = 1_000_000
SHARES = (16, 4, 1)
STEPS = ("preprocess", "train", "evaluate")
# Linear is 1, quadratic 2; sorting and a noisy machine take a little.
MOST_GROWTH = 1.4
MOST_BYTES = 6e9
LEAST_RATIO = 3.0


@dataclass(frozen=True)
class Measured:
    """One step on so many rows: seconds without the start of the interpreter, and the process's peak memory."""

    step: str
    rows: int
    seconds: float
    peak_bytes: int
    growth: float | None = None


def main() -> int:
    """Measures, prints two Markdown tables and says which limits are broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=ROWS, help="of the largest table (default: %(default)s)")
    rows = parser.parse_args().rows
    with tempfile.TemporaryDirectory(prefix="lifeboat-bench-") as name:
        steps = _with_growth([measured for share in SHARES for measured in _measure(Path(name), rows // share)])
        ratio = _run("score", Path(name) / str(rows), rows)["found"]
    print(_steps_table(steps), _ratio_table(ratio, rows), sep="\n\n")
    broken = _broken(steps, ratio["seconds"])
    print("", *broken, sep="\n")
    return 1 if broken else 0


def _measure(directory: Path, rows: int) -> list[Measured]:
    work = directory / str(rows)
    work.mkdir()
    _run("table", work, rows)
    found = [(step, _run(step, work, rows)) for step in STEPS]
    return [Measured(step, rows, result["seconds"], result["peak_bytes"]) for step, result in found]


def _run(step: str, directory: Path, rows: int) -> dict[str, Any]:
    """One step in its own process. This one stays small: a child starts with its parent's peak."""
    print(f"{step} on {rows:,} rows", file=sys.stderr, flush=True)
    command = [sys.executable, "-m", "tests.bench.steps", step, str(directory), str(rows)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] = json.loads(output.splitlines()[-1])
    seconds, peak = result["seconds"], result["peak_bytes"] / 1e6
    print(f"{step} on {rows:,} rows: {seconds:.1f} s, {peak:.0f} MB", file=sys.stderr, flush=True)
    return result


def _with_growth(steps: list[Measured]) -> list[Measured]:
    """By step and size, each with the exponent of its time's growth since the size before."""
    grown = []
    for name in STEPS:
        sizes = [measured for measured in steps if measured.step == name]
        grown.append(sizes[0])
        for before, after in pairwise(sizes):
            growth = math.log(after.seconds / before.seconds) / math.log(after.rows / before.rows)
            grown.append(Measured(after.step, after.rows, after.seconds, after.peak_bytes, growth))
    return grown


def _steps_table(steps: list[Measured]) -> str:
    lines = ["| step | rows | seconds | peak memory, MB | growth exponent |", "|---|--:|--:|--:|--:|"]
    for each in steps:
        growth = "" if each.growth is None else f"{each.growth:.2f}"
        lines.append(f"| {each.step} | {each.rows:,} | {each.seconds:.1f} | {each.peak_bytes / 1e6:.0f} | {growth} |")
    return "\n".join(lines)


def _ratio_table(ratio: dict[str, Any], rows: int) -> str:
    lines = [
        f"{rows:,} rows, {ratio['model']}; the answers differ by at most {ratio['difference']:.1e}.",
        "",
        "| scoring | lifeboat, s | scikit-learn, s | times faster |",
        "|---|--:|--:|--:|",
    ]
    for name, (ours, theirs) in _pairs(ratio["seconds"]).items():
        lines.append(f"| {name} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.1f} |")
    return "\n".join(lines)


def _pairs(seconds: dict[str, float]) -> dict[str, tuple[float, float]]:
    return {
        "CSV to CSV (ours also checks every cell)": (seconds["score_file"], seconds["sklearn_file"]),
        "the model alone, rows in memory": (seconds["onnx_rows"], seconds["sklearn_rows"]),
        "ours CSV to CSV, theirs the model alone": (seconds["score_file"], seconds["sklearn_rows"]),
    }


def _broken(steps: list[Measured], seconds: dict[str, float]) -> list[str]:
    found = [
        f"{each.step} on {each.rows:,} rows: time grows by the power {each.growth:.2f}, at most {MOST_GROWTH} may"
        for each in steps
        if each.growth is not None and each.growth > MOST_GROWTH
    ]
    found += [
        f"{each.step} on {each.rows:,} rows took {each.peak_bytes / 1e9:.1f} GB, at most {MOST_BYTES / 1e9:.0f} may"
        for each in steps
        if each.peak_bytes > MOST_BYTES
    ]
    ratio = seconds["sklearn_file"] / seconds["score_file"]
    if ratio < LEAST_RATIO:
        found.append(f"scoring a file is {ratio:.1f} times faster than scikit-learn, at least {LEAST_RATIO:g} is asked")
    return found


if __name__ == "__main__":
    sys.exit(main())
