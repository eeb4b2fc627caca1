import csv
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifeboat.config.errors import DataError, StorageError
from lifeboat.data.csv.dialect import Csv
from lifeboat.data.split import positions
from lifeboat.preprocess import step
from lifeboat.preprocess.step import HOLDOUT, METADATA, preprocess, read_summary
from lifeboat.usecase.schema import Column
from lifeboat.usecase.usecase import load_usecase
from tests.preprocess.world import SCHEMA, make_usecase, outputs, quiet, rows, write


def run(tmp_path, table, usecase=None, say=quiet):
    source = write(tmp_path / "rows.csv", table)
    out = outputs(tmp_path / "out")
    return preprocess(usecase or make_usecase(), source, out, say=say), out


def quarantined(out):
    with out.quarantine.open(newline="") as file:
        return list(csv.DictReader(file))


def test_every_good_row_is_on_one_side(tmp_path):
    said = []
    summary, out = run(tmp_path, rows(), say=said.append)
    train, test = pq.read_table(out.train), pq.read_table(out.test)
    assert (summary.rows, summary.quarantined, summary.duplicates) == (60, 0, 0)
    assert (summary.train, summary.test) == (train.num_rows, test.num_rows)
    assert sorted(train["id"].to_pylist() + test["id"].to_pylist()) == list(range(1, 61))
    assert not set(train["family"].to_pylist()) & set(test["family"].to_pylist())
    assert summary.test == pytest.approx(15, abs=2)
    assert set(test["cured"].to_pylist()) == {0, 1}
    assert quarantined(out) == []
    assert said == [
        "read 60 rows, 0 break the schema",
        f"{summary.train} rows to train on, {summary.test} held out, 0 duplicates dropped",
    ]


def test_no_ticket_of_the_passengers_is_on_both_sides(tmp_path):
    usecase = load_usecase("titanic")
    out = outputs(tmp_path)
    summary = preprocess(usecase, str(usecase.data), out, say=quiet)
    train, test = pq.read_table(out.train), pq.read_table(out.test)
    assert summary.train + summary.test == 891
    assert summary.test / 891 == pytest.approx(usecase.split.test, abs=0.01)
    assert not set(train["Ticket"].to_pylist()) & set(test["Ticket"].to_pylist())
    rates = [sum(part["Survived"].to_pylist()) / part.num_rows for part in (train, test)]
    assert rates[0] == pytest.approx(rates[1], abs=0.03)


def test_the_summary_travels_in_both_files(tmp_path):
    summary, out = run(tmp_path, rows())
    source = tmp_path / "rows.csv"
    assert summary.source == str(source)
    assert summary.digest == hashlib.sha256(source.read_bytes()).hexdigest()
    assert summary.label == {"classes": {"ill": 30, "well": 30}}
    assert read_summary(out.train) == read_summary(out.test) == summary
    below = summary.split["below"]
    test = pq.read_table(out.test)
    assert test[HOLDOUT].to_pylist() == list(positions([f"group {name}" for name in test["family"].to_pylist()], "s"))
    assert min(pq.read_table(out.train)[HOLDOUT].to_pylist()) == below


def test_the_same_file_gives_the_same_bytes(tmp_path):
    for name in "ab":
        (tmp_path / name).mkdir()
    source = write(tmp_path / "rows.csv", rows())
    for name in "ab":
        preprocess(make_usecase(), source, outputs(tmp_path / name), say=quiet)
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes()


def test_a_row_keeps_its_side_when_the_file_grows_in_front_of_it(tmp_path):
    loners = [{**row, "family": "", "cured": row["id"] % 2} for row in rows(200)]
    sides = []
    for name, table in (("before", loners[2:]), ("after", loners)):
        (tmp_path / name).mkdir()
        _, out = run(tmp_path / name, table)
        sides.append(set(pq.read_table(out.test)["id"].to_pylist()))
    before, after = sides[0], sides[1] - {1, 2}
    assert len(before ^ after) <= 3


