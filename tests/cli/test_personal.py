"""`lifeboat forget` and `lifeboat retain`."""

from __future__ import annotations

import csv
import json
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifeboat.config.settings import Settings
from lifeboat.data.labelled.labelled_rows import read_labelled, write_labelled
from lifeboat.data.labelled.trust import Settlement, read_trust, write_records
from lifeboat.model.bundle import open_bundle
from lifeboat.registry.registry import Registry
from lifeboat.registry.storage import DirectoryStorage
from lifeboat.system.files import holding_lock
from tests.cli.conftest import Lifeboat
from tests.cli.test_features import truth
from tests.cli.test_serving import MODULE
from tests.detector.test_personal import bytes_of
from tests.registry.world import make_bundle, register
from tests.server.world import ROW, TINY

# No other number of these files has its digits.
SOMEBODY = 15739317


@pytest.fixture
def store(home: Path) -> DirectoryStorage:
    """Three rows, of which two are somebody's, in two parts; and what was settled of one."""
    storage = DirectoryStorage(home / "store")
    write_labelled(storage, "tiny", TINY, [truth(0, id=SOMEBODY, __puid="a"), truth(0, id=5, __puid="b")])
    write_labelled(storage, "tiny", TINY, [truth(3, id=SOMEBODY, __puid="c")])
    settled = [Settlement(str(SOMEBODY), "table", time.time()), Settlement("b:0", "anonymous", time.time())]
    write_records(storage, "tiny", settled)
    return storage


def make_run(home: Path, name: str, **ids: list[Any]) -> Path:
    """A run's folder with rows of these ids in the files of this kind, and a bundle of its own."""
    folder = home / "runs" / name
    prepared = folder / f"lifeboat-{name}" / "preprocess"
    prepared.mkdir(parents=True)
    for kind in ("train_rows", "test_rows"):
        pq.write_table(pa.table({"id": pa.array(ids.get(kind, []), pa.float64())}), prepared / kind)
    with (prepared / "quarantine").open("w", newline="") as file:
        csv.writer(file).writerows([["row", "reason", "id"], *([1, "why", id_] for id_ in ids.get("quarantine", []))])
    make_bundle(folder / f"lifeboat-{name}" / "train" / "bundle", bias=len(name) / 1000)
    return folder


def write_table(path: Path, *ids: int) -> str:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [*ROW, "id", "fate"])
        writer.writeheader()
        writer.writerows({**ROW, "id": number, "fate": number % 2} for number in ids)
    return str(path)


def test_somebody_is_forgotten_and_it_is_said_where_they_still_are(
    lifeboat: Lifeboat, home: Path, store: DirectoryStorage, tmp_path: Path
) -> None:
    learned = make_run(home, "tiny-20260101-120000", train_rows=[1, SOMEBODY], quarantine=[SOMEBODY, 6])
    make_run(home, "tiny-20260102-120000-000001", test_rows=[SOMEBODY])
    make_run(home, "tiny-20260103-120000-0000001", train_rows=[1, 2])
    table = write_table(tmp_path / "table.csv", 1, SOMEBODY)
    said = lifeboat("forget", "--usecase", MODULE, "--entity", str(SOMEBODY), "--data", table, "--because", "asked")
    assert said.code == 0, said
    lines = said.output.splitlines()
    assert lines[0].startswith(f"Forgotten in tiny, on record in {home}/store/forgotten/tiny/")
    assert lines[1:5] == [
        "  labelled rows  2 taken out of 2 files",
        "  detector       there is none with rows",
        "  quarantine     1 rows taken out",
        f"Still in the table {table}: take it out there, or the next run learns it again.",
    ]
    assert lines[5].startswith("Still in the run tiny-20260101-120000: train_rows.")
    assert lines[6].startswith("Still in the run tiny-20260102-120000-000001: test_rows.")
    assert "learned from it" in lines[7]
    assert "was judged on it" in lines[8]
    assert lines[9:] == ["Their drift references (reference.parquet) may have its inputs, without the id."]
    assert [row["__puid"] for row in read_labelled(store, "tiny", TINY).to_pylist()] == ["b"]
    assert [one.row for one in read_trust(store, "tiny", frozenset()).settlements] == ["b:0"]
    [quarantine] = learned.glob("*/preprocess/quarantine")
    assert quarantine.read_text() == "row,reason,id\n1,why,6\n"
    for folder in ("store", "registry", "access"):
        assert str(SOMEBODY).encode() not in bytes_of(home / folder), folder
    record = json.loads(next((home / "store" / "forgotten").rglob("*.json")).read_text())
    assert record["because"] == "asked"


def test_once_more_changes_nothing_and_with_the_runs_gone_no_file_of_the_home_has_the_id(
    lifeboat: Lifeboat, home: Path, store: DirectoryStorage, tmp_path: Path
) -> None:
    table = write_table(tmp_path / "table.csv", 1, 2)
    make_run(home, "tiny-20260101-120000", quarantine=[SOMEBODY])
    for taken in (2, 0):
        said = lifeboat("forget", "--usecase", MODULE, "--entity", str(SOMEBODY), "--data", table)
        assert (said.code, f"labelled rows  {taken:,} taken" in said.output) == (0, True)
    assert "Still in" not in said.output
    assert str(SOMEBODY).encode() not in bytes_of(home)
    assert store.keys("labelled/") != []


