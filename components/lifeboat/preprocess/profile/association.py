"""Which columns go together: Spearman's rank correlation of two numbers, Cramér's V where one of them is a category.

Ranks, because a relation need not be a line and one outlier must not make it; V with Bergsma's correction (2013),
because the plain one finds something between any two columns of many levels. For V a number is cut at its fifths, and
what is missing is a level; for a rank correlation rows count in which both are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from lifeboat.preprocess.profile.bins import Floats

# Rows that are looked at, drawn by a seed; columns whose pairs all are: those that go most with the label.
ROWS, COLUMNS = 10_000, 30
_FIFTHS = 5


@dataclass(frozen=True)
class Field:
    """A column as it is compared.

    Args:
        name: of it.
        numbers: NaN where missing, [n]; None of a category.
        codes: of its levels, -1 where missing, [n]; of a number its fifths.
    """

    name: str
    numbers: Floats | None
    codes: NDArray[np.int64]

    @classmethod
    def of_numbers(cls, name: str, numbers: Floats) -> Field:
        """A number, and its fifths."""
        known = ~np.isnan(numbers)
        edges: Floats = np.empty(0)
        if known.any():
            edges = np.unique(np.quantile(numbers[known], np.arange(1, _FIFTHS) / _FIFTHS))
        places = np.searchsorted(edges, np.where(known, numbers, 0), side="right")
        return cls(name, numbers, np.where(known, places, -1).astype(np.int64))


@dataclass(frozen=True)
class Pair:
    """Two columns: by rank correlation, -1 to 1, or by V, 0 to 1; NaN where the rows cannot tell."""

    first: str
    second: str
    value: float
    ranked: bool


def associations(fields: Sequence[Field], label: Field) -> list[Pair]:
    """Of each column with the label, and of all pairs of those that go most with it."""
    with_label = [_pair(field, label) for field in fields]
    strength = np.array([_strength(pair) for pair in with_label])
    chosen = sorted(np.argsort(-strength, kind="stable")[:COLUMNS].tolist())
    among = (_pair(fields[i], fields[j]) for i, j in combinations(chosen, 2))
    return [*with_label, *among]


def _strength(pair: Pair) -> float:
    return 0.0 if np.isnan(pair.value) else abs(pair.value)


def _pair(first: Field, second: Field) -> Pair:
    if first.numbers is not None and second.numbers is not None:
        return Pair(first.name, second.name, spearman(first.numbers, second.numbers), ranked=True)
    return Pair(first.name, second.name, cramer(first.codes, second.codes), ranked=False)


def spearman(first: Floats, second: Floats) -> float:
    """Spearman's rank correlation of the rows in which both are known; NaN where one of them does not vary there."""
    known = ~(np.isnan(first) | np.isnan(second))
    ranks = [rankdata(numbers[known]) for numbers in (first, second)]
    if known.sum() < 2 or any(np.ptp(each) == 0 for each in ranks):
        return float("nan")
    return float(np.corrcoef(*ranks)[0, 1])


def cramer(first: NDArray[np.int64], second: NDArray[np.int64]) -> float:
    """Cramér's V with Bergsma's correction for the levels' number; NaN where one of them does not vary."""
    (names, codes), (others, columns) = (np.unique(each, return_inverse=True) for each in (first, second))
    rows = len(first)
    if len(names) < 2 or len(others) < 2:
        return float("nan")
    counts = np.bincount(codes * len(others) + columns, minlength=len(names) * len(others)).reshape(len(names), -1)
    expected = np.outer(counts.sum(axis=1), counts.sum(axis=0)) / rows
    phi = float(np.sum((counts - expected) ** 2 / expected)) / rows
    corrected = max(0.0, phi - (len(names) - 1) * (len(others) - 1) / (rows - 1))
    sizes = [size - (size - 1) ** 2 / (rows - 1) for size in counts.shape]
    return float(np.sqrt(corrected / max(min(sizes) - 1, 1e-12)))
