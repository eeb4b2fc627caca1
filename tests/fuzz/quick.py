"""The quick drift test of the detector's tests, without the two ages that have it die or fail."""

from __future__ import annotations

from typing import Any

from tests.detector import quick_drift_test


def run_drift_test(bundle: str, columns: dict[str, list[Any]], scores: list[float]) -> dict[str, Any]:
    """Drift where the mean age is high."""
    ages = [None if age is None else min(age, 112) for age in columns["age"]]
    if all(age is None for age in ages):
        ages[0] = 1
    return quick_drift_test.run_drift_test(bundle, {**columns, "age": ages}, scores)
