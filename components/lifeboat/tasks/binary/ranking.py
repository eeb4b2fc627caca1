"""The two areas that depend on the order of a model's scores alone: ROC AUC and average precision."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


class Ranking:
    """Rows in the order of their scores, prepared once, so that each weighting costs one running sum.

    Args:
        scores: ascending, [n].
        positive: whether each row is of class 1, bool [n].
    """

    def __init__(self, scores: Floats, positive: NDArray[np.bool_]) -> None:
        edges = np.flatnonzero(np.r_[True, scores[1:] != scores[:-1], True])
        self._positives = np.flatnonzero(positive)
        level = np.searchsorted(edges, self._positives, side="right") - 1
        # For each positive where the run of its score begins and ends, among all rows and among the positives.
        self._begin, self._end = edges[level], edges[level + 1]
        self._first, self._last = (np.searchsorted(self._positives, side) for side in (self._begin, self._end))
        # Running sums; written anew for each weighting.
        self._rows, self._found = np.zeros(len(scores) + 1), np.zeros(len(self._positives) + 1)

    def areas(self, weights: Floats) -> tuple[float, float]:
        """ROC AUC and average precision; NaN where a class that they need has no weight.

        The AUC is the share of pairs of a positive and a negative in the right order, a tie as half (Mann-Whitney). The
        average precision is the mean precision over the recall gained at each score, from the highest down.

        Args:
            weights: of the rows in this order, [n].
        """
        own = weights[self._positives]
        np.cumsum(weights, out=self._rows[1:])
        np.cumsum(own, out=self._found[1:])
        total, found = self._rows[-1], self._found[-1]
        if not found:
            return np.nan, np.nan
        rows_below, found_below = self._rows[self._begin], self._found[self._first]
        # Where nothing weighs from this score up, nothing is gained either.
        precision = (found - found_below) / np.maximum(total - rows_below, 1e-12)
        # Sums of products, not `@`: on so many rows BLAS would start threads, which cost more than they give.
        average_precision = float((own * precision).sum() / found)
        if total <= found:
            return np.nan, average_precision
        below = rows_below - found_below
        tied = self._rows[self._end] - self._found[self._last] - below
        return float((own * (below + tied / 2)).sum() / (found * (total - found))), average_precision
