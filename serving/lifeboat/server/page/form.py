"""The fields of a row: for each column a control that says what may stand in it."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from lifeboat.server.page.words import allowed
from lifeboat.usecase.column import Column
from lifeboat.usecase.schema import Schema


def fields(schema: Schema) -> str:
    """HTML of the fields of a schema's inputs, in its order."""
    return "\n".join(_field(column, f"column-{place}") for place, column in enumerate(schema.columns))


def _field(column: Column, id_: str) -> str:
    words = allowed(column)
    hint = ". ".join(filter(None, (column.description, words[0].upper() + words[1:])))
    return (
        f'<div class="field"><label for="{id_}">{escape(column.name)}</label>'
        f'{_control(column, id_)}<small id="{id_}-hint">{escape(hint)}</small></div>'
    )


def _control(column: Column, id_: str) -> str:
    marks = {"id": id_, "aria-describedby": f"{id_}-hint", "data-column": column.name, "data-kind": column.kind}
    if not column.nullable:
        marks["required"] = ""
    if column.categories or column.kind == "boolean":
        return f"<select{_attributes(marks)}>{''.join(_options(column))}</select>"
    return f"<input{_attributes(marks | _input(column))}>"


def _input(column: Column) -> dict[str, str]:
    """What kind of text it takes; a datetime as text, for the browsers' own control has no zone."""
    if not column.is_number:
        pattern = {} if column.pattern is None else {"pattern": column.pattern}
        return {"type": "text", "maxlength": str(column.max_length), **pattern}
    if column.is_datetime:
        return {"type": "text", "placeholder": "2013-01-15T17:30"}
    limits = {"min": column.minimum, "max": column.maximum}
    said = {name: f"{limit:g}" for name, limit in limits.items() if isinstance(limit, int | float)}
    return {"type": "number", "step": "1" if column.kind == "integer" else "any", **said}


def _options(column: Column) -> Iterator[str]:
    values = column.categories or ("true", "false")
    if column.nullable:
        yield '<option value="">nothing</option>'
    for value in values:
        yield f'<option value="{escape(str(value))}">{escape(str(value))}</option>'


def _attributes(marks: dict[str, str]) -> str:
    return "".join(f' {name}="{escape(value)}"' if value else f" {name}" for name, value in marks.items())
