"""What a detector keeps of people: pseudonyms of personal keys, and of somebody who is to be forgotten nothing."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest

from lifeboat.config.pseudonyms import Pseudonyms, ensure_key, read_pseudonyms
from lifeboat.data.labelled.erasing import erase_rows
from lifeboat.data.labelled.forgotten import DETECTOR, Order, acknowledged, give_order, hash_of
from lifeboat.data.labelled.labelled_rows import read_labelled, write_labelled
from lifeboat.registry.storage import DirectoryStorage
from lifeboat.usecase.schema import Column
from tests.detector.world import Detector, add_bundle, detector, event, people, prediction, truth
from tests.server.world import TINY

SCHEMA = replace(TINY, keys=(Column("id", "string", personal=True, example="nobody", max_length=40),))
FAST = ("--export-seconds", "0.2", "--forget-seconds", "0.2")
SOMEBODY, OTHER = "Vollmer-Quast, Theodora", "Ann"
ROWS = [{**row, "id": name, "name": name} for row, name in zip(people(3), (SOMEBODY, OTHER, "Bo"), strict=True)]


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "personal.key"
    ensure_key(path)
    return path


def bytes_of(folder: Path) -> bytes:
    """Every byte of every file, those of Parquet files as their cells are, too."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    cells = [
        str(pq.read_table(path).to_pylist()).encode()
        for path in files
        if path.suffix == ".parquet" and path.stat().st_size
    ]
    return b"\n".join([*(path.read_bytes() for path in files), *cells])


def by_entity(name: str, value: int) -> dict[str, Any]:
    return event("feedback", f"f-{name}", {"truth": {"jsonData": [{"id": name, "fate": value}]}})


def test_of_a_personal_key_its_pseudonym_is_kept_and_truths_by_it_still_join(tmp_path: Path, key: Path) -> None:
    store = tmp_path / "store"
    digest = add_bundle(store, schema=SCHEMA)
    rows = [{**row, "name": "Ann"} for row in ROWS]
    with detector(store, tmp_path / "drift.db", *FAST, "--personal-key-file", str(key)) as process:
        process.post([*prediction(digest, rows, "p"), by_entity(SOMEBODY, 1)])
        process.until(lambda report: report["feedback"]["exported"] == 1)
        process.stop()
    [row] = read_labelled(DirectoryStorage(store), "tiny", SCHEMA).to_pylist()
    assert row["id"] == read_pseudonyms(str(key)).of("id", SOMEBODY)
    assert row["fate"] == 1
    assert SOMEBODY.encode() not in bytes_of(store)
    with sqlite3.connect(tmp_path / "drift.db") as connection:
        kept = str(connection.execute("SELECT columns FROM predictions").fetchall())
        kept += str(connection.execute("SELECT entity FROM entities").fetchall())
    assert row["id"] in kept
    assert SOMEBODY not in kept


def test_without_a_key_nothing_is_kept_of_it(tmp_path: Path) -> None:
    store = tmp_path / "store"
    digest = add_bundle(store, schema=SCHEMA)
    with detector(store, tmp_path / "drift.db", *FAST) as process:
        process.post([*prediction(digest, ROWS[:1], "p"), truth("p", 1)])
        process.until(lambda report: report["feedback"]["exported"] == 1)
    [row] = read_labelled(DirectoryStorage(store), "tiny", SCHEMA).to_pylist()
    assert row["id"] == ""


def forgotten(process: Detector, store: Path, names: list[str], pseudonyms: Pseudonyms) -> dict[str, int]:
    """Gives the order and waits for what the detector says it did."""
    storage = DirectoryStorage(store)
    order = Order(tuple(hash_of(name, pseudonyms) for name in names), pseudonyms.fingerprint, time.time())
    give_order(storage, "tiny", order)
    process.until(lambda _: acknowledged(storage, "tiny", order, DETECTOR) is not None)
    did = acknowledged(storage, "tiny", order, DETECTOR)
    assert did is not None
    return did


@pytest.mark.parametrize("personal", [True, False])
def test_of_somebody_who_is_forgotten_no_byte_is_left(tmp_path: Path, key: Path, personal: bool) -> None:
    store, file, schema = tmp_path / "store", tmp_path / "state" / "drift.db", SCHEMA
    if not personal:
        schema = replace(SCHEMA, keys=(replace(SCHEMA.keys[0], personal=False),))
    digest, pseudonyms = add_bundle(store, schema=schema), read_pseudonyms(str(key))
    names = [SOMEBODY, pseudonyms.of("id", SOMEBODY)]
    with detector(store, file, *FAST, "--personal-key-file", str(key)) as process:
        # Asked about twice, of which the entity's name leads to the newest alone; and a truth that waits.
        process.post([*prediction(digest, ROWS, "p"), *prediction(digest, ROWS[:1], "q"), truth("p", 1, 0, 1)])
        process.post([by_entity(SOMEBODY, 0)])
        process.until(lambda report: report["feedback"]["exported"] == 4)
        did = forgotten(process, store, names, pseudonyms)
        assert did == {"rows": 2, "labels": 2, "truths": 0}
        gone = erase_rows(DirectoryStorage(store), "tiny", lambda rows: np.isin(rows.column("id").to_pylist(), names))
        assert gone.rows == 2
        assert not any(name.encode() in bytes_of(tmp_path) for name in names)
        # A truth of later finds nobody; the others are as they were, and the detector goes on.
        process.post([truth("q", 1)])
        process.until(lambda report: report["feedback"]["late"] == 1)
        process.post([*prediction(digest, ROWS[1:], "r"), truth("r", 1, 1)])
        process.until(lambda report: report["feedback"]["exported"] == 6)
        process.until(lambda report: report["models"][0]["live"]["rows"] == 4)
    left = read_labelled(DirectoryStorage(store), "tiny", schema).to_pylist()
    assert sorted((row["__puid"], row["__row"], row["name"]) for row in left) == [
        ("p", 1, OTHER),
        ("p", 2, "Bo"),
        ("r", 0, OTHER),
        ("r", 1, "Bo"),
    ]


