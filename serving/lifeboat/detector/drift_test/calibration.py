"""The p-value at which a window is called drifted so that false alarms are as rare as stated.

The smallest of many p-values is small by chance. Bonferroni's division takes the tests for independent and each for
exact; ours share rows, correlate, and rest on tied and discrete values. So the distribution of the smallest p-value
is read off the reference itself: windows drawn from it without replacement are held against what is left (the
single-step min-p of Westfall & Young, Resampling-Based Multiple Testing, 1993).

The real test has the whole reference on its other side where this has the rest of it. The p-values allow for both
sizes, so their distribution under no drift hardly depends on them; `tests/drift_test/test_calibration.py` measures it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from lifeboat.detector.drift_test.encodings import Novelty
from lifeboat.detector.drift_test.features import Feature
from lifeboat.detector.drift_test.statistics import Floats, Integers, chi2_p_values, ks_distances, ks_tail

LEAST_RESAMPLES, MOST_RESAMPLES = 2000, 20_000
# Resamples whose counts are in memory at a time.
CHUNK = 500
# Below, fewer than 20 smallest p-values would lie under the threshold and make it a matter of luck.
LEAST_P_VALUE = 20 / MOST_RESAMPLES


def min_p_threshold(
    features: Sequence[Feature], window: int, p_value: float, groups: Integers | None = None, seed: int = 0
) -> float:
    """The p-value that the smallest one over all features falls below in a share `p_value` of windows without drift.

    Args:
        features: with the reference's values, row by row in the same order.
        window: rows of the window. Above half the reference's rows, windows of that half are drawn.
        p_value: stated share of false alarms, at least `LEAST_P_VALUE`.
        groups: [n] of the reference's rows; each row its own unless given.
        seed: the same one gives the same threshold.
    """
    groups = np.arange(len(features[0].reference)) if groups is None else groups
    resamples = min(MOST_RESAMPLES, max(LEAST_RESAMPLES, round(100 / p_value)))
    smallest = np.sort(
        np.concatenate(list(_smallest(features, window, resamples, groups, np.random.default_rng(seed))))
    )
    return _below(smallest, p_value)


def _smallest(
    features: Sequence[Feature], window: int, resamples: int, groups: Integers, random: np.random.Generator
) -> Iterator[Floats]:
    """Smallest p-values of the pseudo windows, a chunk at a time."""
    rows = len(features[0].reference)
    drawn = max(1, min(window, rows // 2))
    coded = [codes(feature, drawn) for feature in features]
    for start in range(0, resamples, CHUNK):
        chosen = _draw(groups, drawn, min(CHUNK, resamples - start), random)
        tests = zip(features, coded, strict=True)
        yield np.min([_p_values(feature, chosen, values) for feature, values in tests], axis=0)


def _draw(groups: Integers, window: int, count: int, random: np.random.Generator) -> Integers:
    """[count, window] row numbers, each line drawn without replacement: an order of all rows is cut into windows.

    Rows of one group are alike, and what serving asks is of other groups than the reference: so a group is in the
    window or in the rest, but for the last one of a window.
    """
    rows = len(groups)
    each = rows // window
    keys = random.random((-(-count // each), int(groups.max()) + 1), dtype=np.float32)
    orders = np.argsort(keys[:, groups], axis=1, kind="stable")
    return orders[:, : each * window].reshape(-1, window)[:count]


def codes(feature: Feature, window: int) -> Integers:
    """[n] the reference as places in a table of counts: of its ascending values, or of its cells or levels."""
    if isinstance(feature.encoding, Novelty):
        return feature.encoding.codes.astype(np.int64)
    if feature.is_counted:
        return feature.cells(window)[feature.reference.astype(np.int64)]
    return np.unique(feature.reference, return_inverse=True)[1].astype(np.int64)


def _p_values(feature: Feature, chosen: Integers, whole: Integers) -> Floats:
    """[k] of pseudo windows of the rows chosen [k, w] against the rest of the reference [n]."""
    n, w = len(whole), chosen.shape[1]
    if isinstance(feature.encoding, Novelty):
        return _novelty_p_values(feature.encoding, chosen)
    drawn = whole[chosen]
    if feature.is_counted:
        total = counts(whole[None], int(feature.cells(w).max()) + 1)
        window = counts(drawn, total.shape[1])
        return chi2_p_values(total - window, window, feature.only_more)
    total = counts(whole[None], int(whole.max()) + 1)
    # The whole is a mixture of window and rest, so the distance to the rest is that to the whole, scaled.
    distances = ks_distances(total, counts(drawn, total.shape[1])) * (n / (n - w))
    return ks_tail(distances, round(w * (n - w) / n))


def _novelty_p_values(novelty: Novelty, chosen: Integers) -> Floats:
    """[k] as `_p_values`; what is unseen is found anew for each window, for it varies more than independent rows do.

    A value of two groups is seen or not with both of them.
    """
    levels, codes, groups = novelty.levels, novelty.codes.astype(np.int64), novelty.groups
    whole = np.array(levels.counts)
    n, w = whole.sum(), chosen.shape[1]
    window = counts(codes[chosen], len(whole))[:, : levels.null]
    rest = whole[: levels.null] - window
    left = _owners_left(codes, groups, chosen)[:, : levels.null]
    new = np.where(left == 0, window, 0).sum(axis=1)
    alone = np.where(left == 1, rest, 0).sum(axis=1)
    return chi2_p_values(np.column_stack([n - w - alone, alone]), np.column_stack([w - new, new]), only_more=True)


def _owners_left(codes: Integers, groups: Integers, chosen: Integers) -> Integers:
    """[k, codes] in how many groups that no row of a window is of each code occurs."""
    pairs = np.unique(np.column_stack([codes, groups]), axis=0)
    inside = np.zeros((len(chosen), int(groups.max()) + 1), dtype=bool)
    np.put_along_axis(inside, groups[chosen], True, axis=1)
    outside = ~inside[:, pairs[:, 1]]
    starts = np.flatnonzero(np.r_[True, pairs[1:, 0] != pairs[:-1, 0]])
    left = np.zeros((len(chosen), int(codes.max()) + 1), dtype=np.int64)
    left[:, pairs[starts, 0]] = np.add.reduceat(outside.astype(np.int64), starts, axis=1)
    return left


def counts(places: Integers, width: int) -> Integers:
    """[k, width] how often each place occurs in each row."""
    k = len(places)
    flat = (places + np.arange(k)[:, None] * width).ravel()
    return np.bincount(flat, minlength=k * width).reshape(k, width)


def _below(ascending: Floats, share: float) -> float:
    """A number that at most so large a share of the values is below, and as many as can be.

    It lies between two neighbours, so that equal values are on the same side whatever their last digits.
    """
    edge = int(share * len(ascending))
    lower = ascending[:edge]
    lower = lower[lower < ascending[edge] * (1 - 1e-6)]
    under = lower[-1] if len(lower) else 0.0
    return float((under + ascending[edge]) / 2)
