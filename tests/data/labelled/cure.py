"""A schema with a column of each kind, and a labelled row of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from lifeboat.usecase.schema import BinaryLabel, Column, Schema

SCHEMA = Schema(
    columns=(
        Column("dose", "float", nullable=True, minimum=0, maximum=0.1),
        Column("visits", "integer", minimum=0),
        Column("smoker", "boolean"),
        Column("sex", "string", nullable=True, categories=("f", "m")),
    ),
    label=BinaryLabel("cured", ("ill", "well")),
    keys=(Column("id", "integer", minimum=1), Column("family", "string")),
    id="id",
    group="family",
)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC).timestamp()


def row(**change: Any) -> dict[str, Any]:
    """The row, with other cells."""
    return {
        "dose": 0.1, "visits": 3, "smoker": True, "sex": "f", "id": 7, "family": "F", "cured": 1,
        "__puid": "p", "__row": 0, "__version": "1", "__score": 0.25,
        "__predicted_at": NOON - 9, "__labelled_at": NOON, "__source": "anonymous",
    } | change  # fmt: skip
