"""Permutation importance: by how much a metric worsens when the values of one column are shuffled among the rows.

What the model gets instead is a value of another row, so that the column keeps its distribution and loses what it tells
of the row (Breiman, 2001, section 10; of any model: "model reliance" of Fisher, Rudin and Dominici, 2019).

The limits are those of a bootstrap that draws the rows, and among the repeated shuffles as many as there are. Limits
from the repeats alone would only say how unsure the shuffling is, and would shrink to nothing with more of it; what a
reader asks is whether other rows of the same kind would show the same, and that a bootstrap over rows answers. It is
paired: shuffled and unshuffled answers are held against each other on the same drawn rows.

Of columns that tell the same each seems worth little, because the other one still tells it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from lifeboat.evaluate.explanation.sample import Sample
from lifeboat.evaluate.statistics import bootstrap, interval
from lifeboat.tasks.task import Floats, Metric, Scored, Task
from lifeboat.usecase.gates import Interval

# Rows at most, shuffles of a column, and replicates of the bootstrap.
ROWS, REPEATS, REPLICATES = 5_000, 5, 200
# So many rows are asked about in all: of many rows and columns there are fewer shuffles, and then fewer rows.
_ASKED, _FEWEST_REPEATS, _FEWEST_ROWS = 200_000, 2, 500


@dataclass(frozen=True)
class Permutation:
    """What each column is worth to a model.

    Args:
        metric: that worsens, by its name.
        value: of the metric, on these rows with nothing shuffled.
        rows, repeats, replicates: how many held-out rows, shuffles of each column, replicates of the bootstrap.
        columns: name to by how much the metric worsens, the most first.
    """

    metric: str
    value: float
    rows: int
    repeats: int
    replicates: int
    columns: dict[str, Interval]


def permutation_importance(
    sample: Sample, *, repeats: int | None = None, replicates: int | None = None, seed: int = 0,
    say: Callable[[str], None] = print,
) -> Permutation:  # fmt: skip
    """The importance of each raw column on some rows.

    Args:
        sample: the rows and the model.
        repeats: shuffles of each column; as many as there is time for unless given.
        replicates: of the bootstrap; `REPLICATES` unless given.
        seed: of shuffles and bootstrap.
        say: told of its progress.
    """
    names, replicates = sample.scorer.schema.names, replicates or REPLICATES
    affordable = _ASKED // (len(names) * min(len(sample.y), ROWS))
    repeats = repeats or min(REPEATS, max(_FEWEST_REPEATS, affordable))
    used = sample.first(min(ROWS, max(_FEWEST_ROWS, _ASKED // (len(names) * repeats))))
    models = list(_shuffled(used, repeats, seed))
    metric, place = _metric(sample.scorer.task, models[0])
    draws = bootstrap(sample.scorer.task.drawn_among(used.y), models, replicates=replicates, seed=seed, say=say)
    values = np.array([[metric.loss(model.figures()[place]) for model in models]])
    losses = draws[:, :, place] * metric.loss(1.0)
    worth, drawn = _worse(values, repeats)[0], _redrawn(losses, repeats, seed)
    found = {name: interval(worth[number], drawn[:, number]) for number, name in enumerate(names)}
    ranked = dict(sorted(found.items(), key=lambda item: -item[1].value))
    return Permutation(metric.name, float(models[0].figures()[place]), len(used.y), repeats, replicates, ranked)


def _shuffled(sample: Sample, repeats: int, seed: int) -> Iterator[Scored]:
    """The model on the rows as they are, and then with each column shuffled, one shuffle after another."""
    inputs, random = sample.inputs, np.random.default_rng(seed)
    yield sample.score(sample.ask(inputs))
    for name, tensor in inputs.items():
        for _ in range(repeats):
            yield sample.score(sample.ask({**inputs, name: tensor[random.permutation(len(tensor))]}))


def _metric(task: Task[Any, Any], model: Scored) -> tuple[Metric, int]:
    """The first of the headline and its place; where these rows cannot tell it, the one that the search chooses by."""
    names = [metric.name for metric in task.metrics]
    first, figures = names.index(task.headline[0]), model.figures()
    place = names.index(task.steering) if np.isnan(figures[first]) else first
    return task.metrics[place], place


def _worse(losses: Floats, repeats: int) -> Floats:
    """By how much each column's shuffles are worse in the mean, [m, columns], of losses [m, 1 + columns * repeats]."""
    return np.asarray(_differences(losses, repeats).mean(axis=2))


def _differences(losses: Floats, repeats: int) -> Floats:
    """By how much each shuffle is worse, [m, columns, repeats]: exactly nothing where no answer changes."""
    return losses[:, 1:].reshape(len(losses), -1, repeats) - losses[:, :1, np.newaxis]


def _redrawn(losses: Floats, repeats: int, seed: int) -> Floats:
    """The same of each replicate, from shuffles that are drawn as well."""
    random = np.random.default_rng((seed, repeats))
    worse = _differences(losses, repeats)
    chosen = random.integers(0, repeats, worse.shape)
    return np.asarray(np.take_along_axis(worse, chosen, axis=2).mean(axis=2))
