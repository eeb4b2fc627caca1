"""A schema guessed from a table: what each column is, which is the label and which the id, and why.

All of it is written into files that a person reads and corrects, so that a guess names its reason. What a table shows
is less than what is true: limits get room beyond the values seen, and only texts that come again and again are
categories.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import pyarrow as pa

from lifeboat.config.errors import DataError
from lifeboat.usecase.column import (
    FALSE_TEXTS,
    LARGEST_INPUT,
    LARGEST_INTEGER,
    TRUE_TEXTS,
    USUAL_NUMBER_NULLS,
    USUAL_TEXT_NULLS,
    Kind,
    is_null,
)
from lifeboat.usecase.column import MOST_CATEGORIES as LEARNED_CATEGORIES
from lifeboat.usecase.datetimes import parse_moment, read_zone
from lifeboat.usecase.label import MOST_CLASSES, BinaryLabel, ClassLabel, Label, NumberLabel
from lifeboat.usecase.schema import Column, Schema

Role = Literal["input", "key", "left out"]
# More different texts are no categories, nor are texts that stand in fewer rows each.
MOST_CATEGORIES, ROWS_OF_A_CATEGORY = 20, 5
# Columns of one of these names are likely the label.
LABELS = ("label", "target", "y", "class", "outcome", "result", "response")
# Of two classes the one that is asked for.
POSITIVE = ("1", "true", "yes", "y", "positive", "churned", "fraud", "default", "bad", "sick")
_ID = re.compile(r"(.*[^a-z])?(id|uuid|guid|key|index)|.*(Id|ID)", re.ASCII)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_WHOLE = re.compile(r"[+-]?\d+")
_UTC = read_zone("UTC")
_ZONE_HINT = "a time without its zone is of UTC unless a zone is declared"


@dataclass(frozen=True)
class Guess:
    """What a column of the table is taken for.

    Args:
        column: its declaration.
        role: an input of the model, a key that rows carry and the model does not see, or left out.
        why: a few words for a comment; empty where there is nothing to say.
    """

    column: Column
    role: Role
    why: str = ""


@dataclass(frozen=True)
class TableGuess:
    """What a table is taken for.

    Args:
        guesses: one for each column but the label, in the table's order.
        label: what is predicted.
        id: the key that names a row, if one does.
        warnings: sentences about what a person should look at.
    """

    guesses: tuple[Guess, ...]
    label: Label
    id: str | None
    warnings: tuple[str, ...] = ()

    @property
    def schema(self) -> Schema:
        """The schema of it all."""
        by_role: dict[Role, list[Column]] = {"input": [], "key": [], "left out": []}
        for guess in self.guesses:
            by_role[guess.role].append(guess.column)
        ignored = tuple(column.name for column in by_role["left out"])
        return Schema(tuple(by_role["input"]), self.label, tuple(by_role["key"]), id=self.id, ignore=ignored)


def likely_labels(table: pa.Table) -> list[str]:
    """The columns that could be the label, the likeliest first: called like one, or of two values."""
    last = table.column_names[-1]
    called = [name for name in table.column_names if name.lower() in LABELS]
    two_valued = [name for name in table.column_names if len(_distinct(table, name)) == 2]

    def unlikely(name: str) -> tuple[int, bool, bool]:
        known = LABELS.index(name.lower()) if name.lower() in LABELS else len(LABELS)
        return known, name not in two_valued, name != last

    return sorted(dict.fromkeys([*called, *two_valued]), key=unlikely)


def guess_table(
    table: pa.Table,
    *,
    label: str,
    positive: str | None = None,
    id_: str | None = None,
    left_out: Collection[str] = (),
    name: str = "the table",
) -> TableGuess:
    """Guesses what every column is.

    Args:
        table: as `read_table` gives it.
        label: the column to predict.
        positive: of two classes the one that is asked for; guessed unless given.
        id_: the column that names a row; guessed unless given, none where it is "".
        left_out: columns that nobody is to look at.
        name: of the table, for errors.

    Raises:
        DataError: no such column, a label of which nothing can be learned, or no column to learn from.
    """
    for column in (label, *([id_] if id_ else []), *left_out):
        if column not in table.column_names:
            raise DataError(
                f"there is no such column; there are {', '.join(table.column_names)}", file=name, column=column
            )
    known_label = _guess_label(_distinct(table, label), positive, name, label)
    others = [column for column in table.column_names if column != label]
    guesses = {column: _guess(column, table.column(column).to_pylist(), column in left_out) for column in others}
    chosen = id_ if id_ is not None else next((column for column in others if _names_rows(table, column)), None)
    if chosen:
        guesses[chosen] = _as_key(guesses[chosen], "names the row")
    if not any(guess.role == "input" for guess in guesses.values()):
        raise DataError("no column is left from which anything could be learned", file=name)
    warnings = [
        _tells_the_label(table, guess.column.name, label) for guess in guesses.values() if guess.role == "input"
    ]
    return TableGuess(tuple(guesses.values()), known_label, chosen or None, tuple(filter(None, warnings)))


def _distinct(table: pa.Table, name: str) -> list[str]:
    """The known values of a column as texts, the commonest first."""
    values = Counter(_text(value) for value in table.column(name).to_pylist() if not _is_unknown(value))
    return [text for text, _ in values.most_common()]


def _is_unknown(value: Any) -> bool:
    return is_null(value) or (isinstance(value, str) and value in USUAL_TEXT_NULLS)


def _text(value: Any) -> str:
    """A value as a label's class or a category is spelled."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _guess_label(found: Sequence[str], positive: str | None, name: str, label: str) -> Label:
    """Of two values two classes; of numbers that are more than a few a number; of anything else several classes."""
    if len(found) == 2:
        return _two_classes(found, positive, name, label)
    if positive is not None:
        raise DataError(f"holds {len(found):,} values: only of two one is asked for", file=name, column=label)
    if len(found) < 2:
        shown = f"holds {found[0]!r} alone" if found else "holds nothing"
        raise DataError(f"{shown}: nothing can be learned of it; name another column", file=name, column=label)
    numbers = all(map(_NUMBER.fullmatch, found))
    if numbers and len(found) > MOST_CATEGORIES:
        # What is never negative stays so; how large it may become nobody knows.
        return NumberLabel(label, minimum=0 if min(map(float, found)) >= 0 else None)
    if len(found) > MOST_CLASSES:
        shown = ", ".join(found[:5])
        raise DataError(
            f"holds {len(found):,} different texts ({shown}, ...), {MOST_CLASSES:,} classes at most can be learned: "
            "name another column, or leave rows out", file=name, column=label,
        )  # fmt: skip
    return ClassLabel(label, tuple(sorted(found, key=float if numbers else str)))


