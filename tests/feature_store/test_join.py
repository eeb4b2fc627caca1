"""Each row gets what was known at its time: worked out by hand, and against a search through all values."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifeboat.config.errors import DataError
from lifeboat.data.csv.dialect import PLAIN
from lifeboat.feature_store.join import Joined, join_features
from lifeboat.registry.storage import S3
from lifeboat.usecase.feature_store import Entity, FeatureStore, View
from lifeboat.usecase.schema import BinaryLabel, Column, Schema

SCHEMA = Schema(
    columns=(
        Column("asked", "datetime"),
        Column("gauge", "string", nullable=True),
        Column("level", "float", nullable=True, source="levels:level"),
    ),
    label=BinaryLabel("flood", ("no", "yes")),
)
DAY = "2026-03-01T"
HERE = Path(__file__).parent
FEAST = HERE.parents[1] / ".venvs" / "feast" / "bin" / "python"


def store(source: Path, **more: Any) -> FeatureStore:
    view = View("levels", "gauge", source, "measured", **{"created_time": "written", **more})
    return FeatureStore((Entity("gauge", ("gauge",)),), (view,), time="asked")


def join(folder: Path, rows: pa.Table, used: FeatureStore, schema: Schema = SCHEMA, **more: Any) -> Joined:
    return join_features(rows, used, schema, folder, name="rows", csv=PLAIN, s3=S3(), say=lambda _: None, **more)


def rows_of(*asked: tuple[str, str]) -> pa.Table:
    return pa.table({"asked": [at for at, _ in asked], "gauge": [gauge for _, gauge in asked]})


# When it was true, when it was written, and what it says.
VALUES = """gauge,measured,written,level
rhine,10:00,10:00,1
rhine,12:00,14:00,2
rhine,11:00,15:00,3
rhine,12:00,16:00,4
rhine,18:00,17:00,5
rhine,18:00,17:00,5
rhine,20:00,20:00,
elbe,10:00,10:00,7
"""
MOMENTS = {
    "09:59": (None, "nothing is known yet"),
    "10:00": ("1", "known in the moment that it is true"),
    "11:30": ("1", "what was true at 11 nobody had written yet"),
    "13:59": ("1", "what was true at 12 is written a minute later"),
    "14:00": ("2", "now it is"),
    "15:00": ("2", "what comes late and is older replaces nothing"),
    "15:59": ("2", "the correction is not written yet"),
    "16:00": ("4", "of one event the value written last"),
    "17:30": ("4", "what was written ahead is not true yet"),
    "18:00": ("5", "now it is, and that it is there twice changes nothing"),
    "19:59": ("5", "still"),
    "20:00": (None, "it is known that there is no value"),
}


def levels(folder: Path) -> Path:
    (folder / "levels.csv").write_text(re.sub(r",(?=\d\d:)", f",{DAY}", VALUES))
    return folder / "levels.csv"


def test_late_corrected_repeated_and_early_values_at_twelve_moments(tmp_path: Path) -> None:
    asked = rows_of(*((DAY + at, "rhine") for at in MOMENTS))
    found = join(tmp_path, asked, store(levels(tmp_path)))
    said = dict(zip(MOMENTS, found.table.column("level").to_pylist(), strict=True))
    assert {at: value or None for at, value in said.items()} == {at: value for at, (value, _) in MOMENTS.items()}
    assert (found.views["levels"].found, found.views["levels"].missing) == (11, 1)


def test_a_value_holds_as_long_as_the_view_says_and_not_longer(tmp_path: Path) -> None:
    used = store(levels(tmp_path), max_age=timedelta(hours=6))
    moments = (f"{DAY}16:00", f"{DAY}16:00:00.000001", f"{DAY}09:00")
    found = join(tmp_path, rows_of(*((at, "elbe") for at in moments)), used)
    assert found.table.column("level").to_pylist() == ["7", None, None]
    view = found.views["levels"]
    assert (view.found, view.expired, view.missing) == (1, 1, 1)


def test_without_a_written_time_a_value_is_known_when_it_is_true(tmp_path: Path) -> None:
    found = join(tmp_path, rows_of((f"{DAY}11:30", "rhine")), store(levels(tmp_path), created_time=""))
    assert found.table.column("level").to_pylist() == ["3"]


def test_of_a_moment_nothing_that_was_written_later_is_known(tmp_path: Path) -> None:
    asked, used = rows_of((f"{DAY}16:30", "rhine")), store(levels(tmp_path))
    moment = datetime(2026, 3, 1, 15, 30, tzinfo=UTC)
    assert join(tmp_path, asked, used, as_of=moment).table.column("level").to_pylist() == ["2"]


def test_who_is_unknown_or_asks_at_no_time_gets_nulls_and_the_order_stays(tmp_path: Path) -> None:
    at = f"{DAY}16:00"
    asked = rows_of((at, "elbe"), (at, "oder"), (at, ""), ("yesterday", "elbe"), (at, "rhine"))
    found = join(tmp_path, asked, store(levels(tmp_path)))
    assert found.table.column("level").to_pylist() == ["7", None, None, None, "4"]
    assert found.table.column("gauge").to_pylist() == asked.column("gauge").to_pylist()


AGE = timedelta(minutes=90)


def at_random(seed: int, folder: Path) -> tuple[dict[str, Any], dict[str, Any], FeatureStore, Schema]:
    """Values, late and early ones among them, in a file; rows that ask for them; and what is to be joined."""
    chance = np.random.default_rng(seed)
    many, few = 400, 300
    start = datetime(2026, 3, 1, tzinfo=UTC)
    values = {
        "number": chance.integers(0, 4, many), "part": chance.choice(["a", "b"], many),
        "measured": [start + timedelta(minutes=int(one)) for one in chance.integers(0, 500, many)],
        "written": [start + timedelta(minutes=int(one)) for one in chance.permutation(600)[:many]],
        "level": chance.permutation(many).astype(float), "flow": chance.permutation(many),
    }  # fmt: skip
    asked = {
        "asked": [start + timedelta(minutes=int(one)) for one in chance.integers(0, 700, few)],
        "number": chance.integers(0, 5, few), "part": chance.choice(["a", "b"], few),
    }  # fmt: skip
    pq.write_table(pa.table(values), folder / "levels.parquet")
    columns = (
        Column("asked", "datetime"), Column("number", "integer"), Column("part", "string"),
        Column("level", "float", nullable=True, source="levels:level"),
        Column("its flow", "integer", nullable=True, source="levels:flow"),
    )  # fmt: skip
    view = View("levels", "place", folder / "levels.parquet", "measured", "written", AGE)
    store = FeatureStore((Entity("place", ("number", "part")),), (view,), time="asked")
    return values, asked, store, Schema(columns=columns, label=SCHEMA.label)


def pairs(table: pa.Table, *names: str) -> list[tuple[Any, ...]]:
    return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))


@pytest.mark.parametrize("seed", range(3))
def test_it_finds_what_a_search_through_all_values_finds(tmp_path: Path, seed: int) -> None:
    values, asked, used, schema = at_random(seed, tmp_path)
    found = join(tmp_path, pa.table(asked), used, schema)
    wanted = []
    for at, number, part in zip(*asked.values(), strict=True):
        known = [
            (true, written, level, flow)
            for n, p, true, written, level, flow in zip(*values.values(), strict=True)
            if (n, p) == (number, part) and max(true, written) <= at
        ]
        newest = max(known, default=None)
        wanted.append(newest[2:] if newest and newest[0] >= at - AGE else (None, None))
    assert pairs(found.table, "level", "its flow") == wanted
    assert 0 < found.views["levels"].found < len(wanted)
    # Whatever order the values stand in.
    pq.write_table(pa.table(values).take(np.random.default_rng(9).permutation(400)), tmp_path / "levels.parquet")
    assert join(tmp_path, pa.table(asked), used, schema).table.equals(found.table)


@pytest.mark.skipif(not FEAST.exists(), reason="needs Feast, which make infra-tools installs")
def test_it_finds_what_feast_finds(tmp_path: Path) -> None:
    """Feast tells neither of two values apart that were written in the same moment: here none are."""
    _, asked, used, schema = at_random(7, tmp_path)
    pq.write_table(pa.table({**asked, "row": range(len(asked["asked"]))}), tmp_path / "rows.parquet")
    command = [FEAST, HERE / "feast_join.py", tmp_path, str(AGE // timedelta(minutes=1))]
    environment = {**os.environ, "FEAST_USAGE": "False"}
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    theirs = pairs(pq.read_table(tmp_path / "joined.parquet"), "level", "flow")
    ours = pairs(join(tmp_path, pa.table(asked), used, schema).table, "level", "its flow")
    assert [tuple(None if one is None or one != one else float(one) for one in pair) for pair in theirs] == ours


def test_keys_that_differ_in_capitals_are_two(tmp_path: Path) -> None:
    at = datetime(2026, 3, 1, tzinfo=UTC)
    pq.write_table(
        pa.table({"k": [1, 2], "K": [2, 1], "measured": [at, at], "level": [5.0, 6.0]}), tmp_path / "l.parquet"
    )
    columns = (
        Column("asked", "datetime"), Column("k", "integer"), Column("K", "integer"),
        Column("level", "float", nullable=True, source="levels:level"),
    )  # fmt: skip
    view = View("levels", "place", tmp_path / "l.parquet", "measured")
    used = FeatureStore((Entity("place", ("k", "K")),), (view,), time="asked")
    asked = pa.table({"asked": [at, at], "k": [2, 1], "K": [1, 1]})
    found = join(tmp_path, asked, used, Schema(columns=columns, label=SCHEMA.label))
    assert found.table.column("level").to_pylist() == [6.0, None]


def test_what_cannot_be_joined_is_said(tmp_path: Path) -> None:
    used, asked = store(levels(tmp_path)), rows_of((f"{DAY}16:00", "elbe"))
    two = replace(SCHEMA, columns=(*SCHEMA.columns, Column("at", "datetime", nullable=True, source="levels:measured")))
    with pytest.raises(
        DataError, match="rows, column at: is missing, and of the same view the table has level: all or"
    ):
        join(tmp_path, asked.append_column("level", pa.array(["1"])), used, two)
    with pytest.raises(DataError, match="rows, column gauge: is missing; the table has: asked"):
        join(tmp_path, asked.drop_columns("gauge"), used)
    with pytest.raises(DataError, match=r"levels\.csv, column since: is missing; the table has: gauge, measured"):
        join(tmp_path, asked, store(levels(tmp_path), created_time="since"))
    path = levels(tmp_path)
    path.write_text(path.read_text() + f"oder,soon,{DAY}10:00,1\n")
    with pytest.raises(DataError, match=r'levels\.csv, row 9, column measured: "soon" is'):
        join(tmp_path, asked, used)
