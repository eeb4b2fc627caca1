"""A bundle's reasons: against the definition worked out by another way, with groups, drawn, and as frames."""

from __future__ import annotations

from itertools import combinations, permutations
from math import factorial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow.parquet as pq
import pytest

from lifeboat.api import Model, load
from lifeboat.config.errors import DataError, UseCaseError
from lifeboat.model.explaining import explainer
from lifeboat.model.explaining.explainer import Explainer
from lifeboat.usecase.explain_policy import BACKGROUND, ExplainPolicy
from tests.detector.world import add_bundle, people

COLUMNS = ["name", "port", "age", "class", "alone"]
PROBABILITY = "probability_survived"


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    store = tmp_path_factory.mktemp("store")
    return store / "bundles" / "tiny" / add_bundle(store)


@pytest.fixture(scope="module")
def model(bundle: Path) -> Model:
    return load(bundle)


def frame(rows: int, seed: int = 5) -> pd.DataFrame:
    return pd.DataFrame(people(rows, seed)).astype({"age": float})


def background(model: Model, rows: int = BACKGROUND) -> pd.DataFrame:
    """The rows that the explainer takes, by what it says of them: so many of the reference, by its seed."""
    reference = pq.read_table(model.bundle.reference, columns=COLUMNS).to_pandas()
    chosen = np.sort(np.random.default_rng(0).permutation(len(reference))[:rows])
    return reference.iloc[chosen].reset_index(drop=True)


def by_definition(model: Model, row: dict[str, Any], parts: list[list[str]]) -> tuple[float, list[float]]:
    """Base and contributions, from the mean answers of every coalition, asked with frames."""
    others, worth = background(model), {}
    for size in range(len(parts) + 1):
        for present in combinations(range(len(parts)), size):
            mixed = others.astype({"alone": bool, "class": int})
            for name in (name for part in present for name in parts[part]):
                mixed[name] = [row[name]] * len(mixed)
            worth[frozenset(present)] = float(model.predict(mixed)[PROBABILITY].to_numpy(float).mean())
    added = np.zeros(len(parts))
    for order in permutations(range(len(parts))):
        for place, part in enumerate(order):
            added[part] += worth[frozenset(order[: place + 1])] - worth[frozenset(order[:place])]
    return worth[frozenset()], (added / factorial(len(parts))).tolist()


@pytest.mark.parametrize("groups", [(), (("age", "class"), ("name", "alone"))])
def test_each_column_adds_what_the_definition_says(model: Model, groups: tuple[tuple[str, ...], ...]) -> None:
    rows = frame(2)
    parts = [["name"], ["port"], ["age"], ["class"], ["alone"]]
    if groups:
        parts = [["name", "alone"], ["port"], ["age", "class"]]
    found = model.explain(rows, groups=groups)
    assert list(found["column"][: len(parts)]) == [" + ".join(part) for part in parts]
    for number, row in enumerate(rows.to_dict("records")):
        base, added = by_definition(model, row, parts)
        own = found[found["row"] == number]
        assert own["base"].to_numpy() == pytest.approx(base, abs=1e-6)
        assert own["contribution"].to_numpy() == pytest.approx(added, abs=1e-6)


def test_base_and_contributions_are_the_answer(model: Model) -> None:
    rows = frame(50)
    found = model.explain(rows).groupby("row")
    total = found["base"].first() + found["contribution"].sum()
    assert total.to_numpy() == pytest.approx(model.predict(rows)[PROBABILITY].to_numpy(), abs=1e-6)


def test_of_many_columns_orders_are_drawn_within_the_stated_error(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = frame(20)
    exact = model.explain(rows)
    monkeypatch.setattr(explainer, "EXACT", 4)
    drawn = model.explain(rows)
    # The tiny model's columns do not work upon each other: orders differ by nothing but float32's last bit.
    assert drawn["contribution"].to_numpy() == pytest.approx(exact["contribution"].to_numpy(), abs=1e-6)
    assert drawn["error"].max() < 1e-6
    table = pq.read_table(model.bundle.reference, columns=COLUMNS).slice(0, 1)
    found = Explainer(model.bundle).explain(table)
    assert not found.exact
    assert found.asked < explainer.BUDGET
    total = (drawn.groupby("row")["base"].first() + drawn.groupby("row")["contribution"].sum()).to_numpy()
    assert total == pytest.approx(model.predict(rows)[PROBABILITY].to_numpy(), abs=1e-6)
    assert drawn.equals(model.explain(rows)), "the same again"


def test_outputs_are_chosen_by_name_and_two_classes_have_the_same_reasons_turned_round(model: Model) -> None:
    found = model.explain(frame(3), outputs=["probability_died", PROBABILITY])
    died, survived = (found[found["output"] == name] for name in ("probability_died", PROBABILITY))
    assert died["contribution"].to_numpy() == pytest.approx(-survived["contribution"].to_numpy(), abs=1e-6)
    assert (died["answer"].to_numpy() + survived["answer"].to_numpy()) == pytest.approx(1)
    with pytest.raises(
        DataError, match="there is no 'fate'; there are died, survived, probability_died, probability_survived"
    ):
        model.explain(frame(1), outputs=["fate"])


@pytest.mark.parametrize(
    ("groups", "words"),
    [([["age", "Age"]], "no column 'Age'"), ([["age"], ["class", "age"]], "column 'age' is in two")],
)
def test_groups_that_cannot_be_are_refused(model: Model, groups: list[list[str]], words: str) -> None:
    with pytest.raises(UseCaseError, match=words):
        model.explain(frame(1), groups=groups)


def test_a_frame_comes_back_in_its_own_kind_and_none_of_no_rows(model: Model) -> None:
    rows = frame(2)
    assert isinstance(model.explain(pl.from_pandas(rows)), pl.DataFrame)
    table = model.explain(rows.head(0))
    assert len(table) == 0
    assert list(table.columns) == ["row", "output", "answer", "base", "column", "contribution", "error"]
    with pytest.raises(DataError, match="row 1: column port"):
        model.explain(rows.assign(port="X"))


def test_the_background_is_of_the_size_that_is_said(bundle: Path, model: Model) -> None:
    table = pq.read_table(model.bundle.reference, columns=COLUMNS).slice(0, 1)
    found = Explainer(model.bundle, ExplainPolicy(30)).explain(table)
    assert (found.background, found.exact) == (30, True)
    # What is alike in both rows is not asked about twice.
    own, others = table.to_pylist()[0], background(model, 30).to_dict("records")
    unlike = [sum(str(own[name]) != str(other[name]) for name in COLUMNS) for other in others]
    assert found.asked == sum(2**number for number in unlike) < 30 * 2**5


@pytest.mark.parametrize("players", [3, 60])
def test_equal_questions_are_one_where_they_can_be_told_apart(players: int) -> None:
    random = np.random.default_rng(0)
    present, rows = random.random((500, players)) < 0.5, random.integers(0, 4, 500)
    first, again = explainer._distinct(present, rows)
    assert (present[first][again] == present).all()
    assert (rows[first][again] == rows).all()
    assert len(first) == (4 * 2**3 if players == 3 else 500)
