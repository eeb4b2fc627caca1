"""Explanations that take no time: most tests here are about other figures."""

from __future__ import annotations

import pytest

from lifeboat.evaluate.explanation import contributions, permutation


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few shuffles, replicates and explained rows; a test of these asks for its own."""
    monkeypatch.setattr(permutation, "REPEATS", 2)
    monkeypatch.setattr(permutation, "REPLICATES", 20)
    monkeypatch.setattr(contributions, "QUESTIONS", 10_000)
