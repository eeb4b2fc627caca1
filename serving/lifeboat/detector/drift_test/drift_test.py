"""A window of predictions held against the reference of the bundle that made them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from lifeboat.config.errors import BundleError
from lifeboat.detector.drift_test.alibi import detectors
from lifeboat.detector.drift_test.calibration import LEAST_P_VALUE, min_p_threshold
from lifeboat.detector.drift_test.effects import effect
from lifeboat.detector.drift_test.features import (
    SCORE_FEATURE,
    Feature,
    answer_features,
    answer_values,
    column_features,
)
from lifeboat.detector.drift_test.histogram import histogram
from lifeboat.detector.drift_test.statistics import Floats, Integers, merges
from lifeboat.model.bundle import Bundle, open_bundle
from lifeboat.tasks.kinds import task_of
from lifeboat.tasks.task import watched_columns
from lifeboat.usecase.schema import Schema

# And that with a number for each group of rows that share what would leak; those of before have none.
GROUP = "__group"
CALIBRATED = "calibrated"
CORRECTIONS = (CALIBRATED, "bonferroni", "fdr")


class DriftTest:
    """Tests windows against one reference.

    Args:
        schema: of the columns.
        reference: the bundle's reference.
        p_value: stated share of false alarms among windows.
        correction: calibrated, bonferroni or fdr.

    Raises:
        ValueError: the reference has fewer than two rows or lacks a column, or p_value or correction cannot be used.
    """

    def __init__(
        self, schema: Schema, reference: pa.Table, p_value: float = 0.05, correction: str = CALIBRATED
    ) -> None:
        _check(schema, reference, p_value, correction)
        self.p_value, self.correction = p_value, correction
        self._groups = _groups(reference)
        self.features = [
            replace(feature, is_shown=not c.personal)
            for c in schema.columns
            for feature in column_features(c, reference[c.name].to_pylist(), self._groups)
        ]
        self._task = task_of(schema.label)
        # Of the model's out-of-fold answers.
        watched = {name: reference[name].to_numpy() for name in watched_columns(reference.column_names)}
        self.features += answer_features(self._task, watched, self._groups)
        self._thresholds: dict[int, float] = {}

    def run(self, columns: Mapping[str, Sequence[Any]], scores: Sequence[Any]) -> dict[str, Any]:
        """The verdict on one window, as `run_drift_test` gives it."""
        started = time.perf_counter()
        encoded = self._encode(columns, scores)
        p_values, distances, threshold = self._test(encoded)
        found = list(zip(self.features, encoded, p_values, distances, strict=True))
        features = [
            _verdict([test for test in found if test[0].name == name], threshold)
            for name in dict.fromkeys(feature.name for feature in self.features)
        ]
        return {
            "rows": len(scores), "drift": any(feature["drift"] for feature in features), "p_value": self.p_value,
            "correction": self.correction, "threshold": threshold, "seconds": time.perf_counter() - started,
            "features": features,
        }  # fmt: skip

    def _encode(self, columns: Mapping[str, Sequence[Any]], scores: Sequence[Any]) -> list[Floats]:
        rows = len(scores)
        if rows < 2:
            raise ValueError(f"a window of {rows} rows cannot be judged; it needs at least 2")
        given = {feature.name: columns.get(feature.name) for feature in self.features if feature.kind != "score"}
        for name, values in given.items():
            if values is None or len(values) != rows:
                raise ValueError(f"{name}: {len(values or ())} values for {rows} scores")
        kept = np.asarray(scores, dtype=np.float64)
        if not np.isfinite(kept).all():
            raise ValueError("score: a value is not finite")
        answered = answer_values(self._task, self._task.watched(kept))
        return [f.encode(answered[f.source] if f.kind == "score" else given[f.name] or ()) for f in self.features]

    def _test(self, encoded: list[Floats]) -> tuple[list[float], list[float], float]:
        """p-value and distance of each test, and the threshold, by Alibi Detect."""
        rows = len(encoded[0])
        pairs = [_comparable(feature, values) for feature, values in zip(self.features, encoded, strict=True)]
        detector = detectors().TabularDrift(
            np.column_stack([reference for reference, _ in pairs]),
            p_val=self.p_value,
            correction="fdr" if self.correction == "fdr" else "bonferroni",
            categories_per_feature={
                place: np.unique(pairs[place][0]).astype(int).tolist()
                for place, feature in enumerate(self.features) if feature.is_counted
            },
        )  # fmt: skip
        found = detector.predict(np.column_stack([window for _, window in pairs]))["data"]
        # Where nothing drifted, its FDR gives every step of the threshold; the first is the one for the smallest.
        threshold = float(np.min(found["threshold"]))
        if self.correction == CALIBRATED:
            threshold = self.threshold(rows)
        return found["p_val"].astype(float).tolist(), found["distance"].astype(float).tolist(), threshold

    def threshold(self, rows: int) -> float:
        """The calibrated threshold for a window of so many rows; found once for each number."""
        if rows not in self._thresholds:
            self._thresholds[rows] = min_p_threshold(self.features, rows, self.p_value, self._groups)
        return self._thresholds[rows]


def _check(schema: Schema, reference: pa.Table, p_value: float, correction: str) -> None:
    if correction not in CORRECTIONS:
        raise ValueError(f"correction {correction!r} is none of {', '.join(CORRECTIONS)}")
    least = LEAST_P_VALUE if correction == CALIBRATED else 0
    if not least <= p_value < 1:
        raise ValueError(f"p_value {p_value} is not within {least} to 1 as the correction {correction} needs it")
    missing = [name for name in schema.names if name not in reference.column_names]
    if missing or reference.num_rows < 2:
        raise ValueError(f"it has {reference.num_rows} rows and lacks {', '.join(missing) or 'no column'}")
    if SCORE_FEATURE in schema.names:
        raise ValueError(f"a column is called {SCORE_FEATURE!r}, as the feature of the model's answer is")


def _comparable(feature: Feature, window: Floats) -> tuple[Floats, Floats]:
    """Reference and window as Alibi Detect takes them: ranks as they are, categories as cells of a table."""
    if not feature.is_counted:
        return feature.reference, window
    cells = feature.cells(len(window))
    pair = [cells[codes.astype(np.int64)] for codes in (feature.reference, window)]
    others = int(cells.max())
    reference, seen = ((side == others).sum() for side in pair)
    if merges(reference, seen, len(pair[0]), len(pair[1]), feature.only_more):
        pair = [np.minimum(side, others - 1) for side in pair]
    return pair[0].astype(np.float64), pair[1].astype(np.float64)


def _verdict(tests: Sequence[tuple[Feature, Floats, float, float]], threshold: float) -> dict[str, Any]:
    """That on one column: of its tests the one with the smallest p-value is described, and each one's p-value told."""
    feature, window, p_value, distance = min(tests, key=lambda test: test[2])
    found = {"p_value": p_value, "distance": distance, "threshold": threshold, "drift": p_value < threshold}
    aspects = [{"aspect": one.aspect, "test": one.test, "p_value": p} for one, _, p, _ in tests]
    return _describe(feature, window) | found | {"tests": aspects}


