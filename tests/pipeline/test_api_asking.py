"""One frame, asked in this process and through a real server: the same numbers, in the frame's own kind."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from lifeboat.api import Client, Model, load
from lifeboat.api.asking import ROWS
from lifeboat.config.errors import BundleError, DataError, DeployError, RegistryError
from lifeboat.config.settings import Settings
from tests.ports import free_port
from tests.server.world import expected, make_bundle, server

AGES = [22.5, None, 50.0, 120.0]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bundle(tmp_path_factory.mktemp("bundles") / "tiny")


@pytest.fixture(scope="module")
def model(bundle: Path) -> Model:
    return load(bundle)


@pytest.fixture(scope="module")
def client(bundle: Path) -> Iterator[Client]:
    with server(bundle) as running:
        yield Client(running.url)


def columns(ages: list[float | None] = AGES) -> dict[str, Any]:
    count = len(ages)
    return {
        "name": ["Ann"] * count, "port": ["C", "Q"] * (count // 2) + ["C"] * (count % 2), "age": ages,
        "class": [3] * count, "alone": [True] * count,
    }  # fmt: skip


def survived(ages: list[float | None] = AGES) -> list[float]:
    ports = columns(ages)["port"]
    return [expected(age, port=port) for age, port in zip(ages, ports, strict=True)]


def test_both_give_the_same_numbers_with_the_frames_index(model: Model, client: Client) -> None:
    frame = pd.DataFrame(columns(), index=["a", "b", "c", "d"])
    answer = model.predict(frame)
    assert list(answer.index) == list(frame.index)
    assert answer["probability_survived"].dtype == np.float32
    assert answer["probability_survived"].to_numpy() == pytest.approx(survived(), abs=1e-6)
    assert list(answer["prediction"]) == ["died", "died", "survived", "survived"]  # exactly one half is no more than it
    pd.testing.assert_frame_equal(client.predict(frame), answer, check_exact=True)


def test_an_arrow_table_is_answered_with_one_whatever_its_kinds(model: Model, client: Client) -> None:
    values = columns()
    table = pa.table(
        {
            **values,
            "name": pa.array(values["name"], pa.string_view()),
            "port": pa.array(values["port"]).dictionary_encode(),
            "age": pa.array([np.nan if age is None else age for age in AGES], pa.float32()),
            "class": pa.array(values["class"], pa.int8()),
            "unknown": [1, 2, 3, 4],
        }
    )
    answer = model.predict(table)
    assert isinstance(answer, pa.Table)
    assert answer["probability_survived"].to_numpy() == pytest.approx(survived(), abs=1e-6)
    assert client.predict(table) == answer


def test_polars_is_answered_in_kind_with_its_categories_and_nan(model: Model, client: Client) -> None:
    frame = pl.DataFrame(columns()).with_columns(pl.col("port").cast(pl.Categorical), pl.col("age").fill_null(np.nan))
    answer = model.predict(frame)
    assert isinstance(answer, pl.DataFrame)
    assert answer["probability_survived"].to_list() == pytest.approx(survived(), abs=1e-6)
    assert client.predict(frame).equals(answer)


def test_what_offers_arrows_interface_is_a_frame(model: Model) -> None:
    class Foreign:
        def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
            return pa.table(columns()).__arrow_c_stream__(requested_schema)

    assert model.predict(Foreign()) == model.predict(pa.table(columns()))


def test_more_rows_than_one_request_holds_keep_their_order(model: Model, client: Client) -> None:
    ages = [float(number % 100) for number in range(2 * ROWS + 7)]
    frame = pd.DataFrame(columns(ages))
    answer = client.predict(frame)
    assert answer["probability_survived"].to_numpy() == pytest.approx(survived(ages), abs=1e-6)
    pd.testing.assert_frame_equal(model.predict(frame), answer, check_exact=True)


def test_no_rows_are_answered_with_none(model: Model, client: Client) -> None:
    frame = pd.DataFrame(columns()).iloc[:0]
    assert list(model.predict(frame).columns) == ["probability_died", "probability_survived", "prediction"]
    pd.testing.assert_frame_equal(client.predict(frame), model.predict(frame))


def test_both_name_the_column_and_the_limit(model: Model, client: Client) -> None:
    frame = pd.DataFrame(columns([22.5, 500.0]))
    with pytest.raises(DataError, match="row 2.*column age: 500 is outside 0 to 120"):
        model.predict(frame)
    with pytest.raises(DeployError, match="answered 400.*age: 500"):
        client.predict(frame)


def test_a_request_that_is_refused_says_which_rows_of_the_frame_it_had(client: Client) -> None:
    ages = [20.0] * (ROWS + 5) + [500.0]
    with pytest.raises(DeployError, match=r"rows 1,001 to 1,006 of the frame: .*row 6.*age: 500"):
        client.predict(pd.DataFrame(columns(ages)))


@pytest.mark.parametrize(
    ("name", "values", "words"),
    [
        ("age", pa.array(["30", "40"]), "column age: (has type string|.*is not a float)"),
        ("age", pa.array(["30", "40"]).dictionary_encode(), "column age: (has type string|.*is not a float)"),
        ("age", [30.0, float("-inf")], "row 2.*column age: .*(?i:inf)"),
        ("name", pa.array([b"a", b"b"]), "column name: has type binary"),
        ("name", pa.array([0, 1], pa.timestamp("ms")), "column name: has type timestamp"),
        ("port", [1, 2], "column port: (has type int64|1 is not a string)"),
        ("age", [[30.0], [40.0]], "column age: has type list"),
    ],
)
def test_both_refuse_what_the_schema_does_not_ask_for(
    model: Model, client: Client, name: str, values: Any, words: str
) -> None:
    frame = pa.table({**columns(AGES[:2]), name: values})
    for asked in (model, client):
        with pytest.raises((DataError, DeployError), match=words):
            asked.predict(frame)


def test_decimals_are_numbers_to_both(model: Model, client: Client) -> None:
    frame = pa.table({**columns(AGES[:2]), "age": pa.array([Decimal("22.5"), None], pa.decimal128(5, 1))})
    assert model.predict(frame)["probability_survived"].to_pylist() == pytest.approx(survived(AGES[:2]), abs=1e-6)
    assert client.predict(frame) == model.predict(frame)


def test_a_column_that_may_be_null_may_be_missing_and_another_not(model: Model, client: Client) -> None:
    frame = pd.DataFrame(columns())
    lean = frame.drop(columns=["alone"])
    pd.testing.assert_frame_equal(client.predict(lean), model.predict(lean))
    with pytest.raises(DataError, match="name"):
        model.predict(frame.drop(columns=["name"]))
    with pytest.raises(DeployError, match="name"):
        client.predict(frame.drop(columns=["name"]))


def test_what_is_no_frame_is_refused_in_words(model: Model, client: Client) -> None:
    for asked in (model, client):
        with pytest.raises(DataError, match="is a list, not a pandas or polars DataFrame"):
            asked.predict([1, 2])
        with pytest.raises(DataError, match="the frame: cannot be read: "):
            asked.predict(pd.DataFrame({"age": [1, "two", object()]}))
        with pytest.raises(DataError, match="the frame: cannot be read: Duplicate column names"):
            asked.predict(pd.DataFrame([[1, 2]], columns=["age", "age"]))
    with pytest.raises(DataError, match="has none of the columns name, port"):
        client.predict(pd.DataFrame({"x": [1]}))


def test_what_is_not_there_is_named(tmp_path: Path) -> None:
    home = Settings(home=str(tmp_path / "home"))
    with pytest.raises(RegistryError, match="nobody has no champion; make one with: lifeboat run --usecase nobody"):
        load("nobody", home)
    with pytest.raises(RegistryError, match="nobody has no version 3: it has none"):
        load("nobody@3", home)
    for wrong in ("@champion", "nobody@", ""):
        with pytest.raises(RegistryError, match=f"'{wrong}' names no model; it takes NAME, NAME@ALIAS"):
            load(wrong, home)
    with pytest.raises(BundleError, match=f"{tmp_path}/none"):
        load(f"{tmp_path}/none")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError):
        load(tmp_path / "empty")
    with pytest.raises(DeployError, match="gave no answer"):
        Client(f"http://127.0.0.1:{free_port()}").predict(pd.DataFrame(columns()))
