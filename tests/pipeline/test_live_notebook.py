"""The notebook of the live model, beside a champion; the one that trains is in test_titanic.py."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.notebooks.kernel import execute
from tests.pipeline.laptop import Laptop


@pytest.mark.slow
def test_live_sees_the_world_change_and_no_sooner(laptop: Laptop, tmp_path: Path) -> None:
    laptop.lifeboat("run", "--require-deploy")
    shown = execute("3-live.ipynb", laptop, tmp_path)
    assert shown.plots == 4
    said = re.search(r"Accuracy (\d+)% on ([\d,]+) answers whose truth is known; the alarm (\w+)", shown.text)
    assert said
    assert 70 < int(said[1]) <= 100
    assert int(said[2].replace(",", "")) > 400
    assert said[3] == "rings"
    assert shown.warnings == ""
