"""A use case with a feature store: its table is prepared with what the store knew, and says so."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from lifeboat.checks.data import check_data
from lifeboat.config.errors import DataError, UseCaseError
from lifeboat.preprocess.step import Summary, preprocess, read_summary
from lifeboat.registry.storage import S3
from lifeboat.usecase.feature_store import Entity, FeatureStore, View
from lifeboat.usecase.usecase import UseCase, load_usecase
from tests.feature_store import rivers
from tests.modules import forgotten
from tests.preprocess.world import outputs, quiet


@pytest.fixture
def usecase(tmp_path: Path) -> Iterator[UseCase]:
    with forgotten(tmp_path):
        yield load_usecase(str(rivers.write(tmp_path / "rivers")))


def prepared(usecase: UseCase, folder: Path, source: str = "") -> tuple[Summary, pa.Table]:
    folder.mkdir()
    out = outputs(folder)
    summary = preprocess(usecase, source or str(usecase.data), out, say=quiet)
    assert read_summary(out.train) == summary
    return summary, pa.concat_tables([pq.read_table(out.train), pq.read_table(out.test)])


def test_rows_have_what_was_known_and_the_summary_and_the_profile_say_of_which_view(
    usecase: UseCase, tmp_path: Path
) -> None:
    summary, rows = prepared(usecase, tmp_path / "one")
    view = summary.views["levels"]
    assert view["found"] + view["missing"] + view["expired"] == rivers.ROWS
    assert view["found"] > 0.9 * rivers.ROWS
    known = rows.filter(pa.compute.invert(pa.compute.is_nan(rows.column("level"))))
    assert known.num_rows == view["found"]
    assert pa.compute.max(known.column("level")).as_py() > 14
    page = (tmp_path / "one" / "profile.html").read_text()
    assert f"<code>{view['digest']}</code>" in page


def test_the_digest_is_that_of_the_views_as_well(usecase: UseCase, tmp_path: Path) -> None:
    first, rows = prepared(usecase, tmp_path / "one")
    again, same = prepared(usecase, tmp_path / "two")
    assert (first.digest, first.views) == (again.digest, again.views)
    assert str(rows.to_pylist()) == str(same.to_pylist())
    path = tmp_path / "rivers" / "levels.parquet"
    levels = pq.read_table(path)
    pq.write_table(levels.slice(1), path)
    other, _ = prepared(usecase, tmp_path / "three")
    assert other.digest != first.digest


def test_a_value_that_breaks_its_columns_rules_is_in_quarantine_like_any_other(
    usecase: UseCase, tmp_path: Path
) -> None:
    path = tmp_path / "rivers" / "levels.parquet"
    levels = pq.read_table(path)
    high = pa.compute.if_else(
        pa.compute.equal(levels.column("level"), levels.column("level")[300]), 99.0, levels["level"]
    )
    pq.write_table(levels.set_column(levels.schema.get_field_index("level"), "level", high), path)
    prepared(usecase, tmp_path / "one")
    assert "column level: 99 is outside 0 to 50" in (tmp_path / "one" / "quarantine.csv").read_text()


def test_a_table_that_was_joined_elsewhere_is_taken_as_it_is(usecase: UseCase, tmp_path: Path) -> None:
    table = pyarrow.csv.read_csv(tmp_path / "rivers" / "rivers.csv")
    path = tmp_path / "joined.parquet"
    pq.write_table(table.append_column("level", pa.array([1.5] * table.num_rows)), path)
    summary, rows = prepared(usecase, tmp_path / "one", str(path))
    assert summary.views == {}
    assert set(rows.column("level").to_pylist()) == {1.5}


def test_check_joins_as_the_run_will_and_warns_of_a_view_that_nobody_finds(usecase: UseCase, tmp_path: Path) -> None:
    found = check_data(usecase, str(usecase.data), S3())
    assert found.problems == []
    assert any(line.startswith("view levels: ") for line in found.facts)
    path = tmp_path / "rivers" / "levels.parquet"
    levels = pq.read_table(path)
    pq.write_table(levels.set_column(0, "gauge", pa.array(["elbe"] * levels.num_rows)), path)
    found = check_data(usecase, str(usecase.data), S3())
    assert "view levels: no row of the table finds a value; do its keys and times fit?" in found.warnings
    path.unlink()
    assert "levels.parquet" in check_data(usecase, str(usecase.data), S3()).problems[0]


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"store": None}, "column level: its source is levels:level, and there is no store"),
        ({"source": "weather:level"}, "'weather:level', not VIEW:FIELD of a view of the store: levels"),
        ({"source": "levels"}, "'levels', not VIEW:FIELD of a view of the store: levels"),
        ({"source": ""}, "view levels: no column has its source there"),
        ({"nullable": False}, "column level: the store may have no value of it, so it is to be nullable"),
        ({"time": "rain"}, "feature store: time: rain is no datetime column of the rows that has no null"),
        ({"keys": ("bridge",)}, "view levels: its key bridge is no text or integer column that the rows bring"),
        ({"keys": ("level",)}, "view levels: its key level is no text or integer column that the rows bring"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_said_when_the_use_case_is_made(
    usecase: UseCase, change: dict[str, object], why: str
) -> None:
    column = {name: value for name, value in change.items() if name in ("source", "nullable")}
    columns = tuple(replace(one, **column) if one.name == "level" else one for one in usecase.schema.columns)  # type: ignore[arg-type]
    store = usecase.store
    assert store is not None
    if "time" in change:
        store = replace(store, time=str(change["time"]))
    if "keys" in change:
        store = replace(store, entities=(replace(store.entities[0], keys=change["keys"]),))  # type: ignore[arg-type]
    with pytest.raises(UseCaseError) as error:
        replace(usecase, schema=replace(usecase.schema, columns=columns), store=change.get("store", store))  # type: ignore[arg-type]
    assert why in str(error.value)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: Entity("Gauge", ("gauge",)), "entity 'Gauge': a name is small letters, digits and underscores"),
        (lambda: Entity("gauge", ()), "entity gauge: keys is (), not a tuple of column names"),
        (lambda: View("a", "b", "c", "d", max_age=timedelta(0)), "view a: max_age is 0:00:00"),
        (lambda: FeatureStore((), (), "t"), "feature store: entities are none: at least one, each name once"),
        (lambda: FeatureStore((Entity("a", ("k",)),), (View("v", "b", "c", "d"),), "t"), "its entity 'b' is none of a"),
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_said(make: object, why: str) -> None:
    with pytest.raises(UseCaseError) as error:
        make()  # type: ignore[operator]
    assert why in str(error.value)


def test_a_view_that_cannot_be_read_is_an_error_that_names_it(usecase: UseCase, tmp_path: Path) -> None:
    (tmp_path / "rivers" / "levels.parquet").write_bytes(b"no table")
    with pytest.raises(DataError, match=r"levels\.parquet"):
        prepared(usecase, tmp_path / "one")


def test_a_schema_keeps_its_sources(usecase: UseCase) -> None:
    text = usecase.schema.to_json()
    assert json.loads(text)["columns"][2]["source"] == "levels:level"
    assert type(usecase.schema).from_json(text) == usecase.schema
