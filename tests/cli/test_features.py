"""`lifeboat features`: what the store holds, as it is and as it was, in a directory and in S3."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from minio import Minio
from moto.server import ThreadedMotoServer

from lifeboat.config.sources import ONLY_ANONYMOUS
from lifeboat.data.labelled.labelled_rows import load_labelled, write_labelled
from lifeboat.registry.storage import S3, Storage, open_storage
from tests.cli.conftest import Lifeboat
from tests.cli.test_serving import MODULE
from tests.server.world import ROW, TINY

ROOT = Path(__file__).resolve().parents[2]
NOON = datetime(2025, 1, 5, 12, tzinfo=UTC).timestamp()
DAY = 86_400
KEY, SECRET = "somebody", "not-so-secret"


def truth(number: int, **change: Any) -> dict[str, Any]:
    """The truth of a prediction; that of number n came n days after noon."""
    hidden = {
        "__puid": f"p{number}",
        "__row": 0,
        "__version": "3",
        "__score": 0.5,
        "__source": "anonymous",
        "__predicted_at": NOON - 9,
    }
    return ROW | {"id": number + 1, "fate": number % 2} | hidden | {"__labelled_at": NOON + number * DAY} | change


def fill(storage: Storage) -> None:
    """Truth of three days; on the fourth that of the first is corrected, and a part comes that nobody can read."""
    write_labelled(storage, "tiny", TINY, [truth(0), truth(1, port=None), truth(2, __version="4")])
    write_labelled(storage, "tiny", TINY, [truth(0, fate=1, __labelled_at=NOON + 3 * DAY)])
    bad = Path(os.environ["LIFEBOAT_HOME"]) / "bad"
    bad.parent.mkdir(exist_ok=True)
    bad.write_bytes(b"no Parquet")
    storage.upload(bad, "labelled/tiny/date=2025-01-08/bad.parquet")


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """Moto's S3 over HTTP stands in for a real endpoint."""
    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    Minio(f"{host}:{port}", access_key=KEY, secret_key=SECRET, secure=False, region="us-east-1").make_bucket("rows")
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(params=["directory", "s3"])
def store(request: pytest.FixtureRequest, home: Path) -> Storage:
    """The store of the settings in force, filled."""
    if request.param == "directory":
        storage = open_storage(str(home / "store"), S3())
    else:
        endpoint = request.getfixturevalue("endpoint")
        os.environ |= {"LIFEBOAT_S3_ENDPOINT": endpoint, "LIFEBOAT_S3_ACCESS_KEY": KEY,
                       "LIFEBOAT_S3_SECRET_KEY": SECRET, "LIFEBOAT_STORE": f"s3://rows/{home.parent.name}",
                       "LIFEBOAT_TRUSTED_SOURCES": "anonymous"}  # fmt: skip
        storage = open_storage(os.environ["LIFEBOAT_STORE"], S3(endpoint, KEY, SECRET, "us-east-1"))
    fill(storage)
    return storage


def asked(lifeboat: Lifeboat, *arguments: str) -> dict[str, Any]:
    said = lifeboat("features", "--usecase", MODULE, "--json", *arguments)
    assert (said.code, said.errors) == (0, ""), said
    document: dict[str, Any] = json.loads(said.output)
    return document


def test_json_says_what_the_store_holds(lifeboat: Lifeboat, store: Storage) -> None:
    found = asked(lifeboat)
    assert list(found.pop("refused")) == ["labelled/tiny/date=2025-01-08/bad.parquet"]
    assert found == {
        "usecase": "tiny",
        "store": f"{store.url}/labelled/tiny",
        "as_of": None,
        "rows": 3,
        "broken": 0,
        "corrected": 1,
        "sources": {"anonymous": 3},
        "apart": {},
        "days": {"2025-01-06": 1, "2025-01-07": 1, "2025-01-08": 1},
        "label": {"classes": {"died": 1, "survived": 2}},
        "versions": {"3": 2, "4": 1},
        "nulls": {column.name: pytest.approx(1 / 3 if column.name == "port" else 0)
                  for column in (*TINY.columns, *TINY.keys)},
        "parts": 2,
        "digest": load_labelled(store, "tiny", TINY, trusted=ONLY_ANONYMOUS).digest,
        "until": "2025-01-08T12:00:00Z",
    }  # fmt: skip


