"""Shares of reference and window in bins that a person can read."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.detector.drift_test.encodings import Alphabet, Key, Levels, Novelty
from lifeboat.detector.drift_test.features import Feature
from lifeboat.detector.drift_test.statistics import Floats
from lifeboat.usecase.column import LARGEST_KEY

# Values shown by name, those that are most frequent in the reference and then in the window; the rest are together.
NAMED, NAMED_OF_WINDOW = 9, 3
# Wanted number of bins between the 5 % and the 95 % quantile.
BINS = 10
# Characters of a text that name a limit in the alphabet.
PREFIX = 12
# Significant digits of a limit that is not whole: the fewest that tell it from its neighbours.
DIGITS = (6, 9, 12, 15)
MISSING, OTHERS, UNSEEN = "missing", "others", "unseen"
Places = Callable[[Floats], NDArray[np.int64]]


def histogram(feature: Feature, window: Floats) -> dict[str, Any]:
    """`{"bins": labels, "reference": shares, "window": shares}`; each side's shares sum to 1, nulls come last.

    Of a column whose values may not be told the bins are numbered.
    """
    labels, places = _bins(feature, window)
    if not feature.is_shown:
        labels = [
            label if label in (MISSING, OTHERS, UNSEEN) else f"{number}" for number, label in enumerate(labels, 1)
        ]
    sides = {"reference": feature.reference, "window": window}
    shares = {side: np.bincount(places(values), minlength=len(labels)) / len(values) for side, values in sides.items()}
    optional = range(len(labels) - (3 if isinstance(feature.encoding, Levels) else 1), len(labels))
    keep = [place for place in range(len(labels)) if place not in optional or any(s[place] for s in shares.values())]
    return {"bins": [labels[i] for i in keep], **{side: share[keep].tolist() for side, share in shares.items()}}


def _bins(feature: Feature, window: Floats) -> tuple[list[str], Places]:
    encoding = feature.encoding
    if isinstance(encoding, Levels):
        return _levels(encoding, feature.boolean, window)
    if isinstance(encoding, Novelty):
        return ["seen", UNSEEN, MISSING], lambda codes: codes.astype(np.int64)
    if isinstance(encoding, Alphabet):
        return _alphabet(feature, encoding)
    known = feature.reference[~feature.missing(feature.reference)]
    probable = feature.kind == "score" and known.min() >= 0 and known.max() <= 1
    edges = np.arange(1, 10) / 10 if probable else nice_edges(known)
    return [*_interval_labels(edges), MISSING], _between(feature, edges)


def _levels(levels: Levels, boolean: bool, window: Floats) -> tuple[list[str], Places]:
    """Named levels, other ones, unseen values, nulls."""
    named = _named(levels, window)
    place = np.full(levels.width, len(named) + 1)
    place[: levels.null] = len(named)
    place[named] = np.arange(len(named))
    place[levels.null] = len(named) + 2
    labels = [_name(levels.levels[code], boolean) for code in named]
    return [*labels, OTHERS, UNSEEN, MISSING], lambda codes: place[codes.astype(np.int64)]


def _named(levels: Levels, window: Floats) -> list[int]:
    """Codes of levels to show; all where they are few."""
    most = NAMED + NAMED_OF_WINDOW
    if levels.null <= most:
        return list(range(levels.null))
    counts = np.bincount(window.astype(np.int64), minlength=levels.width)[: levels.null]
    frequent = [int(code) for code in np.argsort(-counts, kind="stable") if code >= NAMED and counts[code]]
    chosen = [*range(NAMED), *frequent[:NAMED_OF_WINDOW]]
    return chosen + [code for code in range(NAMED, most) if code not in chosen][: most - len(chosen)]


def _name(level: Key, boolean: bool) -> str:
    if isinstance(level, str):
        return level
    return ("yes" if level else "no") if boolean else _number(level)


def _alphabet(feature: Feature, alphabet: Alphabet) -> tuple[list[str], Places]:
    """Parts of the alphabet with about as many rows of the reference, named by what their first text begins with."""
    known = feature.reference[~feature.missing(feature.reference)]
    quantiles = np.quantile(known, np.arange(1, BINS) / BINS, method="higher")
    edges = np.unique(quantiles[quantiles > known.min()])
    starts = [_beginning(alphabet.texts, int(edge) // 2) for edge in edges]
    if not starts:
        return ["all", MISSING], _between(feature, edges)
    return [f"before {starts[0]}", *(f"from {start}" for start in starts), MISSING], _between(feature, edges)


def _beginning(texts: tuple[str, ...], place: int) -> str:
    """So much of a text as tells it from the one before it."""
    before, text = texts[place - 1], texts[place]
    # The later of two has a character where the other one differs or has ended.
    shared = next(i for i in range(len(text)) if text[: i + 1] != before[: i + 1])
    return text[: min(shared + 1, PREFIX)]


def _between(feature: Feature, edges: Floats) -> Places:
    """Places of values between edges; nulls after them."""

    def places(values: Floats) -> NDArray[np.int64]:
        return np.where(feature.missing(values), len(edges) + 1, np.searchsorted(edges, values, side="right"))

    return places


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
    if step >= 1:
        return np.asarray(multiples * step)
    # Not 0.30000000000000004.
    return np.array([float(f"{edge:.15g}") for edge in multiples * step])


def _interval_labels(edges: Floats) -> list[str]:
    digits = next((digits for digits in DIGITS if len({_number(edge, digits) for edge in edges}) == len(edges)), 17)
    texts = [_number(edge, digits) for edge in edges]
    between = [f"{low} to {high}" for low, high in pairwise(texts)]
    return [f"under {texts[0]}", *between, f"{texts[-1]} and over"]


def _number(value: float, digits: int = 6) -> str:
    """A whole number with all of its digits, another one with so many."""
    whole = float(value).is_integer() and abs(value) <= LARGEST_KEY
    return f"{value:.0f}" if whole else f"{value:.{digits}g}"
