"""Populations without drift, bundles with their references, and many windows judged at once."""

from __future__ import annotations

import importlib.util
import json
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from lifeboat.detector.drift_test.calibration import counts
from lifeboat.detector.drift_test.features import Feature, answer_features, column_features
from lifeboat.detector.drift_test.statistics import chi2_p_values, ks_p_values
from lifeboat.model.bundle import GOLDEN, MODEL, REFERENCE, SCHEMA, write_bundle
from lifeboat.tasks.kinds import task_of
from lifeboat.usecase.schema import BinaryLabel, Column, Schema

TABLE = Path(__file__).resolve().parents[2] / "components" / "lifeboat" / "usecases" / "titanic" / "data" / "train.csv"
LABEL = BinaryLabel("Survived", ("died", "survived"))
# The use case's own schema may not be imported here: its module needs scikit-learn's newer versions.
PASSENGERS = Schema(
    columns=(
        Column("Pclass", "integer", categories=(1, 2, 3)),
        Column("Name", "string"),
        Column("Sex", "string", categories=("female", "male")),
        Column("Age", "float", nullable=True, minimum=0, maximum=120),
        Column("SibSp", "integer", minimum=0, maximum=20),
        Column("Parch", "integer", minimum=0, maximum=20),
        Column("Fare", "float", nullable=True, minimum=0, maximum=1000),
        Column("Cabin", "string", nullable=True, max_length=40),
        Column("Embarked", "string", nullable=True, categories=("C", "Q", "S")),
    ),
    label=LABEL,
)
Rows = dict[str, np.ndarray]
Generator = Callable[[np.random.Generator, int], Rows]


def needs_alibi() -> None:
    """Skips the test module that calls it where Alibi Detect is not installed."""
    if importlib.util.find_spec("alibi_detect") is None:
        pytest.skip("needs the drift detector's environment: `make test-drift`", allow_module_level=True)


def synthetic(random: np.random.Generator, n: int) -> Rows:
    """Made-up passengers: correlated, tied, mixed columns with nulls, and `__score`."""
    female = random.random(n) < 0.35
    wealth = random.normal(size=n)
    second_or_third = np.digitize(wealth + 0.7 * random.normal(size=n), [-0.8, 0.0])
    age = np.round(np.clip(random.gamma(4, 8, n) - 3 * second_or_third + 3, 0.5, 90))
    age[random.random(n) < 0.1 + 0.05 * second_or_third] = np.nan
    fare = np.round(np.exp(3.5 - 0.7 * second_or_third + 0.6 * random.normal(size=n)) * 4) / 4
    siblings = np.minimum(random.poisson(0.5 + 0.002 * fare), 8)
    cabin = _texts(random, np.clip(random.poisson(2, n) * 4 + random.integers(2, 5, n), 1, 60))
    cabin[random.random(n) > 0.6 - 0.28 * second_or_third] = None
    embarked = np.digitize(random.random(n) + 0.1 * second_or_third, [0.7, 0.95, 1.09])
    rows = {
        "Pclass": second_or_third + 1.0,
        "Name": _texts(random, np.clip(random.gamma(10, 2.5, n) + 8 * female, 8, 80).astype(int)),
        "Sex": np.where(female, "female", "male").astype(object),
        "Age": age,
        "SibSp": siblings.astype(float),
        "Parch": np.minimum(random.poisson(0.3 + 0.3 * siblings), 6).astype(float),
        "Fare": fare,
        "Cabin": cabin,
        "Embarked": np.array(["S", "C", "Q", None], dtype=object)[embarked],
    }
    return {**rows, "__score": score(rows)}


# Letters as they follow each other in two alternating kinds, as consonants and vowels do, with spaces between words.
POOL = "".join(
    consonant + vowel + rest
    for consonant, vowel, rest in zip(
        *(np.random.default_rng(9).choice(list(letters), 100_000) for letters in ("bcdfghklmnprst", "aeiou", "nrst  ")),
        strict=True,
    )
)


def _texts(random: np.random.Generator, lengths: np.ndarray) -> np.ndarray:
    """So varied that they count as free text: pieces of a long one."""
    starts = random.integers(0, len(POOL) - lengths.max(), len(lengths)).tolist()
    return np.array([POOL[i : i + n].capitalize() for i, n in zip(starts, lengths.tolist(), strict=True)], dtype=object)


