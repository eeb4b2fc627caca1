"""What is tested of each column.

A column of few or of repeated values is tested on them; free text, whose values hardly come again, on what can change
in it: its length, where it stands in the alphabet, and its characters. A moment is another one each time: tested is
what comes again in it, the time of day and the day of the week. Each test is a `Feature`; those of one column share its
name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from lifeboat.detector.drift_test.encodings import (
    NULL,
    Alphabet,
    Characters,
    Encoding,
    Lengths,
    Levels,
    Novelty,
    Numbers,
)
from lifeboat.detector.drift_test.statistics import Floats, Integers
from lifeboat.tasks.task import WATCHED, Task, watched_columns
from lifeboat.usecase.column import is_null
from lifeboat.usecase.schema import Column
from lifeboat.usecase.zone_calendar import DAY, DAYS, HOUR, PARTS, on_clocks

FeatureKind = Literal["number", "category", "text", "score", "datetime"]
SCORE_FEATURE = "score"
# The source of a feature: which class rows are called.
CALLED = "called"
# An integer column that declares no categories is tested by them alone when the reference knows at most so many values.
FEW = 20


@dataclass(frozen=True)
class Feature:
    """One test of a column, with the reference's values encoded for it.

    Args:
        name: of the column, or `score`.
        kind: of the column.
        aspect: what is tested of it.
        encoding: of raw values.
        reference: [n] encoded.
        boolean: whether its values read false and true.
        source: of a feature of the answer, what of that it tests.
        part: of a feature of moments, what of them it tests.
        is_shown: whether its values may be told; else what stands for them has a number.
    """

    name: str
    kind: FeatureKind
    aspect: str
    encoding: Encoding
    reference: Floats
    boolean: bool = False
    source: str = ""
    part: Part | None = None
    is_shown: bool = True

    @property
    def is_counted(self) -> bool:
        """Whether it is tested by a table of counts; else by ranks."""
        return isinstance(self.encoding, Levels | Novelty)

    @property
    def only_more(self) -> bool:
        """Whether only more in the last cell counts: a window without unseen values may repeat the reference's rows."""
        return isinstance(self.encoding, Novelty)

    @property
    def test(self) -> str:
        return "Chi2" if self.is_counted else "K-S"

    def encode(self, values: Sequence[Any]) -> Floats:
        """Raw values of a window as the reference is encoded.

        Raises:
            ValueError: a value is no finite number where the column holds numbers.
        """
        return self.encoding.encode(values if self.part is None else self.part(values))

    def missing(self, encoded: Floats) -> NDArray[np.bool_]:
        """Which of the encoded values are nulls."""
        if isinstance(self.encoding, Levels):
            return np.equal(encoded, self.encoding.null)
        return np.equal(encoded, 2 if isinstance(self.encoding, Novelty) else NULL)

    def cells(self, window: int) -> NDArray[np.int64]:
        """[codes] the cell of a table of counts for each code, for a window of so many rows."""
        if isinstance(self.encoding, Levels):
            return self.encoding.cells(window)
        return np.array([0, 1, 0])


def column_features(column: Column, values: Sequence[Any], groups: Integers | None = None) -> list[Feature]:
    """Chooses the tests of a column by its declaration and by its values in the reference.

    Args:
        column: its declaration.
        values: [n] of the reference; NaN or '' for null.
        groups: [n] which rows share what would leak; each row its own unless given.
    """
    groups = np.arange(len(values)) if groups is None else groups
    if column.is_datetime:
        return [_part_feature(column, part, values, groups) for part in (_time_of_day, _day_of_week)]
    levels = Levels.of(values, groups)
    if _is_category(column, levels, len(values)):
        return _category_features(column, values, levels, groups, "category")
    if not column.is_number:
        return _text_features(column, values, levels, groups)
    number = _feature(column.name, "number", "values", Numbers(column.name, column.is_wide), values)
    if column.kind != "integer" or not _mostly_repeated(levels):
        return [number]
    # Codes are integers, too, and ranks see little of one code that grows or of new ones between the known.
    return [number, *_category_features(column, values, levels, groups, "number")]


def answer_features(
    task: Task[Any, Any], watched: Mapping[str, NDArray[Any]], groups: Integers | None = None
) -> list[Feature]:
    """The tests of what the model answers, all of one feature.

    Args:
        task: what that is.
        watched: of the reference, see `Task.watched`; empty of a bundle of before drift.
        groups: see `column_features`.
    """
    if not watched:
        return []
    found = []
    for source, values in answer_values(task, watched).items():
        if source == CALLED:
            levels = Levels.of(values, np.arange(len(values)) if groups is None else groups)
            made = Feature(SCORE_FEATURE, "score", "share of each value", levels, levels.encode(values))
        else:
            made = _feature(SCORE_FEATURE, "score", _aspect(source), Numbers(SCORE_FEATURE), values)
        found.append(replace(made, source=source))
    return found


