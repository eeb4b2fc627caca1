"""Quotes in CSV text: where fields are quoted, and which quotes would swallow rows.

A quote opens a field only as its first character, elsewhere it is an ordinary one; inside, two stand for one. So reads
Arrow's parser, which also takes an unclosed quote as closed by the end of the text.
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lifeboat.data.csv.dialect import Dialect

_BLANK = ord(" ")
_LINE_END = re.compile(rb"\r\n|\r|\n")
_LINE_ENDS = re.compile(rb"[\r\n]+")
_REMEDY = "close it, double a quote that is part of the text, or declare Csv(quote='') where quotes are ordinary text"
Positions = NDArray[np.int64]
Flags = NDArray[np.bool_]


class QuoteError(Exception):
    """A quote that makes the text unreadable.

    Args:
        problem: a sentence for people.
        offset: of the quote in the text.
    """

    def __init__(self, problem: str, offset: int) -> None:
        super().__init__(problem)
        self.problem, self.offset = f"{problem}; {_REMEDY}", offset


class QuotedText:
    """Some text that begins where a row begins, and what is quoted in it.

    Args:
        text: in UTF-8.
        dialect: of the file.

    Raises:
        QuoteError: text stands behind the quote that closes a field of several lines.
    """

    def __init__(self, text: bytes, dialect: Dialect) -> None:
        self.text, self._trim = text, dialect.trim
        self._data = np.frombuffer(text, np.uint8)
        self._borders = np.zeros(256, dtype=bool)
        self._borders[[*dialect.delimiter.encode(), *b"\r\n"]] = True
        self._toggles = self._find_toggles(dialect.quote.encode()) if dialect.quote else np.array([], dtype=np.int64)

    @cached_property
    def _size(self) -> int:
        """The size of the rows that are all there: up to behind the last line end that is not quoted."""
        for line_end in b"\n\r":
            ends = np.flatnonzero(self._data == line_end)
            ends = ends[self._outside(ends)]
            if len(ends):
                return int(ends[-1]) + 1
        return 0

    @property
    def rest(self) -> bytes:
        """The row that is not all there."""
        return self.text[self._size :]

    def rows(self) -> bytes:
        """The rows that are all there; where the dialect trims, without the blanks in front of fields."""
        return self._trimmed(self._data[: self._size]) if self._trim else self.text[: self._size]

    def refuse_open(self) -> None:
        """Raises QuoteError where the text ends inside quotes."""
        if len(self._toggles) % 2:
            raise QuoteError("a quote that opens here is never closed", int(self._toggles[-1]))

    def empty_lines(self) -> tuple[int, int]:
        """How many lines are empty: those that a row follows, and those behind the last row."""
        between = behind = 0
        if self.text[:1] not in (b"\r", b"\n") and not any(pair in self.text for pair in (b"\n\n", b"\n\r", b"\r\r")):
            return between, behind
        for match in _LINE_ENDS.finditer(self.text, 0, self._size):
            if self._outside(match.start()):
                lines = len(_LINE_END.findall(match[0])) - (match.start() > 0)
                between, behind = (between, lines) if match.end() == self._size else (between + lines, 0)
        return between, behind

    def _trimmed(self, data: NDArray[np.uint8]) -> bytes:
        blank = data == _BLANK
        run = blank & np.concatenate(([True], self._borders[data[:-1]]))
        found = run
        while run.any():
            run = np.concatenate(([False], run[:-1])) & blank
            found = found | run
        places = np.flatnonzero(found)
        keep = np.ones(len(data), dtype=bool)
        keep[places[self._outside(places)]] = False
        return data[keep].tobytes()

    def _outside(self, places: Any) -> Any:
        return np.searchsorted(self._toggles, places) % 2 == 0

    def _find_toggles(self, quote: bytes) -> Positions:
        """Where quoting begins and ends; the two quotes of a doubled one may count as an end and a beginning."""
        quotes = np.flatnonzero(self._data == quote[0])
        opens = self._behind_border(quotes)
        closes = self._borders[self._data[np.minimum(quotes + 1, len(self._data) - 1)]]
        first = np.diff(quotes, append=-1) == 1  # of two that stand together
        second = np.concatenate(([False], first))[:-1]
        if (opens | second)[::2].all() and (closes | first)[1::2].all():
            return quotes  # every other one opens, and every other one closes or is the first of a doubled one
        return self._toggles_one_by_one(quotes, opens, closes, first)

    def _toggles_one_by_one(self, quotes: Positions, opens: Flags, closes: Flags, first: Flags) -> Positions:
        """The same where some quotes are ordinary characters."""
        toggles: list[int] = []
        inside, skipped = False, -1
        flags = (quotes.tolist(), opens.tolist(), closes.tolist(), first.tolist())
        for quote, opening, closing, doubled in zip(*flags, strict=True):
            if quote == skipped or not (inside or opening):
                continue
            if inside and doubled:
                skipped = quote + 1
                continue
            if inside and not closing and _LINE_END.search(self.text, toggles[-1], quote):
                raise QuoteError("text stands behind the quote that closes this field of several lines", toggles[-1])
            toggles.append(quote)
            inside = not inside
        return np.array(toggles, dtype=np.int64)

    def _behind_border(self, quotes: Positions) -> Flags:
        before = quotes - 1
        while self._trim and (blank := (before >= 0) & (self._data[before] == _BLANK)).any():
            before = before - blank
        return np.where(before >= 0, self._borders[self._data[before]], True)