def test_the_past_stays_what_it_was(lifeboat: Lifeboat, store: Storage) -> None:
    before = asked(lifeboat, "--until", "2025-01-06")
    assert (before["rows"], before["corrected"], before["days"]) == (2, 0, {"2025-01-05": 1, "2025-01-06": 1})
    assert (before["as_of"], before["until"]) == ("2025-01-06T23:59:59.999999Z", "2025-01-06T12:00:00Z")
    write_labelled(store, "tiny", TINY, [truth(4), truth(1, fate=0, __labelled_at=NOON + 4 * DAY)])
    assert asked(lifeboat, "--until", "2025-01-06") == before
    assert asked(lifeboat, "--as-of", before["until"])["digest"] == before["digest"]
    assert asked(lifeboat)["digest"] != before["digest"]


def test_a_person_gets_lines(lifeboat: Lifeboat, store: Storage) -> None:
    said = lifeboat("features", "--usecase", MODULE)
    assert (said.code, said.errors) == (0, "")
    lines = [" ".join(line.split()) for line in said.output.splitlines()]
    assert lines[:6] == [
        "Labelled rows of tiny: 3",
        f"store {store.url}/labelled/tiny",
        "truth came 2025-01-06 to 2025-01-08",
        "2025-01-06 1",
        "2025-01-07 1",
        "2025-01-08 1",
    ]
    assert "classes died: 1, survived: 2" in lines
    assert "answered by version 3: 2, version 4: 1" in lines
    assert "nulls port 33.3%" in lines
    assert "corrected 1 by a later truth" in lines
    assert "broken 0 rows break the schema of today" in lines
    assert f"digest {asked(lifeboat)['digest']}" in lines
    assert "again --as-of 2025-01-08T12:00:00Z gives the same rows" in lines
    assert lines[-1].startswith("left out labelled/tiny/date=2025-01-08/bad.parquet: is not a readable Parquet file")
    one = lifeboat("features", "--usecase", MODULE, "--until", "2025-01-05").output
    assert one.startswith("Labelled rows of tiny: 1, as of 2025-01-05T23:59:59.999999Z\n")
    assert "truth came    2025-01-05\n" in one


def test_of_many_a_person_sees_the_last(lifeboat: Lifeboat, home: Path, tmp_path: Path) -> None:
    storage = open_storage(str(home / "store"), S3())
    write_labelled(storage, "tiny", TINY, [truth(number, __version=str(number + 1)) for number in range(20)])
    (tmp_path / "bad").write_bytes(b"no Parquet")
    for number in range(12):
        storage.upload(tmp_path / "bad", f"labelled/tiny/date=2025-01-08/{number}.parquet")
    shown = lifeboat("features", "--usecase", MODULE).output
    assert "... 6 days before\n" in shown
    assert "2025-01-10 " not in shown
    assert (
        " version 15: 1, version 16: 1, version 17: 1, version 18: 1, version 19: 1, version 20: 1, and 14 older"
        in shown
    )
    assert "version 14:" not in shown
    assert shown.count("left out ") == 11
    assert shown.endswith(" ... 2 more files\n")
    everything = asked(lifeboat)
    assert [len(everything[name]) for name in ("days", "versions", "refused")] == [20, 20, 12]


