"""Judges by the mean of the ages: a judge without Alibi Detect, for tests of the service around it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

LIMIT = 50.0


def run_drift_test(bundle: str, columns: dict[str, list[Any]], scores: list[float]) -> dict[str, Any]:
    """Drift where the mean age is above the limit; an age of exactly 113 kills the process, 114 is an error."""
    assert (Path(bundle) / "schema.json").exists()
    assert {len(values) for values in columns.values()} == {len(scores)}
    ages = [age for age in columns["age"] if age is not None]
    if 113 in ages:
        os._exit(9)
    if 114 in ages:
        raise ValueError("no verdict on 114")
    mean = sum(ages) / len(ages)
    p_value = 0.001 if mean > LIMIT else 0.5
    feature = {
        "name": "age", "kind": "number", "aspect": "values", "test": "K-S", "p_value": p_value, "distance": mean,
        "threshold": 0.01, "drift": mean > LIMIT, "effect": {"name": "Wasserstein", "value": mean / 100},
        "tests": [{"aspect": "values", "test": "K-S", "p_value": p_value}],
        "missing": {"reference": 0.1, "window": 1 - len(ages) / len(scores)},
        "histogram": {"bins": ["all"], "reference": [1.0], "window": [1.0]},
    }  # fmt: skip
    return {
        "rows": len(scores), "drift": mean > LIMIT, "p_value": 0.05, "correction": "calibrated", "threshold": 0.01,
        "seconds": 0.0, "features": [feature],
    }  # fmt: skip
