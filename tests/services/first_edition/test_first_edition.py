"""What users of the first edition have in their home is there in this one."""

from __future__ import annotations

import json
import re
import sqlite3
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lifeboat.api import Client, load
from lifeboat.registry.registry import CHAMPION, Registry
from tests.pipeline.laptop import Laptop
from tests.server.world import call
from tests.services.kept import eventually

ARCHIVE = Path(__file__).with_name("home.tar.xz")
# Where it was made.
THERE = "/tmp/lifeboat-first-edition"  # noqa: S108
ADDRESSES = (
    ("runs", "artifact_uri"), ("logged_models", "artifact_location"), ("experiments", "artifact_location"),
    ("model_versions", "storage_location"),
)  # fmt: skip
ROW = {"Pclass": 1, "Name": "Doe, Mrs. Jane", "Sex": "female", "SibSp": 0, "Parch": 0, "Age": 30.0, "Fare": 80.0}


@pytest.fixture
def laptop(tmp_path: Path) -> Iterator[Laptop]:
    """The home as it was, with the addresses of where it is now: MLflow and `deployed.json` hold absolute ones."""
    home = tmp_path / "home"
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(home, filter="data")
    with closing(sqlite3.connect(home / "mlflow.db")) as database, database:
        for table, column in ADDRESSES:
            database.execute(f"UPDATE {table} SET {column} = replace({column}, ?, ?)", (THERE, str(home)))  # noqa: S608
    for path in (home / "serving" / "titanic" / "deployed.json", *home.glob("mlflow/models/*/artifacts/MLmodel")):
        path.write_text(path.read_text().replace(THERE, str(home)))
    # Its ports may be somebody's here.
    (home / "ports.json").unlink()
    made = Laptop(home)
    yield made
    made.lifeboat("stop")


def watched(report: str) -> dict[str, Any]:
    """What the detector says of version 2."""
    [found] = [model for model in call(report).json["models"] if model["version"] == "2"]
    return dict(found)


@pytest.mark.slow
def test_it_serves_watches_and_goes_back_as_it_did(laptop: Laptop, tmp_path: Path) -> None:
    assert re.search(r"titanic +stopped; lifeboat serve brings version 2 back", laptop.lifeboat("status"))
    laptop.lifeboat("serve", "--detach")
    server = f"http://127.0.0.1:{laptop.settings.port}"
    registry = Registry(laptop.settings)
    champion = registry.get("titanic", CHAMPION)
    assert champion.version == "2"
    bundle = registry.bundle(champion)
    rows = pd.DataFrame([entry["row"] for entry in bundle.golden])
    answers = Client(server).predict(rows)
    golden = [entry["probabilities"][1] for entry in bundle.golden]
    np.testing.assert_allclose(answers["probability_survived"], golden, atol=1e-5)
    pd.testing.assert_frame_equal(load("titanic@champion", laptop.settings).predict(rows), answers)
    # The detector goes on counting where it was: 30 rows of then, and these.
    report = f"http://127.0.0.1:{laptop.settings.detector_port}/drift"
    eventually(lambda: watched(report)["rows"] == 30 + len(rows))
    assert watched(report)["live"]["rows"] == 12
    assert "Labelled rows of titanic: 12" in laptop.lifeboat("features")
    assert "version 1" in laptop.lifeboat("rollback")
    assert json.loads(laptop.lifeboat("predict", *(f"{name}={value}" for name, value in ROW.items())))[
        "model_version"
    ] == "1"  # fmt: skip


@pytest.mark.slow
def test_a_run_judges_against_its_champion_and_learns_of_its_truths(laptop: Laptop) -> None:
    said = laptop.lifeboat("run")
    assert "champion: version 2" in said
    assert "registered as version 5" in said
    assert "read 12 labelled rows from feedback, 0 break the schema" in said
