"""`lifeboat run --as-of`: a run of the past, made again when the feature store knows more. Nothing is deployed."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from sklearn.datasets import load_breast_cancer

from components.core.bundle import Bundle, open_bundle
from components.core.labelled import load_labelled, write_labelled
from components.core.settings import NO_DETECTOR
from components.core.storage import S3, open_storage
from components.preprocess.step import Summary, read_summary
from tests.usecases import breast_cancer

ROOT = Path(__file__).resolve().parents[2]
MODULE = "tests.usecases.breast_cancer"
NOON = datetime(2025, 1, 5, 12, tzinfo=UTC).timestamp()
ROWS = 60


class Desk:
    """A home, a table without what the feature store learns, and the command line."""

    def __init__(self, home: Path) -> None:
        self._home = home
        everyone = load_breast_cancer(as_frame=True)
        self._masses = everyone.data.assign(benign=everyone.target)
        self.table = home / "masses.csv"
        self.store = open_storage(str(home / "store"), S3())
        self._masses[3 * ROWS :].to_csv(self.table, index=False)

    def learn(self, start: int, *, late: float, wrong: bool = False) -> None:
        """Truth of rows of the table that was kept back, `late` seconds after noon; `wrong` says the opposite."""
        rows = [
            {**row, "benign": int(row["benign"]) ^ wrong, "__puid": f"p{number}", "__row": 0, "__version": "1",
             "__score": 0.5, "__predicted_at": NOON, "__labelled_at": NOON + late + number / 1024}
            for number, row in enumerate(self._masses[start : start + ROWS].to_dict("records"), start=start)
        ]  # fmt: skip
        write_labelled(self.store, "breast-cancer", breast_cancer.USECASE.schema, rows)

    def run(self, *arguments: str) -> tuple[Bundle, Summary, str]:
        """Runs the pipeline; gives the bundle, what preprocess counted, and what was printed."""
        environment = {**os.environ, "LIFEBOAT_HOME": str(self._home), "LIFEBOAT_DETECTOR_PYTHON": NO_DETECTOR}
        flags = ["--usecase", MODULE, "--data", str(self.table), "--seed", "5", "--require", "roc_auc>=1.5"]
        done = subprocess.run(
            [sys.executable, "-m", "pipelines.cli.main", "run", *flags, *arguments],
            cwd=ROOT, env={**environment, "COLUMNS": "200"}, capture_output=True, text=True, timeout=300, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        folder = max((self._home / "runs").iterdir(), key=lambda path: path.stat().st_mtime)
        [bundle], [rows] = folder.glob("*/train/bundle"), folder.glob("*/preprocess/train_rows")
        return open_bundle(bundle), read_summary(rows), done.stdout


def test_a_run_of_the_past_gives_its_bundle_again(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    desk.learn(0, late=0)
    first, before, said = desk.run()
    lineage = first.manifest["lineage"]["data"]
    assert (lineage["labelled"], lineage["labelled_until"]) == (ROWS, "2025-01-05T12:00:00.057618Z")
    assert f"the last of their truths came at {lineage['labelled_until']}" in said
    assert (before.as_of, before.labelled_digest) == ("", lineage["labelled_digest"])
    # More truth comes, and corrections of the first.
    desk.learn(ROWS, late=600)
    desk.learn(0, late=1200, wrong=True)
    again, after, said = desk.run("--as-of", "2025-01-05T13:05:00+01:00")
    assert again.digest == first.digest
    assert f"read {ROWS} labelled rows from feedback as of 2025-01-05T12:05:00Z, 0 break the schema" in said
    assert (after.as_of, after.labelled_until) == ("2025-01-05T12:05:00Z", lineage["labelled_until"])
    # Which is not what the store holds by now.
    found = load_labelled(desk.store, "breast-cancer", breast_cancer.USECASE.schema)
    assert (found.table.num_rows, found.corrected) == (2 * ROWS, ROWS)
    assert found.digest != lineage["labelled_digest"]