def test_a_truth_that_waits_goes_as_well_and_an_order_holds_for_a_detector_that_was_not_there(
    tmp_path: Path, key: Path
) -> None:
    store = tmp_path / "store"
    digest, pseudonyms = add_bundle(store, schema=SCHEMA), read_pseudonyms(str(key))
    flags = (*FAST, "--personal-key-file", str(key))
    with detector(store, tmp_path / "drift.db", *flags) as process:
        process.post([*prediction(digest, ROWS[1:], "p"), by_entity(SOMEBODY, 1)])
        process.until(lambda report: report["feedback"]["waiting"] == 1)
        process.kill()
    order = Order((hash_of(pseudonyms.of("id", SOMEBODY), pseudonyms),), pseudonyms.fingerprint, time.time())
    give_order(DirectoryStorage(store), "tiny", order)
    with detector(store, tmp_path / "drift.db", *flags) as process:
        process.until(lambda _: acknowledged(DirectoryStorage(store), "tiny", order, DETECTOR) is not None)
        assert acknowledged(DirectoryStorage(store), "tiny", order, DETECTOR) == {"rows": 0, "labels": 0, "truths": 1}


def test_an_order_names_nobody(tmp_path: Path, key: Path) -> None:
    pseudonyms = read_pseudonyms(str(key))
    order = Order((hash_of("17", pseudonyms),), pseudonyms.fingerprint, time.time(), "me", "asked by letter")
    give_order(DirectoryStorage(tmp_path / "store"), "tiny", order)
    [path] = (tmp_path / "store").rglob("*.json")
    assert '"17"' not in path.read_text()
    assert order.means(["16", "17", "171"], pseudonyms) == {"17"}


def test_how_old_what_is_kept_is_can_be_watched(tmp_path: Path) -> None:
    store = tmp_path / "store"
    digest, before = add_bundle(store), time.time()
    old = {**people(1)[0], "id": 1, "fate": 1, "__puid": "old", "__row": 0, "__version": "1", "__score": 0.5}
    at = {"__predicted_at": 86_400.0, "__labelled_at": 2 * 86_400.0 + 7, "__source": "anonymous"}
    write_labelled(DirectoryStorage(store), "tiny", TINY, [old | at])
    with detector(store, tmp_path / "drift.db", *FAST) as process:
        assert 'lifeboat_held_since_timestamp_seconds{model="",what="predictions"}' not in process.metrics()
        process.post(prediction(digest, [{**people(1)[0], "id": 1}], "p"))
        process.until(lambda report: report["held_since"]["labelled_rows"])
        found = process.metrics()
    assert found['lifeboat_held_since_timestamp_seconds{model="tiny",what="labelled rows"}'] == 2 * 86_400.0
    assert before <= found['lifeboat_held_since_timestamp_seconds{model="",what="predictions"}'] <= time.time()


def test_an_order_by_another_key_is_not_confirmed_and_keeps_no_other_from_it(tmp_path: Path, key: Path) -> None:
    store, storage = tmp_path / "store", DirectoryStorage(tmp_path / "store")
    digest, pseudonyms, other = add_bundle(store), read_pseudonyms(str(key)), Pseudonyms(b"o" * 32)
    wrong, right = (
        Order((hash_of("1", one),), one.fingerprint, time.time() + late) for late, one in enumerate((other, pseudonyms))
    )
    with detector(store, tmp_path / "drift.db", *FAST, "--personal-key-file", str(key)) as process:
        process.post([*prediction(digest, [{**people(1)[0], "id": 1}], "p"), truth("p", 1)])
        process.until(lambda report: report["feedback"]["exported"] == 1)
        for order in (wrong, right):
            give_order(storage, "tiny", order)
        process.until(lambda _: acknowledged(storage, "tiny", right, DETECTOR) is not None)
        assert acknowledged(storage, "tiny", wrong, DETECTOR) is None
        assert "it was ordered by another personal key than this detector has" in process.log.read_text()


def test_an_order_of_a_use_case_without_rows_is_confirmed(tmp_path: Path, key: Path) -> None:
    storage, pseudonyms = DirectoryStorage(tmp_path / "store"), read_pseudonyms(str(key))
    order = Order((hash_of("1", pseudonyms),), pseudonyms.fingerprint, time.time())
    give_order(storage, "elsewhere", order)
    with detector(tmp_path / "store", tmp_path / "drift.db", *FAST, "--personal-key-file", str(key)) as process:
        process.until(lambda _: acknowledged(storage, "elsewhere", order, DETECTOR) is not None)
    assert acknowledged(storage, "elsewhere", order, DETECTOR) == {"rows": 0, "labels": 0, "truths": 0}
