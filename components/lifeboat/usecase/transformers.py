"""Feature transformers that run the same in scikit-learn and inside an ONNX graph.

Each is a scikit-learn transformer over raw columns (strings with "" for null, float32 with NaN for null); its ONNX form
stands beside it in `model.onnx.own_converters`. Both compute in 32-bit floats, step for step: no value can fall on
different sides of a tree's threshold. But for `CategoryCodes` they hold no learned state: `fit` only checks.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin

from lifeboat.usecase.zone_calendar import CYCLES, PARTS, on_clocks

# What Python's `re` and RE2 read differently, however the pattern is used:
# \s and \S (a vertical tab), {,n}, POSIX classes.
_DIVERGENT = re.compile(r"\\[sS]|\{,\d*\}|\[\[:")
# ... and what differs outside of a class: letters beyond ASCII under (?i), and $ before a last newline.
_DIVERGENT_OUTSIDE = re.compile(r"\(\?[a-zA-Z-]*i|\$")
_CLASS = re.compile(r"\[\^?\]?[^\]]*\]")
_ESCAPED = re.compile(r"\\[^sS]")

# Of a sine, between 0 and 1.
STEPS = 2.0**20
Floats = NDArray[np.float32]
Strings = NDArray[np.object_]


class _Stateless(TransformerMixin, BaseEstimator):
    """A transformer whose output depends on its parameters only."""

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002  # scikit-learn's signature
        """Remembers the number of input columns."""
        self.n_features_in_ = np.shape(X)[1]
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "n_features_in_")


class MissingFlag(_Stateless):
    """1 where a value is missing, else 0; all columns are numbers or all are strings. [n, k] to float32 [n, k]."""

    def transform(self, X: Any) -> Floats:
        values = np.asarray(X)
        missing = values == "" if values.dtype.kind in "OUS" else np.isnan(values)
        return np.asarray(missing, dtype=np.float32)


class RowSum(_Stateless):
    """Sum of the columns plus an offset, left to right. [n, k] to float32 [n, 1].

    Args:
        offset: added first.
    """

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def transform(self, X: Any) -> Floats:
        values = np.asarray(X, dtype=np.float32)
        # Left to right, as the graph adds them: floating-point addition is not associative.
        total = np.full((len(values), 1), self.offset, dtype=np.float32)
        for position in range(values.shape[1]):
            total += values[:, position : position + 1]
        return total


class Quotient(_Stateless):
    """The first column divided by the sum of the others plus an offset. [n, 1 + k] to float32 [n, 1].

    Args:
        offset: added to the divisor; it must keep it from being 0.
    """

    def __init__(self, offset: float = 0.0) -> None:
        self.offset = offset

    def transform(self, X: Any) -> Floats:
        values = np.asarray(X, dtype=np.float32)
        return np.divide(values[:, :1], RowSum(self.offset).transform(values[:, 1:]), dtype=np.float32)


class TextBetween(_Stateless):
    """The text after the first `start` and before the next `stop`; "" where there is no `start`.

    'Fogg, Mr. Phileas' between ', ' and '.' is 'Mr'. Strings [n, 1] to strings [n, 1].
    """

    def __init__(self, start: str, stop: str) -> None:
        self.start = start
        self.stop = stop

    def transform(self, X: Any) -> Strings:
        texts = np.asarray(X, dtype=object)[:, 0]
        found = [text.partition(self.start)[2].partition(self.stop)[0] for text in texts]
        return np.asarray(found, dtype=object).reshape(-1, 1)


class RegexFlags(_Stateless):
    """1 where the whole string matches a pattern, one column each. Strings [n, 1] to float32 [n, p].

    Args:
        patterns: feature name to regular expression, in the syntax that Python's `re` and RE2 share; classes such as
            `\\d` are ASCII in both. What the two read differently is refused:
            `\\s`, `(?i)`, `$`, `{,n}`, `[[:alpha:]]`.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self.patterns = patterns

    def fit(self, X: Any, y: Any = None) -> Self:
        for name, pattern in self.patterns.items():
            literal = _ESCAPED.sub("", pattern)
            found = _DIVERGENT.search(literal) or _DIVERGENT_OUTSIDE.search(_CLASS.sub("", literal))
            if found:
                raise ValueError(f"pattern {name!r}: {found[0]} means one thing to Python and another to an ONNX graph")
        return super().fit(X, y)

    def transform(self, X: Any) -> Floats:
        texts = np.asarray(X, dtype=object)[:, 0]
        flags = np.zeros((len(texts), len(self.patterns)), dtype=np.float32)
        for position, pattern in enumerate(self.patterns.values()):
            regex = re.compile(pattern, re.ASCII)
            flags[:, position] = [regex.fullmatch(text) is not None for text in texts]
        return flags


class CategoryFlags(_Stateless):
    """1 where the string equals a category, one column each; any other string is all 0. [n, 1] to float32 [n, c].

    Unlike a fitted one-hot encoder it does not depend on which categories the training rows happen to hold.
    """

    def __init__(self, categories: tuple[str, ...]) -> None:
        self.categories = categories

    def transform(self, X: Any) -> Floats:
        texts = np.asarray(X, dtype=object)[:, :1]
        return np.asarray(texts == np.asarray(self.categories, dtype=object), dtype=np.float32)


