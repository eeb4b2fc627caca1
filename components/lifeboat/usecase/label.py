"""The label: what is predicted, and how a table or a client spells it.

The label's type says what kind of answer is asked for; the task (`lifeboat.tasks`) owns what follows from that. This
module imports nothing but the standard library and the column's words, so that the model server can use it.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, ClassVar, Self

from lifeboat.usecase.column import LARGEST_INPUT, Column, listed, shown_value

LONGEST_NAME = 256
# By which a package names the module of a kind of label that is its own, with the label's task.
ENTRY_POINTS = "lifeboat.labels"
# Beyond so many classes a model, its answers and its pages are no longer of a size that anything here was made for.
MOST_CLASSES = 1_000
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_BOOLEANS = {"true": 1.0, "false": 0.0}
# So many names stand in a message.
_SHOWN = 20


@dataclass(frozen=True)
class Label(ABC):
    """What is predicted.

    A kind of your own names the `kind` and registers its task (`lifeboat.tasks.kinds.task_for`). The package that
    brings it is installed where a bundle is served and watched, and names its module as an entry point of the group
    `lifeboat.labels` (`KIND = "module"`).

    Args:
        name: of the column.

    Attributes:
        kind: in a schema's document; each type has its own.
        dtype: of the labels of rows, as numpy names it.
    """

    name: str

    kind: ClassVar[str] = ""
    dtype: ClassVar[str] = "float64"
    _kinds: ClassVar[dict[str, type[Label]]] = {}

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        if "kind" in vars(cls):
            Label._kinds[cls.kind] = cls

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not self.name:
            raise ValueError(f"the label's name is {self.name!r}, not a text")

    @abstractmethod
    def parse(self, value: object) -> int | float:
        """The label that a cell, or a truth that a client sends, means.

        Raises:
            ValueError: none; a sentence with the value and what is known.
        """

    @property
    @abstractmethod
    def spellings(self) -> list[str]:
        """What may be written, for messages and documents."""

    @abstractmethod
    def spell(self, value: float) -> str:
        """A label in a person's words."""

    @abstractmethod
    def json_schema(self) -> dict[str, Any]:
        """What a client may send as a truth."""

    @property
    @abstractmethod
    def example(self) -> str | float:
        """A truth, for documents."""

    @property
    def column(self) -> Column | None:
        """The column that it would be, were it an input, where its cells are checked as those of one."""
        return None

    @property
    def stored(self) -> Label:
        """The label of rows that Lifeboat stored, where these are spelled otherwise than a table's."""
        return self

    @property
    @abstractmethod
    def stored_column(self) -> Column:
        """The column of rows that Lifeboat stored."""

    @abstractmethod
    def to_document(self) -> dict[str, Any]:
        """What a schema's document holds."""

    @classmethod
    @abstractmethod
    def of_document(cls, document: dict[str, Any]) -> Self:
        """Reads what `to_document` wrote; raises ValueError, KeyError or TypeError on anything else."""

    @staticmethod
    def read(document: dict[str, Any]) -> Label:
        """The label of a document, of whichever kind; raises as `of_document`.

        A kind that is not Lifeboat's is looked for in what installed packages say of themselves: a document names a
        kind and never a module, so that a bundle has nothing imported but what who runs this has installed for it.
        """
        kind = document.get("kind", BinaryLabel.kind)
        if kind not in Label._kinds:
            for entry in entry_points(group=ENTRY_POINTS, name=kind):
                entry.load()
        if kind not in Label._kinds:
            raise ValueError(f"a label is of kind {kind!r}; there are {', '.join(sorted(Label._kinds))}")
        return Label._kinds[kind].of_document(document)


