"""Floods of a river, from levels that whoever asks does not know: a table, its view, and a use case in a folder."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROWS = 600
START = datetime(2026, 3, 1, tzinfo=UTC)
USECASE = """
from datetime import timedelta

from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from lifeboat.usecase.feature_store import Entity, FeatureStore, View
from lifeboat.usecase.gates import AtLeast
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import Candidate, UseCase

HERE = {folder!r}


def features():
    return ColumnTransformer([("level", make_pipeline(Floats32(), SimpleImputer()), ["level", "rain"])])


USECASE = UseCase(
    name="rivers",
    title="Floods",
    schema=Schema(
        columns=(
            Column("asked", "datetime"),
            Column("rain", "float", minimum=0),
            Column("level", "float", nullable=True, minimum=0, maximum=50, source="levels:level"),
        ),
        label=BinaryLabel("flood", ("no", "yes")),
        keys=(Column("gauge", "string"),),
    ),
    data=HERE + "/rivers.csv",
    store=FeatureStore(
        (Entity("gauge", ("gauge",)),),
        (View("levels", "gauge", HERE + "/levels.parquet", "measured", "written", timedelta(hours=3)),),
        time="asked",
    ),
    features=features,
    candidates=(Candidate("line", LogisticRegression()),),
    gates=(AtLeast("roc_auc", 0.5),),
    baseline=("rain",),
)
"""


def write(folder: Path) -> Path:
    """The use case's folder. A flood comes where the level that was known is high; levels are written late."""
    chance = np.random.default_rng(1)
    hours = [START + timedelta(hours=hour) for hour in range(ROWS)]
    height = 10 + 5 * np.sin(np.arange(ROWS) / 40) + chance.normal(0, 1, ROWS)
    written = [
        hour + timedelta(minutes=int(late)) for hour, late in zip(hours, chance.integers(0, 90, ROWS), strict=True)
    ]
    levels = {"gauge": ["rhine"] * ROWS, "measured": hours, "written": written, "level": height}
    folder.mkdir(parents=True)
    pq.write_table(pa.table(levels), folder / "levels.parquet")
    asked = [START + timedelta(minutes=int(minute)) for minute in chance.integers(0, 60 * ROWS, ROWS)]
    lines = ["asked,gauge,rain,flood"]
    for at in asked:
        place = min(int((at - START) / timedelta(hours=1)), ROWS - 1)
        flood = height[place] + chance.normal(0, 2) > 11
        lines.append(f"{at:%Y-%m-%dT%H:%M:%SZ},rhine,{chance.integers(0, 9)},{int(flood)}")
    (folder / "rivers.csv").write_text("\n".join(lines) + "\n")
    (folder / "__init__.py").write_text(USECASE.format(folder=str(folder)))
    return folder
