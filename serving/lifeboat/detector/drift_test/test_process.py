"""The drift test as a child of the detector: `python -m lifeboat.detector.drift_test.test_process MODULE`.

Orders come as JSON lines on standard input, each is answered by one on standard output. Alibi Detect takes seconds to
import and hundreds of megabytes, and may end by the system's hand; here it holds up and takes along nothing else. When
standard input ends the parent is gone, however it went, and so is this process, at once.
"""

from __future__ import annotations

import importlib
import os
import queue
import sys
import threading
from functools import cache
from typing import IO, Any

import numpy as np
import orjson

from lifeboat.model.bundle import REFERENCE, open_bundle
from lifeboat.tasks.task import Task, watched_columns

NICENESS = 5
# Of versions; the one made first makes room.
DETECTORS = 100


def main(module: str) -> None:
    """Answers orders until the parent is gone."""
    os.nice(NICENESS)  # whoever answers requests goes first
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not come between the answers
    orders: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(sys.stdin.buffer, orders), daemon=True).start()
    tests = DriftTestModule(module)
    while True:
        _answer(tests, orders.get(), answers)


class DriftTestModule:
    """Does what the orders say.

    Args:
        module: whose `run_drift_test` and `OnlineScore` are used.
    """

    def __init__(self, module: str) -> None:
        self._module = importlib.import_module(module)
        self._online: dict[int, Any] = {}

    def load(self) -> bool:
        """Loads whatever the module loads lazily, if it offers to."""
        getattr(self._module, "load", bool)()
        return True

    def window(self, bundle: str, columns: dict[str, list[Any]], scores: list[Any]) -> dict[str, Any]:
        """Judges a window."""
        verdict: dict[str, Any] = self._module.run_drift_test(bundle, columns, scores)
        return verdict

    def online(self, bundle: str, version: int, expected: int, past: list[Any], scores: list[Any]) -> bool:
        """Feeds a version's scores; whether they raised an alarm. `past` is what an earlier process has seen."""
        detector = self._online.get(version)
        if detector is None:
            detector = importlib.import_module(f"{self._module.__name__}.online").OnlineScore(
                _reference_scores(bundle), expected
            )
            detector.update(_followed(bundle, past))
            if len(self._online) >= DETECTORS:
                del self._online[next(iter(self._online))]  # made again from `past` when it is asked for
            self._online[version] = detector
        return bool(scores) and bool(detector.update(_followed(bundle, scores)))


@cache
def _task(bundle: str) -> Task[Any, Any]:
    return open_bundle(bundle).task


def _followed(bundle: str, kept: list[Any]) -> list[float]:
    """The one number of each row that is followed row by row."""
    task = _task(bundle)
    found: list[float] = task.followed(task.watched(np.asarray(kept, dtype=np.float64))).tolist() if kept else []
    return found


@cache
def _reference_scores(bundle: str) -> list[float]:
    import pyarrow.parquet as pq

    path = f"{bundle}/{REFERENCE}"
    table = pq.read_table(path, columns=watched_columns(pq.read_schema(path).names))
    watched = {name: table[name].to_numpy() for name in table.column_names}
    found: list[float] = _task(bundle).followed(watched).tolist()
    return found


def _read(source: IO[bytes], orders: queue.SimpleQueue[bytes]) -> None:
    for line in source:
        orders.put(line)
    os._exit(0)


def _answer(tests: DriftTestModule, line: bytes, answers: IO[bytes]) -> None:
    order = orjson.loads(line)
    try:
        answer = {"result": getattr(tests, order.pop("do"))(**order)}
    except Exception as error:  # the drift test's own, of whatever library: the window is given up, with this reason
        answer = {"error": f"{type(error).__name__}: {error}"}
    answers.write(orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    answers.flush()


if __name__ == "__main__":
    main(sys.argv[1])
