"""A use case whose features the caller does not know goes from its table to an answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from lifeboat.api import Client
from tests.feature_store import rivers
from tests.feature_store.feature_server import serving
from tests.pipeline.laptop import Laptop
from tests.server.world import Answer, call


@pytest.mark.slow
def test_a_use_case_with_a_store_goes_from_its_table_to_an_answer(laptop: Laptop, tmp_path: Path) -> None:
    folder = rivers.write(tmp_path / "rivers")
    values = {"levels": {("rhine",): {"level": 15.0}, ("elbe",): {"level": 5.0}}}
    with serving({"levels": ("gauge",)}, values) as store:
        laptop.environment |= {"LIFEBOAT_FEATURES_URL": store.url, "LIFEBOAT_FEATURES_MILLISECONDS": "5000"}
        goes_the_way(laptop, folder)


def goes_the_way(laptop: Laptop, folder: Path) -> None:
    said = laptop.lifeboat("run", "--usecase", str(folder), "--require-deploy")
    assert "view levels: " in said
    assert "Deployed rivers version 1" in said
    card = (laptop.last_run / "model-card.html").read_text()
    assert "Feature store, view levels, rows with a value" in card

    def asked(**row: Any) -> Answer:
        row |= {"asked": "2026-03-05T10:00:00Z", "rain": 1}
        body = {"data": {"names": list(row), "ndarray": [list(row.values())]}}
        return call(f"http://127.0.0.1:{laptop.settings.port}/api/v1.0/predictions", body)

    high, low = (asked(level=level, gauge="rhine").survived[0] for level in (15, 5))
    assert high > low + 0.3
    assert asked(gauge="rhine").survived[0] == pytest.approx(high)
    assert asked(gauge="elbe").survived[0] == pytest.approx(low)
    assert asked(gauge="oder").status == 200
    assert "column gauge: missing" in asked().body.decode()
    # Our own clients bring the key, and leave out what they do not know.
    words = ("gauge=elbe", "rain=1", "asked=2026-03-05T10:00:00Z", "--usecase", str(folder))
    assert json.loads(laptop.lifeboat("predict", *words))["yes"] == pytest.approx(low)
    frame = pd.DataFrame([{"gauge": "elbe", "rain": 1.0, "asked": "2026-03-05T10:00:00Z"}])
    found = Client(f"http://127.0.0.1:{laptop.settings.port}").predict(frame)
    assert found["probability_yes"][0] == pytest.approx(low)