def _two_classes(found: Sequence[str], positive: str | None, name: str, label: str) -> BinaryLabel:
    if positive is not None and positive not in found:
        raise DataError(f"{positive!r} is none of its values {found[0]!r} and {found[1]!r}", file=name, column=label)
    # Unless one of them says yes, it is the rarer one.
    asked = positive or next((text for text in found if text.lower() in POSITIVE), found[1])
    other = next(text for text in found if text != asked)
    return BinaryLabel(label, (other, asked))


def _guess(name: str, cells: Sequence[Any], left_out: bool) -> Guess:
    known = [value for value in cells if not _is_unknown(value)]
    nullable = len(known) < len(cells)
    if left_out or not known:
        return Guess(Column(name, "string", nullable=True), "left out", "as asked" if left_out else "holds nothing")
    texts = [str(value) for value in known]
    numbers = [text for text in texts if text not in USUAL_NUMBER_NULLS]
    if len(set(texts)) == 1:
        return Guess(_text_column(name, texts, nullable), "left out", f"is {texts[0]!r} in every row that has it")
    if {text.lower() for text in texts} <= {*TRUE_TEXTS, *FALSE_TEXTS} - {"0", "1"}:
        return Guess(Column(name, "boolean", nullable=nullable), "input")
    if numbers and all(map(_NUMBER.fullmatch, numbers)):
        return _number(name, numbers, nullable or len(numbers) < len(texts))
    if all(map(_is_moment, texts)):
        return Guess(Column(name, "datetime", nullable=nullable, example=texts[0]), "input", _ZONE_HINT)
    distinct = set(texts)
    if len(distinct) <= MOST_CATEGORIES and len(distinct) * ROWS_OF_A_CATEGORY <= len(texts):
        column = Column(name, "string", nullable=nullable, categories=tuple(sorted(distinct)), example=texts[0])
        return Guess(column, "input")
    again = sum(count for count in Counter(texts).values() if count > 1)
    if len(distinct) <= LEARNED_CATEGORIES and 2 * again >= len(texts):
        room = _text_column(name, texts, nullable).max_length
        return Guess(Column(name, "category", nullable=nullable, max_length=room, example=texts[0]), "input")
    why = f"text of {len(distinct):,} different values: a transformer of yours may make something of it"
    return Guess(_text_column(name, texts, nullable), "key", why)


