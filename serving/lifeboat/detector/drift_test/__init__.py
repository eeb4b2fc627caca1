"""The drift test: whether a window of predictions comes from another world than the model's training rows.

It knows bundles and rows, no HTTP and no database. Alibi Detect does the tests.
"""

from __future__ import annotations

import importlib
from typing import Any


def run_drift_test(bundle: str, columns: dict[str, list[Any]], scores: list[float]) -> dict[str, Any]:
    """Judges one window against the reference of the bundle that predicted it.

    Args:
        bundle: directory; opened and verified once, then kept.
        columns: the schema's input columns, raw values, None for a null.
        scores: probability of class 1; all are of one length.

    Returns:
        What JSON can hold: rows, drift, p_value (stated share of false alarms), correction, threshold, seconds, and
        for each feature, which is a column or the score, its name, kind, missing shares, threshold, drift and tests
        (aspect, test and p_value of each), and of the one with the smallest p-value its aspect, test, p_value,
        distance, effect and histogram.

    Raises:
        BundleError: the bundle is not whole or its reference cannot be used.
        ValueError: fewer than two rows, lengths that differ, a column that is missing, a number that is not finite.
    """
    # Not above: it needs scipy and pyarrow, which whoever only hands windows over can do without.
    from lifeboat.detector.drift_test.drift_test import open_drift_test

    return open_drift_test(bundle).run(columns, scores)


def load() -> None:
    """Imports now what the first window would wait for: Alibi Detect and its neighbours, some seconds."""
    importlib.import_module("lifeboat.detector.drift_test.drift_test")
    importlib.import_module("lifeboat.detector.drift_test.alibi").detectors()
