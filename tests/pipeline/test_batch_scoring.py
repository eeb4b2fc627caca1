"""Batch scoring: real files in, real files out."""

from __future__ import annotations

import gzip
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from lifeboat.config.errors import DataError, StorageError
from lifeboat.data.csv.dialect import Csv
from lifeboat.data.reading import read_table
from lifeboat.data.table import check_table
from lifeboat.model.bundle import Bundle
from lifeboat.model.scoring import Scorer
from lifeboat.pipeline import batch_scoring as scoring
from lifeboat.pipeline.batch_scoring import ScoreSummary, rejected_path, score, total_rows
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from tests.evaluate.world import COLUMNS, make_bundle, rows

KEYS = (Column("number", "integer", minimum=1, maximum=2**53), Column("ward", "string"))
SCHEMA = Schema(COLUMNS, BinaryLabel("cured", ("ill", "well")), keys=KEYS, id="number", group="ward")
ANSWERS = ["number", "ward", "probability_ill", "probability_well", "prediction"]

# Scores one file in a process of its own; prints the rows done and at the end its peak memory in KiB.
CHILD = """
import resource, sys, time
from pathlib import Path
from lifeboat.data import reading
from lifeboat.model.bundle import open_bundle
from lifeboat.pipeline import batch_scoring as scoring
from lifeboat.pipeline.batch_scoring import score

bundle, source, target, pause, limit = sys.argv[1:]
if float(limit):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
# Small helpings, so that even a short file fills all that is in memory at a time.
reading._CSV_BLOCK, reading._BATCH, scoring.PIECE = 1 << 18, 4096, 2048
def progress(done, total):
    print("at", done, flush=True)
    time.sleep(float(pause))
score(open_bundle(bundle), Path(source), Path(target), threads=2, progress=progress)
status = Path("/proc/self/status")
# A child's ru_maxrss starts at that of the process that started it.
if status.exists():
    print(status.read_text().partition("VmHWM:")[2].split()[0])
else:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def quiet(done: int, total: int | None) -> None:
    """Draws no bar."""


def columns(count: int = 400, seed: int = 0) -> dict[str, Any]:
    """Unlabelled rows with their keys; numbers are not in order, and too large for a 32-bit float."""
    made = {name: values for name, values in rows(count, seed).items() if name in SCHEMA.names}
    numbers = np.random.default_rng(seed).permutation(count) + 2**40
    return {"number": numbers, "ward": [f"ward {number % 7}" for number in numbers], **made}


def write(path: Path, content: dict[str, Any]) -> Path:
    """A CSV file (no quotes but where needed, nothing for null) or a Parquet file."""
    table = pa.table({name: pa.array(values, from_pandas=True) for name, values in content.items()})
    if path.suffix == ".parquet":
        pq.write_table(table, path, row_group_size=10_000)
    else:
        pa.csv.write_csv(table, path, pa.csv.WriteOptions(quoting_style="needed"))
    return path


def read(path: Path) -> pa.Table:
    """What was written, for comparison."""
    return pq.read_table(path) if path.suffix == ".parquet" else pa.csv.read_csv(path)


def run(bundle: Bundle, source: Path, target: Path, **options: Any) -> ScoreSummary:
    return score(bundle, source, target, progress=quiet, **options)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "bundle", schema=SCHEMA)


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many pieces even of few rows."""
    monkeypatch.setattr(scoring, "PIECE", 37)


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
@pytest.mark.parametrize("source_ending", [".csv", ".parquet"])
def test_answers_are_those_of_the_scorer_in_the_order_of_the_input(
    bundle: Bundle, tmp_path: Path, source_ending: str, ending: str
) -> None:
    content = columns()
    source = write(tmp_path / f"in{source_ending}", content)
    summary = run(bundle, source, tmp_path / f"out{ending}", threads=3)
    answers = read(tmp_path / f"out{ending}")
    raw = check_table(read_table(source), SCHEMA, labelled=False, name="in").table
    expected = Scorer(bundle.model, SCHEMA).answers(raw)
    assert (summary.rows, summary.skipped) == (400, 0)
    assert answers.column_names == ANSWERS
    assert answers["number"].to_pylist() == content["number"].tolist()
    assert answers["ward"].to_pylist() == content["ward"]
    for number, name in enumerate(SCHEMA.label.classes):
        np.testing.assert_array_equal(answers[f"probability_{name}"].to_numpy().astype(np.float32), expected[:, number])
    assert answers["prediction"].to_pylist() == ["well" if p > 0.5 else "ill" for p in expected[:, 1]]


