"""A split by time: of the table, with what comes from feedback, and in the cross-validation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifeboat.config.errors import UseCaseError
from lifeboat.data.labelled.labelled_rows import read_labelled, write_labelled
from lifeboat.preprocess.merge import TIME
from lifeboat.preprocess.step import HOLDOUT, preprocess, read_summary
from lifeboat.registry.storage import S3, open_storage
from lifeboat.train.folds import make_folds
from lifeboat.train.step import training_rows
from lifeboat.usecase.schema import Column
from lifeboat.usecase.usecase import Split
from tests.preprocess.world import SCHEMA, make_usecase, outputs, quiet, rows, write

START = datetime(2026, 1, 1, tzinfo=UTC)
AT = Column("at", "datetime")
BY_TIME = replace(SCHEMA, keys=(*SCHEMA.keys, AT), group=None)


def when(day):
    return (START + timedelta(days=day)).isoformat()


def table(count=60):
    """One row a day, in any order."""
    dated = [row | {"at": when(day)} for day, row in enumerate(rows(count))]
    return [dated[place] for place in np.random.default_rng(0).permutation(count)]


def usecase(schema=BY_TIME, **options):
    return make_usecase(schema, split=Split(**{"by": "time", "column": "at", "test": 0.25, "folds": 3} | options))


def run(folder, case, found=None, labelled=None, say=quiet):
    folder.mkdir(exist_ok=True)
    out = outputs(folder)
    return preprocess(case, write(folder / "rows.csv", found or table()), out, labelled=labelled, say=say), out


def days(path):
    """Of a table's rows, by their id."""
    found = pq.read_table(path)
    return {row["id"]: (row["at"] / 1e6 - START.timestamp()) / 86_400 for row in found.to_pylist()}


def test_the_newest_rows_are_held_out_and_the_gap_before_them_is_in_neither(tmp_path):
    said = []
    summary, out = run(tmp_path / "a", usecase(gap=timedelta(days=3)), say=said.append)
    assert sorted(days(out.test).values()) == list(range(45, 60))
    assert sorted(days(out.train).values()) == list(range(42))
    assert (summary.train, summary.test, summary.between) == (42, 15, 3)
    assert summary.split == {
        "by": "time", "column": "at", "test": 0.25, "gap": 259_200.0, "boundary": "2026-02-15T00:00:00Z",
    }  # fmt: skip
    assert "3 rows before the boundary are too near to it, or of a group that is held out" in said
    assert read_summary(out.test) == summary
    exact, other = run(tmp_path / "b", usecase(test="2026-02-15", gap=timedelta(days=3)))
    assert (exact.split["boundary"], days(other.test)) == (summary.split["boundary"], days(out.test))


def test_the_earlier_rows_of_a_group_that_is_held_out_do_not_train(tmp_path):
    # Families of two days each; with seven days the last one before the boundary is on both sides.
    found = [row | {"family": f"F{number // 7}"} for number, row in enumerate(sorted(table(), key=lambda r: r["id"]))]
    summary, out = run(tmp_path / "a", usecase(replace(BY_TIME, group="family")), found)
    assert sorted(days(out.test).values()) == list(range(45, 60))
    assert sorted(days(out.train).values()) == list(range(42))
    assert summary.between == 3


def fed(number, day, asked):
    """From feedback; `asked` is the day on which it was predicted."""
    row = {"id": 500 + number, "family": f"N{number}", "dose": 7.5, "sex": "f", "note": "n", "cured": number % 2}
    at = (START + timedelta(days=asked)).timestamp()
    hidden = {"__puid": f"p{number}", "__row": 0, "__version": "1", "__score": 0.5, "__source": "anonymous"}
    return row | hidden | {"at": day and when(day), "__predicted_at": at, "__labelled_at": at + 1}


def test_rows_from_feedback_go_to_the_side_of_their_own_time(tmp_path):
    store = open_storage(str(tmp_path / "store"), S3())
    case = usecase(test="2026-02-15")
    write_labelled(store, case.name, case.schema, [fed(1, 10, 90), fed(2, 50, 90), fed(3, None, 90), fed(4, None, 20)])
    back = read_labelled(store, case.name, case.schema)
    assert back["at"].to_pylist()[:2] == [AT.parse(when(10)), AT.parse(when(50))]
    _, out = run(tmp_path / "a", case, labelled=store)
    train, test = (set(days(path)) for path in (out.train, out.test))
    # Without a time of their own they are of when the prediction was asked for.
    assert {501, 504} <= train
    assert {502, 503} <= test
    assert np.isnan(pq.read_table(out.test)[TIME].to_numpy()).sum() == 15


def test_a_share_moves_on_as_rows_come_in(tmp_path):
    store = open_storage(str(tmp_path / "store"), S3())
    case = usecase()
    alone, _ = run(tmp_path / "a", case, labelled=store)
    write_labelled(store, case.name, case.schema, [fed(number, 100 + number, 200) for number in range(20)])
    grown, out = run(tmp_path / "b", case, labelled=store)
    assert grown.split["boundary"] > alone.split["boundary"]
    assert (grown.train, grown.test) == (60, 20)
    assert min(days(out.test).values()) == 100


def test_each_window_is_held_against_what_was_before_it(tmp_path):
    case = usecase(gap=timedelta(days=2))
    _, out = run(tmp_path / "a", case)
    known = training_rows(pq.read_table(out.train), case)
    folds = make_folds(case, known)
    assert len(folds.held) == 3
    assert (folds.number == -1).sum() > 0
    for seen, held in zip(folds.seen, folds.held, strict=True):
        assert known.times[seen].max() + 2 * 86_400e6 < known.times[held].min() + 1
        assert set(pa.array(known.times[seen]).to_pylist()).isdisjoint(known.times[held].tolist())
    assert pq.read_table(out.train)[HOLDOUT].to_pylist() == known.times.tolist()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"column": "family"}, "family is no datetime column that has no null"),
        ({"column": "nobody"}, "nobody is no datetime column"),
        ({"test": "soon"}, 'split: test: "soon" is not a datetime'),
        ({"by": "group"}, "by time there is a column that says when, and only then"),
        ({"column": None}, "by time there is a column"),
        ({"by": "date"}, "by is 'date', neither"),
        ({"test": 1.5}, "test is 1.5, not a share"),
        ({"gap": timedelta(days=-1)}, "gap is -1 day"),
        ({"folds": 1}, "folds is 1, less than 2"),
        ({"by": "group", "column": None, "test": "2026-01-01"}, "only by time is test a moment"),
    ],
)
def test_a_split_that_cannot_be_meant_is_refused(options, problem):
    with pytest.raises(UseCaseError, match=problem):
        usecase(**options)


def test_a_table_of_one_moment_has_no_later_rows(tmp_path):
    with pytest.raises(Exception, match="of the held-out rows"):
        run(tmp_path / "a", usecase(), [row | {"at": when(1)} for row in rows()])
