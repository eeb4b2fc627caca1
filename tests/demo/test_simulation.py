"""The simulated world: who asks, and how they change."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lifeboat.data.reading import read_table
from lifeboat.data.table import check_table
from lifeboat.demo.simulation import Simulation, shift
from lifeboat.registry.storage import S3
from lifeboat.usecase.schema import Column, NumberLabel, Schema
from lifeboat.usecase.usecase import UseCase, load_usecase
from lifeboat.usecases.titanic import USECASE
from tests.usecases import breast_cancer

SCHEMA = USECASE.schema
RANDOM = np.random.default_rng(0)


def titanic(seed: int = 0) -> Simulation:
    table = check_table(read_table(Path(USECASE.data)), SCHEMA, labelled=True, name="train.csv").good
    return Simulation(table, SCHEMA, seed=seed)


def masses(folder: Path) -> Simulation:
    usecase = replace(breast_cancer.USECASE, data=breast_cancer.write_data(folder / "masses.parquet"))
    return Simulation.of(usecase, S3(), folder)


def test_the_world_shares_no_row_and_no_group_with_the_training_table(tmp_path: Path) -> None:
    world = titanic()
    rows = world.write_training(tmp_path / "training.parquet")
    training = pq.read_table(tmp_path / "training.parquet")
    world_cases = list(islice(world.normal(), 891 - rows))
    ids = {case.values[case.names.index("PassengerId")] for case in world_cases}
    tickets = {case.values[case.names.index("Ticket")] for case in world_cases}
    assert training.num_rows == rows
    assert len(ids) == 891 - rows
    assert ids.isdisjoint(training.column("PassengerId").to_pylist())
    assert tickets.isdisjoint(training.column("Ticket").to_pylist())
    assert check_table(training, SCHEMA, labelled=True, name="training").problems == {}


def test_normal_traffic_asks_every_row_once_before_one_twice() -> None:
    world = titanic()
    first = [case.values for case in islice(world.normal(), 433)]
    assert len({tuple(values) for values in first}) == 433


@pytest.mark.parametrize("usecase", [USECASE, breast_cancer.USECASE], ids=["titanic", "breast cancer"])
def test_every_case_is_one_the_schema_accepts(usecase: UseCase, tmp_path: Path) -> None:
    world = titanic() if usecase is USECASE else masses(tmp_path)
    for cases in (world.normal(), world.shifted()):
        for case in islice(cases, 300):
            row = dict(zip(case.names, case.values, strict=True))
            for column in usecase.schema.columns:
                column.parse(row[column.name])
            assert case.truth in (0, 1)


def test_the_same_seed_gives_the_same_cases_and_another_one_others() -> None:
    first, again, other = (list(islice(titanic(seed).shifted(), 20)) for seed in (1, 1, 2))
    assert first == again
    assert first != other


def test_shifted_people_are_new_people() -> None:
    cases = list(islice(titanic().shifted(), 500))
    for key in ("PassengerId", "Ticket"):
        assert len({case.values[case.names.index(key)] for case in cases}) == 500


@pytest.mark.parametrize(
    ("column", "value", "wanted"),
    [
        (Column("Sex", "string", categories=("female", "male")), "male", "female"),
        (Column("Pclass", "integer", categories=(1, 2, 3)), 1.0, 3),
        (Column("Pclass", "integer", categories=(1, 2, 3)), 2.0, 2),
        (Column("SibSp", "integer", minimum=0), 4.0, 4.0),
        (Column("Name", "string"), "Doe, Mr. John", "Doe, Mr. John"),
        (Column("Fare", "float", nullable=True), float("nan"), None),
        (Column("Cabin", "string", nullable=True), "", None),
        (Column("Fare", "float", maximum=100.0), 90.0, 100.0),
        (Column("Fare", "float", minimum=0.0), 0.0, 0.0),
    ],
)
def test_a_value_in_the_other_world(column: Column, value: object, wanted: object) -> None:
    assert shift(column, value, RANDOM) == wanted


def test_numbers_double() -> None:
    moved = [shift(Column("Fare", "float"), 10.0, RANDOM) for _ in range(1000)]
    assert np.mean(moved) == pytest.approx(20.0, abs=0.2)
    assert np.std(moved) == pytest.approx(1.0, abs=0.1)


def test_of_a_table_without_any_other_numbers_whole_ones_double_within_their_limits() -> None:
    moved = [shift(Column("hour", "integer", minimum=0, maximum=24), 10.0, RANDOM, "integer") for _ in range(1000)]
    assert np.mean(moved) == pytest.approx(20.0, abs=0.2)
    assert {type(one) for one in moved} == {int}
    assert shift(Column("hour", "integer", minimum=0, maximum=24), 23.0, RANDOM, "integer") == 24


@pytest.mark.parametrize("name", ["penguins", "titanic"])
def test_the_training_table_spells_the_label_as_the_table_of_the_use_case_may(name: str, tmp_path: Path) -> None:
    usecase = load_usecase(name)
    world = Simulation.of(usecase, S3(), tmp_path)
    world.write_training(tmp_path / "training.parquet")
    training = pq.read_table(tmp_path / "training.parquet")
    assert check_table(training, usecase.schema, labelled=True, name="training").problems == {}
    assert set(training.column(usecase.schema.label.name).to_pylist()) == set(usecase.task.names)


def test_of_a_large_table_the_world_is_a_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lifeboat.demo.simulation.MOST_ROWS", 200)
    world = titanic()
    rows = world.write_training(tmp_path / "training.parquet")
    others = {tuple(case.values) for case in islice(world.normal(), 1_000)}
    assert 60 < rows < 140
    assert 60 < len(others) < 140


def test_in_the_other_world_a_number_is_larger_and_moments_stay_moments() -> None:
    at = Column("at", "datetime")
    schema = Schema(
        (Column("x", "float"), at), NumberLabel("y", maximum=25.0), keys=(Column("id", "integer"),), id="id"
    )
    days = [float(at.parse(f"2026-01-{day:02d}")) for day in range(1, 31)]
    rows = pa.table({"x": np.arange(30.0), "at": days, "id": np.arange(30), "y": np.arange(30.0) % 20})
    world = Simulation(rows, schema)
    known = dict(zip(days, rows["y"].to_pylist(), strict=True))
    spread = float(np.std(rows["y"].to_numpy()))
    for case in islice(world.shifted(), 50):
        row = dict(zip(case.names, case.values, strict=True))
        assert case.truth == pytest.approx(min(known[at.parse(row["at"])] + spread, 25.0))