def _is_moment(text: str) -> bool:
    try:
        parse_moment(text, _UTC)
    except ValueError:
        return False
    return True


def _text_column(name: str, texts: Sequence[str], nullable: bool) -> Column:
    longest = max(map(len, texts))
    room = next(size for size in (64, 256, 1024, 4096, 4 * longest) if size >= 2 * longest)
    return Column(name, "string", nullable=nullable, max_length=room)


def _number(name: str, texts: Sequence[str], nullable: bool) -> Guess:
    values = [float(text) for text in texts]
    kind: Kind = "integer" if all(map(_WHOLE.fullmatch, texts)) else "float"
    low, high = _limits(min(values), max(values))
    example = int(texts[0]) if kind == "integer" else values[0]
    if kind == "integer" and max(abs(low), abs(high)) > LARGEST_INTEGER:
        if max(map(abs, values)) > LARGEST_INTEGER:
            wide = Column(name, kind, nullable=nullable, minimum=-LARGEST_INPUT, maximum=LARGEST_INPUT, example=example)
            return Guess(wide, "key", "whole numbers beyond what a model tells apart")
        low, high = max(low, -LARGEST_INTEGER), min(high, LARGEST_INTEGER)
    return Guess(Column(name, kind, nullable=nullable, minimum=low, maximum=high, example=example), "input")


def _limits(low: float, high: float) -> tuple[float, float]:
    """The values seen with as much room again on either side, in round numbers; what is never negative stays so."""
    room = (high - low) or abs(high) or 1.0
    lower = 0.0 if low >= 0 else -_rounded_up(room - low)
    upper = 0.0 if high <= 0 else _rounded_up(high + room)
    return _whole(lower), _whole(upper)


def _rounded_up(value: float) -> float:
    """The next number of the form 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def _whole(value: float) -> float:
    return int(value) if value.is_integer() else value


def _names_rows(table: pa.Table, name: str) -> bool:
    """Whether a column is called like an id and has another value in every row."""
    values = table.column(name).to_pylist()
    unique = len({str(value) for value in values}) == len(values) and not any(map(_is_unknown, values))
    return unique and _ID.fullmatch(name) is not None and not any(isinstance(value, float) for value in values)


def _as_key(guess: Guess, why: str) -> Guess:
    column = guess.column
    if column.kind == "integer":
        column = Column(column.name, "integer", minimum=-LARGEST_INPUT, maximum=LARGEST_INPUT, example=column.example)
    return Guess(column, "key", why)


def _tells_the_label(table: pa.Table, name: str, label: str) -> str:
    """A sentence where each of a few values of a column goes with one class only: such a column is often the answer."""
    pairs = {
        (_text(value), _text(truth))
        for value, truth in zip(table.column(name).to_pylist(), table.column(label).to_pylist(), strict=True)
        if not (_is_unknown(value) or _is_unknown(truth))
    }
    values = {value for value, _ in pairs}
    if len(pairs) > len(values) or not 1 < len(values) <= MOST_CATEGORIES:
        return ""
    return f"column {name} tells {label} exactly: if it is known only afterwards, leave it out (--leave-out {name})"