def _describe(feature: Feature, window: Floats) -> dict[str, Any]:
    name, value = effect(feature, window)
    sides = {"reference": feature.reference, "window": window}
    return {
        "name": feature.name, "kind": feature.kind, "aspect": feature.aspect, "test": feature.test,
        "effect": {"name": name, "value": value},
        "missing": {side: float(feature.missing(values).mean()) for side, values in sides.items()},
        "histogram": histogram(feature, window),
    }  # fmt: skip


@lru_cache(maxsize=8)
def open_drift_test(directory: str) -> DriftTest:
    """The drift test of a bundle, made once; the bundle is verified when it is opened.

    Raises:
        BundleError: the bundle is not whole, or its reference cannot be used.
    """
    bundle = open_bundle(directory)
    drift = bundle.manifest.get("drift", {})
    chosen = {name: drift[name] for name in ("p_value", "correction") if name in drift}
    try:
        return DriftTest(bundle.schema, _reference(bundle), **chosen)
    except (ValueError, pa.ArrowInvalid) as error:
        raise BundleError(f"{bundle.reference} is no reference for drift: {error}") from error


def _groups(reference: pa.Table) -> Integers:
    """The group of each row, [n]; bundles of before know none, and each row is its own."""
    if GROUP not in reference.column_names:
        return np.arange(reference.num_rows)
    return np.unique(reference[GROUP].to_numpy(), return_inverse=True)[1].astype(np.int64)


def _reference(bundle: Bundle) -> pa.Table:
    return pq.read_table(bundle.reference)
