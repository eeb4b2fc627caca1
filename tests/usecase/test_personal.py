"""Columns whose values are somebody's: what may be declared, and what no message has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lifeboat.config.errors import UseCaseError
from lifeboat.usecase.column import HIDDEN_VALUE, Column
from lifeboat.usecase.schema import BinaryLabel, Schema
from lifeboat.usecase.usecase import Slice
from tests.preprocess.world import SCHEMA, make_usecase

NAME = Column("name", "string", personal=True, example="Doe, Jane", max_length=12)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        (NAME, "Somebody Whose Name Is Long"),
        (NAME, 4711),
        (Column("pin", "string", personal=True, example="1234", pattern=r"\d{4}"), "secret"),
        (Column("kind", "string", personal=True, categories=("a", "b")), "secret"),
        (Column("pay", "float", personal=True, maximum=10), 4711.0),
        (Column("born", "datetime", personal=True, example="2000-01-01"), "secret"),
        (Column("born", "datetime", personal=True, example="2000-01-01", maximum="2001-01-01"), "2011-11-11"),
    ],
)
def test_no_message_has_the_value(column: Column, value: object) -> None:
    with pytest.raises(ValueError, match="personal, not shown") as caught:
        column.parse(value)
    assert not any(part in str(caught.value) for part in ("Somebody", "4711", "secret", "2011"))
    assert HIDDEN_VALUE in str(caught.value)


def test_what_stands_in_for_a_value_has_to_be_declared() -> None:
    with pytest.raises(ValueError, match="column code: it is personal, so give an example that is nobody's"):
        Column("code", "string", personal=True, pattern="[A-Z]{3}")
    assert Column("code", "string", personal=True, pattern="[A-Z]{3}", nullable=True).sample is None


def test_a_personal_key_is_a_text() -> None:
    with pytest.raises(ValueError, match="key id: what is kept of a personal key is a text: declare it a string"):
        replace(SCHEMA, keys=(Column("id", "integer", personal=True), SCHEMA.keys[1]))


def test_the_schema_keeps_it() -> None:
    schema = Schema((NAME,), BinaryLabel("y", ("a", "b")), (Column("key", "string", personal=True, example="k"),))
    read = Schema.from_json(schema.to_json())
    assert read == schema
    assert read.personal_keys == ("key",)
    assert not read.columns[0].is_shown


@pytest.mark.parametrize("how", [{"baseline": ("sex",)}, {"baseline": (), "slices": (Slice("sex"),)}])
def test_it_is_no_baseline_and_no_slice(how: dict[str, object]) -> None:
    schema = replace(SCHEMA, columns=tuple(replace(c, personal=c.name == "sex") for c in SCHEMA.columns))
    with pytest.raises(UseCaseError, match="sex is personal, and the card would show its values"):
        make_usecase(schema, **how)
