"""Rows of one group are alike, and serving asks about other groups: that alone is no drift."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from lifeboat.detector.drift_test.drift_test import GROUP, DriftTest
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from tests.drift_test.world import needs_alibi

needs_alibi()
SCHEMA = Schema(
    (Column("cabin", "string", nullable=True), Column("name", "string"), Column("fare", "float")),
    BinaryLabel("y", ("a", "b")),
)
STREAMS, WINDOWS, ROWS = 20, 4, 200


def families(count, random):
    """Rows in families of one to five, who share a surname, a fare, and mostly a cabin that is nobody else's."""
    rows = []
    while len(rows) < count:
        surname = "".join(random.choice(list("abcdefghijklmnop"), 6))
        cabin = f"{random.choice(list('ABCDE'))}{random.integers(1000)}" if random.random() < 0.6 else ""
        fare = float(random.gamma(2, 10))
        number = rows[-1][3] + 1 if rows else 0
        rows += [(cabin, f"{surname}, {person}", fare, number) for person in range(random.choice([1, 1, 1, 2, 3, 5]))]
    return [np.array(column, dtype=object) for column in zip(*rows[:count], strict=True)]


def drifted(grouped):
    found = []
    for seed in range(STREAMS):
        random = np.random.default_rng(seed)
        cabin, name, fare, number = families(460, random)
        reference = {"cabin": pa.array(cabin), "name": pa.array(name), "fare": pa.array(fare.astype(np.float32))}
        judge = DriftTest(SCHEMA, pa.table(reference | ({GROUP: pa.array(number.astype(np.int32))} if grouped else {})))
        for _ in range(WINDOWS):
            cabin, name, fare, _ = (column[random.permutation(600)[:ROWS]] for column in families(600, random))
            window = {"cabin": cabin.tolist(), "name": name.tolist(), "fare": fare.tolist()}
            found.append(judge.run(window, random.random(ROWS).tolist())["drift"])
    return float(np.mean(found))


@pytest.mark.parametrize(("grouped", "least", "most"), [(True, 0.0, 0.08), (False, 0.5, 1.0)])
def test_families_that_the_reference_does_not_know_are_no_drift_where_it_knows_its_own(grouped, least, most):
    """Stated are 5 % of windows; without the groups most windows are called drifted."""
    assert least <= drifted(grouped) <= most


def test_values_of_one_family_alone_make_no_category():
    cabins = [f"C{number // 3}" for number in range(300)]
    rows = pa.table({"cabin": cabins, "name": ["x"] * 300, "fare": pa.array(np.zeros(300), pa.float32())})
    kinds = {
        grouped: DriftTest(SCHEMA, rows.append_column(GROUP, pa.array(np.arange(300) // grouped))).features[0].kind
        for grouped in (1, 3)
    }
    assert kinds == {1: "category", 3: "text"}