def test_keys_are_optional_and_a_label_is_ignored(bundle: Bundle, tmp_path: Path) -> None:
    content = {name: values for name, values in columns(5).items() if name != "ward"} | {"cured": ["?"] * 5}
    run(bundle, write(tmp_path / "in.csv", content), tmp_path / "out.csv")
    assert read(tmp_path / "out.csv").column_names == [name for name in ANSWERS if name != "ward"]
    only_inputs = {name: values for name, values in content.items() if name in SCHEMA.names}
    run(bundle, write(tmp_path / "in.csv", only_inputs), tmp_path / "out.csv")
    assert read(tmp_path / "out.csv").column_names == ANSWERS[2:]


def test_a_null_key_stays_null_and_a_number_from_csv_becomes_a_whole_number(bundle: Bundle, tmp_path: Path) -> None:
    content = columns(3) | {"number": [" 7", "", "9007199254740992"], "ward": ["a", "", "c"]}
    run(bundle, write(tmp_path / "in.csv", content), tmp_path / "out.parquet")
    answers = read(tmp_path / "out.parquet")
    assert answers["number"].to_pylist() == [7, None, 2**53]
    assert answers["ward"].to_pylist() == ["a", "", "c"]


def test_a_dictionary_encoded_file_is_read_like_any_other(bundle: Bundle, tmp_path: Path) -> None:
    content = columns(50)
    for name in ("ward", "sex"):
        content[name] = pa.array(content[name]).dictionary_encode()
    pq.write_table(pa.table(content), tmp_path / "in.parquet")
    run(bundle, tmp_path / "in.parquet", tmp_path / "out.csv")
    assert read(tmp_path / "out.csv")["ward"].to_pylist() == content["ward"].to_pylist()


def test_a_file_of_string_views_is_read_like_any_other(bundle: Bundle, tmp_path: Path) -> None:
    content = columns(50)
    content["age"][7] = 130
    for name in ("ward", "sex"):
        content[name] = pa.array(content[name], pa.string_view())
    pq.write_table(pa.table(content), tmp_path / "in.parquet")
    assert pq.read_schema(tmp_path / "in.parquet").field("sex").type == pa.string_view()
    score(bundle, tmp_path / "in.parquet", tmp_path / "out.csv", on_error="skip", progress=quiet)
    wards = content["ward"].to_pylist()
    assert read(tmp_path / "out.csv")["ward"].to_pylist() == wards[:7] + wards[8:]
    assert read(rejected_path(tmp_path / "out.csv"))["ward"].to_pylist() == wards[7:8]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_broken_row_ends_the_run_with_its_number_in_the_whole_file(
    bundle: Bundle, tmp_path: Path, ending: str
) -> None:
    content = columns()
    content["age"][[201, 303]] = 130
    source, target = write(tmp_path / f"in{ending}", content), tmp_path / "out.csv"
    target.write_text("old")
    with pytest.raises(DataError) as caught:
        run(bundle, source, target)
    assert str(caught.value) == f"{source}, row 202: column age: 130 is outside 0 to 120"
    assert target.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bundle", source.name, "out.csv"]


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_skipped_rows_stand_beside_the_output_with_reasons(bundle: Bundle, tmp_path: Path, ending: str) -> None:
    content = columns()
    content["age"][[0, 201]] = 130
    content["sex"][201] = "other"
    content["number"][399] = -4
    summary = run(bundle, write(tmp_path / f"in{ending}", content), tmp_path / "out.parquet", on_error="skip")
    assert (summary.rows, summary.skipped) == (397, 3)
    answers, rejected = read(tmp_path / "out.parquet"), read(tmp_path / "out.rejected.csv")
    kept = np.delete(np.arange(400), [0, 201, 399])
    assert answers["number"].to_pylist() == content["number"][kept].tolist()
    assert rejected["row"].to_pylist() == [1, 202, 400]
    assert rejected["reason"].to_pylist() == [
        "column age: 130 is outside 0 to 120",
        'column age: 130 is outside 0 to 120; column sex: "other" is none of female, male',
        "column number: -4 is outside 1 to 9007199254740992",
    ]
    assert rejected["number"].to_pylist() == content["number"][[0, 201, 399]].tolist()
    assert set(rejected.column_names) == {"row", "reason", *content}


