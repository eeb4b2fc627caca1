"""The online detector on the score."""

from __future__ import annotations

import numpy as np
import pytest

from lifeboat.detector.drift_test.online import OnlineScore
from tests.drift_test.world import needs_alibi

needs_alibi()

ERT = 150
SMALLEST = 20


def scores(random: np.random.Generator, n: int) -> np.ndarray:
    """Scores with many ties, as an isotonic calibration gives them."""
    return (random.beta(1, 2, n) * 25).round().astype(np.float32) / 25


@pytest.fixture(scope="module")
def detector():
    return OnlineScore(scores(np.random.default_rng(0), 1000).tolist(), ERT)


def until_alarm(detector: OnlineScore, stream: np.ndarray) -> int:
    return next(row for row, score in enumerate(stream, 1) if detector.update([float(score)]))


def test_false_alarms_are_as_far_apart_as_stated():
    """Rows per alarm over several references, each with a stream of its own; 140 alarms are known to a tenth or so."""
    rows = alarms = 0
    for seed in range(6):
        random = np.random.default_rng([7, seed])
        detector = OnlineScore(scores(random, 1000).tolist(), ERT, seed=seed)
        raised = [detector.update([float(score)]) for score in scores(random, 4000)]
        rows, alarms = rows + len(raised), alarms + sum(raised)
    # Each run starts with the rows that fill the smallest window; the stated run time is counted from there.
    assert rows / alarms == pytest.approx(ERT + SMALLEST - 1, rel=0.25)


def test_a_shifted_score_is_seen_within_a_window(detector):
    delays = []
    for seed in range(20):
        shifted = np.clip(scores(np.random.default_rng([8, seed]), 500) + 0.3, 0, 1)
        delays.append(until_alarm(detector, shifted))
    assert np.median(delays) <= 30


def test_replaying_the_same_rows_gives_the_same_alarms_however_they_are_cut():
    reference = scores(np.random.default_rng(1), 400).tolist()
    stream = scores(np.random.default_rng(2), 600).tolist()
    first, second = (OnlineScore(reference, ERT, seed=5) for _ in range(2))
    single = [first.update([score]) for score in stream]
    cuts = [stream[start : start + 7] for start in range(0, 600, 7)]
    pieces = [second.update(piece) for piece in cuts]
    assert pieces == [any(single[start : start + 7]) for start in range(0, 600, 7)]
    assert any(pieces)
    assert first.rows == second.rows == 600


def test_the_global_generator_is_left_as_it_was():
    np.random.seed(3)
    expected = np.random.random()
    np.random.seed(3)
    OnlineScore(scores(np.random.default_rng(0), 100).tolist(), 100)
    assert np.random.random() == expected


def test_memory_does_not_grow_with_the_stream(detector):
    for _ in range(300):
        detector.update([0.5])
    assert len(detector._detector.xs) <= 50
    assert len(detector._detector.test_stats) == 0


@pytest.mark.parametrize(
    ("reference", "ert", "words"),
    [
        ([0.5] * 100, 99, "an expected run time of 99 rows is not within 100 to 10000"),
        ([0.5] * 100, 10_001, "10001 rows is not within"),
        ([0.5] * 49, 100, "49 reference scores are too few for windows of 50"),
        ([float("nan")] * 100, 100, "score: a value is not finite"),
    ],
)
def test_what_cannot_be_watched_is_refused(reference, ert, words):
    with pytest.raises(ValueError, match=words):
        OnlineScore(reference, ert)


def test_a_score_that_is_no_number_is_refused(detector):
    with pytest.raises(ValueError, match="score: a value is not finite"):
        detector.update([0.1, float("inf")])
