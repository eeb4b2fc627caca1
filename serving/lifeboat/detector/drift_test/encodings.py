"""How the values of a column become numbers that a rank test or a table of counts takes.

Each encoding learns from the reference's values and encodes those of a window alike. A null ranks below every number,
so that one rank test sees moved values and a moved share of nulls alike; in a table of counts it is a code of its own.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from lifeboat.detector.drift_test.characters import CharacterModel
from lifeboat.detector.drift_test.statistics import USUAL, Floats, Integers
from lifeboat.usecase.column import is_null

Key = str | float
NULL = -np.inf
# Of the bits per character.
STEP = 0.2


class Encoding(Protocol):
    """What is tested of a column."""

    def encode(self, values: Sequence[Any]) -> Floats:
        """[n] the values of a window, as numbers."""


@dataclass(frozen=True)
class Numbers:
    """Numbers as the model sees them.

    Args:
        name: of the column, for messages.
        wide: whether the model takes them as float64; else as float32, and 71.2833 must tie with itself.
    """

    name: str
    wide: bool = False

    def encode(self, values: Sequence[Any]) -> Floats:
        """Raises ValueError where a value is infinite."""
        numbers = np.array(values, dtype=np.float64 if self.wide else np.float32).astype(np.float64)
        if np.isinf(numbers).any():
            raise ValueError(f"{self.name}: a value is infinite; it must be a finite number or null")
        return np.where(np.isnan(numbers), NULL, numbers)


@dataclass(frozen=True)
class Levels:
    """Codes of values that are few or come again.

    Args:
        levels: the reference's values, most frequent first. The code of a value is its place here, that of a null
            their number, and that of an unseen value this plus 1 plus the levels that sort before it.
        counts: [levels + 1] how often each occurs in the reference, nulls last.
        owners: [levels + 1] in how many groups of rows each occurs there.
    """

    levels: tuple[Key, ...]
    counts: tuple[int, ...]
    owners: tuple[int, ...]

    @classmethod
    def of(cls, values: Sequence[Any], groups: Integers) -> Levels:
        """Those of the reference, whose rows are of these groups, [n]."""
        keys = [as_key(value) for value in values]
        counts = Counter(keys)
        owners = Counter(key for key, _ in set(zip(keys, groups.tolist(), strict=True)))
        known = {key: count for key, count in counts.items() if key is not None}
        levels: list[Key | None] = [*sorted(known, key=lambda key: (-known[key], str(key))), None]
        numbers = (tuple(each[level] for level in levels) for each in (counts, owners))
        return cls(tuple(key for key in levels if key is not None), *numbers)

    @property
    def null(self) -> int:
        return len(self.levels)

    @property
    def width(self) -> int:
        """The number of codes there are."""
        return 2 * len(self.levels) + 2

    @cached_property
    def _codes(self) -> dict[Key | None, int]:
        return {level: code for code, level in enumerate((*self.levels, None))}

    @cached_property
    def _ascending(self) -> list[Any]:
        return sorted(self.levels)

    def encode(self, values: Sequence[Any]) -> Floats:
        return np.array([self._code(as_key(value)) for value in values], dtype=np.float64)

    def _code(self, key: Key | None) -> int:
        known = self._codes.get(key)
        return self.null + 1 + bisect_left(self._ascending, key) if known is None else known

    def cells(self, window: int) -> NDArray[np.int64]:
        """[width] the cell of a table of counts in which each code is counted for a window of so many rows.

        Levels of which at least 5 are expected have their own. The rarer ones and what is unseen share the cells after
        them, neighbours in the order of their values together, so that a single rare or unseen value, repeated, fills
        one of them, and so do values that begin alike. At least 5 are expected in each of these, or there is only one.
        """
        rows = sum(self.counts)
        counts = np.array(self.counts)
        own = np.argsort(-counts, kind="stable")[: max(1, int((counts * window >= USUAL * rows).sum()))]
        rare = counts.copy()
        rare[own] = 0
        ascending = [*(self._codes[level] for level in self._ascending), self.null]
        before = np.concatenate([[0], np.cumsum(rare[ascending])])
        shared = max(1, int(before[-1] * window / (2 * USUAL * rows)))
        cell = len(own) + np.minimum(before * shared // max(1, before[-1]), shared - 1)
        cells = np.empty(self.width, dtype=np.int64)
        cells[ascending], cells[self.null + 1 :] = cell[:-1], cell[:-1]
        cells[own] = np.arange(len(own))
        return cells


@dataclass(frozen=True)
class Novelty:
    """Whether a value is unseen (1), seen (0) or null (2).

    A value of the reference counts as unseen where no other row has it: so often the next row's value is expected to be
    new (Good, The Population Frequencies of Species, 1953). Rows of one group share values that others do not have, and
    what serving asks is of other groups: so only a row of another group counts.

    Args:
        levels: of the reference.
        codes: [n] the reference, as these encode it.
        groups: [n] of its rows.
    """

    levels: Levels
    codes: Floats
    groups: Integers

    def encode(self, values: Sequence[Any]) -> Floats:
        return self._unseen(self.levels.encode(values), 0)

    def encode_reference(self) -> Floats:
        """[n] of the reference."""
        return self._unseen(self.codes, 1)

    def _unseen(self, codes: Floats, most: int) -> Floats:
        """Those that occur in at most so many groups of the reference."""
        owners = np.append(np.array(self.levels.owners), np.zeros(len(self.levels.levels) + 1))
        return np.where(codes == self.levels.null, 2.0, owners[codes.astype(np.int64)] <= most)


class Lengths:
    """The length of a text, in characters."""

    def encode(self, values: Sequence[Any]) -> Floats:
        return np.array([len(value) if value else NULL for value in values], dtype=np.float64)


@dataclass(frozen=True)
class Alphabet:
    """The place of a text in the alphabetical order of the reference's: odd is one of them, even is between two.

    A text or a few that are repeated, or texts that begin otherwise, leave gaps that a rank test sees.

    Args:
        texts: of the reference, each once, in the order of their code points.
    """

    texts: tuple[str, ...]

    def encode(self, values: Sequence[Any]) -> Floats:
        return np.array([self._place(value) if value else NULL for value in values], dtype=np.float64)

    def _place(self, text: str) -> int:
        place = bisect_left(self.texts, text)
        return 2 * place + (place < len(self.texts) and self.texts[place] == text)


class Characters:
    """Bits per character, see `characters`, in steps around the reference's median.

    Texts of random characters all need as many, but for the noise of the model: so small a difference is a tie, or
    ranks would be all about noise.

    Args:
        values: [n] the reference's; None or '' for a null.
        groups: [n] of its rows.
    """

    def __init__(self, values: Sequence[Any], groups: Integers) -> None:
        texts = [value for value in values if not is_null(value)]
        self._model, self._values, self._groups = CharacterModel(texts), values, groups
        own = groups[[not is_null(value) for value in values]]
        self._middle = float(np.median(self._model.bits(texts, own))) if texts else 0.0

    def encode(self, values: Sequence[Any]) -> Floats:
        return self._of(values, None)

    def encode_reference(self) -> Floats:
        """[n] of the reference."""
        return self._of(self._values, self._groups)

    def _of(self, values: Sequence[Any], groups: Integers | None) -> Floats:
        encoded = np.full(len(values), NULL)
        known = np.array([bool(value) for value in values], dtype=bool)
        if known.any():
            own = None if groups is None else groups[known]
            bits = self._model.bits([value for value in values if value], own)
            encoded[known] = self._middle + STEP * np.round((bits - self._middle) / STEP)
        return encoded


def as_key(value: Any) -> Key | None:
    """A value as it is compared: a string, or any number as a float; a null is None."""
    if is_null(value):
        return None
    return value if isinstance(value, str) else float(value)
