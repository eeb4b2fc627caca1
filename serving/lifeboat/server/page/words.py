"""What may stand in a column, for people: the limits that its declaration sets, and not those of the machine."""

from __future__ import annotations

from lifeboat.usecase.column import LARGEST_INPUT, Column, listed

_KINDS = {
    "float": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "datetime": "a date, or a date and time",
    "category": "a text",
    "string": "a text",
}
# Of the values of a column that are named.
SHOWN = 12


def allowed(column: Column) -> str:
    """Such as "a whole number, 0 to 120, or nothing"."""
    words = f"one of {listed(list(map(str, column.categories)), SHOWN)}" if column.categories else _words(column)
    return f"{words}, or nothing" if column.nullable else words


def _words(column: Column) -> str:
    parts = [_KINDS[column.kind], _range(column)]
    if not column.is_number:
        parts.append(f"at most {column.max_length} characters")
    if column.pattern is not None:
        parts.append(f"of the form {column.pattern}")
    if column.is_datetime:
        parts.append(f"in {column.zone} unless it says its own zone")
    return ", ".join(filter(None, parts))


def _range(column: Column) -> str:
    """The limits that were declared, in the column's own words; empty for none, and for those of any number."""
    low, _, high = column.limits.partition(" to ")
    has_low, has_high = (
        limit is not None and (isinstance(limit, str) or abs(limit) < LARGEST_INPUT)
        for limit in (column.minimum, column.maximum)
    )
    if has_low and has_high:
        return f"{low} to {high}"
    if has_low:
        return f"{low} or {'later' if column.is_datetime else 'more'}"
    if has_high:
        return f"{high} or {'earlier' if column.is_datetime else 'less'}"
    return ""