def score(rows: Rows) -> np.ndarray:
    """A stand-in for a model: a fixed logistic formula in sex, class, age and fare."""
    age = np.where(np.isnan(rows["Age"]), 30, rows["Age"])
    logit = 2.5 * (rows["Sex"] == "female") - 0.8 * rows["Pclass"] - 0.02 * age + 0.003 * rows["Fare"] + 1
    return (1 / (1 + np.exp(-logit))).astype(np.float32)


@cache
def titanic() -> Rows:
    """The 891 passengers."""
    texts = dict.fromkeys(("Name", "Sex", "Cabin", "Embarked"), pa.string())
    options = pyarrow.csv.ConvertOptions(column_types=texts, strings_can_be_null=True)
    table = pyarrow.csv.read_csv(TABLE, convert_options=options)
    rows = {}
    for column in PASSENGERS.columns:
        values = table[column.name].to_pylist()
        rows[column.name] = np.array(values, dtype=float if column.is_number else object)
    return {**rows, "__score": score(rows)}


def take(rows: Rows, chosen: Any) -> Rows:
    return {name: values[chosen] for name, values in rows.items()}


def resampled(rows: Rows) -> Generator:
    """A population whose every row is one of these."""
    n = len(rows["__score"])
    return lambda random, count: take(rows, random.integers(0, n, count))


def score_feature(values: Sequence[float]) -> Feature:
    """The one test of a model of two classes: its probability of the second."""
    (feature,) = answer_features(task_of(LABEL), {"__score": np.asarray(values)})
    return feature


def features_of(rows: Rows, schema: Schema = PASSENGERS) -> list[Feature]:
    features = [test for column in schema.columns for test in column_features(column, rows[column.name].tolist())]
    return [*features, score_feature(rows["__score"])]


def raw(rows: Rows) -> tuple[dict[str, list[Any]], list[float]]:
    """Columns and scores as the detector hands them over: None for null."""
    columns = {name: [_raw(value) for value in values.tolist()] for name, values in rows.items()}
    return columns, columns.pop("__score")


def _raw(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def table_of(rows: Rows, schema: Schema = PASSENGERS) -> pa.Table:
    """As `train` writes a reference: float32 with NaN for null, strings with '' for null."""
    arrays = {}
    for column in schema.columns:
        values = rows[column.name].tolist()
        filled = values if column.is_number else [value or "" for value in values]
        arrays[column.name] = pa.array(filled, pa.float32() if column.is_number else pa.string())
    if "__score" in rows:
        arrays["__score"] = pa.array(rows["__score"], pa.float32())
    return pa.table(arrays)


def make_bundle(directory: Path, table: pa.Table, schema: Schema = PASSENGERS, **drift: Any) -> str:
    """A bundle with this reference; its model is no model, for the judge does not look at it."""
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    files = {
        MODEL: b"no model",
        SCHEMA: schema.to_json().encode(),
        REFERENCE: sink.getvalue().to_pybytes(),
        GOLDEN: json.dumps([]).encode(),
    }
    write_bundle(directory, files, {"usecase": "passengers", **({"drift": drift} if drift else {})})
    return str(directory)


def p_values(features: Sequence[Feature], rows: Rows, windows: int) -> np.ndarray:
    """[windows, tests] by the vectorised tests: the rows, cut into so many windows, against the whole reference."""
    size = len(next(iter(rows.values()))) // windows
    found = []
    for feature in features:
        name = feature.source or "__score" if feature.kind == "score" else feature.name
        encoded = feature.encode(rows[name].tolist())
        reference, window, width = _places(feature, encoded, size)
        sides = counts(reference[None], width), counts(window.reshape(windows, size), width)
        found.append(chi2_p_values(*sides, feature.only_more) if feature.is_counted else ks_p_values(*sides))
    return np.array(found).T


def _places(feature: Feature, encoded: np.ndarray, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    if feature.is_counted:
        cells = feature.cells(size)
        return cells[feature.reference.astype(int)], cells[encoded.astype(int)], int(cells.max()) + 1
    grid = np.unique(np.concatenate([feature.reference, encoded]))
    return np.searchsorted(grid, feature.reference), np.searchsorted(grid, encoded), len(grid)
