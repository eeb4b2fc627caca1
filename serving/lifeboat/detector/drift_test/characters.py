"""How usual the characters of a text are: bits per character under those of the reference's texts.

It is the cross-entropy of a bigram model whose pairs are smoothed towards single characters (MacKay & Peto, A
Hierarchical Dirichlet Language Model, 1995). One number a text, which moves with language, script, case, digits and
the order of the letters, and hardly with the length.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lifeboat.detector.drift_test.statistics import Floats, Integers

# Weight of single characters against pairs, in characters. With less, rows that the reference holds look more usual
# than others of their population: of 200 of its own names 80 % of windows drift at 1, 2 % at 400 and as many of others.
WEIGHT = 400
# Added to the count of each character, so that one that was never seen costs a finite number of bits.
SMOOTHING = 0.5
# Unicode ends below 2^21: a pair is one integer.
POINT = 1 << 21
# Before the first character stands this one.
START = "\0"


class CharacterModel:
    """Counts of characters, and of what follows each, in texts.

    Args:
        texts: of the reference, without nulls.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        keys, _ = _pairs(texts)
        self._total = len(keys)
        self._pairs, self._firsts, self._seconds = _Counts(keys), _Counts(keys // POINT), _Counts(keys % POINT)

    def bits(self, texts: Sequence[str], groups: Integers | None = None) -> Floats:
        """[n] bits per character of texts that are not empty.

        Args:
            texts: to measure.
            groups: [n] where they are the reference's own: then each is measured by those of other groups alone, for a
                text is more usual to a model that counted it, or others like it.
        """
        keys, rows = _pairs(texts)
        own = None if groups is None else np.unique(groups, return_inverse=True)[1][rows]
        total = self._total - (0 if own is None else np.bincount(own)[own])
        pairs = self._pairs.of(keys, own)
        firsts = self._firsts.of(keys // POINT, own)
        seconds = self._seconds.of(keys % POINT, own)
        alone = (seconds + SMOOTHING) / (total + SMOOTHING * (len(self._seconds.keys) + 1))
        shares = (pairs + WEIGHT * alone) / (firsts + WEIGHT)
        return np.asarray(np.bincount(rows, -np.log2(shares)) / np.bincount(rows))


class _Counts:
    """How often each key occurs."""

    def __init__(self, keys: Integers) -> None:
        self.keys, self.counts = np.unique(keys, return_counts=True)

    def of(self, keys: Integers, own: Integers | None) -> Integers:
        """The count of each key, without those of its own group where these were counted."""
        if not len(self.keys):
            return np.zeros(len(keys), dtype=np.int64)
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        found = np.where(self.keys[places] == keys, self.counts[places], 0)
        return found if own is None else found - _within(own, places)


def _pairs(texts: Sequence[str]) -> tuple[Integers, Integers]:
    """The neighbours in all texts, two characters as one integer, and the number of the text that each pair is of."""
    joined = "".join(START + text for text in texts)
    points = np.frombuffer(joined.encode("utf-32-le"), dtype=np.uint32).astype(np.int64)
    rows = np.repeat(np.arange(len(texts)), [1 + len(text) for text in texts])
    inside = rows[:-1] == rows[1:]
    return (points[:-1] * POINT + points[1:])[inside], rows[1:][inside]


def _within(own: Integers, places: Integers) -> Integers:
    """How often each place occurs in its own group."""
    _, cell, counts = np.unique(own * (places.max(initial=0) + 1) + places, return_inverse=True, return_counts=True)
    return np.asarray(counts[cell])
