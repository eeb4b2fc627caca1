"""The schema of a use case's rows: the one declaration behind every validator.

From it come the check of a table (`data.table`), the check of a request (`Column.parse` and `Schema.parse_row`), the
model's ONNX inputs and the OpenAPI document (`Column.json_schema`). It imports nothing but the standard library, so
that the model server can use it.

A null is NaN in a numeric column and the empty string in a string column: ONNX has no null, so the model sees exactly
what a person would write.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Any

from lifeboat.usecase.column import LARGEST_FLOAT, LARGEST_INPUT, LARGEST_INTEGER, LARGEST_KEY, Column, Kind, Value
from lifeboat.usecase.label import BinaryLabel, ClassLabel, Label, NumberLabel

__all__ = [
    "LARGEST_FLOAT",
    "LARGEST_INPUT",
    "LARGEST_INTEGER",
    "LARGEST_KEY",
    "BinaryLabel",
    "ClassLabel",
    "Column",
    "Kind",
    "Label",
    "NumberLabel",
    "Schema",
    "Value",
]


@dataclass(frozen=True)
class Schema:
    """The columns of a use case.

    Args:
        columns: the model's inputs, in the order of an unnamed request.
        label: what is predicted.
        keys: columns that rows carry but the model does not see, such as an identifier.
        id: the key that identifies a row; duplicates of it are an error.
        group: the key whose rows must stay together in a split (rows of one group share what would leak).
        ignore: columns that a table may have and nobody needs to be told of.
        strict: refuse a table with any other column; else those are left out, and named.
    """

    columns: tuple[Column, ...]
    label: Label
    keys: tuple[Column, ...] = ()
    id: str | None = None
    group: str | None = None
    ignore: tuple[str, ...] = ()
    strict: bool = False
    _index: dict[str, Column] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        names = [column.name for column in (*self.columns, *self.keys)] + [self.label.name]
        repeated = sorted({name for name in names if names.count(name) > 1})
        if repeated:
            raise ValueError(f"columns named twice: {', '.join(repeated)}")
        for role, name in (("id", self.id), ("group", self.group)):
            if name is not None and name not in names[:-1]:
                raise ValueError(f"{role} {name!r} is none of the columns")
        ignore: object = self.ignore
        if not isinstance(ignore, tuple):
            raise ValueError(f"ignore is {ignore!r}, not a tuple of column names")  # noqa: TRY004
        numbered = [key.name for key in self.keys if key.personal and key.kind not in ("string", "category")]
        if numbered:
            raise ValueError(f"key {numbered[0]}: what is kept of a personal key is a text: declare it a string")
        both = sorted(set(self.ignore) & set(names))
        if both:
            raise ValueError(f"columns to ignore are declared as well: {', '.join(both)}")
        self._index.update({column.name: column for column in (*self.columns, *self.keys)})

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the model's inputs, in order."""
        return tuple(column.name for column in self.columns)

    @property
    def personal_keys(self) -> tuple[str, ...]:
        """Names of the keys of which a pseudonym is kept."""
        return tuple(key.name for key in self.keys if key.personal)

    @property
    def id_place(self) -> int | None:
        """Which of `known` identifies a row."""
        return None if self.id is None else [*self._index].index(self.id)

    @property
    def known(self) -> dict[str, Column]:
        """Inputs and keys by name, in the order in which a prediction has them."""
        return self._index

    def parse_row(self, row: dict[str, Any]) -> dict[str, Value]:
        """Checks one row given by column name: what is left out is a null where it may be, keys are kept out.

        Raises:
            ValueError: with a sentence that names the column, the value and the limit.
        """
        unknown = [name for name in row if name not in self._index]
        if unknown:
            raise ValueError(f"column {unknown[0]}: unknown; the columns are {', '.join(self.names)}")
        for key in self.keys:
            if row.get(key.name) is not None:
                _parse_named(key, row[key.name])
        return {column.name: self._parse_cell(column, row) for column in self.columns}

    @staticmethod
    def _parse_cell(column: Column, row: dict[str, Any]) -> Value:
        if column.name not in row and not column.is_optional:
            raise ValueError(f"column {column.name}: {column.why_missing}")
        return _parse_named(column, row.get(column.name))

    def example(self) -> dict[str, Any]:
        """A valid row by column name, for documents."""
        return {column.name: column.sample for column in self.columns}

    def to_json(self) -> str:
        """Canonical JSON: the same schema gives the same bytes."""
        document: dict[str, Any] = {
            "columns": [_compact(column) for column in self.columns],
            "group": self.group,
            "id": self.id,
            "keys": [_compact(column) for column in self.keys],
            "label": self.label.to_document(),
        }
        if self.ignore:
            document["ignore"] = list(self.ignore)
        if self.strict:
            document["strict"] = True
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str | bytes) -> Schema:
        """Reads what `to_json` wrote; raises ValueError, KeyError or TypeError on anything else."""
        document = json.loads(text)
        if not isinstance(document, dict) or not isinstance(document["label"], dict):
            raise TypeError("a schema is an object with a label")
        return cls(
            columns=tuple(_column(entry) for entry in document["columns"]),
            label=Label.read(document["label"]),
            keys=tuple(_column(entry) for entry in document["keys"]),
            id=document["id"],
            group=document["group"],
            ignore=tuple(document.get("ignore", ())),
            strict=document.get("strict", False),
        )


def _parse_named(column: Column, value: object) -> Value:
    try:
        return column.parse(value)
    except ValueError as error:
        raise ValueError(f"column {column.name}: {error}") from None


def _compact(column: Column) -> dict[str, Any]:
    """A column's fields without those at their default; which texts mean a null is always said."""
    defaults = {name: spec.default for name, spec in Column.__dataclass_fields__.items()} | {"na": ()}
    return {name: value for name, value in asdict(column).items() if value != defaults[name]}


def _column(entry: Any) -> Column:
    if not isinstance(entry, dict):
        raise TypeError(f"{entry!r} is not a column")
    # Without `na` it was written when the empty text alone meant a null, and its model learned all others as they are.
    lists = {name: tuple(entry.get(name, ())) for name in ("categories", "na")}
    return Column(**{**entry, **lists})