def test_rows_without_group_and_id_are_kept_apart_by_their_cells(tmp_path):
    schema = replace(SCHEMA, keys=(), id=None, group=None)
    table = [{"dose": n / 7, "sex": "f", "note": f"n{n}", "cured": n % 2} for n in range(60)]
    _, out = run(tmp_path, table, make_usecase(schema))
    assert len(set(pq.read_table(out.test)[HOLDOUT].to_pylist())) == pytest.approx(15, abs=2)


def test_broken_rows_go_to_the_quarantine_with_their_reasons(tmp_path):
    table = rows()
    table[3] |= {"dose": 400, "sex": "x"}
    table[7] |= {"note": 'odd, "note"\nof two lines', "cured": 2}
    summary, out = run(tmp_path, table)
    assert summary.quarantined == 2
    assert summary.train + summary.test == 58
    first, second = quarantined(out)
    assert first["row"] == "4"
    assert first["reason"] == 'column dose: 400 is outside 0 to 100; column sex: "x" is none of f, m'
    assert (first["dose"], first["sex"], first["id"]) == ("400", "x", "4")
    assert second["reason"] == 'column cured: "2" is none of 0, 1, ill, well'
    assert second["note"] == table[7]["note"]
    assert not {4, 8} & set(pq.read_table(out.train)["id"].to_pylist() + pq.read_table(out.test)["id"].to_pylist())


def test_too_many_broken_rows_fail_and_only_the_quarantine_is_written(tmp_path):
    table = [row | ({"dose": -1} if row["id"] in range(10, 17) else {}) for row in rows()]
    with pytest.raises(DataError) as error:
        run(tmp_path, table)
    assert str(error.value) == (
        f"{tmp_path / 'rows.csv'}, row 10: column dose: -1 is outside 0 to 100 "
        "(7 of 60 rows break the schema, at most 10.0% may)"
    )
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["quarantine.csv"]
    assert [row["row"] for row in quarantined(outputs(tmp_path / "out"))] == [str(row) for row in range(10, 17)]


def test_exactly_the_limit_is_enough(tmp_path):
    table = [row | ({"dose": -1} if row["id"] <= 6 else {}) for row in rows()]
    summary, _ = run(tmp_path, table)
    assert summary.quarantined == 6


def test_a_table_without_an_id_keeps_all_its_rows_unless_the_use_case_says_otherwise(tmp_path):
    schema = replace(SCHEMA, keys=(), id=None, group=None)
    table = [{name: row[name] for name in (*schema.names, "cured")} for row in (*rows(), *rows()[:20])]
    summary, out = run(tmp_path, table, make_usecase(schema))
    assert (summary.duplicates, summary.train + summary.test) == (0, 80)
    assert not {str(row) for row in pq.read_table(out.train).drop_columns([HOLDOUT]).to_pylist()} & {
        str(row) for row in pq.read_table(out.test).drop_columns([HOLDOUT]).to_pylist()
    }
    summary, _ = run(tmp_path, table, make_usecase(schema, deduplicate=True))
    assert (summary.duplicates, summary.train + summary.test) == (20, 60)


def test_rows_of_a_null_id_are_nobodys_and_all_kept(tmp_path):
    schema = replace(SCHEMA, keys=(Column("id", "integer", nullable=True), SCHEMA.keys[1]))
    table = [*rows(), *([rows()[0] | {"id": ""}] * 3), rows()[7]]
    summary, _ = run(tmp_path, table, make_usecase(schema))
    assert (summary.duplicates, summary.train + summary.test) == (1, 63)


def test_what_is_assumed_of_a_table_is_said(tmp_path):
    said = []
    run(
        tmp_path, [row | {"hat": 1, "dose": "NA" if row["id"] == 3 else row["dose"]} for row in rows()], say=said.append
    )
    assert said[:2] == [
        "assumed: columns that the schema does not name are left out: hat",
        "assumed: column dose: null is written as 'NA' (1)",
    ]