class CategoryCodes(TransformerMixin, BaseEstimator):
    """The place of a text among those of the training rows, the most frequent first: 0, 1, ... Strings [n, k] to
    float32 [n, k].

    Any other text is -1, also one that training had in fewer rows than `fewest`. A null is a category like any other.

    Args:
        fewest: rows of the training that a category has at least.
    """

    def __init__(self, fewest: int = 1) -> None:
        self.fewest = fewest

    def fit(self, X: Any, y: Any = None) -> Self:  # noqa: ARG002  # scikit-learn's signature
        """Counts the categories of each column."""
        texts = np.asarray(X, dtype=object)
        self.n_features_in_ = texts.shape[1]
        self.categories_ = [self._kept(texts[:, place]) for place in range(texts.shape[1])]
        return self

    def _kept(self, texts: Strings) -> list[str]:
        counts = Counter(texts.tolist())
        kept = sorted((-count, text) for text, count in counts.items() if count >= self.fewest)
        return [text for _, text in kept]

    def transform(self, X: Any) -> Floats:
        texts = np.asarray(X, dtype=object)
        codes = np.empty(texts.shape, dtype=np.float32)
        for place, kept in enumerate(self.categories_):
            known = {text: code for code, text in enumerate(kept)}
            codes[:, place] = [known.get(text, -1) for text in texts[:, place]]
        return codes


class Shift(_Stateless):
    """Numbers less an origin, subtracted as float64, as float32. [n, k] to float32 [n, k].

    Whole numbers beyond 2^24, such as identifiers or times in seconds, stay exact up to 2^24 from the origin.

    Args:
        origin: what is subtracted.
    """

    def __init__(self, origin: float = 0.0) -> None:
        self.origin = origin

    def transform(self, X: Any) -> Floats:
        return np.asarray(np.asarray(X, dtype=np.float64) - self.origin, dtype=np.float32)


class Floats32(_Stateless):
    """Numbers as they are, as float32. [n, k] to float32 [n, k]."""

    def transform(self, X: Any) -> Floats:
        return np.asarray(X, dtype=np.float32)


class DateParts(_Stateless):
    """What a calendar and a clock show of moments. Datetimes [n, k] to float32 [n, k * parts], NaN for a null.

    All columns' first part comes first, then their second.

    Args:
        parts: of "year", "month", "day of month", "day of year", "week" (of ISO 8601), "day of week" (0 for Monday),
            "is weekend", "hour" and "minute".
        zone: whose clocks, such as America/New_York; summer time is minded.
    """

    def __init__(self, parts: tuple[str, ...] = ("hour", "day of week", "month"), zone: str = "UTC") -> None:
        self.parts = parts
        self.zone = zone

    def fit(self, X: Any, y: Any = None) -> Self:
        if unknown := [part for part in self.parts if part not in PARTS]:
            raise ValueError(f"part {unknown[0]!r} is none of {', '.join(PARTS)}")
        return super().fit(X, y)

    def transform(self, X: Any) -> Floats:
        local, unknown = on_clocks(np.asarray(X, dtype=np.float64), self.zone)
        parts = [np.where(unknown, np.float32(np.nan), PARTS[part](local)) for part in self.parts]
        return np.concatenate(parts, axis=1, dtype=np.float32)


class Cycle(_Stateless):
    """Where moments stand in what comes again: sine and cosine. Datetimes [n, k] to float32 [n, 2k], NaN for a null.

    One hour before midnight is as near to midnight as one hour after it. All sines come first; they are rounded to
    steps of 2^-20.

    Args:
        period: "day", "week" (from Monday on) or "year".
        zone: whose clocks.
    """

    def __init__(self, period: str = "day", zone: str = "UTC") -> None:
        self.period = period
        self.zone = zone

    def fit(self, X: Any, y: Any = None) -> Self:
        if self.period not in CYCLES:
            raise ValueError(f"period {self.period!r} is none of {', '.join(CYCLES)}")
        return super().fit(X, y)

    def transform(self, X: Any) -> Floats:
        local, unknown = on_clocks(np.asarray(X, dtype=np.float64), self.zone)
        within, length = CYCLES[self.period](local)
        angle = within.astype(np.float64) / length.astype(np.float64) * (2 * np.pi)
        angle[unknown] = np.nan
        waves = np.concatenate([np.sin(angle), np.cos(angle)], axis=1)
        # A graph's sine may differ in the last digit, and near its top hours of a year differ by no more than that.
        return np.asarray(np.rint(waves * STEPS) / STEPS, dtype=np.float32)


class SecondsBetween(_Stateless):
    """The seconds from the first datetime to each of the others. [n, 1 + k] to float32 [n, k], NaN for a null."""

    def transform(self, X: Any) -> Floats:
        moments = np.asarray(X, dtype=np.float64)
        # Microseconds are whole in a float64, and so is what lies between two of them.
        return np.asarray((moments[:, 1:] - moments[:, :1]) / 1e6, dtype=np.float32)
