"""Mean absolute contribution: how far each column moves an answer, whether or not that is nearer to the truth.

The contributions are the Shapley values of `lifeboat.model.explaining`; their mean absolute value over rows is what
Lundberg and Lee (2017) call the global importance. Permutation importance asks for the truth, this does not: a column
that moves answers far and is worth little is one that the model learned by heart.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from lifeboat.evaluate.explanation.sample import Sample
from lifeboat.evaluate.statistics import interval
from lifeboat.model.bundle import Bundle
from lifeboat.model.explaining.explainer import Explainer
from lifeboat.model.explaining.shapley import EXACT
from lifeboat.tasks.task import Floats
from lifeboat.usecase.explain_policy import ExplainPolicy
from lifeboat.usecase.gates import Interval

# Rows at most, and of the background: of a mean over rows more rows tell more than more of the background does.
ROWS, FEWEST_ROWS, BACKGROUND = 200, 20, 30
# Questions of all rows, and of one where not every coalition is counted.
QUESTIONS, _BUDGET = 1_000_000, 5_000
_REPLICATES = 1_000


@dataclass(frozen=True)
class Contributions:
    """How far each column moves an answer.

    Args:
        rows, background: how many held-out rows, beside how many of the drift reference.
        exact: whether every coalition of columns was counted, or orders drawn.
        columns: name to the mean, with the limits of a bootstrap over the rows, the furthest first.
    """

    rows: int
    background: int
    exact: bool
    columns: dict[str, Interval]


def mean_contributions(bundle: Bundle, sample: Sample, *, seed: int = 0) -> Contributions:
    """The mean absolute contribution of each raw column.

    Args:
        bundle: of the model, with the background.
        sample: of the same model.
        seed: of background, orders and bootstrap.
    """
    used = sample.first(explained_rows(len(bundle.schema.names)))
    policy = replace(ExplainPolicy.of_manifest(bundle.manifest), background=BACKGROUND)
    explainer = Explainer(bundle, policy, _BUDGET, seed, sample.scorer)
    found = explainer.explain(used.table)
    far = bundle.task.magnitude(found.contributions)
    means, draws = _mean(far, used.counted), _resampled(far, used.counted, seed)
    columns = {name: interval(means[place], draws[:, place]) for place, name in enumerate(found.names)}
    ranked = dict(sorted(columns.items(), key=lambda item: -item[1].value))
    return Contributions(len(used.y), found.background, found.exact, ranked)


def explained_rows(columns: int) -> int:
    """So many rows are explained of a table of so many columns: fewer where one takes longer, whatever the machine."""
    one = 2**columns * BACKGROUND if columns <= EXACT else max(_BUDGET, 4 * columns * BACKGROUND)
    return min(ROWS, max(FEWEST_ROWS, QUESTIONS // one))


def _mean(far: Floats, counted: Floats) -> Floats:
    return np.asarray(counted @ far / counted.sum())


def _resampled(far: Floats, counted: Floats, seed: int) -> Floats:
    """The means of bootstrap samples, [replicates, columns]."""
    rows = len(far)
    times = np.random.default_rng(seed).multinomial(rows, np.full(rows, 1 / rows), _REPLICATES) * counted
    return np.asarray(times @ far / np.maximum(times.sum(axis=1, keepdims=True), 1e-12))