def test_a_file_of_another_dialect_gets_the_same_answers_and_what_was_assumed_is_said(
    bundle: Bundle, tmp_path: Path
) -> None:
    plain = write(tmp_path / "in.csv", columns(50) | {"age": np.arange(50) + 0.5})
    run(bundle, plain, tmp_path / "plain.csv")
    text = plain.read_text().replace(",", ";").replace(".", ",")
    said: list[str] = []
    (tmp_path / "in.txt").write_bytes(gzip.compress(text.encode()))
    run(bundle, tmp_path / "in.txt", tmp_path / "out.csv", assume=said.append)
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()
    assert said[:2] == ["read as gzip", "fields are separated by ';'"]
    assert said[2].startswith("decimals are written with a comma: age")
    (tmp_path / "in.txt").write_text(text.replace(";", "~"))
    run(bundle, tmp_path / "in.txt", tmp_path / "out.csv", csv=Csv(delimiter="~", decimal=","))
    assert (tmp_path / "out.csv").read_bytes() == (tmp_path / "plain.csv").read_bytes()


def test_a_quote_that_is_never_closed_leaves_no_output(bundle: Bundle, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", columns(30) | {"ward": ["open" if row == 20 else "w" for row in range(30)]})
    source.write_text(source.read_text().replace('"', "").replace("open", '"open'))
    with pytest.raises(DataError) as caught:
        run(bundle, source, tmp_path / "out.csv")
    assert str(caught.value).startswith(f"{source}, row 21, column ward: a quote that opens here is never closed")
    assert not (tmp_path / "out.csv").exists()


def test_all_rows_may_be_skipped(bundle: Bundle, tmp_path: Path) -> None:
    content = columns(4)
    content["age"][:] = -1
    summary = run(bundle, write(tmp_path / "in.csv", content), tmp_path / "out.csv", on_error="skip")
    assert (summary.rows, summary.skipped) == (0, 4)
    assert read(tmp_path / "out.csv").column_names == ANSWERS
    assert read(rejected_path(tmp_path / "out.csv")).num_rows == 4


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, "in.csv: no such file"),
        ("", "in.csv: the file is empty"),
        ("age,dose,sex,skill\n", "in.csv: has a header but no rows"),
        ("age,dose,sex\n1,2,male\n", "in.csv: columns missing: skill"),
        (
            "age,dose,sex,Skill\n1,2,male,3\n",
            "in.csv: the table has 'Skill' where the schema says 'skill'",
        ),
        ("age,dose,sex,skill\n1,2,male,3\n1,2,male\n", "in.csv, row 2: has 3 fields, the header has 4"),
    ],
)
def test_an_unusable_file_gets_one_sentence_and_no_output(
    bundle: Bundle, tmp_path: Path, text: str | None, said: str
) -> None:
    if text is not None:
        (tmp_path / "in.csv").write_text(text)
    with pytest.raises(DataError) as caught:
        run(bundle, tmp_path / "in.csv", tmp_path / "out.csv")
    assert said in str(caught.value)
    assert not list(tmp_path.glob("*out*"))


def test_places_that_cannot_take_the_output_are_refused(bundle: Bundle, tmp_path: Path) -> None:
    source = write(tmp_path / "in.csv", columns(3))
    (tmp_path / "linked.csv").hardlink_to(source)
    (tmp_path / "folder.csv").mkdir()
    before = source.read_bytes()
    for name, said in (
        ("in.csv", "over the input"),
        ("linked.csv", "over the input"),
        ("folder.csv", "is a directory"),
        ("out.xlsx", "neither .csv nor .parquet"),
    ):
        with pytest.raises(StorageError, match=said):
            run(bundle, source, tmp_path / name)
    assert source.read_bytes() == before


