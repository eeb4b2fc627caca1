"""Parameters of tests that are many of one kind."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def first_of(values: Iterable[Any], most: int = 1) -> list[Any]:
    """Of a kind `make test` takes the first ones, and `make test-slow` the others."""
    every = list(values)
    return [*every[:most], *(pytest.param(value, marks=pytest.mark.slow) for value in every[most:])]