def test_a_group_larger_than_the_test_share_is_named_and_trains(tmp_path):
    said = []
    table = [row | {"family": "chain" if row["id"] <= 40 else row["family"]} for row in rows()]
    summary, out = run(tmp_path, table, say=said.append)
    assert "chain" not in pq.read_table(out.test)["family"].to_pylist()
    assert summary.test == pytest.approx(15, abs=1)
    assert (
        "warning: family chain has 67% of the rows, more than the 25% to hold out: it trains, and 27% are held out"
        in said
    )


def test_repeated_rows_of_an_id_are_dropped(tmp_path):
    table = [*rows(), rows()[0], rows()[5] | {"dose": ""}, rows()[5] | {"dose": ""}]
    table[5] = table[-1]
    summary, _ = run(tmp_path, table)
    assert (summary.rows, summary.duplicates, summary.train + summary.test) == (63, 3, 60)


def test_one_id_on_different_rows_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"rows\.csv, column id: the same id on different rows: 1"):
        run(tmp_path, [*rows(), rows()[0] | {"dose": 99}])
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["quarantine.csv"]


def test_a_missing_id_is_no_repeated_id(tmp_path):
    schema = replace(SCHEMA, keys=(Column("id", "integer", nullable=True), SCHEMA.keys[1]))
    table = [row | ({"id": ""} if row["id"] > 50 else {}) for row in rows()]
    summary, out = run(tmp_path, table, make_usecase(schema))
    assert summary.train + summary.test == 60
    ids = pq.read_table(out.train)["id"].to_pylist() + pq.read_table(out.test)["id"].to_pylist()
    assert ids.count(None) == 10


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cured": 1}, "column cured: only 'well' occurs, both classes are needed"),
        ({"dose": ""}, "column dose: all values are missing"),
        ({"sex": ""}, "column sex: all values are missing"),
        ({"family": "all in one"}, "rows (0) there is none"),
    ],
)
def test_a_table_that_teaches_nothing_is_refused(tmp_path, change, sentence):
    filled = [row | change for row in rows()]
    with pytest.raises(DataError) as error:
        run(tmp_path, filled)
    assert sentence in str(error.value)
    assert str(tmp_path / "rows.csv") in str(error.value)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["quarantine.csv"]


def test_no_good_row_at_all_is_refused(tmp_path):
    with pytest.raises(DataError, match="no row is left"):
        run(tmp_path, [row | {"dose": -1} for row in rows()], make_usecase(max_quarantine=1.0))


def test_a_failed_run_leaves_the_outputs_of_the_last_one(tmp_path, monkeypatch):
    _, out = run(tmp_path, rows())
    before = {path.name: path.read_bytes() for path in out.train.parent.iterdir()}

    def full(table, path, real=pq.write_table):
        if "test" in path.name:
            raise OSError(28, "No space left on device")
        real(table, path)

    monkeypatch.setattr(step.pq, "write_table", full)
    with pytest.raises(StorageError, match="No space left on device"):
        run(tmp_path, rows(80))
    assert {path.name: path.read_bytes() for path in out.train.parent.iterdir()} == before


def test_a_table_is_read_from_object_storage(tmp_path, s3):
    with s3.bucket() as bucket:
        s3.client.fput_object(bucket, "deep/rows.csv", write(tmp_path / "rows.csv", rows()))
        out = outputs(tmp_path / "out")
        summary = preprocess(make_usecase(), f"s3://{bucket}/deep/rows.csv", out, s3=s3.s3, say=quiet)
        assert summary.source == f"s3://{bucket}/deep/rows.csv"
        assert summary.rows == 60
        assert len(list(out.train.parent.iterdir())) == 4
        with pytest.raises(StorageError, match=f"s3://{bucket}/none.csv"):
            preprocess(make_usecase(), f"s3://{bucket}/none.csv", out, s3=s3.s3, say=quiet)