@dataclass(frozen=True)
class Classes(Label):
    """One of several classes; a row's label is the number of its class.

    Args:
        classes: their names, in the order of their numbers, as they stand in answers.

    Raises:
        ValueError: they are not different texts, or too few or too many.
    """

    classes: tuple[str, ...]

    dtype: ClassVar[str] = "int32"
    fewest: ClassVar[int] = 3
    most: ClassVar[int] = MOST_CLASSES

    def __post_init__(self) -> None:
        super().__post_init__()
        limits = f"{self.fewest} names" if self.fewest == self.most else f"{self.fewest} to {self.most:,} names"
        if not isinstance(self.classes, tuple | list) or not self.fewest <= len(self.classes) <= self.most:
            given = repr(self.classes) if not isinstance(self.classes, tuple | list) else listed(self.classes, _SHOWN)
            raise ValueError(f"label {self.name}: its classes are {given}, not {limits}")
        object.__setattr__(self, "classes", tuple(self.classes))
        seen: dict[str | float, str] = {}
        for name in self.classes:
            if not isinstance(name, str) or not name.strip() or not name.isprintable() or len(name) > LONGEST_NAME:
                why = f"not a printable text of 1 to {LONGEST_NAME} characters such as {str(name) or 'yes'!r}"
                raise ValueError(f"label {self.name}: a class is called {name!r}, {why}")
            meaning = _meaning(name)
            if meaning in seen:
                raise ValueError(f"label {self.name}: its classes {seen[meaning]!r} and {name!r} are the same")
            seen[meaning] = name

    @cached_property
    def _codes(self) -> dict[str | float, int]:
        """What a cell may mean, and its class; a name as it stands goes before all else."""
        return {**self._meanings, **{name: code for code, name in enumerate(self.classes)}}

    @property
    def _meanings(self) -> dict[str | float, int]:
        return {_meaning(name): code for code, name in enumerate(self.classes)}

    def parse(self, value: object) -> int:
        """The number of the class that a value means."""
        if value is None or value == "" or value != value:
            raise ValueError(f"is null, which {self.name} may not be")
        code: int | None = None
        if isinstance(value, str):
            code = self._codes.get(value, self._codes.get(_meaning(value)))
        elif isinstance(value, int | float) and abs(value) <= LARGEST_INPUT:
            code = self._codes.get(float(value))
        if code is None:
            raise ValueError(f"{shown_value(value)} is none of {listed(self.spellings, _SHOWN)}")
        return code

    @property
    def spellings(self) -> list[str]:
        return list(self.classes)

    def spell(self, value: float) -> str:
        """The class's name."""
        return self.classes[int(value)]

    def json_schema(self) -> dict[str, Any]:
        return {"enum": list(self.classes)}

    @property
    def example(self) -> str:
        """The last class."""
        return self.classes[-1]

    @property
    def stored(self) -> Label:
        """Of stored rows the label is the number of a class, whatever the classes are called."""
        return StoredClasses(self.name, self.classes)

    @property
    def stored_column(self) -> Column:
        return Column(self.name, "integer", categories=tuple(range(len(self.classes))))

    def to_document(self) -> dict[str, Any]:
        return {"kind": self.kind, "name": self.name, "classes": list(self.classes)}

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> Self:
        return cls(document["name"], tuple(document["classes"]))


@dataclass(frozen=True)
class BinaryLabel(Classes):
    """One of two classes.

    A cell, or a truth that a client sends, is a class's name; where that is a number, True or False, any way to write
    it: `classes=("1", "2")` reads 1, 1.0 and "1" as the first class. Where no class is called by a number, 0 and False
    are the first class, 1 and True the second.

    Args:
        name: of the column.
        classes: names of class 0 and class 1, as they stand in answers.

    Raises:
        ValueError: they are not two different texts.
    """

    kind: ClassVar[str] = "binary"
    dtype: ClassVar[str] = "int8"
    fewest: ClassVar[int] = 2
    most: ClassVar[int] = 2

    @property
    def _meanings(self) -> dict[str | float, int]:
        named = super()._meanings
        return named if any(isinstance(meaning, float) for meaning in named) else {**named, 0.0: 0, 1.0: 1}

    @property
    def spellings(self) -> list[str]:
        """The names, and 0 and 1 where no class is called by a number."""
        numbers = [] if any(isinstance(_meaning(name), float) for name in self.classes) else ["0", "1"]
        return [*numbers, *self.classes]

    def json_schema(self) -> dict[str, Any]:
        return {"enum": [*([0, 1] if "0" in self.spellings else []), *self.classes]}

    def to_document(self) -> dict[str, Any]:
        """Without its kind, as it was when there was no other."""
        return {"name": self.name, "classes": list(self.classes)}


