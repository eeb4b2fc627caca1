"""Killed at any moment, the detector loses nothing it acknowledged and counts nothing twice."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.detector.kill import kill_again_and_again

KILLS = int(os.environ.get("LIFEBOAT_TEST_KILLS", "10"))


@pytest.mark.parametrize("kills", [2, pytest.param(KILLS, marks=pytest.mark.slow)])
def test_random_kills_lose_nothing_and_count_nothing_twice(tmp_path: Path, kills: int) -> None:
    outcome = kill_again_and_again(tmp_path, kills)
    assert outcome.problems == [], outcome
    assert outcome.acknowledged > 10 * kills