def test_rejected_rows_of_an_earlier_run_are_not_written_over_while_they_are_read(
    bundle: Bundle, tmp_path: Path
) -> None:
    source = write(tmp_path / "out.rejected.csv", columns(3))
    with pytest.raises(StorageError, match="over the input"):
        run(bundle, source, tmp_path / "out.csv", on_error="skip")


@pytest.mark.usefixtures("small_pieces")
def test_progress_only_grows_and_ends_at_the_total(bundle: Bundle, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    for ending in (".csv", ".parquet"):
        seen.clear()
        source = write(tmp_path / f"in{ending}", columns())
        score(bundle, source, tmp_path / "out.csv", progress=lambda *at: seen.append(at))
        assert seen == sorted(seen)
        assert len(seen) > 10
        assert all(total is not None and done <= total for done, total in seen)
        assert seen[-1] == (400, 400)


def test_total_rows_is_exact_for_parquet_and_near_for_csv(tmp_path: Path) -> None:
    assert total_rows(write(tmp_path / "a.parquet", columns(123))) == 123
    assert total_rows(write(tmp_path / "a.csv", columns(123))) == 123
    assert total_rows(write(tmp_path / "b.csv", columns(60_000))) == pytest.approx(60_000, rel=0.02)
    assert total_rows(tmp_path / "none.csv") is None
    (tmp_path / "bad.parquet").write_text("no")
    assert total_rows(tmp_path / "bad.parquet") is None
    (tmp_path / "a.csv").write_text("x\r1\r2\r")
    assert total_rows(tmp_path / "a.csv") == 2
    (tmp_path / "a.csv").write_bytes(gzip.compress(b"x\n1\n"))
    assert total_rows(tmp_path / "a.csv") is None
    write(tmp_path / "a.parquet", columns(9)).rename(tmp_path / "rows")
    assert total_rows(tmp_path / "rows") == 9


def start(bundle: Bundle, source: Path, target: Path, *, pause: float = 0, limit: int = 0) -> subprocess.Popen[str]:
    """The child that scores, its output to be read line by line."""
    command = [sys.executable, "-c", CHILD, str(bundle.directory), str(source), str(target), str(pause), str(limit)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_ended_in_the_middle_leaves_the_old_output(
    bundle: Bundle, tmp_path: Path, number: signal.Signals
) -> None:
    source, target = write(tmp_path / "in.csv", columns(100_000)), tmp_path / "out.csv"
    target.write_text("old")
    with start(bundle, source, target, pause=20) as child:
        assert child.stdout is not None
        assert child.stdout.readline().startswith("at ")
        child.send_signal(number)
        # Its own pause of 20 s may have to end first: the system gives a signal to any of its threads.
        assert child.wait(timeout=60) != 0
    assert target.read_text() == "old"
    left = [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    # Nobody can tidy up after SIGKILL.
    assert len(left) == (1 if number == signal.SIGKILL else 0)


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_a_full_disk_leaves_the_old_output(bundle: Bundle, tmp_path: Path, ending: str) -> None:
    source, target = write(tmp_path / "in.csv", columns(100_000)), tmp_path / f"out{ending}"
    target.write_text("old")
    # A limit on the size of a file fails a write like a full disk does.
    with start(bundle, source, target, limit=100_000) as child:
        _, errors = child.communicate(timeout=20)
    assert f"StorageError: {target} cannot be written: " in errors.splitlines()[-1]
    assert target.read_text() == "old"
    assert not list(tmp_path.glob(".out*"))


@pytest.mark.slow
@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_ten_times_the_rows_need_no_more_memory(bundle: Bundle, tmp_path: Path, ending: str) -> None:
    peaks = []
    for count in (30_000, 300_000):
        content = columns(count)
        # 200 characters more a row: what is kept adds up.
        content["ward"] = [f"{number:0200d}" for number in content["number"]]
        source = tmp_path / f"in{ending}"
        with start(bundle, write(source, content), tmp_path / "out.csv") as child:
            output, errors = child.communicate(timeout=60)
        assert child.returncode == 0, errors
        peaks.append(int(output.splitlines()[-1]))
    assert peaks[1] < 1.3 * peaks[0], f"{peaks} KiB"
