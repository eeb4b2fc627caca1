"""The labelled table of several files, of an object store and of a database, on real ones."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifeboat.config.errors import DataError, StorageError, UseCaseError
from lifeboat.preprocess.step import preprocess, read_summary
from lifeboat.registry.storage import S3, open_storage
from lifeboat.registry.tables import read_source
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from lifeboat.usecase.sql import Sql
from tests.preprocess.world import make_usecase, outputs, quiet, rows, write
from tests.stores import postgres
from tests.stores.endpoint import Endpoint

NONE = S3()


def parts(folder: Path, order: list[list[int]]) -> Path:
    """Some rows of the world in files of a folder, in this order; and what no table is."""
    folder.mkdir()
    for number, chosen in enumerate(order):
        write(folder / f"part-{number}.csv", [rows()[place] for place in chosen])
    (folder / "_SUCCESS").write_text("")
    (folder / ".hidden.csv").write_text("x")
    return folder


ORDER = [list(range(20)), list(range(20, 45)), list(range(45, 60))]
OTHER = [[59, *range(30)], list(range(58, 29, -1))]


def test_a_folder_is_one_table_whatever_files_its_rows_are_in(tmp_path: Path) -> None:
    said: list[str] = []
    first = read_source(str(parts(tmp_path / "a", ORDER)), NONE, tmp_path, assume=said.append)
    second = read_source(str(parts(tmp_path / "b", OTHER)), NONE, tmp_path)
    assert said == ["the table is 3 files"]
    assert first.table.equals(second.table)
    assert first.digest == second.digest
    assert sorted(first.table["id"].to_pylist(), key=int) == [str(number) for number in range(1, 61)]
    changed = [row | {"dose": 3.5} if row["id"] == 7 else row for row in rows()]
    write(tmp_path / "b" / "part-0.csv", changed)
    (tmp_path / "b" / "part-1.csv").unlink()
    assert read_source(str(tmp_path / "b"), NONE, tmp_path).digest != first.digest


def test_a_pattern_takes_the_files_it_fits(tmp_path: Path) -> None:
    folder = parts(tmp_path / "a", ORDER)
    found = read_source(f"{folder}/part-[01].csv", NONE, tmp_path)
    assert found.table.num_rows == 45
    # A file of such a name is that file.
    write(tmp_path / "odd[1].csv", rows(5))
    assert read_source(str(tmp_path / "odd[1].csv"), NONE, tmp_path).table.num_rows == 5
    with pytest.raises(DataError, match="no file is there"):
        read_source(f"{folder}/*.parquet", NONE, tmp_path)


def test_one_bundle_comes_of_a_folder_in_any_order(tmp_path: Path) -> None:
    made = []
    for name, order in (("a", ORDER), ("b", OTHER)):
        out = outputs(tmp_path / f"out-{name}")
        out.train.parent.mkdir()
        preprocess(make_usecase(), str(parts(tmp_path / name, order)), out, say=quiet)
        made.append((pq.read_table(out.train).replace_schema_metadata(None), read_summary(out.train).digest))
    assert str(made[0][0].to_pylist()) == str(made[1][0].to_pylist())  # a NaN is none other
    assert made[0][1] == made[1][1]


def test_files_of_different_columns_are_refused_by_name(tmp_path: Path) -> None:
    folder = parts(tmp_path / "a", ORDER)
    write(folder / "part-9.csv", [{key: row[key] for key in row if key != "dose"} for row in rows(5)])
    with pytest.raises(DataError, match=r"part-9.csv: has no column dose, which the first file has"):
        read_source(str(folder), NONE, tmp_path)
    pq.write_table(pa.table({"id": [1]}), tmp_path / "x1.parquet")
    pq.write_table(pa.table({"id": ["a"]}), tmp_path / "x2.parquet")
    with pytest.raises(DataError, match="the files differ in a column's type"):
        read_source(f"{tmp_path}/x*.parquet", NONE, tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no file is there"):
        read_source(str(tmp_path / "empty"), NONE, tmp_path)


def test_a_look_takes_the_first_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifeboat.registry.tables.FIRST_ROWS", 30)
    folder = str(parts(tmp_path / "a", ORDER))
    found = read_source(folder, NONE, tmp_path, first_rows=True)
    assert (found.table.num_rows, found.whole, found.digest) == (45, False, "")


def test_a_folder_and_a_pattern_of_a_bucket(tmp_path: Path, s3: Endpoint) -> None:
    folder = parts(tmp_path / "a", ORDER)
    here = read_source(str(folder), NONE, tmp_path)
    with s3.bucket() as bucket:
        store = open_storage(f"s3://{bucket}/tables", s3.s3)
        for path in folder.glob("part-*"):
            store.upload(path, f"cure/{path.name}")
        assert read_source(f"s3://{bucket}/tables/cure/", s3.s3, tmp_path).digest == here.digest
        assert read_source(f"s3://{bucket}/tables/cure/part-*.csv", s3.s3, tmp_path).digest == here.digest
        with pytest.raises(DataError, match="no file is there"):
            read_source(f"s3://{bucket}/tables/other/", s3.s3, tmp_path)
    assert not list(tmp_path.glob(".download-*"))


def test_google_is_asked_by_its_own_client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server of Google's runs here: what can be seen is that its client is asked, and how its answer is told."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "none.json"))
    with pytest.raises(StorageError, match=r"gs://bucket/table.csv cannot be read: .*(?i:credentials|google)"):
        read_source("gs://bucket/table.csv", NONE, tmp_path)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


# Databases.

SCHEMA = Schema(
    (
        Column("amount", "float", exact=True, nullable=True),
        Column("at", "datetime", nullable=True),
        Column("city", "category", nullable=True),
        Column("member", "boolean"),
    ),
    BinaryLabel("paid", ("no", "yes")),
    keys=(Column("id", "integer", maximum=2**63 - 1),),
    id="id",
)
USECASE = make_usecase(SCHEMA, baseline=())
START = datetime(2026, 1, 1, tzinfo=UTC)


def test_sqlite_answers_as_a_file_does(tmp_path: Path) -> None:
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as connection:
        connection.execute(
            "CREATE TABLE orders (id INTEGER, amount REAL, at TEXT, city TEXT, member INTEGER, paid TEXT)"
        )
        lines = [
            (n, n / 7, f"2026-01-{n % 28 + 1:02d}T10:00:00Z", "ab"[n % 2], n % 2, ("no", "yes")[n % 2])
            for n in range(90)
        ]
        connection.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", lines)
    one = Sql(f"sqlite://{path}", "SELECT * FROM orders ORDER BY id")
    other = Sql(f"sqlite://{path}", "SELECT * FROM orders ORDER BY amount DESC")
    first, second = (read_source(str(sql), NONE, tmp_path) for sql in (one, other))
    assert first.digest == second.digest
    assert first.table.equals(second.table)
    folder = tmp_path / "out"
    folder.mkdir()
    summary = preprocess(make_usecase(SCHEMA, baseline=(), data=one), str(one), outputs(folder), say=quiet)
    assert (summary.rows, summary.quarantined, summary.source) == (90, 0, str(one))
    with pytest.raises(DataError, match=r"the database says: .*no such table: nobody"):
        read_source(str(Sql(f"sqlite://{path}", "SELECT * FROM nobody")), NONE, tmp_path)
    with pytest.raises(DataError, match=r"none.db: no such file"):
        read_source(str(Sql(f"sqlite://{tmp_path}/none.db", "SELECT 1")), NONE, tmp_path)
    assert not (tmp_path / "none.db").exists()
    with pytest.raises(DataError, match="has no rows"):
        read_source(str(Sql(f"sqlite://{path}", "SELECT * FROM orders WHERE id < 0")), NONE, tmp_path)


@pytest.mark.skipif(bool(postgres.missing()), reason=f"not installed: {', '.join(postgres.missing())}")
def test_postgresql_gives_its_own_types(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with postgres.server("owner") as server:
        monkeypatch.setenv("PGPASSWORD", postgres.PASSWORD)
        address = f"postgresql://owner@127.0.0.1:{server.port}/postgres"
        postgres.query(
            address,
            "CREATE TABLE orders (id bigint, amount numeric(12, 2), at timestamptz, city text, "
            "member boolean, paid text); "
            "INSERT INTO orders SELECT 9007199254740993 + n, 50000000 + n / 100.0, "
            "'2026-01-01T00:00:00Z'::timestamptz + n * interval '1 hour', 'c' || n % 3, n % 2 = 0, "
            "CASE WHEN n % 2 = 0 THEN 'yes' ELSE 'no' END FROM generate_series(0, 99) n; "
            "INSERT INTO orders VALUES (1, NULL, NULL, NULL, true, 'no')",
        )
        sql = Sql(address, "SELECT * FROM orders")
        found = read_source(str(sql), NONE, tmp_path)
        folder = tmp_path / "out"
        folder.mkdir()
        out = outputs(folder)
        summary = preprocess(USECASE, str(sql), out, say=quiet)
        assert (summary.rows, summary.quarantined, summary.digest) == (101, 0, found.digest)
        made = pa.concat_tables([pq.read_table(path) for path in (out.train, out.test)]).sort_by("id").to_pylist()
        assert np.isnan(made[0]["amount"])
        assert (made[0]["city"], made[1]["id"]) == ("", 9007199254740993)
        assert Decimal(str(made[8]["amount"])) == Decimal("50000000.07")
        assert made[3]["at"] / 1e6 == START.timestamp() + 2 * 3600
        assert (made[1]["member"], made[1]["paid"], made[2]["member"]) == (1.0, 1, 0.0)
        monkeypatch.setenv("PGPASSWORD", "wrong")
        with pytest.raises(DataError, match="the database says: .*password authentication failed"):
            read_source(str(sql), NONE, tmp_path)


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("postgresql://u:secret@host/db", "holds a password, which would stand in every lineage"),
        ("postgresql://u@host/db?password=secret", "holds a password"),
        ("mysql://u@host/db", "is none of postgresql://, sqlite://, snowflake://, bigquery://"),
    ],
)
def test_a_database_that_cannot_be_meant_is_refused_without_its_password(uri: str, problem: str) -> None:
    with pytest.raises(UseCaseError, match=problem) as error:
        Sql(uri, "SELECT 1")
    assert "secret" not in str(error.value)


def test_a_missing_driver_says_what_brings_it(tmp_path: Path) -> None:
    sql = Sql("snowflake://account/db", "SELECT 1")
    assert Sql.read(str(sql)) == sql
    assert Sql.read("a | b.csv") is None
    with pytest.raises(DataError, match="pip install 'adbc-driver-snowflake' brings the driver"):
        read_source(str(sql), NONE, tmp_path)
    with pytest.raises(UseCaseError, match="the query of sqlite is empty"):
        Sql("sqlite:///x.db", " ")
