"""Whose word a truth is, and of which prediction: names that are not unique, sources that disagree, rooms that fill."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest

from lifeboat.data.labelled.labelled_rows import load_labelled
from lifeboat.detector.database import Database
from lifeboat.registry.storage import DirectoryStorage
from tests.detector.conftest import Shop
from tests.detector.test_feedback import ROWS, counts
from tests.detector.world import Detector, add_bundle, detector, event, prediction, truth
from tests.server.world import TINY

TRUSTED = ("--trusted-sources", "clinic,registry")


def named(
    digest: str, client_id: str, rows: list[dict[str, Any]] = ROWS[:1], **attributes: Any
) -> list[dict[str, Any]]:
    """A prediction whose client calls it so."""
    return prediction(digest, rows, clientid=client_id, **attributes)


def live(report: dict[str, Any]) -> tuple[int, float | None]:
    figures = report["models"][0]["live"]
    return figures["rows"], figures["accuracy"]


def test_a_truth_finds_its_prediction_by_the_clients_own_name_of_it(shop: Shop, running: Detector) -> None:
    running.post([*named(shop.digest, "order 12"), truth("order 12", 1)])
    running.post([truth("order 13", 1)])
    running.until(lambda report: counts(report) == (1, 1, 0, 0))
    running.post(named(shop.digest, "order 13"))
    running.until(lambda report: counts(report) == (2, 0, 0, 0))


def test_a_truth_by_a_name_that_several_requests_have_is_of_none_of_them(shop: Shop, running: Detector) -> None:
    for number in range(3):
        running.post(named(shop.digest, "constant"))
        # As behind Seldon's executor, which takes a client's header for its own.
        running.post(prediction(shop.digest, ROWS[:1], "reused"))
        running.post(prediction(shop.digest, ROWS[:1], f"own {number}"))
    running.post([truth("constant", 1), truth("reused", 1), truth("own 1", 1)])
    found = running.until(lambda report: report["feedback"]["joined"])
    assert counts(found, "joined", "ambiguous", "waiting", "unknown") == (1, 2, 0, 0)
    assert running.metrics()['lifeboat_feedback_rows_total{result="ambiguous"}'] == 2


def test_two_versions_that_answered_one_request_both_learn_its_truth(shop: Shop, running: Detector) -> None:
    for version in ("1", "2"):
        running.post(prediction(shop.digest, ROWS[:1], "mirrored", modelversion=version))
    running.post([truth("mirrored", 1)])
    running.until(lambda report: [one["live"]["rows"] for one in report["models"]] == [1, 1])


def test_a_later_prediction_under_a_name_takes_no_truth_from_the_first(shop: Shop, running: Detector) -> None:
    running.post([*prediction(shop.digest, ROWS[:1], "p"), truth("p", 1)])
    running.until(lambda report: counts(report) == (1, 0, 0, 0))
    running.post(prediction(shop.digest, ROWS[1:2], "p"))
    running.post([truth("p", 0)])
    found = running.until(lambda report: report["feedback"]["ambiguous"] == 1)
    assert counts(found, "joined", "contradictory", "conflict") == (1, 0, 0)


def test_the_first_trusted_word_stands_until_its_own_source_says_otherwise(tmp_path: Path) -> None:
    digest = add_bundle(tmp_path / "store")
    row = [{**ROWS[0], "age": 90.0, "port": "Q"}]
    flags = ("--export-seconds", "0.2", *TRUSTED)
    with detector(tmp_path / "store", tmp_path / "drift.db", *flags) as process:

        def say(source: str, value: int, meaning: str) -> dict[str, Any]:
            before = process.report()["feedback"][meaning]
            process.post([truth("p", value, authid=source)])
            return process.until(lambda report: report["feedback"][meaning] == before + 1)

        process.post(prediction(digest, row, "p"))
        process.until(lambda report: report["models"])
        say("stranger", 0, "untrusted")
        assert live(process.report()) == (0, None)
        say("clinic", 1, "joined")
        process.until(lambda report: live(report) == (1, 1.0))
        say("registry", 0, "conflict")
        say("registry", 1, "contradictory")
        say("registry", 1, "duplicate")
        say("stranger", 1, "contradictory")
        assert live(process.report()) == (1, 1.0)
        say("clinic", 0, "contradictory")
        process.until(lambda report: live(report) == (1, 0.0))
        assert process.report()["sources"] == {"clinic": 2, "registry": 3, "stranger": 2}
        store, trusted = DirectoryStorage(tmp_path / "store"), frozenset({"clinic", "registry"})

        def written() -> tuple[Any, ...]:
            found = load_labelled(store, "tiny", TINY, trusted=trusted)
            return found.table["fate"].to_pylist(), found.table["__source"].to_pylist(), found.apart

        apart = {"waiting": {"stranger": 1}, "contradicted": {"registry": 1}}
        process.until(lambda _: written() == ([0], ["clinic"], apart))


EVERYWHERE = "0.0.0.0"  # noqa: S104  # as a pod has it


@pytest.mark.parametrize(
    ("flags", "trusted"),
    [((), True), (("--trusted-sources", "none"), False), (("--host", EVERYWHERE, "--open", "true"), False)],
)
def test_whoever_is_anonymous_is_trusted_on_a_loopback_address_only(
    shop: Shop, tmp_path: Path, flags: tuple[str, ...], trusted: bool
) -> None:
    with detector(shop.store, tmp_path / "drift.db", *flags) as process:
        process.post([*prediction(shop.digest, ROWS[:1], "p"), truth("p", 1)])
        found = process.until(lambda report: report["sources"])
        assert counts(found, "joined", "untrusted") == ((1, 0) if trusted else (0, 1))


def test_truths_of_predictions_never_made_push_out_only_one_another(shop: Shop, tmp_path: Path) -> None:
    """The attack: as many truths as there is room for, for ids that nobody ever gave."""
    with detector(shop.store, tmp_path / "drift.db", "--max-truths", "100", *TRUSTED) as process:
        process.post(prediction(shop.digest, ROWS[:1], "first"))
        process.until(lambda report: report["models"])
        process.post([truth("early", 1, authid="clinic")])
        process.post([truth(f"never {number}", 1, authid="stranger") for number in range(500)])
        found = process.until(lambda report: sum(counts(report, "unknown", "waiting")) >= 501)
        assert counts(found, "waiting", "unknown") == (100, 401)
        process.post(prediction(shop.digest, ROWS[:1], "early"))
        process.until(lambda report: counts(report, "joined") == (1,))
        # Of one source the latest stay: a genuine one that is followed by its prediction at once finds it.
        process.post([truth("late", 1, authid="stranger"), *prediction(shop.digest, ROWS[:1], "late")])
        process.until(lambda report: counts(report, "untrusted") == (1,))


def test_sources_have_a_room_that_shuts_no_trusted_one_out(shop: Shop, tmp_path: Path) -> None:
    with detector(shop.store, tmp_path / "drift.db", "--max-sources", "5", *TRUSTED) as process:
        process.post(prediction(shop.digest, ROWS[:1], "p"))
        process.until(lambda report: report["models"])
        process.post([truth("p", 1, authid=f"stranger {number}") for number in range(20)])
        process.post([truth("p", 1, authid="clinic")])
        found = process.until(lambda report: report["feedback"]["joined"])
        assert found["events"]["refused"] == {"too many sources": 15}
        assert len(found["sources"]) == 6


UNSEEN = ("\u202eabc", "\u200bclinic", "\ufeffclinic", "\x9b31m", "clinic ", " clinic", "a\u2028b")


@pytest.mark.parametrize(
    ("name", "source"), [("", "anonymous"), *((name, "unreadable") for name in ("x" * 256, "a\nb", 7, "none", *UNSEEN))]
)
def test_a_name_that_is_none_is_nobodys(shop: Shop, running: Detector, name: object, source: str) -> None:
    running.post([*prediction(shop.digest, ROWS[:1], "p"), truth("p", 1, authid=name)])
    found = running.until(lambda report: report["sources"])
    assert found["sources"] == {source: 1}


def test_a_truth_without_any_name_does_not_wait(shop: Shop, running: Detector) -> None:
    running.post(prediction(shop.digest, ROWS[:1], "p"))
    running.until(lambda report: report["models"])
    for name in ("", "x" * 300):
        said = {"response": {"meta": {"puid": name}}, "truth": {"data": {"ndarray": [1]}}}
        running.post([event("feedback", "", said)])
    running.until(lambda report: counts(report) == (0, 0, 0, 2))


def test_a_database_from_before_sources_goes_on(tmp_path: Path) -> None:
    store, path = tmp_path / "store", tmp_path / "drift.db"
    digest = add_bundle(store)
    with detector(store, path, "--export-seconds", "3600") as process:
        process.post([*prediction(digest, ROWS[:2], "p"), truth("p", 1, 0), truth("early", 1)])
        process.until(lambda report: counts(report) == (2, 1, 0, 0))
    _back_to_format_1(path)
    with detector(store, path, "--export-seconds", "0.2") as process:
        process.until(lambda report: counts(report, "exported") == (2,))
        process.post(prediction(digest, ROWS[:1], "early"))
        found = process.until(lambda report: counts(report, "joined") == (3,))
        assert live(process.until(lambda report: live(report)[0] == 3))[0] == 3
        assert counts(found, "waiting") == (0,)


def _back_to_format_1(path: Path) -> None:
    """The tables as the edition before had them, with what is in them."""
    database = Database(str(path))
    connection = database.connect()
    connection.executescript("""BEGIN;
        ALTER TABLE held DROP COLUMN count;
        DROP INDEX predictions_start; ALTER TABLE predictions RENAME TO together;
        CREATE TABLE predictions (
            id INTEGER PRIMARY KEY AUTOINCREMENT, version INTEGER, start INTEGER, rows INTEGER, puid TEXT, time REAL,
            received REAL, columns BLOB, scores BLOB);
        CREATE INDEX predictions_start ON predictions (version, start);
        CREATE INDEX predictions_puid ON predictions (puid);
        INSERT INTO predictions SELECT id, version, start, rows, requests ->> '$.ids[0]', requests ->> '$.times[0]',
            received, columns, scores FROM together;
        DROP TABLE together; DROP TABLE names;
        DROP INDEX truths_name; DROP INDEX truths_source; ALTER TABLE truths DROP COLUMN source;
        ALTER TABLE labels RENAME TO newer; DROP INDEX labels_version; DROP INDEX labels_pending;
        CREATE TABLE labels (
            id INTEGER PRIMARY KEY AUTOINCREMENT, prediction INTEGER, row INTEGER, version INTEGER, score REAL,
            truth INTEGER, labelled REAL, exported INTEGER DEFAULT 0, UNIQUE (prediction, row));
        CREATE INDEX labels_version ON labels (version, id);
        CREATE INDEX labels_pending ON labels (id) WHERE exported = 0;
        INSERT INTO labels SELECT id, prediction, row, version, score, truth, labelled, exported FROM newer;
        DROP TABLE newer;
        DELETE FROM counters WHERE name GLOB 'source:*';
        ALTER TABLE live RENAME TO newer_live; ALTER TABLE history RENAME TO newer_history;
        CREATE TABLE live (
            version INTEGER PRIMARY KEY, rows INTEGER, accuracy REAL, log_loss REAL, calibration_error REAL);
        CREATE TABLE history (
            id INTEGER PRIMARY KEY, version INTEGER, time REAL, accuracy REAL, log_loss REAL, rows INTEGER);
        INSERT INTO live SELECT version, rows, figures ->> 'accuracy', figures ->> 'log_loss', 0 FROM newer_live;
        INSERT INTO history SELECT id, version, time, 0.5, 0.7, rows FROM newer_history;
        DROP TABLE newer_live; DROP TABLE newer_history;
        PRAGMA user_version = 1; COMMIT;""")
    connection.close()
    database.close()
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone() == (1,)
