"""What is tested of each column, and how its values become numbers that a rank test or a table of counts takes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from components.core.schema import Column
from serving.drift.judge.statistics import USUAL

FeatureKind = Literal["number", "category", "text", "score"]
Key = str | float | None
SCORE_FEATURE = "score"
# A column that declares no categories has them all the same when the reference knows at most so many values.
FEW = 20
# A null ranks below every number, so that one rank test sees moved values and a moved share of nulls alike.
NULL = -np.inf


@dataclass(frozen=True)
class Feature:
    """One column of the reference, encoded.

    Args:
        name: of the column, or `score`.
        kind: how it is tested: a number and a score by value, a category by counts, a text by its length.
        boolean: whether its categories read false and true.
        levels: a category's values in the reference, most frequent first, then null; the code of a value is its place
            here, that of an unseen one their number.
        reference: [n] numbers, or codes of levels.
    """

    name: str
    kind: FeatureKind
    boolean: bool
    levels: tuple[Key, ...]
    reference: NDArray[np.float64]

    @property
    def test(self) -> str:
        return "Chi2" if self.kind == "category" else "K-S"

    @cached_property
    def _codes(self) -> dict[Key, int]:
        return {level: code for code, level in enumerate(self.levels)}

    def encode(self, values: Sequence[Any]) -> NDArray[np.float64]:
        """Raw values of a window as the reference is encoded.

        Raises:
            ValueError: a value is no finite number where the column holds numbers.
        """
        if self.kind == "category":
            unseen = len(self.levels)
            return np.array([self._codes.get(_key(value), unseen) for value in values], dtype=np.float64)
        return _lengths(values) if self.kind == "text" else _numbers(self.name, values)

    def missing(self, encoded: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Which of the encoded values are nulls."""
        null = len(self.levels) - 1 if self.kind == "category" else NULL
        return np.equal(encoded, null)

    def cells(self, window: int) -> NDArray[np.int64]:
        """[levels + 1] the cell of a table of counts in which each code is counted for a window of so many rows.

        Levels of which at least 5 are expected have their own; the last cell takes the rest and what is unseen.
        """
        counts = np.bincount(self.reference.astype(np.int64), minlength=len(self.levels) + 1)
        order = np.argsort(-counts, kind="stable")
        own = max(1, int((counts * window >= USUAL * len(self.reference)).sum()))
        cells = np.full(len(counts), own)
        cells[order[:own]] = np.arange(own)
        return cells


def column_feature(column: Column, values: Sequence[Any]) -> Feature:
    """Chooses the test of a column by its declaration and by its values in the reference (NaN or '' for null)."""
    if _is_category(column, values):
        counts = Counter(_key(value) for value in values)
        del counts[None]
        levels = (*sorted(counts, key=lambda key: (-counts[key], str(key))), None)
        empty = Feature(column.name, "category", column.kind == "boolean", levels, np.empty(0))
        return Feature(empty.name, "category", empty.boolean, levels, empty.encode(values))
    if column.is_number:
        return Feature(column.name, "number", False, (), _numbers(column.name, values))
    return Feature(column.name, "text", False, (), _lengths(values))


def score_feature(values: Sequence[Any]) -> Feature:
    """The model's probability of class 1."""
    return Feature(SCORE_FEATURE, "score", False, (), _numbers(SCORE_FEATURE, values))


def _is_category(column: Column, values: Sequence[Any]) -> bool:
    if column.categories or column.kind == "boolean":
        return True
    distinct = len({_key(value) for value in values} - {None})
    # As few as one value for every five rows: a small reference makes no free text a category.
    return column.kind in ("string", "integer") and distinct <= min(FEW, len(values) // 5)


def _key(value: Any) -> Key:
    """A category as it is compared: a string, or any number as a float; a null is None."""
    if value is None or value == "" or value != value:
        return None
    return value if isinstance(value, str) else float(value)


def _numbers(name: str, values: Sequence[Any]) -> NDArray[np.float64]:
    # The reference and the model hold 32 bits: 71.2833 must tie with itself.
    numbers = np.array(values, dtype=np.float32).astype(np.float64)
    if np.isinf(numbers).any():
        raise ValueError(f"{name}: a value is infinite")
    return np.where(np.isnan(numbers), NULL, numbers)


def _lengths(values: Sequence[Any]) -> NDArray[np.float64]:
    return np.array([len(value) if value else NULL for value in values], dtype=np.float64)
