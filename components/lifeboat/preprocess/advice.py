"""What a table and a schema have against each other, all of it, with what to declare instead."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from lifeboat.config.errors import DataError
from lifeboat.data.cells import Cells, check_cells, check_label
from lifeboat.usecase.column import USUAL_TEXT_NULLS, Problem, is_null, listed, shown_value
from lifeboat.usecase.schema import Column, Label, Schema

# So many values stand in a sentence; a column of more different texts has no categories.
_SHOWN, _CATEGORIES = 5, 20
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")


def advise(table: pa.Table, schema: Schema, name: str) -> list[str]:
    """A sentence for each way in which cells break the schema: how many rows, an example, and the remedy.

    Args:
        table: as `read_table` gives it; columns that it lacks are not looked at.
        schema: of the rows.
        name: of the file, for errors.
    """
    found: list[str] = []
    for column in (*schema.columns, *schema.keys):
        if column.name in table.column_names:
            found += _column_advice(table.column(column.name), column, name)
    if schema.label.name in table.column_names:
        found += _label_advice(table.column(schema.label.name), schema.label, name)
    return found


def _column_advice(raw: pa.ChunkedArray, column: Column, name: str) -> Iterator[str]:
    try:
        cells = check_cells(raw, column, name)
    except DataError as error:
        yield f"column {column.name}: {error.problem}"
        return
    values = [raw[row].as_py() for row, _ in cells.broken]
    for remedy, group in _by_remedy(column, cells, values).items():
        row, sentence = cells.broken[group[0]]
        yield f"column {column.name}: {_rows(len(group), len(raw))}, the first in row {row + 1}: {sentence}; {remedy}"
    if not column.is_number and not column.nullable and column.na == () and (nulls := _looks_null(raw)):
        yield f"column {column.name}: {nulls}, which is text here: nullable=True makes it mean that nobody knows"


def _rows(count: int, total: int) -> str:
    return f"{count:,} of {total:,} rows"


def _looks_null(raw: pa.ChunkedArray) -> str:
    counts = Counter(raw.to_pylist())
    found = [f"{text!r} ({counts[text]:,})" for text in USUAL_TEXT_NULLS if counts[text]]
    return f"some cells are {', '.join(found)}" if found else ""


def _by_remedy(column: Column, cells: Cells, values: Sequence[Any]) -> dict[str, list[int]]:
    """The broken cells by what would mend them: remedy to their places in `broken`."""
    kinds: dict[tuple[str, bool], list[int]] = {}
    for place, (_, sentence) in enumerate(cells.broken):
        rule = sentence.rule if isinstance(sentence, Problem) else ""
        # A number of the wrong kind wants another declaration than a text.
        kinds.setdefault((rule, rule == "type" and _is_number(values[place])), []).append(place)
    known = tuple(cells.nulls)
    return {
        _remedy(rule, column, [values[place] for place in places], known): places for (rule, _), places in kinds.items()
    }


def _remedy(rule: str, column: Column, values: Sequence[Any], nulls: tuple[str, ...]) -> str:
    if rule == "null":
        return "declare nullable=True, or fill them in"
    if column.personal and rule in ("range", "category", "type"):
        return "mend the rows or the declaration"
    if rule == "range":
        numbers = np.array([float(value) for value in values])
        return f"they reach from {numbers.min():g} to {numbers.max():g}: declare a wider minimum and maximum"
    if rule == "category":
        return f"declare {_categories(column, values)}"
    if rule == "length":
        return f"declare max_length={max(map(len, values))}"
    if rule == "type" and column.kind == "integer" and all(map(_is_number, values)):
        return 'declare kind "float"'
    if rule == "type" and column.is_number:
        return _no_number(values, nulls)
    return "mend the rows or the declaration"


def _categories(column: Column, values: Sequence[Any]) -> str:
    unknown = sorted({value for value in values if not is_null(value)}, key=str)
    if len(unknown) > _CATEGORIES:
        return f"no categories: there are {len(unknown):,} more"
    return f"categories={(*column.categories, *unknown)!r}"


def _is_number(value: object) -> bool:
    try:
        float(str(value))
    except ValueError:
        return False
    return True


def _no_number(values: Sequence[Any], nulls: tuple[str, ...]) -> str:
    texts = Counter(map(str, values))
    if all(_DECIMAL_COMMA.fullmatch(text) for text in texts):
        return 'decimals are written with a comma: declare csv=Csv(decimal=",")'
    if len(texts) <= _SHOWN:
        return f"where that means that nobody knows, declare nullable=True, na={(*nulls, *texts)!r}"
    shown = ", ".join(shown_value(text) for text, _ in texts.most_common(_SHOWN))
    return f'there are {len(texts):,} such texts ({shown}, ...): declare kind "string"'


def _label_advice(raw: pa.ChunkedArray, label: Label, name: str) -> Iterator[str]:
    cells = check_label(raw, label, name)
    if not cells.broken:
        return
    row, sentence = cells.broken[0]
    counts = Counter(value for value in raw.to_pylist() if not is_null(value))
    many = f"{_rows(len(cells.broken), len(raw))}, the first in row {row + 1}: {sentence}"
    yield f"label {label.name}: {many}; {_instead(label, counts)}"


def _instead(label: Label, counts: Counter[Any]) -> str:
    """What the column holds, and what to declare for that."""
    shown = listed([f"{value!r} ({count:,})" for value, count in counts.most_common()], _SHOWN)
    known = [value for value in counts if not _is_usual_null(value)]
    if all(_is_class(label, value) for value in known):
        return f"the column holds {shown}: rows without a label go to the quarantine"
    names = tuple(str(value) for value in sorted(known, key=str))
    if len(known) == 2:
        return (
            f"the column holds {shown}: declare BinaryLabel({label.name!r}, {names!r}), the second is the one asked for"
        )
    if len(known) > 2 and all(_is_number(value) for value in known):
        return f"the column holds {shown}: declare NumberLabel({label.name!r}), or a ClassLabel if these are names"
    if 2 < len(known) <= _CATEGORIES:
        return f"the column holds {shown}: declare ClassLabel({label.name!r}, {names!r})"
    if len(known) > 2:
        return f"the column holds {shown}: declare a ClassLabel with all {len(known):,} of them, or leave rows out"
    return f"the column holds {shown}: nothing can be learned from one value"


def _is_class(label: Label, value: object) -> bool:
    try:
        label.parse(value)
    except ValueError:
        return False
    return True


def _is_usual_null(value: object) -> bool:
    return isinstance(value, str) and value in USUAL_TEXT_NULLS
