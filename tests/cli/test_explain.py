"""`lifeboat explain`: what each column adds, in a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Lifeboat
from tests.detector.world import add_bundle


def test_the_reasons_are_shown_as_bars_and_as_json(lifeboat: Lifeboat, tmp_path: Path) -> None:
    bundle = tmp_path / "bundles" / "tiny" / add_bundle(tmp_path)
    row = ["name=Ann", "port=C", "age=22.5", "class=3", "alone=true"]
    said = lifeboat("explain", *row, "--bundle", str(bundle), "--group", "age,class")
    assert said.code == 0, said.errors
    assert "probability_survived: 0.235, beside" in said.output
    assert "age + class" in said.output
    assert "22.5, 3" in said.output
    as_json = lifeboat("explain", *row, "--bundle", str(bundle), "--as-json", "--output", "probability_died")
    entries = json.loads(as_json.output)
    assert sum(one["contribution"] for one in entries) + entries[0]["base"] == pytest.approx(0.765, abs=1e-6)
    refused = lifeboat("explain", *row[:2], "age=old", *row[3:], "--bundle", str(bundle))
    assert refused.code == 1
    assert "age" in refused.errors
