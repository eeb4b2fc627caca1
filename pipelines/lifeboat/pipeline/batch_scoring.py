"""Batch scoring: a table in, a table of probabilities out, in bounded memory and in the order of the input.

One thread reads and writes, a few check and score; Arrow and ONNX Runtime release the interpreter while they work.
"""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lifeboat.config.errors import DataError, StorageError
from lifeboat.data.csv.dialect import PLAIN, Csv
from lifeboat.data.csv.writing import writable
from lifeboat.data.reading import ignore, is_packed, is_parquet, read_batches
from lifeboat.data.table import check_table, say_nulls
from lifeboat.model.bundle import Bundle
from lifeboat.model.scoring import Scorer
from lifeboat.system.files import replacing
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import PREDICTION, Task
from lifeboat.usecase.schema import Schema

# Rows that a thread takes at a time: many enough to hide the hand-over, few enough to share out evenly.
PIECE = 16_384
# One thread reads and writes for all of them: it keeps about so many busy.
MOST_THREADS = 8
_SAMPLE = 1 << 20


@dataclass(frozen=True)
class ScoreSummary:
    """What became of the rows: how many were scored, how many were skipped, and the wall time in seconds."""

    rows: int
    skipped: int
    seconds: float


def score(
    bundle: Bundle,
    source: Path,
    target: Path,
    *,
    on_error: Literal["fail", "skip"] = "fail",
    threads: int | None = None,
    csv: Csv = PLAIN,
    assume: Callable[[str], None] = ignore,
    progress: Callable[[int, int | None], None],
) -> ScoreSummary:
    """Writes the probability of each class and the predicted class for each row of a table.

    The output has the input's keys as far as they are there, `probability_<class>` (float32) for each class, and
    `prediction`, the name of the class that the bundle's decision gives. It appears whole or not at all: an error,
    Ctrl-C or a full disk leaves what was there.

    Args:
        bundle: whose ONNX graph is run.
        source: CSV or Parquet, told by its content, with the schema's inputs; keys are optional, the label is ignored.
        target: CSV or Parquet by its ending; an old file is replaced.
        on_error: what a row that breaks the schema does: "fail" ends the run; "skip" leaves it out and writes it, with
            its number and the reasons, to `rejected_path(target)`.
        threads: that check and score; by default one a core and at most `MOST_THREADS`.
        csv: how a CSV source is written, as far as it is not recognised; see `UseCase.csv`.
        assume: told once, in a sentence, of each thing that was recognised of it and is not the usual.
        progress: called with the rows read so far and the total, see `total_rows`; the last call has both equal.

    Raises:
        DataError: the input cannot be used; names file, row (counted over the whole file), column and limit.
        StorageError: the output has another ending, is the input, or cannot be written.
        BundleError: the graph fails.
    """
    start = time.perf_counter()
    _refuse_places(source, target)
    work = _Work(Scorer(bundle.model, bundle.schema), bundle.decision, str(source), skip=on_error == "skip")
    total = total_rows(source)
    done = skipped = 0
    nulls: dict[str, Counter[str]] = defaultdict(Counter)
    with _Sink(target) as answers, _Sink(rejected_path(target)) if work.skip else nullcontext() as rejects:
        results = _in_order(work, _pieces(source, csv, assume), threads or min(os.cpu_count() or 1, MOST_THREADS))
        with closing(results):
            for result in results:
                for line in () if done else result.assumed:
                    assume(line)
                for column, texts in result.nulls.items():
                    nulls[column].update(texts)
                answers.write(result.answers)
                if rejects is not None:
                    rejects.write(result.rejected)
                skipped += result.rejected.num_rows
                done += result.answers.num_rows + result.rejected.num_rows
                progress(done, None if total is None else max(done, total))
        if not done:
            raise DataError("has a header but no rows", file=str(source))
    for line in say_nulls(nulls):
        assume(line)
    progress(done, done)
    return ScoreSummary(done - skipped, skipped, time.perf_counter() - start)


def answer_columns(answers: NDArray[np.float32], task: Task[Any, Any], decision: Decision) -> dict[str, pa.Array]:
    """What a table of answers says of each row: each number, such as `probability_<class>`, and `prediction`.

    Args:
        answers: [n, width].
        task: what they are.
        decision: what is made of them.
    """
    columns = {name: pa.array(np.ascontiguousarray(answers[:, at])) for at, name in enumerate(task.columns)}
    called = decision.call(answers)
    if called.dtype.kind == "f":
        return {**columns, PREDICTION: pa.array(np.ascontiguousarray(called))}
    encoded = pa.array(called).dictionary_encode()
    names = pa.array(task.spell(encoded.dictionary.to_numpy()), pa.string())
    return {**columns, PREDICTION: names.take(encoded.indices)}


def rejected_path(target: Path) -> Path:
    """Where skipped rows go: predictions.parquet has them in predictions.rejected.csv beside it."""
    return target.with_suffix(".rejected.csv")


