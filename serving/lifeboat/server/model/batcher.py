"""Joins the predictions that wait at the same moment into one run of the model.

A run costs about as much for one row as for twenty. Requests that arrived while the loop was busy are all
parsed in one pass of the loop and scored at its end, so nothing ever waits for a batch to fill: a lone
request is scored at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from lifeboat.server.large_requests import LargeRequests
from lifeboat.server.model.onnx_model import Answers
from lifeboat.server.protocols.row_parser import Columns

Finish = Callable[[Answers | None], None]


@dataclass(slots=True)
class Job:
    """The rows of one request.

    Args:
        columns: as `Reader` gives them.
        rows: their number.
        finish: takes the probabilities, or None if the model failed.
    """

    columns: Columns
    rows: int
    finish: Finish


class Batcher:
    """Collects jobs until the loop has handled what it found, then runs them together.

    Args:
        loop: the event loop.
        predict: columns to probabilities [n, 2].
        failed: is told of an error of the model; the request's own finish then answers it.
        aside: runs a larger job.
        max_rows: of one run.

    Attributes:
        waiting: the jobs.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        predict: Callable[[Sequence[list[Any]]], Answers],
        failed: Callable[[Exception], None],
        aside: LargeRequests,
        max_rows: int = 256,
    ) -> None:
        self._loop, self._predict, self._failed, self._max_rows = loop, predict, failed, max_rows
        self._aside = aside
        self.waiting: list[Job] = []

    def submit(self, job: Job) -> None:
        """Takes a job; its `finish` is called within this pass of the loop, unless it is a large one."""
        if job.rows > self._max_rows:
            self._aside.run(partial(self._score, job.columns), lambda future: job.finish(future.result()))
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
            if group and rows + job.rows > self._max_rows:
                self._run(group, rows)
                group, rows = [], 0
            group.append(job)
            rows += job.rows
        self._run(group, rows)

    def _run(self, group: list[Job], rows: int) -> None:
        if len(group) == 1:
            group[0].finish(self._score(group[0].columns))
            return
        joined = [
            [value for part in parts for value in part] for parts in zip(*(job.columns for job in group), strict=True)
        ]
        probabilities = self._score(joined)
        if probabilities is None or len(probabilities) != rows:
            # One of them broke the run for all: each alone, so that only that one fails.
            for job in group:
                job.finish(self._score(job.columns))
            return
        start = 0
        for job in group:
            job.finish(probabilities[start : start + job.rows])
            start += job.rows

    def _score(self, columns: Columns) -> Answers | None:
        try:
            return self._predict(columns)
        except Exception as error:  # onnxruntime's own errors share no base but this; each is counted and logged
            self._failed(error)
            return None
