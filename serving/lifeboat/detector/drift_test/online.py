"""An alarm within rows instead of windows: a sequential test of the score by `alibi_detect.cd.CVMDriftOnline`.

It compares the last rows with the reference by the Cramer-von Mises statistic over several window sizes at once, with
thresholds simulated so that false alarms are a stated number of rows apart (Ross & Adams, Two Nonparametric Control
Charts for Detecting Arbitrary Distribution Changes, 2012).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.detector.drift_test.alibi import detectors

LEAST_RUN, LONGEST_RUN = 100, 10_000
# Time and memory of the simulation grow with the square of the reference's rows, and those of a row with their number.
REFERENCE_ROWS = 400
LEAST_BOOTSTRAPS = 2000
# For each row of the expected run time. With fewer than one Alibi Detect refuses; the levelled thresholds need no more.
BOOTSTRAPS_PER_ROW = 4
# Below the distance of neighbouring float32 scores: it breaks ties and changes no order.
TIE_BREAK = 1e-9


class OnlineScore:
    """Watches one model version's scores, row by row.

    Equal scores are put in random order, for the thresholds hold for scores without ties. The order comes from the
    seed and from how many rows came before: replaying the same rows after a restart gives the same alarms, however
    they are cut into updates.

    Args:
        reference_scores: the model's out-of-fold scores.
        ert: expected rows between false alarms, counted from where the smallest window is full.
        window_sizes: a small one for sudden shifts, a large one for slight ones.
        seed: of the simulation, the choice of reference rows and the order of ties.

    Raises:
        ValueError: an expected run time outside of 100 to 10,000 rows, or fewer reference scores than a window has.
    """

    def __init__(
        self, reference_scores: Sequence[float], ert: int, window_sizes: Sequence[int] = (20, 50), seed: int = 0
    ) -> None:
        if not LEAST_RUN <= ert <= LONGEST_RUN:
            raise ValueError(f"an expected run time of {ert} rows is not within {LEAST_RUN} to {LONGEST_RUN}")
        if len(reference_scores) < max(window_sizes):
            raise ValueError(f"{len(reference_scores)} reference scores are too few for windows of {max(window_sizes)}")
        self._random = np.random.default_rng(seed)
        self._kept = max(window_sizes)
        reference = np.array(reference_scores, dtype=np.float32)
        chosen = self._random.permutation(len(reference))[:REFERENCE_ROWS]
        self._detector = _configured(self._untied(reference[chosen]), ert, list(window_sizes), seed)
        self.rows = 0

    def update(self, scores: Sequence[float]) -> bool:
        """Takes the next scores in order; whether any of them raised an alarm. After one the windows start anew."""
        raised = [self._step(score) for score in self._untied(np.array(scores, dtype=np.float32))]
        return any(raised)

    def _untied(self, scores: NDArray[np.float32]) -> NDArray[np.float64]:
        if not np.isfinite(scores).all():
            raise ValueError("score: a value is not finite")
        return scores + TIE_BREAK * self._random.random(len(scores))

    def _step(self, score: float) -> bool:
        self.rows += 1
        detector = self._detector
        # Not `predict`, which keeps every statistic of the stream and copies them all for each row.
        statistics = detector.score(np.array([score]))
        detector.xs = detector.xs[-self._kept :]
        if detector.t < min(detector.window_sizes):
            return False
        drifted = bool(np.nanmax(statistics) > detector.get_threshold(detector.t - 1)[0])
        if drifted:
            detector.reset_state()
        return drifted


def _configured(reference: NDArray[np.float64], ert: int, window_sizes: list[int], seed: int) -> Any:
    """The detector with its thresholds, simulated from the seed; numpy's global state is as it was afterwards."""
    state = np.random.get_state()
    np.random.seed(seed)
    try:
        detector = detectors().CVMDriftOnline(
            reference,
            ert=ert,
            window_sizes=window_sizes,
            n_bootstraps=max(LEAST_BOOTSTRAPS, BOOTSTRAPS_PER_ROW * ert),
            verbose=False,
        )
    finally:
        np.random.set_state(state)
    # Once every window is full the threshold is one number; each row's estimate of it rests on a few streams only,
    # and the last would be used for ever. Their mean is steadier.
    full = max(window_sizes)
    detector.thresholds[full:] = detector.thresholds[full:].mean()
    return detector
