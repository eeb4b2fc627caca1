import csv
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from lifeboat.config.errors import StorageError
from lifeboat.config.sources import ONLY_ANONYMOUS
from lifeboat.data.labelled.labelled_report import METADATA, Contents, describe, write_rows
from lifeboat.data.labelled.labelled_rows import load_labelled, no_rows, write_labelled
from lifeboat.data.timestamps import show_seconds
from lifeboat.registry.storage import S3, open_storage
from lifeboat.usecase.schema import Column, Schema
from tests.data.labelled.cure import NOON, SCHEMA, row

ROOT = Path(__file__).resolve().parents[3]
DAY = 86_400


@pytest.fixture
def found(tmp_path):
    """Five predictions over three days, one of them corrected, one part that cannot be read."""
    storage = open_storage(str(tmp_path / "store"), S3())
    days = [row(__puid=f"p{n}", __version=str(9 + n // 2), __labelled_at=NOON + n // 2 * DAY) for n in range(4)]
    write_labelled(storage, "cure", SCHEMA, [days[0] | {"cured": 0, "dose": None, "sex": None}, *days[1:]])
    last = row(__puid="p9", __version=None, family="", id=None, visits=7, __labelled_at=NOON + 4 * DAY)
    write_labelled(storage, "cure", SCHEMA, [last | {"cured": 0}])
    write_labelled(storage, "cure", SCHEMA, [last | {"__labelled_at": NOON + 4 * DAY + 0.5}])
    (tmp_path / "half").write_bytes(b"PAR1")
    storage.upload(tmp_path / "half", "labelled/cure/date=2026-03-09/half.parquet")
    return load_labelled(storage, "cure", SCHEMA, trusted=ONLY_ANONYMOUS)


def test_the_contents_in_figures(found):
    assert describe(found, SCHEMA) == Contents(
        rows=5,
        broken=0,
        corrected=1,
        sources={"anonymous": 5},
        apart={},
        days={"2026-03-04": 2, "2026-03-05": 2, "2026-03-08": 1},
        label={"classes": {"ill": 1, "well": 4}},
        versions={"9": 2, "10": 2, "unknown": 1},
        nulls={"dose": 0.2, "visits": 0, "smoker": 0, "sex": 0.2, "id": 0.2, "family": 0.2},
        parts=3,
        refused=found.refused,
        digest=found.digest,
        until="2026-03-08T12:00:00.500000Z",
    )
    assert list(describe(found, SCHEMA).days) == ["2026-03-04", "2026-03-05", "2026-03-08"]
    assert list(describe(found, SCHEMA).versions) == ["9", "10", "unknown"]
    assert list(found.refused) == ["labelled/cure/date=2026-03-09/half.parquet"]


def test_rows_that_break_the_schema_of_today_are_counted(found):
    columns = tuple(Column("visits", "integer", maximum=5) if c.name == "visits" else c for c in SCHEMA.columns)
    stricter = Schema(columns, SCHEMA.label, SCHEMA.keys, "id", "family")
    assert describe(found, stricter).broken == 1


def test_no_rows_have_no_figures():
    assert describe(no_rows(SCHEMA), SCHEMA) == Contents(
        0, 0, 0, {}, {}, {}, {"classes": {"ill": 0, "well": 0}}, {}, {}, 0, {}, "", ""
    )


def test_the_rows_as_parquet_are_the_rows_with_what_they_are(found, tmp_path):
    facts = {"usecase": "cure", "until": show_seconds(found.latest), "digest": found.digest}
    path = tmp_path / "deep" / "rows.parquet"
    write_rows(path, found, facts)
    table = pq.read_table(path)
    assert table.equals(found.table)
    assert table.column_names == list(row())
    assert {name: table.schema.metadata[METADATA + b"." + name.encode()].decode() for name in facts} == facts
    before = path.read_bytes()
    write_rows(path, found, facts)
    assert path.read_bytes() == before


def test_the_rows_as_csv_can_be_read_by_anything(found, tmp_path):
    path = tmp_path / "rows.csv"
    write_rows(path, found, {})
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == list(row())
    assert [(item["__puid"], item["cured"], item["dose"], item["sex"]) for item in rows[:2]] == [
        ("p0", "0", "", ""), ("p1", "1", "0.1", "f"),
    ]  # fmt: skip
    assert float(rows[4]["__labelled_at"]) == NOON + 4 * DAY + 0.5


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("rows.json", "ends in neither .csv nor .parquet"), ("folder.csv", "is a directory"), ("file/rows.csv", "cannot")],
)
def test_what_cannot_be_written_is_refused(found, tmp_path, name, sentence):
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match=sentence):
        write_rows(tmp_path / name, found, {})


FULL = """
import resource
import sys
from pathlib import Path
from lifeboat.config.errors import StorageError
from lifeboat.data.labelled.labelled_report import write_rows
from lifeboat.data.labelled.labelled_rows import load_labelled
from lifeboat.config.sources import ONLY_ANONYMOUS
from lifeboat.registry.storage import S3, open_storage
from tests.data.labelled.cure import SCHEMA
store, target = sys.argv[1:]
found = load_labelled(open_storage(store, S3()), "cure", SCHEMA, trusted=ONLY_ANONYMOUS)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    write_rows(Path(target), found, {})
except StorageError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_a_disk_that_is_full_leaves_the_old_file_and_nothing_else(found, tmp_path, name):
    """A limit on the size of a file stands for the end of the disk: both fail while it is written."""
    storage = open_storage(str(tmp_path / "store"), S3())
    many = [row(__puid=f"{n} {os.urandom(200).hex()}") for n in range(2000)]
    write_labelled(storage, "cure", SCHEMA, many)
    place = tmp_path / "out"
    place.mkdir()
    (place / name).write_text("old")

    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "store"), str(place / name)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{place / name} cannot be written: ")
    assert (place / name).read_text() == "old"
    assert [path.name for path in place.iterdir()] == [name]
