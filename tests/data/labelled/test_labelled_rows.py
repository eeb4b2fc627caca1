import math
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.config.errors import DataError, StorageError
from lifeboat.config.sources import ONLY_ANONYMOUS
from lifeboat.data.labelled.labelled_rows import load_labelled, read_labelled, write_labelled
from lifeboat.registry.storage import S3, open_storage
from lifeboat.usecase.schema import Column, Schema
from tests.data.labelled.cure import NOON, SCHEMA, row
from tests.stores.relay import relaying


def test_what_was_written_is_read_as_the_model_takes_it(storage):
    nulls = row(dose=None, sex=None, id=None, family="", smoker=0, __row=1)
    key = write_labelled(storage, "cure", SCHEMA, [row(), nulls])
    assert key.startswith("labelled/cure/date=2026-03-04/")
    assert key.endswith(".parquet")
    table = read_labelled(storage, "cure", SCHEMA)
    assert table.column_names == list(row())
    types = {name: str(table.schema.field(name).type) for name in table.column_names}
    assert types == {
        "dose": "float", "visits": "float", "smoker": "float", "sex": "string", "id": "int64", "family": "string",
        "cured": "int8", "__puid": "string", "__row": "int64", "__version": "string", "__score": "double",
        "__predicted_at": "double", "__labelled_at": "double", "__source": "string",
    }  # fmt: skip
    first, second = table.to_pylist()
    assert first == row(dose=pytest.approx(0.1), smoker=1.0)
    assert math.isnan(second.pop("dose"))
    assert second == {name: cell for name, cell in (nulls | {"sex": ""}).items() if name != "dose"}


def test_a_part_that_is_there_is_not_written_again(s3):
    """A store may allow an object to be written once only."""
    with s3.bucket() as bucket, relaying(s3.url) as relay:
        keys = [write_labelled(s3.behind(relay.url).storage(bucket), "cure", SCHEMA, [row()]) for _ in range(3)]
        assert len(set(keys)) == 1
        assert len(relay.written()) == 1
        write_labelled(s3.behind(relay.url).storage(bucket), "cure", SCHEMA, [row(cured=0)])
        assert len(relay.written()) == 2


def test_a_value_at_its_limit_stays_within_it(storage):
    """The nearest float32 to 0.1 is above 0.1."""
    write_labelled(storage, "cure", SCHEMA, [row(dose=0.1)])
    assert read_labelled(storage, "cure", SCHEMA).num_rows == 1


def test_the_same_rows_are_one_part(storage):
    keys = {write_labelled(storage, "cure", SCHEMA, [row()]) for _ in range(3)}
    assert storage.keys("labelled/") == list(keys)


def test_the_latest_truth_counts(storage):
    write_labelled(storage, "cure", SCHEMA, [row(cured=0, __labelled_at=NOON + 1), row(__row=1)])
    write_labelled(storage, "cure", SCHEMA, [row(cured=1)])
    write_labelled(storage, "cure", SCHEMA, [row(cured=0, __puid="q", __labelled_at=NOON + 90_000)])
    found = [
        (item["__puid"], item["__row"], item["cured"]) for item in read_labelled(storage, "cure", SCHEMA).to_pylist()
    ]
    assert found == [("p", 0, 0), ("p", 1, 1), ("q", 0, 0)]


TRUTHS = st.lists(st.tuples(st.sampled_from("pq"), st.integers(0, 1), st.integers(0, 1), st.integers(0, 2)), max_size=9)


@pytest.mark.slow
@given(TRUTHS, st.randoms())
def test_parts_in_any_order_give_the_same(tmp_path_factory, truths, random):
    found = []
    for _ in range(2):
        storage = open_storage(str(tmp_path_factory.mktemp("store")), S3())
        random.shuffle(truths)
        for puid, number, cured, late in truths:
            write_labelled(
                storage, "cure", SCHEMA, [row(__puid=puid, __row=number, cured=cured, __labelled_at=NOON + late)]
            )
        labelled = load_labelled(storage, "cure", SCHEMA, trusted=ONLY_ANONYMOUS)
        found.append((labelled.table.to_pylist(), labelled.digest, labelled.parts))
    assert found[0] == found[1]
    latest = {}
    for puid, number, cured, late in truths:
        latest[puid, number] = max(latest.get((puid, number), (-1, 0)), (late, cured))
    known = {(item["__puid"], item["__row"]): item["cured"] for item in found[0][0]}
    assert known == {key: cured for key, (_, cured) in latest.items()}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"cured": 2}, "row 2, column cured: 2 is none of 0, 1"),
        ({"cured": None}, "row 2, column cured: is null, which cured may not be"),
        ({"cured": True}, "row 2, column cured: true is not an integer"),
        ({"visits": "three"}, 'row 2, column visits: "three" is not an integer'),
        ({"visits": None}, "row 2, column visits: is null, which visits may not be"),
        ({"dose": 0.2}, "row 2, column dose: 0.2 is outside 0 to 0.1"),
        ({"sex": "x"}, 'row 2, column sex: "x" is none of f, m'),
        ({"id": 0}, "row 2, column id: 0 is outside 1 to 16777216"),
        ({"colour": "red"}, "row 2, column colour: unknown"),
        ({"__puid": ""}, "row 2, column __puid: is null, which __puid may not be"),
        ({"__row": -1}, "row 2, column __row: -1 is outside 0 to 16777216"),
        ({"__labelled_at": math.nan}, "row 2, column __labelled_at: NaN is not a float"),
        ({"__predicted_at": 1e300}, "row 2, column __predicted_at: 1e+300 is outside 0 to 253402300799"),
    ],
)
def test_a_bad_row_is_refused_and_nothing_is_written(tmp_path, change, sentence):
    storage = open_storage(str(tmp_path), S3())
    with pytest.raises(DataError) as error:
        write_labelled(storage, "cure", SCHEMA, [row(), row(**change)])
    assert str(error.value) == sentence
    assert storage.keys() == []


