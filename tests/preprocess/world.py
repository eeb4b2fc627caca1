"""A tiny labelled table with families, and what it takes to preprocess it."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

from sklearn.linear_model import LogisticRegression

from lifeboat.preprocess.step import Outputs
from lifeboat.usecase.gates import AtLeast
from lifeboat.usecase.schema import BinaryLabel, Column, Schema
from lifeboat.usecase.transformers import Floats32
from lifeboat.usecase.usecase import Candidate, Split, UseCase

SCHEMA = Schema(
    columns=(
        Column("dose", "float", nullable=True, minimum=0, maximum=100),
        Column("sex", "string", nullable=True, categories=("f", "m")),
        Column("note", "string", nullable=True, max_length=80),
    ),
    label=BinaryLabel("cured", ("ill", "well")),
    keys=(Column("id", "integer", minimum=1), Column("family", "string", nullable=True)),
    id="id",
    group="family",
)


def make_usecase(schema: Schema = SCHEMA, **options: Any) -> UseCase:
    """A use case that tolerates broken rows up to a tenth."""
    return UseCase(
        **{
            "name": "cure",
            "title": "Cure",
            "schema": schema,
            "data": "nowhere.csv",
            "features": Floats32,
            "candidates": (Candidate("one", LogisticRegression()),),
            "gates": (AtLeast("roc_auc", 0.5),),
            "baseline": ("sex",),
            "split": Split(test=0.25, folds=3, salt="s"),
            "max_quarantine": 0.1,
            **options,
        }
    )


def rows(count: int = 60) -> list[dict[str, Any]]:
    """Good rows in families of two that share their label."""
    return [
        {
            "id": number + 1,
            "family": f"F{number // 2}",
            "dose": number % 50,
            "sex": "fm"[number % 2],
            "note": "n",
            "cured": number // 2 % 2,
        }
        for number in range(count)
    ]


def write(path: Path, table: list[dict[str, Any]]) -> str:
    """The rows as a CSV file; gives its path."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(table[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(table)
    path.write_text(text.getvalue(), encoding="utf-8")
    return str(path)


def outputs(folder: Path) -> Outputs:
    """All four in one folder."""
    names = ("train.parquet", "test.parquet", "quarantine.csv", "profile.html")
    return Outputs(*(folder / name for name in names))


def quiet(_: str) -> None:
    """Says nothing."""
