"""The database stays bounded, and gives back what a backlog took."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.detector.conftest import Shop
from tests.detector.world import add_bundle, detector, people, prediction, predictions, truth

ROWS = 500


def size(database: Path) -> int:
    return sum(path.stat().st_size for path in database.parent.glob(database.name + "*") if path.is_file())


@pytest.mark.slow
def test_the_file_stays_bounded_over_100_000_rows(tmp_path: Path) -> None:
    digest = add_bundle(tmp_path / "store", window=1000, minimum=100)
    database = tmp_path / "db" / "drift.db"
    flags = ("--retention-rows", "5000", "--history", "10", "--live-rows", "500", "--max-ids", "200")
    sizes = []
    rows = [{**row, "id": number} for number, row in enumerate(people(ROWS), start=1)]
    with detector(tmp_path / "store", database, *flags, "--export-seconds", "0.5") as process:
        for number in range(200):
            puid = f"p{number}"
            process.post([*prediction(digest, rows, puid), truth(puid, *[number % 2] * (ROWS // 10))])
            if number % 20 == 19:
                process.settled()
                sizes.append(size(database))
        found = process.until(lambda report: report["models"][0]["windows"][-1]["number"] == 100, 90)
        assert found["models"][0]["rows"] == 100_000
        process.until(lambda _: _kept(database, "predictions", "rows") <= 5000 + ROWS)
        process.until(lambda _: len(process.report()["models"][0]["windows"]) == 10)
        process.until(lambda _: _kept(database, "labels", "1") <= 500 + 5000)
    assert sizes[-1] < 25e6, sizes
    assert _kept(database, "ids", "length(digests)") <= 16 * 300
    assert _kept(database, "entities", "1") <= ROWS


def _kept(database: Path, table: str, what: str) -> int:
    with sqlite3.connect(database) as connection:
        return int(connection.execute(f"SELECT coalesce(sum({what}), 0) FROM {table}").fetchone()[0])  # noqa: S608


@pytest.mark.slow
def test_predictions_stay_until_their_window_is_judged_and_their_truth_written(shop: Shop, tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "bundles").symlink_to(shop.store / "bundles")
    (tmp_path / "store" / "labelled").write_text("in the way")
    with detector(
        tmp_path / "store", tmp_path / "drift.db", "--retention-rows", "1", "--export-seconds", "0.2"
    ) as process:
        process.post([*prediction(shop.digest, people(10), "first"), truth("first", 1)])
        for rows, puid in ((10, "second"), (5, "open")):
            process.settled()  # those of a pass are kept together
            process.post(prediction(shop.digest, people(rows), puid))
        process.until(lambda _: _puids(process.database) == {"first", "open"})
        (tmp_path / "store" / "labelled").unlink()
        process.until(lambda _: _puids(process.database) == {"open"})
        assert process.report()["feedback"]["exported"] == 1


def _puids(database: Path) -> set[str]:
    with sqlite3.connect(database) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM names")}


@pytest.mark.slow
def test_what_a_backlog_took_is_given_back(shop: Shop, tmp_path: Path) -> None:
    """Predictions that wait for a bundle fill the file; once they are windows it shrinks again."""
    empty, database = tmp_path / "store", tmp_path / "drift.db"
    empty.mkdir()
    with detector(empty, database, "--retention-rows", "100", "--max-held", "20000") as process:
        for seed in range(60):
            process.post(predictions(shop.digest, people(100, seed)))
        process.until(lambda report: report["events"]["held"] == 6_000)
        assert _kept(database, "held", "1") == 6_000
        full = _pages(database)
        (empty / "bundles").symlink_to(shop.store / "bundles")
        assert process.settled()["models"][0]["rows"] == 6_000
        process.until(lambda _: _pages(database) < full / 2)


def _pages(database: Path) -> int:
    with sqlite3.connect(database) as connection:
        return int(connection.execute("PRAGMA page_count").fetchone()[0])
