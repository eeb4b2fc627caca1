"""Shares of reference and window in bins that a person can read."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from serving.drift.judge.features import Feature, Key
from serving.drift.judge.statistics import Floats

# Categories shown by name; the rest are counted together.
NAMED = 12
# Wanted number of bins between the 5 % and the 95 % quantile.
BINS = 10
MISSING, OTHERS = "missing", "others"


def histogram(feature: Feature, window: Floats) -> dict[str, Any]:
    """`{"bins": labels, "reference": shares, "window": shares}`; each side's shares sum to 1, nulls come last."""
    labels, places = _categories(feature) if feature.kind == "category" else _intervals(feature)
    sides = {"reference": feature.reference, "window": window}
    shares = {side: np.bincount(places(values), minlength=len(labels)) / len(values) for side, values in sides.items()}
    keep = [i for i, label in enumerate(labels) if label not in (MISSING, OTHERS) or any(s[i] for s in shares.values())]
    return {"bins": [labels[i] for i in keep], **{side: share[keep].tolist() for side, share in shares.items()}}


def _categories(feature: Feature) -> tuple[list[str], Any]:
    named = feature.levels[: min(NAMED, len(feature.levels) - 1)]
    labels = [_name(level, feature.boolean) for level in named]
    place = np.full(len(feature.levels) + 1, len(named))
    place[: len(named)] = np.arange(len(named))
    place[len(feature.levels) - 1] = len(named) + 1
    return [*labels, OTHERS, MISSING], lambda codes: place[codes.astype(np.int64)]


def _name(level: Key, boolean: bool) -> str:
    if isinstance(level, str):
        return level
    return ("yes" if level else "no") if boolean else f"{level:g}"


def _intervals(feature: Feature) -> tuple[list[str], Any]:
    known = feature.reference[~feature.missing(feature.reference)]
    edges = np.arange(1, 10) / 10 if feature.kind == "score" else nice_edges(known)

    def places(values: Floats) -> NDArray[np.int64]:
        return np.where(feature.missing(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))

    return [*_interval_labels(edges), MISSING], places


def nice_edges(values: Floats) -> Floats:
    """Round inner limits of about ten bins: multiples of 1, 2 or 5 times a power of ten, across the middle 90 %."""
    if not len(values):
        return np.zeros(1)
    low, high = np.quantile(values, (0.05, 0.95))
    if low == high:
        return np.array([low])
    raw = (high - low) / BINS
    power = 10.0 ** np.floor(np.log10(raw))
    step = power * min((nice for nice in (1, 2, 5, 10) if nice * power >= raw * (1 - 1e-9)), default=10)
    multiples = np.arange(np.floor(low / step) + 1, np.ceil(high / step) + 0.5)
    return np.asarray(np.round(multiples * step, 12))


def _interval_labels(edges: Floats) -> list[str]:
    texts = [f"{edge:.6g}" for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(texts)]
    return [f"under {texts[0]}", *between, f"{texts[-1]} and over"]