@pytest.mark.parametrize("name", ["dose", "id", "cured", "__row"])
def test_a_row_without_a_column_is_refused(tmp_path, name):
    short = {column: value for column, value in row().items() if column != name}
    with pytest.raises(DataError, match=f"row 1, column {name}: missing"):
        write_labelled(open_storage(str(tmp_path), S3()), "cure", SCHEMA, [short])


def test_no_rows_are_no_part(tmp_path):
    with pytest.raises(DataError, match="no labelled rows to write"):
        write_labelled(open_storage(str(tmp_path), S3()), "cure", SCHEMA, [])


def test_nothing_labelled_is_an_empty_table(storage):
    write_labelled(storage, "curex", SCHEMA, [row()])
    found = load_labelled(storage, "cure", SCHEMA, trusted=ONLY_ANONYMOUS)
    assert (found.table.num_rows, found.parts, found.refused) == (0, 0, {})
    assert read_labelled(storage, "cure", SCHEMA).schema == read_labelled(storage, "curex", SCHEMA).schema


def rewritten(storage: object, key: str, folder: Path, change) -> None:
    path = folder / "part.parquet"
    storage.download(key, path)
    pq.write_table(change(pq.read_table(path)), path)
    storage.upload(path, key)


def replaced(name, values):
    return lambda table: table.set_column(table.column_names.index(name), name, values)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table.drop_columns(["visits"]), "columns missing: visits"),
        (lambda table: table.drop_columns(["__row"]), "columns missing: __row"),
        (replaced("dose", pa.array(["a lot"])), "column dose: has type string, asked: float"),
        (replaced("sex", pa.array([1.0])), "column sex: has type double, asked: string"),
        (replaced("sex", pa.array([b"\xff"]).view(pa.string())), "is not a readable Parquet file: "),
        (replaced("__labelled_at", pa.nulls(1, pa.float64())), "column __labelled_at: is null"),
    ],
)
def test_a_part_that_does_not_fit_is_named_and_the_others_are_read(storage, tmp_path, change, reason):
    good = write_labelled(storage, "cure", SCHEMA, [row()])
    bad = write_labelled(storage, "cure", SCHEMA, [row(__puid="q")])
    rewritten(storage, bad, tmp_path, change)
    found = load_labelled(storage, "cure", SCHEMA, trusted=ONLY_ANONYMOUS)
    assert found.table["__puid"].to_pylist() == ["p"]
    assert list(found.refused) == [bad] != [good]
    assert found.refused[bad].startswith(reason)
    with pytest.raises(DataError) as error:
        read_labelled(storage, "cure", SCHEMA)
    assert str(error.value).startswith(f"{bad}: {reason}")


def test_a_damaged_part_is_named(storage, tmp_path):
    key = write_labelled(storage, "cure", SCHEMA, [row()])
    (tmp_path / "half").write_bytes(b"PAR1 and no more")
    storage.upload(tmp_path / "half", key)
    assert (
        load_labelled(storage, "cure", SCHEMA, trusted=ONLY_ANONYMOUS)
        .refused[key]
        .startswith("is not a readable Parquet file: ")
    )


def test_the_schema_may_gain_a_nullable_column_and_lose_one(storage):
    write_labelled(storage, "cure", SCHEMA, [row()])
    columns = (*SCHEMA.columns[1:], Column("note", "string", nullable=True))
    table = read_labelled(storage, "cure", Schema(columns, SCHEMA.label, SCHEMA.keys, "id", "family"))
    assert table["note"].to_pylist() == [""]
    assert "dose" not in table.column_names


def test_a_row_that_breaks_a_newer_schema_is_named(storage):
    write_labelled(storage, "cure", SCHEMA, [row(visits=0), row(__row=1, visits=9)])
    columns = tuple(Column("visits", "integer", maximum=5) if c.name == "visits" else c for c in SCHEMA.columns)
    with pytest.raises(DataError, match=r"labelled/cure, row 2: column visits: 9 is outside -16777216 to 5"):
        read_labelled(storage, "cure", Schema(columns, SCHEMA.label, SCHEMA.keys, "id", "family"))


def test_a_store_that_does_not_answer_is_an_error():
    """Never an empty table: that would train another model."""
    with pytest.raises(StorageError, match="does not answer"):
        load_labelled(
            open_storage("s3://bucket", S3("http://127.0.0.1:9", "a", "b", "us-east-1")),
            "cure",
            SCHEMA,
            trusted=ONLY_ANONYMOUS,
        )