def answer_values(task: Task[Any, Any], watched: Mapping[str, NDArray[Any]]) -> dict[str, list[Any]]:
    """What is tested of answers, by the feature's source: what is watched, and the class that each row is called."""
    values = {name: watched[name].tolist() for name in watched_columns(watched)}
    called = task.called(watched)
    return values if called is None else {**values, CALLED: [str(name) for name in task.spell(called)]}


def _aspect(source: str) -> str:
    name = source.removeprefix(WATCHED).strip()
    return f"probability of {name}" if name else "values"


def _is_category(column: Column, levels: Levels, rows: int) -> bool:
    if column.categories or column.kind in ("boolean", "category"):
        return True
    if column.kind == "integer":
        # As few as one value for every five rows: a small reference makes no category of any number.
        return len(levels.levels) <= min(FEW, rows // 5)
    return column.kind == "string" and _mostly_repeated(levels)


def _mostly_repeated(levels: Levels) -> bool:
    """Whether at least half of the rows have a value that a row of another group has.

    The share of the other rows estimates how often the next row's value is new (Good, 1953). While most values have
    been seen, their shares say most of what can be said of a window; where most are new they say nothing.
    """
    owned = zip(levels.counts[:-1], levels.owners[:-1], strict=True)
    alone = sum(count for count, owners in owned if owners == 1)
    return 2 * alone <= sum(levels.counts[:-1])


def _category_features(
    column: Column, values: Sequence[Any], levels: Levels, groups: Integers, kind: FeatureKind
) -> list[Feature]:
    reference, boolean = levels.encode(values), column.kind == "boolean"
    shares = Feature(column.name, kind, "share of each value", levels, reference, boolean)
    if column.categories or boolean:
        # The schema refuses what it does not know, and a declared value that is new fills the rare ones' cell.
        return [shares]
    return [shares, _novelty_feature(column, values, levels, groups, kind)]


def _novelty_feature(
    column: Column, values: Sequence[Any], levels: Levels, groups: Integers, kind: FeatureKind
) -> Feature:
    novelty = Novelty(levels, levels.encode(values), groups)
    return Feature(column.name, kind, "unseen values", novelty, novelty.encode_reference())


def _part_feature(column: Column, part: Callable[[Integers], list[Any]], values: Sequence[Any],
                  groups: Integers) -> Feature:  # fmt: skip
    """Of a part that has few values their shares, else their ranks."""
    view = Part(column.zone, part)
    seen = view(values)
    if part is _day_of_week:
        levels = Levels.of(seen, groups)
        made = Feature(column.name, "datetime", "day of the week", levels, levels.encode(seen))
    else:
        made = _feature(column.name, "datetime", "time of day", Numbers(column.name), seen)
    return replace(made, part=view)


def _time_of_day(local: Integers) -> list[float]:
    """In hours, 0 to 24."""
    return [within / HOUR for within in (local % DAY).tolist()]


def _day_of_week(local: Integers) -> list[str]:
    return [DAYS[day] for day in PARTS["day of week"](local).tolist()]


@dataclass(frozen=True)
class Part:
    """What of moments is tested.

    Args:
        zone: whose clocks.
        of: of what they show the part.
    """

    zone: str
    of: Callable[[Integers], list[Any]]

    def __call__(self, moments: Sequence[Any]) -> list[Any]:
        """Of each of these, microseconds since 1970; None of a null."""
        local, unknown = on_clocks(np.asarray(moments, dtype=np.float64), self.zone)
        return [None if null else found for null, found in zip(unknown.tolist(), self.of(local), strict=True)]


def _text_features(column: Column, values: Sequence[Any], levels: Levels, groups: Integers) -> list[Feature]:
    texts = [value for value in values if not is_null(value)]
    characters = Characters(values, groups)
    return [
        _feature(column.name, "text", "length", Lengths(), values),
        _feature(column.name, "text", "alphabetical order", Alphabet(tuple(sorted(set(texts)))), values),
        Feature(column.name, "text", "characters", characters, characters.encode_reference()),
        _novelty_feature(column, values, levels, groups, "text"),
    ]


def _feature(name: str, kind: FeatureKind, aspect: str, encoding: Encoding, values: Sequence[Any]) -> Feature:
    return Feature(name, kind, aspect, encoding, encoding.encode(values))