@dataclass(frozen=True)
class ClassLabel(Classes):
    """One of three to a thousand classes.

    A cell, or a truth that a client sends, is a class's name; where that is a number, True or False, any way to write
    it: `classes=("1", "2", "3")` reads 1, 1.0 and "1" as the first class.

    Args:
        name: of the column.
        classes: their names, in the order in which answers have them.

    Raises:
        ValueError: they are not different texts, or too few or too many.
    """

    kind: ClassVar[str] = "classes"


@dataclass(frozen=True)
class StoredClasses(Classes):
    """The label of rows that Lifeboat stored: the number of a class."""

    fewest: ClassVar[int] = 2

    @property
    def dtype(self) -> str:  # type: ignore[override]  # that of the label that it stands for
        return "int8" if len(self.classes) == BinaryLabel.most else Classes.dtype

    @cached_property
    def _codes(self) -> dict[str | float, int]:
        return {float(code): code for code in range(len(self.classes))}

    @property
    def spellings(self) -> list[str]:
        return [str(code) for code in range(len(self.classes))]


@dataclass(frozen=True)
class NumberLabel(Label):
    """A number, answered with an interval that holds it as often as is asked.

    Args:
        name: of the column; in answers the value's name.
        unit: of it, for people, such as 'minutes'.
        minimum, maximum: what a truth is at least and at most; answers keep to them.
        level: share of rows whose truth the interval is to hold, above 0 and below 1.

    Raises:
        ValueError: the limits or the level are none.
    """

    unit: str = ""
    minimum: float | None = None
    maximum: float | None = None
    level: float = 0.9

    kind: ClassVar[str] = "number"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.unit, str):
            raise ValueError(f"label {self.name}: its unit is {self.unit!r}, not a text")  # noqa: TRY004
        if isinstance(self.level, bool) or not isinstance(self.level, int | float) or not 0 < self.level < 1:
            raise ValueError(f"label {self.name}: its level is {self.level!r}, it must be above 0 and below 1")
        self.column  # noqa: B018  # refuses limits that are none

    @cached_property
    def column(self) -> Column:
        try:
            return Column(self.name, "float", minimum=self.minimum, maximum=self.maximum)
        except ValueError as error:
            raise ValueError(f"label {self.name}: {error}") from error

    def parse(self, value: object) -> float:
        """The number."""
        if value is None or value == "" or value != value:
            raise ValueError(f"is null, which {self.name} may not be")
        if isinstance(value, str) and _NUMBER.fullmatch(value.strip()):
            value = float(value)
        return float(self.column.parse(value))

    @property
    def spellings(self) -> list[str]:
        if self.minimum is not None and self.maximum is not None:
            return [f"a number, {self.column.limits}"]
        least = "" if self.minimum is None else f", {self.minimum:g} or more"
        return [f"a number{least or ('' if self.maximum is None else f', {self.maximum:g} or less')}"]

    def spell(self, value: float) -> str:
        """The number with its unit."""
        return f"{value:.6g}{f' {self.unit}' if self.unit else ''}"

    def json_schema(self) -> dict[str, Any]:
        return self.column.json_schema()

    @property
    def example(self) -> float:
        """Zero, or the limit next to it."""
        return min(max(0.0, self.column.lower), self.column.upper)

    @property
    def stored_column(self) -> Column:
        return self.column

    def to_document(self) -> dict[str, Any]:
        document: dict[str, Any] = {"kind": self.kind, "name": self.name, "unit": self.unit, "level": self.level}
        limits = {"minimum": self.minimum, "maximum": self.maximum}
        return {**document, **{name: limit for name, limit in limits.items() if limit is not None}}

    @classmethod
    def of_document(cls, document: dict[str, Any]) -> Self:
        return cls(**{name: value for name, value in document.items() if name != "kind"})


def _meaning(name: str) -> str | float:
    """A number for whatever reads as one, True and False included; else the text without blanks around it."""
    text = name.strip()
    if _NUMBER.fullmatch(text):
        return float(text) + 0.0
    return _BOOLEANS.get(text.lower(), text)
