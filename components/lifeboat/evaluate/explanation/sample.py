"""The held-out rows by which a model is explained: some of them, as its graph takes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lifeboat.data.weights import Weights, some
from lifeboat.model.scoring import CHUNK, Scorer, feeds
from lifeboat.tasks.decision import Decision
from lifeboat.tasks.task import Floats, Scored

Inputs = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Sample:
    """Rows whose truth is known, in an order drawn by a seed: their first ones are a smaller sample.

    Args:
        scorer: of the model.
        decision: what is made of its answers.
        table: the rows.
        y, weights: their labels, and how much each counts, [n].
    """

    scorer: Scorer
    decision: Decision
    table: pa.Table
    y: NDArray[Any]
    weights: Weights

    def draw(self, rows: int, seed: int) -> Sample:
        """So many of them, or all that there are."""
        return self._take(np.random.default_rng(seed).permutation(len(self.y))[:rows])

    def first(self, rows: int) -> Sample:
        """So many of them, or all that there are."""
        return self._take(np.arange(min(rows, len(self.y))))

    def _take(self, chosen: NDArray[np.int64]) -> Sample:
        table = self.table.take(pa.array(chosen))
        return replace(self, table=table, y=self.y[chosen], weights=some(self.weights, chosen))

    @property
    def inputs(self) -> dict[str, NDArray[Any]]:
        """What the graph takes, a tensor [n, 1] a column."""
        return feeds(self.scorer.schema, self.table)

    def ask(self, inputs: Inputs) -> NDArray[np.float32]:
        """The answers to some inputs, [m, width]."""
        rows = len(next(iter(inputs.values())))
        parts = ({name: tensor[start : start + CHUNK] for name, tensor in inputs.items()}
                 for start in range(0, rows, CHUNK))  # fmt: skip
        return np.concatenate([self.scorer.run(part) for part in parts])

    def score(self, answers: NDArray[Any]) -> Scored:
        """Answers to these rows, held against the truth."""
        scored: Scored = self.scorer.task.score(self.y, answers, self.decision).weighted(self.weights)
        return scored

    @property
    def counted(self) -> Floats:
        """How much each row counts, [n]."""
        return np.ones(len(self.y)) if self.weights is None else self.weights