def test_what_cannot_be_meant_is_refused_before_anything_is_changed(
    lifeboat: Lifeboat, store: DirectoryStorage
) -> None:
    before = store.keys()
    said = lifeboat("forget", "--usecase", MODULE, "--entity", "0").sentence
    assert said == "id: 0 is outside 1 to 16777216"
    assert "is not an integer" in lifeboat("forget", "--usecase", MODULE, "--entity", "Ann").sentence
    assert store.keys() == before


def test_a_detector_that_has_rows_and_does_not_run_is_said(
    lifeboat: Lifeboat, home: Path, store: DirectoryStorage, tmp_path: Path
) -> None:
    (home / "detector").mkdir(parents=True)
    (home / "detector" / "events.db").touch()
    table = write_table(tmp_path / "table.csv", 1, 2)
    said = lifeboat("forget", "--usecase", MODULE, "--entity", str(SOMEBODY), "--data", table)
    assert said.code == 3
    assert "has not done it yet: it does once it runs (lifeboat serve)" in said.output


def days_ago(days: int) -> str:
    return f"{datetime.fromtimestamp(time.time() - days * 86_400, UTC):%Y%m%d-%H%M%S}"


def test_what_is_kept_is_said_and_what_is_too_old_removed(
    lifeboat: Lifeboat, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage, now = DirectoryStorage(home / "store"), time.time()
    ages = {"old": 40, "edge": 29, "new": 1}
    for puid, age in ages.items():
        write_labelled(storage, "tiny", TINY, [truth(0, __puid=puid, __labelled_at=now - age * 86_400)])
    old, busy, new = (make_run(home, f"tiny-{days_ago(age)}") for age in (50, 45, 2))
    for run in (old, busy):
        os.utime(next(run.glob("*/preprocess/quarantine")), (now - 45 * 86_400, now - 45 * 86_400))
    with holding_lock(busy / "run.lock"):
        said = lifeboat("retain")
        assert "labelled rows of tiny              3  since" in said.output
        assert "due" not in said.output
        for name in ("LABELLED", "QUARANTINE", "RUNS"):
            monkeypatch.setenv(f"LIFEBOAT_KEEP_{name}_DAYS", "30")
        found = {one["what"]: one for one in json.loads(lifeboat("retain", "--json").output)}
        due = {what: (one["number"], one["due"], one["spared"]) for what, one in found.items()}
        assert due == {
            "labelled rows of tiny": (3, 1, 0),
            "quarantine files": (2, 1, 0),
            "runs": (3, 1, 1),
            "demonstrations": (0, 0, 0),
        }
        assert [path.exists() for path in (old, busy, new)] == [True, True, True]
        said = lifeboat("retain", "--apply")
        assert said.code == 0, said
        assert "removed 1 labelled rows of tiny" in said.output
        assert [path.exists() for path in (old, busy, new)] == [False, True, True]
    kept = {row["__puid"] for row in read_labelled(storage, "tiny", TINY).to_pylist()}
    assert kept == {"edge", "new"}


def test_all_words_about_a_prediction_stay_until_the_newest_is_too_old(lifeboat: Lifeboat, home: Path) -> None:
    storage, now = DirectoryStorage(home / "store"), time.time()
    for source, age in (("first", 40), ("second", 3)):
        row = truth(0, __puid="p", __source=source, __labelled_at=now - age * 86_400)
        write_labelled(storage, "tiny", TINY, [row])
    assert "removed 0 labelled rows" in lifeboat("retain", "--keep-labelled-days", "30", "--apply").output
    assert "removed 2 labelled rows" in lifeboat("retain", "--keep-labelled-days", "2", "--apply").output


def test_an_id_is_found_however_a_table_writes_it(lifeboat: Lifeboat, home: Path, tmp_path: Path) -> None:
    folder = make_run(home, "tiny-20260101-120000", quarantine=[f"{SOMEBODY}.0", f" {SOMEBODY}", 6])
    table = tmp_path / "table.csv"
    table.write_text(f"id,name\n {SOMEBODY}.0,x\n")
    said = lifeboat("forget", "--usecase", MODULE, "--entity", f" {SOMEBODY} ", "--data", str(table)).output
    assert "quarantine     2 rows taken out" in said
    assert f"Still in the table {table}" in said
    assert next(folder.glob("*/preprocess/quarantine")).read_text() == "row,reason,id\n1,why,6\n"


def test_the_run_of_what_serves_is_kept(lifeboat: Lifeboat, home: Path) -> None:
    folder = make_run(home, f"tiny-{days_ago(50)}")
    make_run(home, f"tiny-{days_ago(49)}-000001")
    registry = Registry(Settings(home=str(home)))
    version = register(registry, open_bundle(next(folder.glob("*/train/bundle"))))
    registry.promote(version, expected=None)
    said = lifeboat("retain", "--keep-runs-days", "30", "--apply")
    assert said.code == 0, said
    assert [path.name for path in (home / "runs").iterdir()] == [folder.name]


def test_a_flag_takes_days(lifeboat: Lifeboat, home: Path) -> None:
    assert "kept 7 days" in lifeboat("retain", "--keep-runs-days", "7").output
    assert lifeboat("retain", "--keep-runs-days", "-1").code == 2
