"""What a library says of a model, without what may be somebody's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifeboat.model.probes import describe_row
from lifeboat.train.words import words_of
from lifeboat.usecase.column import HIDDEN_VALUE
from tests.preprocess.world import SCHEMA

PERSONAL = replace(SCHEMA, columns=tuple(replace(column, personal=column.name == "note") for column in SCHEMA.columns))


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("could not convert string to float: 'Ann'", f"could not convert string to float: {HIDDEN_VALUE}"),
        ("unknown label 'Braund, Mr. Owen' in y", f"unknown label {HIDDEN_VALUE} in y"),
        ("The 'max_iter' parameter must be an int", "The 'max_iter' parameter must be an int"),
    ],
)
def test_of_a_personal_column_no_quoted_cell_is_told(said: str, shown: str) -> None:
    assert words_of(ValueError(said), PERSONAL) == shown
    assert words_of(ValueError(said), SCHEMA) == said


def test_a_row_is_described_without_what_is_personal() -> None:
    row = {"dose": 1.0, "sex": "f", "note": "of Ann"}
    assert describe_row(row, PERSONAL) == f"dose=1.0, sex='f', note={HIDDEN_VALUE}"
    assert "of Ann" in describe_row(row, SCHEMA)
