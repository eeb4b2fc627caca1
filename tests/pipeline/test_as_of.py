"""`lifeboat run` where nothing is deployed: for a bound that cannot be met, and once more `--as-of` a moment, when the
labelled rows are more.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pytest
from sklearn.datasets import load_breast_cancer

from lifeboat.config.settings import NO_DETECTOR, Settings
from lifeboat.config.sources import ONLY_ANONYMOUS
from lifeboat.data.labelled.labelled_rows import load_labelled, write_labelled
from lifeboat.model.bundle import Bundle, open_bundle
from lifeboat.preprocess.step import Summary, read_summary
from lifeboat.registry.registry import CHALLENGER, CHAMPION, Registry
from lifeboat.registry.storage import S3, open_storage
from tests.usecases import breast_cancer

# Two runs of the pipeline for what `tests/data/labelled/test_point_in_time.py` finds in seconds, but for the command
# line.
pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
MODULE = "tests.usecases.breast_cancer"
NOON = datetime(2025, 1, 5, 12, tzinfo=UTC).timestamp()
ROWS = 60


class Desk:
    """A home, a table without what feedback teaches, and the command line."""

    def __init__(self, home: Path) -> None:
        self.home = home
        everyone = load_breast_cancer(as_frame=True)
        self._masses = everyone.data.assign(benign=everyone.target)
        self.table = home / "masses.csv"
        self.store = open_storage(str(home / "store"), S3())
        self._masses[3 * ROWS :].to_csv(self.table, index=False)

    def learn(self, start: int, *, late: float, wrong: bool = False) -> None:
        """Truth of rows of the table that was kept back, `late` seconds after noon; `wrong` says the opposite."""
        rows = [
            {**row, "benign": int(row["benign"]) ^ wrong, "__puid": f"p{number}", "__row": 0, "__version": "1",
             "__score": 0.5, "__source": "anonymous",
             "__predicted_at": NOON, "__labelled_at": NOON + late + number / 1024}
            for number, row in enumerate(self._masses[start : start + ROWS].to_dict("records"), start=start)
        ]  # fmt: skip
        write_labelled(self.store, "breast-cancer", breast_cancer.USECASE.schema, rows)

    def run(self, *arguments: str, code: int = 0) -> Ran:
        """Runs the pipeline, which cannot meet its bound."""
        # Nothing that would go on after the test.
        without = {"LIFEBOAT_DETECTOR_PYTHON": NO_DETECTOR, "LIFEBOAT_EXPLAINER": "false", "LIFEBOAT_UI": "false"}
        environment = {**os.environ, "LIFEBOAT_HOME": str(self.home), **without}
        flags = ["--usecase", MODULE, "--data", str(self.table), "--seed", "5", "--require", "roc_auc>=1.5"]
        done = subprocess.run(
            [sys.executable, "-m", "lifeboat.cli.main", "run", *flags, *arguments],
            cwd=ROOT, env={**environment, "COLUMNS": "200"}, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr
        folder = max((self.home / "runs").iterdir(), key=lambda path: path.stat().st_mtime)
        [bundle], [rows] = folder.glob("*/train/bundle"), folder.glob("*/preprocess/train_rows")
        return Ran(folder, open_bundle(bundle), read_summary(rows), done.stdout)


class Ran(NamedTuple):
    """A run's folder and bundle, what preprocess counted, and what was printed."""

    folder: Path
    bundle: Bundle
    summary: Summary
    said: str


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    made = Desk(tmp_path_factory.mktemp("home"))
    made.learn(0, late=0)
    return made


@pytest.fixture(scope="module")
def first(desk: Desk) -> Ran:
    """The run of the moment when the first truth has come."""
    return desk.run("--require-deploy", code=3)


def test_a_bound_that_cannot_be_met_deploys_nothing(desk: Desk, first: Ran) -> None:
    assert "Not deployed, because" in first.said
    assert re.search(r"roc_auc at least 1\.5: [01]\.\d+ .*asked: at least 1\.5", first.said)
    assert "There is no champion to serve." in first.said
    steps = {path.name for path in first.folder.glob("lifeboat-*/*") if path.is_dir()}
    assert steps == {"preprocess", "train", "evaluate", "keep"}
    assert not list(first.folder.glob("*/deploy/deployment"))
    registry = Registry(Settings(home=str(desk.home)))
    assert registry.aliased("breast-cancer", CHAMPION) is None
    assert registry.aliased("breast-cancer", CHALLENGER) is not None


def test_a_run_of_the_past_gives_its_bundle_again(desk: Desk, first: Ran) -> None:
    lineage = first.bundle.manifest["lineage"]["data"]
    assert (lineage["labelled"], lineage["labelled_until"]) == (ROWS, "2025-01-05T12:00:00.057618Z")
    assert f"the last of their truths came at {lineage['labelled_until']}" in first.said
    assert (first.summary.as_of, first.summary.labelled_digest) == ("", lineage["labelled_digest"])
    # More truth comes, and corrections of the first.
    desk.learn(ROWS, late=600)
    desk.learn(0, late=1200, wrong=True)
    again = desk.run("--as-of", "2025-01-05T13:05:00+01:00")
    assert again.bundle.digest == first.bundle.digest
    assert f"read {ROWS} labelled rows from feedback as of 2025-01-05T12:05:00Z, 0 break the schema" in again.said
    assert (again.summary.as_of, again.summary.labelled_until) == ("2025-01-05T12:05:00Z", lineage["labelled_until"])
    # Which is not what the store holds by now.
    found = load_labelled(desk.store, "breast-cancer", breast_cancer.USECASE.schema, trusted=ONLY_ANONYMOUS)
    assert (found.table.num_rows, found.corrected) == (2 * ROWS, ROWS)
    assert found.digest != lineage["labelled_digest"]
