"""Preprocess with the labelled rows as they were known at a moment."""

from datetime import UTC, datetime
from types import SimpleNamespace

import pyarrow.parquet as pq
import pytest

from lifeboat.config.errors import SettingsError
from lifeboat.data.labelled.labelled_rows import write_labelled
from lifeboat.preprocess import component
from lifeboat.preprocess.step import preprocess, read_summary
from lifeboat.registry.storage import S3, open_storage
from lifeboat.usecase.usecase import load_usecase
from tests.preprocess.test_feedback import both, fed, store_of
from tests.preprocess.world import SCHEMA, make_usecase, outputs, rows, write

# `fed` has the truth of row n come 2,000 + n seconds after 1970 began.
MOMENT = datetime(1970, 1, 1, 0, 33, 30, tzinfo=UTC)


def run(folder, store, as_of=None):
    """The summary, the files, and what was said."""
    folder.mkdir()
    said = []
    source = write(folder / "rows.csv", rows())
    summary = preprocess(make_usecase(), source, outputs(folder), labelled=store, as_of=as_of, say=said.append)
    return summary, outputs(folder), said


def cells(out):
    """Of the training rows and of those held out, as text: no NaN equals another."""
    return [str(pq.read_table(path).to_pylist()) for path in (out.train, out.test)]


def news(*numbers, **change):
    return [fed(n, id=100 + n, family=f"N{n}", dose=50.5, **change) for n in numbers]


def test_a_moment_takes_the_rows_that_were_known_then_and_says_so(tmp_path):
    store = store_of(tmp_path / "store", news(*range(20)))
    summary, out, said = run(tmp_path / "run", store, MOMENT)
    assert (summary.labelled, summary.train + summary.test) == (11, 71)
    assert max(number for number in both(out)["id"].to_pylist()) == 110
    assert summary.as_of == summary.labelled_until == "1970-01-01T00:33:30Z"
    assert read_summary(out.train) == read_summary(out.test) == summary
    assert "read 11 labelled rows from feedback as of 1970-01-01T00:33:30Z, 0 break the schema" in said
    assert "the last of their truths came at 1970-01-01T00:33:30Z: a run as of then takes the same rows" in said
    page = out.profile.read_text()
    assert f"as of 1970-01-01T00:33:30Z; the last of their truths came at {summary.labelled_until}" in page
    assert summary.labelled_digest in page


def test_more_truth_changes_nothing_of_the_past(tmp_path):
    store = store_of(tmp_path / "store", news(1, 2, 3))
    before, first, _ = run(tmp_path / "a", store)
    write_labelled(store, "cure", SCHEMA, news(40, 41) + news(1, cured=0, __labelled_at=2050.0))
    after, again, _ = run(tmp_path / "b", store, MOMENT)
    now, other, _ = run(tmp_path / "c", store)
    assert (before.digest, before.labelled_digest, before.labelled_until) == (
        after.digest, after.labelled_digest, after.labelled_until,
    )  # fmt: skip
    assert now.digest != before.digest
    assert (before.as_of, after.as_of, now.as_of) == ("", "1970-01-01T00:33:30Z", "")
    assert cells(first) == cells(again) != cells(other)


def test_a_truth_that_was_corrected_later_is_trained_on_as_it_was_known(tmp_path):
    store = store_of(tmp_path / "store", news(1, cured=1), news(1, cured=0, __labelled_at=2050.0))
    for name, as_of, cured in (("then", MOMENT, 1), ("now", None, 0)):
        _, out, _ = run(tmp_path / name, store, as_of)
        assert dict(zip(*(both(out)[column].to_pylist() for column in ("id", "cured")), strict=True))[101] == cured


def test_before_the_first_truth_there_is_the_table_alone(tmp_path):
    alone, without, _ = run(tmp_path / "a", None)
    store = store_of(tmp_path / "store", news(1))
    summary, out, said = run(tmp_path / "b", store, datetime(1970, 1, 1, tzinfo=UTC))
    assert (summary.labelled, summary.digest, summary.labelled_digest) == (0, alone.digest, "")
    assert cells(out) == cells(without)
    assert "read 0 labelled rows from feedback as of 1970-01-01T00:00:00Z, 0 break the schema" in said
    assert "Labelled rows as of 1970-01-01T00:00:00Z</p>" in out.profile.read_text()


def test_a_moment_without_labelled_rows_is_refused(tmp_path):
    """A lineage that names a moment which nothing was taken at would be a lie."""
    with pytest.raises(SettingsError, match="as of 1970-01-01T00:33:30Z: no labelled rows are taken, and the table"):
        run(tmp_path / "a", None, MOMENT)
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["rows.csv"]


@pytest.fixture
def titanic(tmp_path, monkeypatch):
    """Calls the component on a store with one truth of the 5th of January 2025; gives the metadata it leaves."""
    usecase = load_usecase("titanic")
    row = {column.name: column.sample for column in usecase.schema.columns} | {"PassengerId": 9001, "Ticket": "T"}
    time = datetime(2025, 1, 5, 12, tzinfo=UTC).timestamp()
    new = fed(1, usecase_row=row | {"Survived": 1}, __labelled_at=time)
    write_labelled(open_storage(str(tmp_path / "store"), S3()), "titanic", usecase.schema, [new])
    monkeypatch.setenv("LIFEBOAT_STORE", str(tmp_path / "store"))

    def call(**parameters):
        names = ("train", "test", "broken", "page")
        parts = [SimpleNamespace(path=str(tmp_path / name), metadata={}) for name in names]
        component.preprocess.python_func("titanic", "", True, *parts, **parameters)
        return parts[0].metadata

    return call


@pytest.mark.parametrize(
    ("parameters", "count", "as_of"),
    [
        ({}, 1, ""),
        ({"as_of": ""}, 1, ""),
        ({"as_of": "2025-01-05"}, 1, "2025-01-05T23:59:59.999999Z"),
        ({"as_of": "2025-01-05T12:00:00Z"}, 1, "2025-01-05T12:00:00Z"),
        ({"as_of": "2025-01-05T12:59:59+01:00"}, 0, "2025-01-05T11:59:59Z"),
        ({"as_of": "2025-01-04"}, 0, "2025-01-04T23:59:59.999999Z"),
    ],
)
def test_the_component_takes_a_moment(titanic, parameters, count, as_of):
    metadata = titanic(**parameters)
    assert (metadata["labelled"], metadata["as_of"]) == (count, as_of)
    assert metadata["labelled_until"] == ("2025-01-05T12:00:00Z" if count else "")


@pytest.mark.parametrize(("text", "problem"), [("now", "is no moment such as"), ("9999-01-01", "is still to come")])
def test_the_component_names_its_parameter_where_it_is_no_moment(titanic, text, problem):
    with pytest.raises(SettingsError, match=f"^as_of: '{text}' {problem}"):
        titanic(as_of=text)
