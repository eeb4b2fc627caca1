"""The labelled rows as they were known at a moment in the past."""

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lifeboat.config.sources import ONLY_ANONYMOUS
from lifeboat.data.labelled.labelled_rows import load_labelled, no_rows, read_labelled, write_labelled
from lifeboat.data.timestamps import show_seconds
from lifeboat.registry.storage import S3, open_storage
from tests.data.labelled.cure import NOON, SCHEMA, row


def put(storage, *rows):
    return write_labelled(storage, "cure", SCHEMA, list(rows))


def load(storage, until=None):
    return load_labelled(storage, "cure", SCHEMA, trusted=ONLY_ANONYMOUS, until=until)


def known(found):
    return [(item["__puid"], item["cured"]) for item in found.table.to_pylist()]


def test_only_truths_that_had_come_are_seen(storage):
    put(storage, row(), row(__puid="q", __labelled_at=NOON + 60))
    put(storage, row(__puid="r", __labelled_at=NOON + 120))
    assert known(load(storage, NOON - 0.001)) == []
    assert known(load(storage, NOON)) == [("p", 1)]
    assert known(load(storage, NOON + 119)) == [("p", 1), ("q", 1)]
    assert known(load(storage, NOON + 120)) == known(load(storage)) == [("p", 1), ("q", 1), ("r", 1)]
    assert [load(storage, NOON + late).parts for late in (-1, 0, 119, 120)] == [0, 1, 1, 2]
    assert [load(storage, NOON + late).latest for late in (-1, 0, 119, 500)] == [None, NOON, NOON + 60, NOON + 120]
    assert read_labelled(storage, "cure", SCHEMA, until=NOON)["__puid"].to_pylist() == ["p"]


def test_before_its_correction_a_truth_holds(storage):
    put(storage, row(cured=1))
    put(storage, row(cured=0, __labelled_at=NOON + 60))
    put(storage, row(cured=1, __labelled_at=NOON + 120))
    found = {late: load(storage, NOON + late) for late in (0, 59, 60, 119, 120)}
    assert {late: known(item) for late, item in found.items()} == {
        0: [("p", 1)], 59: [("p", 1)], 60: [("p", 0)], 119: [("p", 0)], 120: [("p", 1)],
    }  # fmt: skip
    assert [item.corrected for item in found.values()] == [0, 0, 1, 1, 2]


def test_a_truth_is_known_from_when_it_came_although_it_was_written_later(storage):
    put(storage, row(__labelled_at=NOON + 60))
    before = load(storage, NOON + 60)
    put(storage, row(__puid="q", __labelled_at=NOON + 86_400), row(__puid="r", __labelled_at=NOON + 30))
    after = load(storage, NOON + 60)
    assert known(after) == [("p", 1), ("r", 1)]
    assert before.digest != after.digest


def test_a_moment_is_seconds_or_a_time_with_its_zone(storage):
    put(storage, row(), row(__puid="q", __labelled_at=NOON + 60))
    moment = datetime.fromtimestamp(NOON, UTC)
    assert known(load(storage, moment)) == known(load(storage, NOON)) == [("p", 1)]
    with pytest.raises(ValueError, match="2026-03-04 12:00:00 has no time zone"):
        load(storage, moment.replace(tzinfo=None))


TRUTH = st.tuples(st.sampled_from("pqr"), st.integers(0, 1), st.integers(0, 1), st.integers(0, 5))
TRUTHS = st.lists(st.lists(TRUTH, min_size=1, max_size=3), max_size=5)


@given(TRUTHS, st.integers(-1, 6))
def test_a_moment_gives_the_same_whatever_came_since(tmp_path_factory, parts, late):
    """The store that knew no later truth, and the one that got all of them, in other parts."""
    rows = [
        [row(__puid=puid, __row=number, cured=cured, __labelled_at=NOON + at) for puid, number, cured, at in part]
        for part in parts
    ]
    then, now = (open_storage(str(tmp_path_factory.mktemp("store")), S3()) for _ in range(2))
    for part in rows:
        put(now, *part)
        for single in part:
            if single["__labelled_at"] <= NOON + late:
                put(then, single)
    before, after = load(then), load(now, NOON + late)
    assert before.table.to_pylist() == after.table.to_pylist()
    assert (before.digest, before.corrected, before.latest) == (after.digest, after.corrected, after.latest)
    assert (after.digest == "") == (after.table.num_rows == 0) == (after.latest is None)
    if after.latest is not None:
        assert load(now, after.latest).digest == after.digest


def test_the_digest_is_of_the_rows_and_not_of_their_files(tmp_path):
    one, other, third = (open_storage(str(tmp_path / name), S3()) for name in "abc")
    put(one, row(), row(__puid="q"))
    put(other, row(__puid="q"))
    put(other, row())
    put(third, row(), row(__puid="q", dose=0.05))
    assert load(one).digest == load(other).digest != load(third).digest
    assert load(open_storage(str(tmp_path / "none"), S3())).digest == no_rows(SCHEMA).digest == ""


def test_of_two_versions_that_answered_at_once_it_is_always_the_same_row(tmp_path):
    """A canary and the champion both answer a request of the same id, and their truth comes once."""
    found = set()
    pair = [row(__version="1", __score=0.75), row(__version="2", __score=0.25)]
    for number, parts in enumerate(([pair], [pair[::-1]], [pair[:1], pair[1:]], [pair, pair[:1]], [pair, pair[1:]])):
        storage = open_storage(str(tmp_path / str(number)), S3())
        for part in parts:
            put(storage, *part)
        found.add((load(storage).digest, load(storage).table["__version"].to_pylist()[0], load(storage).corrected))
    assert len(found) == 1
    assert load(storage).table.num_rows == 1


def test_the_moment_of_the_latest_truth_gives_the_same_rows(tmp_path):
    """Also after it was shown and read again, which goes by microseconds."""
    storage = open_storage(str(tmp_path), S3())
    times = NOON + np.random.default_rng(0).random(50)
    for number, time in enumerate(times.tolist()):
        put(storage, row(__puid=f"p{number}", __labelled_at=time))
    for _ in range(3):
        found = load(storage)
        put(storage, row(__puid="later", __labelled_at=found.latest + 1))
        assert (
            load(storage, datetime.fromisoformat(show_seconds(found.latest))).digest
            == found.digest
            != load(storage).digest
        )


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("__labelled_at", 1e300, "column __labelled_at: 1e+300 is outside 0 to 253402300799"),
        ("__labelled_at", float("nan"), "column __labelled_at: NaN is outside 0 to 253402300799"),
        ("__predicted_at", -1.0, "column __predicted_at: -1.0 is outside 0 to 253402300799"),
        ("__row", -1, "column __row: -1 is outside 0 to 16777216"),
    ],
)
def test_a_part_whose_hidden_columns_are_beyond_their_limits_is_left_out(tmp_path, name, value, reason):
    """A truth without a usable moment would be known never or always."""
    storage = open_storage(str(tmp_path / "store"), S3())
    put(storage, row(__puid="q"))
    key = put(storage, row())
    path = tmp_path / "part.parquet"
    storage.download(key, path)
    table = pq.read_table(path)
    kind = table.schema.field(name).type
    pq.write_table(table.set_column(table.column_names.index(name), name, pa.array([value], kind)), path)
    storage.upload(path, key)
    found = load(storage, NOON)
    assert (known(found), found.refused) == ([("q", 1)], {key: reason})
