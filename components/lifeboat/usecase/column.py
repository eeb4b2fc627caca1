"""One column of raw input: its type, its limits, and the words in which a value that breaks them is refused."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any, Literal, get_args

from lifeboat.usecase.datetimes import (
    EARLIEST,
    EPOCHS,
    FORMS,
    LATEST,
    Epoch,
    SkippedTimeError,
    any_moment,
    format_moment,
    parse_moment,
    read_zone,
)

Kind = Literal["string", "category", "float", "integer", "boolean", "datetime"]
Value = str | float
KINDS: tuple[Kind, ...] = get_args(Kind)
# A float32 holds every whole number up to here; beyond, an integer would silently change on its way into the model.
LARGEST_INTEGER = 2**24
# A float64 holds every whole number up to here: the most an input may have.
LARGEST_INPUT = 2**53
# An int64 ends here: the most a key may have, which is no input and keeps every digit.
LARGEST_KEY = 2**63 - 1
# A float32 ends here; a larger number would become infinite on its way into the model.
LARGEST_FLOAT = (2 - 2**-23) * 2.0**127
# How people write that a value is missing. In a number none of these means anything else; in a text "-" and "." may.
USUAL_TEXT_NULLS = ("#N/A", "<NA>", "?", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
USUAL_NUMBER_NULLS = tuple(sorted((*USUAL_TEXT_NULLS, "-", "--", ".", "NAN", "Null", "none")))
# A category has at most so many values in training.
MOST_CATEGORIES = 10_000
# How tables spell a boolean, in small letters.
TRUE_TEXTS, FALSE_TEXTS = ("1", "on", "t", "true", "y", "yes"), ("0", "f", "false", "n", "no", "off")
# What stands in a message for a value that is somebody's.
HIDDEN_VALUE = "a value (personal, not shown)"
# A text that is seconds or milliseconds.
_EPOCH = re.compile(r"\s*[+-]?\d+(\.\d*)?\s*", re.ASCII)


class Problem(str):
    """What is wrong with a value, in a sentence.

    Args:
        sentence: names the value and the limit it breaks.
        rule: of `Column.problem`.
        column: whose value it is, where the sentence names it.
    """

    __slots__ = ("column", "rule")
    rule: str
    column: str

    # With defaults, so that it can be pickled.
    def __new__(cls, sentence: str, rule: str = "", column: str = "") -> Problem:
        made = super().__new__(cls, sentence)
        made.rule, made.column = rule, column
        return made


@dataclass(frozen=True)
class Column:
    """One column of raw input.

    Args:
        name: as in the table's header and in a request.
        kind: string; category, a string of at most `MOST_CATEGORIES` values that need not be listed; float, integer,
            boolean; or datetime: a moment, as ISO 8601 or by `epoch`.
        nullable: whether the value may be missing.
        minimum, maximum: inclusive limits of a number; of a datetime as text, such as "2013-01-01".
        categories: the values allowed, if they are few.
        pattern: a regular expression that the whole string matches.
        max_length: of a string, in characters.
        description: one sentence for the documents.
        example: a valid value for the documents.
        na: texts that mean a null, beside the empty one. Unless given those that are usual, such as NA and ?: in a
            number all of them, in a nullable text those that are none of its categories, in another text none.
        zone: of a datetime's times that do not say their own.
        exact: of a float: the model takes it as float64, so that an amount of millions keeps its cents.
        epoch: numbers that may stand for a datetime: seconds ("s") or milliseconds ("ms") since 1970. Without it a
            number is refused: 20130101 is a day to some and a second to others.
        source: of a column that the use case's feature store knows, VIEW:FIELD; the table does not bring it.
        personal: its values are somebody's. No page, log, message or example has one, its own `example` apart, which
            is to be nobody's; of a key a pseudonym is kept in labelled rows. See docs/personal-data.md.
    """

    name: str
    kind: Kind
    nullable: bool = False
    minimum: float | str | None = None
    maximum: float | str | None = None
    categories: tuple[str | int, ...] = ()
    pattern: str | None = None
    max_length: int = 256
    description: str = ""
    example: str | float | None = None
    na: tuple[str, ...] | None = None
    zone: str = "UTC"
    epoch: Epoch | None = None
    exact: bool = False
    source: str = ""
    personal: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"a column's name is {self.name!r}, not a text")
        object.__setattr__(self, "na", self._nulls())
        if self.kind not in KINDS:
            raise ValueError(f"column {self.name}: kind {self.kind!r} is none of {', '.join(KINDS)}")
        if not self.is_number and not (self.minimum is None and self.maximum is None):
            raise ValueError(f"column {self.name}: a string has no minimum or maximum")
        if self.is_number and self.pattern is not None:
            raise ValueError(f"column {self.name}: only a string has a pattern")
        self._check_datetime()
        if self.exact and self.kind != "float":
            raise ValueError(f"column {self.name}: only a float is exact or not")
        if self.kind == "category" and self.categories:
            raise ValueError(f"column {self.name}: a category whose values are listed is a string with categories")
        categories: object = self.categories
        if not isinstance(categories, tuple):
            raise ValueError(f"column {self.name}: its categories are {categories!r}, not a tuple")  # noqa: TRY004
        widest = LARGEST_KEY if self.kind == "integer" else LARGEST_FLOAT
        for limit in (self.minimum, self.maximum):
            if limit is not None and (isinstance(limit, str) or not abs(limit) <= widest) and not self.is_datetime:
                raise ValueError(f"column {self.name}: limit {limit} is beyond {widest:g}, what its kind can hold")
        if self.lower > self.upper:
            first, last = (self._limit(limit) for limit in (self.lower, self.upper))
            raise ValueError(f"column {self.name}: minimum {first} is above maximum {last}")
        self._check_contents()

    def _check_datetime(self) -> None:
        if not self.is_datetime:
            if self.zone != "UTC" or self.epoch is not None:
                raise ValueError(f"column {self.name}: only a datetime has a zone or an epoch")
            return
        epoch: object = self.epoch
        if epoch is not None and epoch not in EPOCHS:
            raise ValueError(f"column {self.name}: epoch {epoch!r} is none of {', '.join(EPOCHS)}")
        if self.categories:
            raise ValueError(f"column {self.name}: a datetime has no categories")
        try:
            zone = read_zone(self.zone)
        except ValueError as error:
            raise ValueError(f"column {self.name}: {error}") from None
        for limit in (self.minimum, self.maximum):
            try:
                at = EARLIEST if limit is None else parse_moment(str(limit), zone)
            except ValueError as error:
                raise ValueError(f"column {self.name}: limit {limit!r} is no datetime {FORMS}: {error}") from None
            if not EARLIEST <= at <= LATEST:
                raise ValueError(f"column {self.name}: limit {limit} is not within the years 1700 to 2200")

    def _nulls(self) -> tuple[str, ...]:
        given: object = self.na
        if given is not None:
            if not isinstance(given, tuple) or not all(isinstance(text, str) for text in given):
                raise ValueError(f"column {self.name}: na is {given!r}, not texts such as ('NA', '?')")
            return tuple(sorted(set(given) - {""}))
        if self.is_number:
            return USUAL_NUMBER_NULLS
        return tuple(text for text in USUAL_TEXT_NULLS if self.nullable and text not in self.categories)

    def _check_contents(self) -> None:
        """The pattern compiles; the categories and the example are values the column accepts; nobody's stands in."""
        if self.personal and self.sample is None and not self.nullable:
            raise ValueError(f"column {self.name}: it is personal, so give an example that is nobody's")
        try:
            _ = self._regex
        except re.error as error:
            raise ValueError(f"column {self.name}: the pattern {self.pattern!r} is wrong: {error}") from error
        for value in (*self.categories, *([] if self.example is None else [self.example])):
            try:
                self.parse(value)
            except ValueError as error:
                raise ValueError(f"column {self.name}: its own category or example {error}") from None

    @cached_property
    def nulls(self) -> frozenset[str]:
        """Texts that mean a null, the empty one included."""
        return frozenset({"", *(self.na or ())})

    @property
    def is_number(self) -> bool:
        """Whether the model takes it as a number: a datetime as microseconds since 1970."""
        return self.kind not in ("string", "category")

    @property
    def is_datetime(self) -> bool:
        return self.kind == "datetime"

    @property
    def is_text(self) -> bool:
        """Whether people write it as text."""
        return not self.is_number or self.is_datetime

    @property
    def is_optional(self) -> bool:
        """Whether a row may leave it out, which is a null then.

        Not what a feature store has: its nulls would be taken for what the store knows, and not for a caller who does
        not ask it.
        """
        return self.nullable and not self.source

    @property
    def why_missing(self) -> str:
        """What is said of a row that leaves it out and must not."""
        if self.source:
            return (
                f"missing: it is the feature store's ({self.source}), which is not asked here: send its value, or null"
            )
        return "missing, and it may not be null"

    @property
    def is_free_text(self) -> bool:
        """Whether it may hold anything."""
        return self.kind == "string" and not self.categories

    @property
    def is_shown(self) -> bool:
        """Whether a page may have its values: not of a free text, which may hold names, and not of what is personal."""
        return not self.is_free_text and not self.personal

    @property
    def is_wide(self) -> bool:
        """Whether its numbers are beyond what a float32 holds, so that the model takes them as float64."""
        return (
            self.is_datetime
            or self.exact
            or (self.is_whole and max(abs(self.lower), abs(self.upper)) > LARGEST_INTEGER)
        )

    @property
    def is_whole(self) -> bool:
        """Whether the model takes whole numbers of it."""
        return self.kind in ("integer", "datetime")

    @property
    def null(self) -> Value:
        """What stands for a missing value in the model's input."""
        return math.nan if self.is_number else ""

    @cached_property
    def _allowed(self) -> frozenset[str | int]:
        return frozenset(self.categories)

    @cached_property
    def _regex(self) -> re.Pattern[str] | None:
        return re.compile(self.pattern) if self.pattern is not None else None

    @cached_property
    def lower(self) -> float:
        """The smallest number allowed."""
        if self.is_datetime:
            return EARLIEST if self.minimum is None else parse_moment(str(self.minimum), read_zone(self.zone))
        default = -LARGEST_INTEGER if self.kind == "integer" else -LARGEST_FLOAT
        return default if self.minimum is None or isinstance(self.minimum, str) else self.minimum

    @cached_property
    def upper(self) -> float:
        """The largest number allowed."""
        if self.is_datetime:
            return LATEST if self.maximum is None else parse_moment(str(self.maximum), read_zone(self.zone))
        default = LARGEST_INTEGER if self.kind == "integer" else LARGEST_FLOAT
        return default if self.maximum is None or isinstance(self.maximum, str) else self.maximum

    def parse(self, value: object) -> Value:
        """Turns one JSON value into the model's input: a float (NaN for null) or a string ("" for null).

        A whole number beyond 2^53, which only a key can be, stays an int: a float would change it.

        Raises:
            ValueError: with a sentence that names the value and the limit it breaks.
        """
        if value is None or value == "" or (self.is_text and isinstance(value, str) and value in self.nulls):
            if self.nullable:
                return self.null
            raise ValueError(self.problem("null", value))
        if self.is_datetime:
            return self._parse_datetime(value)
        return self._parse_number(value) if self.is_number else self._parse_string(value)

    def _parse_datetime(self, value: object) -> float:
        """Microseconds since 1970."""
        if self.epoch is not None and isinstance(value, str) and _EPOCH.fullmatch(value):
            value = float(value) if "." in value else int(value)
        try:
            if isinstance(value, str | date):
                moment = any_moment(value, read_zone(self.zone))
            elif self.epoch is not None and isinstance(value, int | float) and not isinstance(value, bool):
                moment = round(value * EPOCHS[self.epoch])
            else:
                raise ValueError(self.problem("datetime", value))  # noqa: TRY301  # one kind of error
        except SkippedTimeError:
            raise ValueError(self.problem("skipped", value)) from None
        except (ValueError, OverflowError):
            raise ValueError(self.problem("datetime", value)) from None
        if not self.lower <= moment <= self.upper:
            raise ValueError(self.problem("range", value))
        return float(moment)

    def written(self, value: Any) -> Any:
        """A checked value as a table or a request says it: null for a missing one, a datetime in ISO 8601."""
        return format_moment(value) if self.is_datetime and not is_null(value) else json_value(value)

    def _parse_number(self, value: object) -> float:
        if self.kind == "boolean":
            if value is not True and value is not False and value not in (0, 1):
                raise ValueError(self.problem("type", value))
        elif isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(self.problem("type", value))
        number = value
        # NaN and infinity are no whole numbers either.
        if number != number or (self.kind == "integer" and isinstance(number, float) and not number.is_integer()):
            raise ValueError(self.problem("type", value))
        # Python compares an int with a float exactly: the limit is held against what was sent, not against its float.
        if not self.lower <= number <= self.upper:
            huge = isinstance(number, int) and abs(number) >= 2**1023
            raise ValueError(self.problem("range", "a number beyond 1e308" if huge else number))
        if self.categories and number not in self._allowed:
            raise ValueError(self.problem("category", value))
        if self.kind == "integer" and abs(number) > LARGEST_INPUT:
            if isinstance(number, float):
                raise ValueError(self.problem("inexact", value))
            return number
        # The negative zero is zero.
        return float(number) + 0.0

    def _parse_string(self, value: object) -> str:
        if not isinstance(value, str):
            raise ValueError(self.problem("type", value))  # noqa: TRY004  # one kind of error for all rules
        if not _encodable(value):
            raise ValueError(self.problem("unicode", value))
        if len(value) > self.max_length:
            raise ValueError(self.problem("length", value))
        if self.categories and value not in self._allowed:
            raise ValueError(self.problem("category", value))
        if self._regex is not None and not self._regex.fullmatch(value):
            raise ValueError(self.problem("pattern", value))
        return value

    def problem(self, rule: str, value: object = None) -> Problem:
        """The sentence for a broken rule: null, type, inexact, unicode, range, category, pattern, length, datetime or
        skipped.

        The table validator and the request validator both call this, so a row is refused in the same words anywhere.
        """
        return Problem(self._sentence(rule, value), rule)

    def show(self, value: object) -> str:
        """A value of it as it stands in a message."""
        return HIDDEN_VALUE if self.personal else shown_value(value)

    def _sentence(self, rule: str, value: object) -> str:
        shown = self.show(value)
        if rule == "null":
            return f"{f'{shown} means null' if value else 'is null'}, which {self.name} may not be"
        if rule == "range":
            return f"{shown} is outside {self.limits}"
        if rule == "category":
            return f"{shown} is none of {', '.join(map(str, self.categories))}"
        if rule == "pattern":
            return f"{shown} does not match the pattern {self.pattern}"
        if rule == "length":
            return f"{shown} has more than {self.max_length} characters"
        if rule == "inexact":
            return (
                f"{shown} is a float beyond {LARGEST_INPUT}, where it may be a rounded one: write it as a whole number"
            )
        if rule == "skipped":
            return f"{shown} is a time that no clock in {self.zone} showed: it was put forward over it"
        if rule == "datetime":
            number = "" if self.epoch is None else f", or as a number of {self.epoch} since 1970"
            # What a number means is said nowhere else.
            hint = "" if isinstance(value, str) or number else '; epoch="s" or "ms" in its declaration lets numbers in'
            return f"{shown} is not a datetime {FORMS}{number}{hint}"
        if rule == "unicode":
            return f"{shown} is not valid Unicode text"
        article = "an" if self.kind == "integer" else "a"
        return f"{shown} is not {article} {self.kind}"

    @property
    def limits(self) -> str:
        """The range in words, such as '0 to 120'."""
        return f"{self._limit(self.lower)} to {self._limit(self.upper)}"

    def _limit(self, value: float) -> str:
        return format_moment(value) if self.is_datetime else _number(value)

    @property
    def sample(self) -> str | float | None:
        """The example, or else some value that the column accepts; None where only a null can be promised."""
        if self.example is not None or self.nullable:
            return self.example
        if self.categories:
            return self.categories[0]
        if self.is_number:
            least = min(max(0, self.lower), self.upper)
            return format_moment(least) if self.is_datetime else least
        return None if self.pattern is not None else "text"[: self.max_length]

    def json_schema(self) -> dict[str, Any]:
        """This column as a JSON Schema (2020-12) for the OpenAPI document."""
        kinds = [{"float": "number", "datetime": "string", "category": "string"}.get(self.kind, self.kind)]
        kinds += ["number"] if self.epoch is not None else []
        kinds += ["null"] if self.nullable else []
        schema: dict[str, Any] = {"type": kinds if len(kinds) > 1 else kinds[0]}
        if self.is_datetime:
            return schema | {"format": "date-time"} | ({"description": self.description} if self.description else {})
        if self.categories:
            schema["enum"] = [*self.categories, *([None] if self.nullable else [])]
        if not self.is_number:
            schema["maxLength"] = self.max_length
            if not self.nullable:
                schema["minLength"] = 1
        for key, limit in (("minimum", self.lower), ("maximum", self.upper)):
            if self.is_number and self.kind != "boolean":
                schema[key] = int(limit) if limit == int(limit) and abs(limit) <= LARGEST_KEY else limit
        if self.pattern is not None:
            schema["pattern"] = f"^(?:{self.pattern})$"
        if self.description:
            schema["description"] = self.description
        return schema


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) <= LARGEST_KEY else f"{value:g}"


def is_null(value: object) -> bool:
    """Whether a table's cell is missing: None, the empty string or NaN."""
    return value is None or value == "" or value != value  # only NaN differs from itself


def json_value(value: Any) -> Any:
    """A table's cell as JSON says it: null for a missing one, whole numbers without a point."""
    if is_null(value):
        return None
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _encodable(text: str) -> bool:
    """Whether it has a UTF-8 form, as a lone surrogate has not: JSON can write one, the model cannot take it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def entity_name(value: Any) -> str:
    """An entity's id as text, whether it came as 7, 7.0 or "7"; "" for none."""
    if value is None or value != value or isinstance(value, bool):  # NaN
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value)


def listed(names: Sequence[str], most: int) -> str:
    """Names as they stand in a message: so many of them at most."""
    return ", ".join(names[:most]) + (f" and {len(names) - most:,} more" if len(names) > most else "")


def shown_value(value: object) -> str:
    """A value as it stands in a message: JSON, at most 60 characters."""
    # Of a long text only what is shown: a value may have megabytes.
    value = value.isoformat() if isinstance(value, date) else value
    text = json.dumps(value[:61] if isinstance(value, str) else value, ensure_ascii=True, default=repr)
    return text if len(text) <= 60 else f"{text[:57]}..."
