"""Explains a bundle's answers: each column, or group of columns, is a player; the background is in the bundle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from lifeboat.config.errors import DataError
from lifeboat.model.bundle import Bundle
from lifeboat.model.explaining.shapley import EXACT, Values, count_out, draw
from lifeboat.model.scoring import CHUNK, Scorer, feeds
from lifeboat.usecase.explain_policy import ExplainPolicy, player_names

# Questions a row, where not all can be asked.
BUDGET = 8_000
# Players that can be told apart in an int64 beside the background's row.
_BITS = 48


@dataclass(frozen=True)
class Explanation:
    """Of some rows.

    Args:
        players: the columns of each player, [players].
        outputs: names of the answer's numbers that are explained, by `Task.columns`, [width].
        places: of these numbers in an answer, [width].
        answers: the numbers, [n, width].
        base: their mean over the background, [width].
        contributions: what each player adds, [n, players, width]; with the base they sum to the answers.
        error: the standard error of each; 0 where every coalition was counted.
        background: how many rows it is beside.
        asked: how many rows the model was asked for each one, on average.
    """

    players: tuple[tuple[str, ...], ...]
    outputs: tuple[str, ...]
    places: tuple[int, ...]
    answers: NDArray[np.float64]
    base: NDArray[np.float64]
    contributions: NDArray[np.float64]
    error: NDArray[np.float64]
    background: int
    asked: float

    @property
    def names(self) -> list[str]:
        """Of the players."""
        return player_names(self.players)

    @property
    def exact(self) -> bool:
        """Whether every coalition was counted."""
        return len(self.players) <= EXACT


class Explainer:
    """A bundle's model and what its answers are held against.

    Args:
        bundle: with the reference.
        policy: which columns are one player, and how many rows of the reference; the bundle's own unless given.
        budget: of the model's rows for each explained one, beyond `EXACT` players.
        seed: of the background and of the orders.
        scorer: of the bundle, where there is one already; loaded unless given.

    Raises:
        UseCaseError: a group names a column that there is not, or one is in two groups.
    """

    def __init__(
        self,
        bundle: Bundle,
        policy: ExplainPolicy | None = None,
        budget: int = BUDGET,
        seed: int = 0,
        scorer: Scorer | None = None,
    ) -> None:
        self._scorer, self._schema = scorer or Scorer(bundle.model, bundle.schema), bundle.schema
        self._task, self._budget, self._seed = bundle.task, budget, seed
        policy = policy or ExplainPolicy.of_manifest(bundle.manifest)
        self._parts = policy.players(bundle.schema.names)
        reference = pq.read_table(bundle.reference, columns=list(bundle.schema.names))
        chosen = np.random.default_rng(seed).permutation(reference.num_rows)[: policy.background]
        self._background = feeds(bundle.schema, reference.take(pa.array(np.sort(chosen))))
        self._size = len(chosen)

    def explain(self, table: pa.Table, outputs: Sequence[str] | None = None) -> Explanation:
        """Explains each row of a table of raw columns, as `check_table` gives it; see `explain_rows`."""
        return self.explain_rows(feeds(self._schema, table), outputs)

    def explain_rows(
        self,
        rows: Mapping[str, NDArray[Any]],
        outputs: Sequence[str] | None = None,
        proceed: Callable[[], None] = lambda: None,
    ) -> Explanation:
        """Explains rows given as the graph's inputs.

        Args:
            rows: one [n, 1] tensor a column.
            outputs: which of an answer's numbers, by `Task.columns` or `Task.names`; unless given, those that the task
                explains.
            proceed: is called before each row, and may raise.

        Raises:
            DataError: there is no such output; or see `lifeboat.model.scoring`.
            BundleError: see there.
        """
        explained = list(self._task.explained) if outputs is None else [self._place(name) for name in outputs]
        answers, found = np.empty((len(next(iter(rows.values()))), len(explained))), []
        for place in range(len(answers)):
            proceed()
            row = {name: tensor[place : place + 1] for name, tensor in rows.items()}
            answers[place] = self._scorer.run(row)[0, explained]
            found.append(self._one(row, explained))
        shape = (len(self._parts), len(explained))
        contributions, error = (
            np.array([getattr(one, name) for one in found]).reshape(-1, *shape) for name in ("contributions", "error")
        )
        base = found[0].base if found else self._ask_background(explained)
        asked = float(np.mean([one.asked for one in found])) if found else 0.0
        names = tuple(self._task.columns[place] for place in explained)
        return Explanation(self._parts, names, tuple(explained), answers, base, contributions, error, self._size, asked)

    def _place(self, output: str) -> int:
        for names in (self._task.columns, self._task.names):
            if output in names:
                return names.index(output)
        known = dict.fromkeys((*self._task.names, *self._task.columns))
        raise DataError(f"outputs: there is no {output!r}; there are {', '.join(known)}")

    def _one(self, row: dict[str, NDArray[Any]], explained: list[int]) -> Values:
        joint = {name: np.concatenate([tensor, row[name]]) for name, tensor in self._background.items()}
        alike = np.column_stack([self._alike(part, row) for part in self._parts])
        asked = 0

        def game(present: NDArray[np.bool_], background: NDArray[np.int64]) -> NDArray[np.float64]:
            nonlocal asked
            # Where the background row has the row's own value nothing is asked by whose it is.
            first, again = _distinct(present | alike[background], background)
            asked += len(first)
            parts = [
                self._ask(joint, present[some], background[some], explained)
                for some in (first[start : start + CHUNK] for start in range(0, len(first), CHUNK))
            ]
            return np.concatenate(parts)[again]

        if len(self._parts) <= EXACT:
            found = count_out(len(self._parts), self._size, game)
        else:
            found = draw(len(self._parts), self._size, game, self._budget, self._seed)
        return replace(found, asked=asked)

    def _alike(self, part: tuple[str, ...], row: dict[str, NDArray[Any]]) -> NDArray[np.bool_]:
        """Which background rows have the row's values of a player, [background]."""
        same = np.ones(self._size, dtype=bool)
        for name in part:
            values, own = self._background[name][:, 0], row[name][0, 0]
            same &= (values == own) | ((values != values) & (own != own))
        return same

    def _ask(
        self, joint: dict[str, NDArray[Any]], present: NDArray[np.bool_], background: NDArray[np.int64],
        explained: list[int],
    ) -> NDArray[np.float64]:  # fmt: skip
        """The answers to rows made of the row, which is the last of `joint`, and of background rows."""
        inputs: dict[str, NDArray[Any]] = {}
        for player, part in enumerate(self._parts):
            places = np.where(present[:, player], self._size, background)
            inputs.update((name, joint[name][places]) for name in part)
        return self._scorer.run(inputs)[:, explained].astype(np.float64)

    def _ask_background(self, explained: list[int]) -> NDArray[np.float64]:
        return np.asarray(self._scorer.run(self._background)[:, explained].mean(axis=0, dtype=np.float64))


def _distinct(present: NDArray[np.bool_], background: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first of each kind of question, and of which kind each is; equal ones come one after another."""
    if present.shape[1] > _BITS:
        return np.arange(len(present)), np.arange(len(present))
    key = present @ (np.int64(1) << np.arange(present.shape[1])) * (int(background.max()) + 1) + background
    _, first, again = np.unique(key, return_index=True, return_inverse=True)
    return first, again