def test_parquet_with_odd_types_reaches_the_quarantine(tmp_path):
    table = pa.Table.from_pylist(rows())
    sexes = ["f"] * 59 + ["x"]
    table = table.set_column(table.column_names.index("sex"), "sex", pa.array(sexes).dictionary_encode())
    table = table.set_column(table.column_names.index("note"), "note", pa.array([None] * 59 + ["n"], pa.large_string()))
    pq.write_table(table.set_column(2, "dose", table["dose"].cast(pa.decimal128(24, 2))), tmp_path / "rows.parquet")
    out = outputs(tmp_path / "out")
    with pytest.raises(DataError, match="column note: all values are missing"):
        preprocess(make_usecase(), str(tmp_path / "rows.parquet"), out, say=quiet)
    assert [(row["row"], row["sex"], row["note"]) for row in quarantined(out)] == [("60", "x", "n")]


def test_what_was_assumed_of_the_table_is_said_and_kept(tmp_path):
    text = Path(write(tmp_path / "comma.csv", rows())).read_text().replace(",", ";")
    (tmp_path / "rows.csv").write_text(text)
    said = []
    out = outputs(tmp_path / "out")
    summary = preprocess(make_usecase(), str(tmp_path / "rows.csv"), out, say=said.append)
    assert summary.assumed == ["fields are separated by ';'"]
    assert said[0] == "assumed: fields are separated by ';'"
    assert read_summary(out.train) == read_summary(out.test) == summary
    assert "fields are separated by &#39;;&#39;" in out.profile.read_text()


def test_a_dialect_that_the_use_case_declares_is_read_and_nothing_is_assumed(tmp_path):
    table = [row | {"note": "Łódź"} for row in rows()]
    text = Path(write(tmp_path / "plain.csv", table)).read_text(encoding="utf-8").replace(",", ":")
    (tmp_path / "rows.csv").write_bytes(text.encode("cp1250"))
    out = outputs(tmp_path / "out")
    usecase = make_usecase(csv=Csv(delimiter=":", encoding="cp1250"))
    summary = preprocess(usecase, str(tmp_path / "rows.csv"), out, say=quiet)
    assert summary.assumed == []
    assert set(pq.read_table(out.train)["note"].to_pylist()) == {"Łódź"}
    assert "Assumed" not in out.profile.read_text()


def test_a_summary_of_before_assumptions_were_kept_is_read(tmp_path):
    _, out = run(tmp_path, rows())
    document = json.loads(pq.read_schema(out.train).metadata[METADATA])
    del document["assumed"]
    table = pq.read_table(out.train).replace_schema_metadata({METADATA: json.dumps(document)})
    pq.write_table(table, tmp_path / "old.parquet")
    assert read_summary(tmp_path / "old.parquet").assumed == []


@pytest.mark.parametrize("metadata", [None, {METADATA: b"{}"}, {METADATA: b"nonsense"}, {METADATA: b"[]"}])
def test_rows_of_another_origin_have_no_summary(tmp_path, metadata):
    pq.write_table(pa.table({"a": [1]}).replace_schema_metadata(metadata), tmp_path / "x.parquet")
    with pytest.raises(DataError, match="was not written by the preprocess step"):
        read_summary(tmp_path / "x.parquet")


def test_a_summary_of_no_file_is_refused(tmp_path):
    (tmp_path / "x.parquet").write_bytes(b"PAR1")
    for name in ("x.parquet", "y.parquet"):
        with pytest.raises(DataError, match="was not written by the preprocess step"):
            read_summary(tmp_path / name)


def test_metadata_is_json_of_the_summary(tmp_path):
    summary, out = run(tmp_path, rows())
    document = json.loads(pq.read_schema(out.train).metadata[METADATA])
    assert document["train"] == summary.train
