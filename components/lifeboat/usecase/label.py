"""The label: what is predicted, the names of its classes, and how a table or a client spells them.

It imports nothing but the standard library and the column's words, so that the model server can use it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from lifeboat.usecase.column import LARGEST_INPUT, shown_value

LONGEST_NAME = 256
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BOOLEANS = {"true": 1.0, "false": 0.0}


@dataclass(frozen=True)
class BinaryLabel:
    """What is predicted: a column with two classes.

    A cell, or a truth that a client sends, is a class's name; where that is a number, True or False, any way to write
    it: `classes=("1", "2")` reads 1, 1.0 and "1" as the first class. Where no class is called by a number, 0 and False
    are the first class, 1 and True the second.

    Args:
        name: of the column.
        classes: names of class 0 and class 1, as they stand in answers.

    Raises:
        ValueError: they are not two different texts.
    """

    name: str
    classes: tuple[str, str]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"the label's name is {self.name!r}, not a text")
        if not isinstance(self.classes, tuple | list) or len(self.classes) != 2:
            raise ValueError(f"label {self.name}: its classes are {self.classes!r}, not two names")
        object.__setattr__(self, "classes", tuple(self.classes))
        for name in self.classes:
            if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
                why = f"not a printable text of 1 to {LONGEST_NAME} characters such as {str(name) or 'yes'!r}"
                raise ValueError(f"label {self.name}: a class is called {name!r}, {why}")
        first, second = map(_meaning, self.classes)
        if first == second:
            raise ValueError(f"label {self.name}: its classes {self.classes[0]!r} and {self.classes[1]!r} are the same")

    @cached_property
    def _codes(self) -> dict[str | float, int]:
        """What a cell may mean, and its class."""
        meanings = [_meaning(name) for name in self.classes]
        named = {meaning: code for code, meaning in enumerate(meanings)}
        if not any(isinstance(meaning, float) for meaning in meanings):
            named |= {0.0: 0, 1.0: 1}
        # A name as it stands goes before all else.
        return named | {name: code for code, name in enumerate(self.classes)}

    def parse(self, value: object) -> int:
        """The class that a value means, 0 or 1.

        Raises:
            ValueError: none; a sentence with the value and what is known.
        """
        if value is None or value == "" or value != value:
            raise ValueError(f"is null, which {self.name} may not be")
        code: int | None = None
        if isinstance(value, str):
            code = self._codes.get(value, self._codes.get(_meaning(value)))
        elif isinstance(value, int | float) and abs(value) <= LARGEST_INPUT:
            code = self._codes.get(float(value))
        if code is None:
            raise ValueError(f"{shown_value(value)} is none of {', '.join(self.spellings)}")
        return code

    @property
    def spellings(self) -> list[str]:
        """What may be written, for messages and documents."""
        numbers = [] if any(isinstance(_meaning(name), float) for name in self.classes) else ["0", "1"]
        return [*numbers, *self.classes]


@dataclass(frozen=True)
class StoredLabel(BinaryLabel):
    """The label of rows that Lifeboat stored: the number of a class, whatever the classes are called."""

    @cached_property
    def _codes(self) -> dict[str | float, int]:
        return {0.0: 0, 1.0: 1}

    @property
    def spellings(self) -> list[str]:
        return ["0", "1"]


def _meaning(name: str) -> str | float:
    """A number for whatever reads as one, True and False included; else the text without blanks around it."""
    text = name.strip()
    if _NUMBER.fullmatch(text):
        return float(text) + 0.0
    return _BOOLEANS.get(text.lower(), text)
