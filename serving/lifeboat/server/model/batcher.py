"""Joins the predictions that wait at the same moment into one run of the model.

A run costs about as much for one row as for twenty. Requests that arrived while the loop was busy are all
parsed in one pass of the loop and scored at its end, so nothing ever waits for a batch to fill: a lone
request is scored at once.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lifeboat.server.asked import Asked
from lifeboat.server.large_requests import LargeRequests
from lifeboat.server.model.onnx_model import Answers
from lifeboat.server.protocols.row_parser import Columns

# Takes the answers to a request, None if the model failed; tells whether its client has them.
Finish = Callable[[Answers | None], bool]


@dataclass(slots=True)
class Job:
    """One request.

    Args:
        asked: its rows.
        finish: answers it.
    """

    asked: Asked
    finish: Finish


# Told of a run of the model: of which jobs, how many rows, and when it began, in nanoseconds since 1970.
Traced = Callable[[Sequence[Job], int, int, str], None]
# Told of each run of the model once all of its requests are answered: these, their columns and the answers, row by row.
Ran = Callable[[list[Job], Columns, Answers], None]


def shares(jobs: Sequence[Job], answers: Answers) -> Iterator[tuple[Job, Answers]]:
    """Each job of a run with its own answers."""
    start = 0
    for job in jobs:
        yield job, answers[start : start + job.asked.rows]
        start += job.asked.rows


class Batcher:
    """Collects jobs until the loop has handled what it found, then runs them together.

    Args:
        loop: the event loop.
        predict: columns to answers, [n, width].
        failed: is told of an error of the model, and of whose request it is where that is known; the request's own
            finish then answers it.
        ran: is told of requests that were answered.
        aside: runs a larger job.
        max_rows: of one run.
        traced: is told of each run that has ended, from any thread; None where nobody traces.

    Attributes:
        waiting: the jobs.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        predict: Callable[[Sequence[list[Any]]], Answers],
        failed: Callable[..., None],
        ran: Ran,
        aside: LargeRequests,
        max_rows: int = 256,
        traced: Traced | None = None,
    ) -> None:
        self._loop, self._predict, self._failed, self._max_rows = loop, predict, failed, max_rows
        self._ran, self._aside, self._traced = ran, aside, traced
        self.waiting: list[Job] = []

    def submit(self, job: Job) -> None:
        """Takes a job; its `finish` is called within this pass of the loop, unless it is a large one."""
        if job.asked.rows > self._max_rows:
            self._aside.run(partial(self._score_one, job), lambda future: self._finish(job, future.result()))
            return
        if not self.waiting:
            self._loop.call_soon(self._flush)
        self.waiting.append(job)

    def _flush(self) -> None:
        jobs = self.waiting.copy()
        self.waiting.clear()
        group: list[Job] = []
        rows = 0
        for job in jobs:
            if group and rows + job.asked.rows > self._max_rows:
                self._run(group, rows)
                group, rows = [], 0
            group.append(job)
            rows += job.asked.rows
        self._run(group, rows)

    def _run(self, group: list[Job], rows: int) -> None:
        if len(group) == 1:
            self._finish(group[0], self._score_one(group[0]))
            return
        columns = zip(*(job.asked.columns for job in group), strict=True)
        joined = [[value for part in parts for value in part] for parts in columns]
        answers = self._score(joined, group, rows)
        if answers is None or len(answers) != rows:
            # One of them broke the run for all: each alone, so that only that one fails.
            for job in group:
                self._finish(job, self._score_one(job))
            return
        answered = [job.finish(own) for job, own in shares(group, answers)]
        if all(answered):
            self._ran(group, joined, answers)
            return
        for (job, own), is_answered in zip(shares(group, answers), answered, strict=True):
            if is_answered:
                self._ran([job], job.asked.columns, own)

    def _finish(self, job: Job, answers: Answers | None) -> None:
        if job.finish(answers) and answers is not None:
            self._ran([job], job.asked.columns, answers)

    def _score_one(self, job: Job) -> Answers | None:
        return self._score(job.asked.columns, (job,), job.asked.rows)

    def _score(self, columns: Columns, jobs: Sequence[Job], rows: int) -> Answers | None:
        begun, failed = 0 if self._traced is None else time.time_ns(), ""
        try:
            return self._predict(columns)
        except Exception as error:  # onnxruntime's own errors share no base but this; each is counted and logged
            failed = type(error).__name__
            # Of several it is not known which one it was: each is tried alone.
            self._failed(error, **(jobs[0].asked.fields if len(jobs) == 1 else {}))
            return None
        finally:
            if self._traced is not None:
                self._traced(jobs, rows, begun, failed)
