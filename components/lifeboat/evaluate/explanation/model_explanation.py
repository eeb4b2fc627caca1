"""What of a model is explained by the held-out rows, as evaluation, card and registry have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from lifeboat.evaluate.explanation.contributions import Contributions, mean_contributions
from lifeboat.evaluate.explanation.dependence import Dependence, partial_dependence
from lifeboat.evaluate.explanation.permutation import ROWS, Permutation, permutation_importance
from lifeboat.evaluate.explanation.sample import Sample
from lifeboat.model.bundle import Bundle


@dataclass(frozen=True)
class ModelExplanation:
    """Why a model answers as it does.

    Args:
        permutation: what each column is worth to it.
        contributions: how far each column moves an answer.
        dependence: what it makes of the most important columns whose values may be shown.
        hidden: columns whose values are not shown.
    """

    permutation: Permutation
    contributions: Contributions
    dependence: tuple[Dependence, ...]
    hidden: tuple[str, ...]


def explain_model(bundle: Bundle, rows: Sample, *, seed: int, say: Callable[[str], None]) -> ModelExplanation:
    """Explains a model by rows that it has not seen.

    The same rows, bundle and seed give the same figures: how many rows are used depends on how many there are and on
    the number of columns, never on the clock.

    Args:
        bundle: the model's.
        rows: all held-out rows, of which some are drawn.
        seed: of everything random.
        say: told of its progress.
    """
    sample = rows.draw(ROWS, seed)
    permutation = permutation_importance(sample, seed=seed, say=say)
    hidden = tuple(column.name for column in bundle.schema.columns if not column.is_shown)
    return ModelExplanation(
        permutation,
        mean_contributions(bundle, sample, seed=seed),
        tuple(partial_dependence(sample, permutation.columns)),
        hidden,
    )
