"""Columns of text and of codes as tables have them, without drift, and what can happen to them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from tests.drift_test.world import Rows, titanic

Draw = Callable[[np.random.Generator, int], np.ndarray]
Change = Callable[[np.random.Generator, np.ndarray], list]


def _codes(alphabet: str, length: int, many: int, seed: int) -> np.ndarray:
    """So many distinct codes of one length, in no order."""
    random, letters = np.random.default_rng(seed), np.array(list(alphabet))
    codes = {"".join(letters[row]) for row in random.integers(0, len(letters), (4 * many, length))}
    return random.permutation(np.array(sorted(codes), dtype=object))[:many]


def _zipf(codes: np.ndarray, power: float) -> Draw:
    """The k-th code is as frequent as k to the power of minus `power`."""
    shares = np.arange(1, len(codes) + 1.0) ** -power
    return lambda random, n: random.choice(codes, n, p=shares / shares.sum())


CAPITALS, DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ", "0123456789"
HEXADECIMAL = np.array(list("0123456789abcdef"))


def _uuids(random: np.random.Generator, n: int) -> np.ndarray:
    return np.array(["".join(row) for row in HEXADECIMAL[random.integers(0, 16, (n, 32))]], dtype=object)


@cache
def _persons() -> tuple[list[str], list[str]]:
    """Surnames and given names with titles, of the Titanic's passengers."""
    parts = [name.split(", ", 1) for name in titanic()["Name"]]
    return [one[0] for one in parts], [one[1] for one in parts]


def _names(random: np.random.Generator, n: int) -> np.ndarray:
    """Recombined, so that a reference and a window share hardly one."""
    surnames, given = _persons()
    pairs = zip(random.choice(surnames, n), random.choice(given, n), strict=True)
    return np.array([f"{first}, {second}" for first, second in pairs], dtype=object)


def _ages(random: np.random.Generator, n: int) -> np.ndarray:
    return np.round(np.clip(random.gamma(6, 6, n), 0, 95))


STRING, INTEGER = Column("x", "string"), Column("x", "integer")
# Name: its column, how values are drawn, and how it is tested.
COLUMNS: dict[str, tuple[Column, Draw, str]] = {
    "21 codes": (STRING, _zipf(_codes(CAPITALS, 2, 21, 1), 0), "category"),
    "50 states": (STRING, _zipf(_codes(CAPITALS, 2, 50, 2), 1), "category"),
    "300 airports": (STRING, _zipf(_codes(CAPITALS, 3, 300, 3), 1), "category"),
    "500 equal codes": (STRING, _zipf(_codes(DIGITS, 5, 500, 4), 0), "category"),
    "2,000 zip codes": (STRING, _zipf(_codes(DIGITS, 5, 2000, 5), 0.8), "category"),
    "5,000 equal codes": (STRING, _zipf(_codes(DIGITS, 6, 5000, 6), 0), "text"),
    "names": (STRING, _names, "text"),
    "random ids": (STRING, _uuids, "text"),
    "300 integer codes": (INTEGER, _zipf(_codes(DIGITS, 5, 300, 7).astype(float), 1), "number"),
    "ages in years": (INTEGER, _ages, "number"),
}


# A table of columns of every kind; without those that take long to draw.
PARCELS = Schema(
    tuple(
        replace(COLUMNS[name][0], name=name)
        for name in (
            "300 airports",
            "500 equal codes",
            "2,000 zip codes",
            "names",
            "300 integer codes",
            "ages in years",
        )
    ),
    BinaryLabel("late", ("no", "yes")),
)


def parcels(random: np.random.Generator, n: int) -> Rows:
    """Its rows, and `__score`."""
    return {**{name: COLUMNS[name][1](random, n) for name in PARCELS.names}, "__score": random.beta(1, 2, n)}


def _other_of_its_form(value: object, random: np.random.Generator) -> object:
    """As long, each letter and digit replaced by another one."""
    if isinstance(value, float):
        return float(_other_of_its_form(f"{value:05.0f}", random))
    kinds = ((str.isdigit, DIGITS), (str.isupper, CAPITALS), (str.islower, CAPITALS.lower()))
    letters = {kind: next((letters for test, letters in kinds if test(kind)), kind) for kind in set(value)}
    return "".join(letters[one][random.integers(len(letters[one]))] for one in value)


def _one(_: np.random.Generator, window: np.ndarray) -> list:
    return [window[0]] * len(window)


def _one_new(random: np.random.Generator, window: np.ndarray) -> list:
    return [_other_of_its_form(window[0], random)] * len(window)


def _others(random: np.random.Generator, window: np.ndarray) -> list:
    return [_other_of_its_form(value, random) for value in window]


def _tenth_one(_: np.random.Generator, window: np.ndarray) -> list:
    return [*[window[0]] * (len(window) // 10), *window[len(window) // 10 :]]


CHANGES: dict[str, Change] = {
    "one value": _one,
    "one unseen value": _one_new,
    "other values of that form": _others,
    "a tenth is one value": _tenth_one,
}