def test_export_writes_what_was_known(lifeboat: Lifeboat, store: Storage, tmp_path: Path) -> None:
    target = tmp_path / "rows.parquet"
    said = lifeboat("features", "export", str(target), "--usecase", MODULE, "--as-of", "2025-01-07")
    then = asked(lifeboat, "--until", "2025-01-07")
    assert (said.code, said.errors) == (0, "")
    wrote, left_out = said.output.splitlines()
    assert wrote == f"wrote 3 rows, the last truth of 2025-01-07T12:00:00Z, digest {then['digest'][:12]}: {target}"
    assert "bad.parquet" in left_out
    table = pq.read_table(target)
    assert table.column_names == [*TINY.names, *(key.name for key in TINY.keys), "fate", "__puid", "__row", "__version",
                                  "__score", "__predicted_at", "__labelled_at", "__source"]  # fmt: skip
    assert table["fate"].to_pylist() == [0, 1, 0]
    written = {key.decode(): text.decode() for key, text in table.schema.metadata.items()}
    assert written == {f"lifeboat-features.{key}": then[key] for key in ("usecase", "until", "digest")}


def test_flags_may_stand_before_the_word_export(lifeboat: Lifeboat, store: Storage, tmp_path: Path) -> None:
    """What stands there must not be taken back by the flags behind it that were not given."""
    target = tmp_path / "rows.csv"
    assert lifeboat("features", "--usecase", MODULE, "--until", "2025-01-05", "export", str(target)).code == 0
    with target.open(newline="") as file:
        assert [(row["__puid"], row["fate"]) for row in csv.DictReader(file)] == [("p0", "0")]
    flags = ("--home", str(tmp_path / "elsewhere"), "--usecase", MODULE)
    os.environ["LIFEBOAT_STORE"] = ""
    assert f"{tmp_path}/elsewhere/store" in lifeboat("features", *flags, "export", str(target)).sentence


def test_an_empty_store_says_how_it_fills(lifeboat: Lifeboat, home: Path) -> None:
    said = lifeboat("features", "--usecase", MODULE)
    assert (said.code, said.errors) == (0, "")
    assert "Labelled rows of tiny: 0\n" in said.output
    assert f"{home}/store/labelled/tiny\n" in said.output
    assert (
        "It is empty: no truth has come yet.\nIt fills when truth comes back: send it to /api/v1.0/feedback"
        in said.output
    )
    empty = asked(lifeboat)
    assert (empty["rows"], empty["days"], empty["nulls"], empty["digest"], empty["until"]) == (0, {}, {}, "", "")
    assert not home.exists()


@pytest.mark.usefixtures("store")
def test_before_the_first_truth_it_was_empty(lifeboat: Lifeboat, tmp_path: Path) -> None:
    said = lifeboat("features", "--usecase", MODULE, "--until", "2024-12-31").output
    assert "It is empty: no truth was known as of 2024-12-31T23:59:59.999999Z.\n" in said
    assert "left out" in said
    target = tmp_path / "rows.csv"
    sentence = lifeboat("features", "--usecase", MODULE, "export", str(target), "--as-of", "2024-12-31").sentence
    assert sentence.endswith(f": no truth was known as of 2024-12-31T23:59:59.999999Z; {target} is not written")
    assert not target.exists()


def test_a_store_that_does_not_answer_is_one_sentence(lifeboat: Lifeboat) -> None:
    os.environ |= {"LIFEBOAT_STORE": "s3://rows", "LIFEBOAT_S3_ENDPOINT": "http://127.0.0.1:9"}
    assert lifeboat("features", "--usecase", MODULE).sentence.startswith(
        "s3://rows: http://127.0.0.1:9 does not answer"
    )


def test_as_a_user_starts_it(home: Path, tmp_path: Path) -> None:
    """As a process of its own; and a wrong moment names the flag and asks for nothing."""
    fill(open_storage(str(home / "store"), S3()))

    def lifeboat(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "lifeboat.cli.main", "features", "--usecase", MODULE, *arguments]
        return subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, check=False)

    shown = lifeboat("--json")
    assert (shown.returncode, shown.stderr, json.loads(shown.stdout)["rows"]) == (0, "", 3)
    target = tmp_path / "rows.parquet"
    wrote = lifeboat("export", str(target))
    assert (wrote.returncode, wrote.stderr, pq.read_table(target).num_rows) == (0, "", 3)
    wrong = lifeboat("--until", "2025-01-05T12:00")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert (
        "error: argument --as-of/--until: '2025-01-05T12:00' is no moment such as 2026-11-20T12:00:00Z" in wrong.stderr
    )