def total_rows(path: Path) -> int | None:
    """How many rows a file holds, for a progress bar: exact for Parquet, for CSV reckoned from its first MiB.

    None where that cannot be told, of a packed or unreadable file among others: reading it will say why.
    """
    try:
        if is_parquet(path):
            return int(pq.read_metadata(path).num_rows)
        if is_packed(path):
            return None
        with path.open("rb") as file:
            sample = file.read(_SAMPLE)
        lines = sample.count(b"\n") or sample.count(b"\r")
        # The header is one of the lines; the last line may lack its end.
        return max(round(lines * path.stat().st_size / len(sample)) - 1, 1) if lines else None
    except (OSError, StorageError, pa.ArrowInvalid):
        return None


def _refuse_places(source: Path, target: Path) -> None:
    if target.suffix not in (".csv", ".parquet"):
        raise StorageError(f"{target} ends in neither .csv nor .parquet")
    if target.is_dir():
        raise StorageError(f"{target} is a directory")
    for path in (target, rejected_path(target)):
        if path.exists() and source.exists() and path.samefile(source):
            raise StorageError(f"{path} would be written over the input; give the output another name")


def _pieces(source: Path, csv: Csv, assume: Callable[[str], None]) -> Iterator[tuple[int, pa.Table]]:
    """The number of rows before each piece, and the piece as it was read."""
    before = 0
    for batch in read_batches(source, csv=csv, assume=assume):
        for start in range(0, batch.num_rows, PIECE):
            yield before + start, pa.Table.from_batches([batch.slice(start, PIECE)])
        before += batch.num_rows


@dataclass(frozen=True)
class _Result:
    """What came of one piece: the output's rows, those that break the schema, and what `Checked` says of them."""

    answers: pa.Table
    rejected: pa.Table
    assumed: Sequence[str]
    nulls: Mapping[str, Mapping[str, int]]


@dataclass(frozen=True)
class _Work:
    """Checks and scores pieces; safe to call from many threads."""

    scorer: Scorer
    decision: Decision
    name: str
    skip: bool

    @property
    def schema(self) -> Schema:
        return self.scorer.schema

    def __call__(self, before: int, rows: pa.Table) -> _Result:
        checked = check_table(rows, self.schema, labelled=False, name=self.name)
        problems = checked.problems
        if problems and not self.skip:
            raise checked.first_error(self.name, before)
        inputs = checked.table
        rejected = _rejected(rows, problems, before)
        if problems:
            keep = np.ones(rows.num_rows, dtype=bool)
            keep[list(problems)] = False
            rows, inputs = rows.filter(pa.array(keep)), inputs.filter(pa.array(keep))
        return _Result(self._answers(rows, inputs), rejected, checked.assumed, checked.nulls)

    def _answers(self, rows: pa.Table, inputs: pa.Table) -> pa.Table:
        answers = self.scorer.answers(inputs)
        keys = {
            key.name: inputs.column(key.name) if key.kind == "integer" else _plain(rows.column(key.name))
            for key in self.schema.keys
            if key.name in rows.column_names
        }
        return pa.table({**keys, **answer_columns(answers, self.scorer.task, self.decision)})


def _rejected(rows: pa.Table, problems: Mapping[int, Sequence[str]], before: int) -> pa.Table:
    """The broken rows as they were read, behind their number in the file and the reasons."""
    numbers = pa.array([before + row + 1 for row in problems], pa.int64())
    reasons = pa.array(["; ".join(sentences) for sentences in problems.values()], pa.string())
    broken = writable(rows.take(pa.array(list(problems), pa.int64())))
    return pa.table([numbers, reasons, *broken.columns], ["row", "reason", *rows.column_names])


def _plain(cells: Any) -> Any:
    return pc.cast(cells, cells.type.value_type) if pa.types.is_dictionary(cells.type) else cells


def _in_order(work: _Work, pieces: Iterator[tuple[int, pa.Table]], threads: int) -> Generator[_Result, None, None]:
    """The results in the order of the pieces; few more pieces than threads are in memory at a time."""
    pool = ThreadPoolExecutor(threads)
    pending: deque[Future[_Result]] = deque()
    try:
        for piece in pieces:
            pending.append(pool.submit(work, *piece))
            if len(pending) > threads + 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class _Sink:
    """A CSV or Parquet file that is written table by table and appears when all is written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._stack = ExitStack()
        self._writer: Any = None

    def __enter__(self) -> Self:
        self._temporary = self._stack.enter_context(replacing(self._path))
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def write(self, table: pa.Table) -> None:
        if self._writer is None:
            kind = pq.ParquetWriter if self._path.suffix == ".parquet" else pa.csv.CSVWriter
            self._writer = self._stack.enter_context(kind(self._temporary, table.schema))
        if table.num_rows:
            self._writer.write_table(table)
