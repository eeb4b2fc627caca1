"""How a CSV file is written: declared by a use case, or recognised in the file's first rows."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from lifeboat.config.errors import DataError, UseCaseError

DELIMITERS = ",;\t|"
_DELIMITER_NAMES = {"\t": "tabs"}
# pandas writes an index so, and calls it so where it reads its own file again.
_INDEX_NAMES = ("", "Unnamed: 0")
# A number column may hold these; they do not make it a text column.
_NULLS = frozenset(("", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "-", "?", ".", "n.a.", "missing"))
_DECIMAL_COMMA = re.compile(r"[+-]?(\d+(,\d*)?|,\d+)([eE][+-]?\d+)?")
_GROUPED = re.compile(r"[+-]?\d{1,3}(\.\d{3})+(,\d+)?")
# 1,234 may be a thousand and more, or one and a quarter.
_AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
_SHOWN = 5


@dataclass(frozen=True)
class Csv:
    """How the CSV files of a use case are written; what is None is recognised in each file, and said.

    Args:
        delimiter: between the fields: one ASCII character, such as ';'. Recognised: comma, semicolon, tab and '|'.
        decimal: '.' or ','. A comma is recognised where the first rows hold numbers that can be read in no other way;
            cells change only in columns whose known values in the first rows are all numbers. Thousands separators are
            not read.
        encoding: as Python names it, such as 'cp1250'. UTF-8, and UTF-16 and UTF-32 with a byte order mark, are
            recognised; nothing else is.
        quote: around a field, one ASCII character; '' where quotes are ordinary text. Recognised: '"' and "'".
        trim: whether blanks between a delimiter and its field are left out.

    Raises:
        UseCaseError: one of them has no valid value.
    """

    delimiter: str | None = None
    decimal: str | None = None
    encoding: str | None = None
    quote: str | None = None
    trim: bool | None = None

    def __post_init__(self) -> None:
        limits = (
            (
                "delimiter",
                self.delimiter is None or _is_mark(self.delimiter),
                "one ASCII character, no letter or digit",
            ),
            ("decimal", self.decimal in (None, ".", ","), "'.' or ','"),
            ("encoding", self.encoding is None or _is_encoding(self.encoding), "a text encoding that Python knows"),
            (
                "quote",
                self.quote in (None, "") or _is_mark(self.quote),
                "one ASCII character, no letter or digit, or ''",
            ),
            ("trim", self.trim in (None, True, False), "True, False or None"),
        )
        for name, holds, limit in limits:
            if not holds:
                raise UseCaseError(f"csv: {name} is {getattr(self, name)!r}, it must be {limit}")
        if self.quote and self.quote == self.delimiter:
            raise UseCaseError(f"csv: quote and delimiter are both {self.quote!r}, they must differ")
        if self.trim and self.delimiter == " ":
            raise UseCaseError("csv: trim is True, which a delimiter of ' ' does not allow")


# Nothing is declared.
PLAIN = Csv()


def _is_mark(text: object) -> bool:
    return isinstance(text, str) and len(text) == 1 and text.isascii() and not text.isalnum() and text not in "\r\n\0"


def _is_encoding(name: object) -> bool:
    try:
        "".encode(str(name))
    except (LookupError, UnicodeError, ValueError):
        return False
    return isinstance(name, str)


@dataclass(frozen=True)
class Dialect:
    """How one file is written, with nothing left open.

    Args:
        delimiter, quote, trim: as in `Csv`; quote is '' for none.
        names: of the columns, as in the header, without blanks around them.
        header: size of the header in the text, in bytes of UTF-8, with its line end.
        counted: whether the first column is unnamed and counts the rows, so that it is left out.
        decimal_columns: numbers of the columns in which a decimal comma may stand.
        assumed: a sentence for each thing that was recognised and is not the usual.
    """

    delimiter: str
    quote: str
    trim: bool
    names: tuple[str, ...]
    header: int
    counted: bool
    decimal_columns: tuple[int, ...]
    assumed: tuple[str, ...]


def recognise(sample: str, csv: Csv, *, whole: bool, name: str) -> Dialect:
    """Tells how a file is written.

    Args:
        sample: the header and the first rows.
        csv: what is declared.
        whole: whether the sample is the whole file; else its last row may be cut off and is not looked at.
        name: of the file, for errors.

    Raises:
        DataError: the header is empty, has no end, or names a column twice.
    """
    found = _Recognition(sample, csv, whole)
    dialect = found.dialect()
    if dialect.names == ("",):
        raise DataError("its first line is empty and should be the header", file=name)
    if any(_is_open(field, dialect.quote) for field in found.header):
        raise DataError(f"has no readable header: a quote ({dialect.quote}) in it is never closed", file=name)
    if not whole and dialect.header == len(sample.encode()):
        raise DataError(f"has no readable header: no line ends in its first {dialect.header:,} bytes", file=name)
    repeated = sorted(column or "(no name)" for column, count in Counter(dialect.names).items() if count > 1)
    if repeated:
        raise DataError(f"columns named twice: {', '.join(repeated)}", file=name)
    return dialect


@dataclass(frozen=True)
class _Recognition:
    """The questions that are asked of a sample, in the order in which they depend on each other."""

    sample: str
    csv: Csv
    whole: bool

    def dialect(self) -> Dialect:
        cells = [[self._text(cell) for cell in row] for row in self._raw]
        names = tuple(name.strip().strip("\ufeff").strip() for name in cells[0])
        counted = _counts_rows(names, cells[1:])
        commas, decimals = self._decimals(names, cells[1:])
        assumed = {
            f"fields are separated by {_DELIMITER_NAMES.get(self.delimiter, repr(self.delimiter))}": (
                self.csv.delimiter is None and self.delimiter != ","
            ),
            f"fields are quoted by {self.quote}": self.csv.quote is None and self.quote != '"',
            "blanks after a delimiter are left out": self.csv.trim is None and self.trim,
            "blanks around a column's name are left out": names != tuple(cells[0]) and not self.trim,
            "an unnamed first column that counts the rows is left out": counted,
            f"decimals are written with a comma: {commas}": self.csv.decimal is None and bool(decimals),
        }
        said = tuple(sentence for sentence, holds in assumed.items() if holds)
        _, end = next(_split(self.sample, self.delimiter, self.quote))
        header = len(self.sample[:end].encode())
        return Dialect(self.delimiter, self.quote, self.trim, names, header, counted, decimals, said)

    @cached_property
    def delimiter(self) -> str:
        """The one that splits the header; of several, one that splits every row alike, and into most fields."""
        if self.csv.delimiter is not None:
            return self.csv.delimiter
        quote = '"' if self.csv.quote is None else self.csv.quote
        header = {mark: len(next(_split(self.sample, mark, quote))[0]) for mark in DELIMITERS if mark != quote}
        splitting = [mark for mark, fields in header.items() if fields > 1]
        if len(splitting) < 2:
            return splitting[0] if splitting else ","
        even = [mark for mark in splitting if _even(self._complete(_rows(self.sample, mark, quote)))]
        return max(even or splitting, key=lambda mark: header[mark])

    @cached_property
    def quote(self) -> str:
        """The apostrophe only around all of a column; fields of several lines or in double quotes speak against it."""
        if self.csv.quote is not None:
            return self.csv.quote
        if "'" not in self.sample:
            return '"'
        rows = self._complete(_rows(self.sample, self.delimiter, "'"))
        fields = [cell.strip() for row in rows for cell in row]
        torn = any(field.startswith("'") and (not _in_quotes(field, "'") or _has_line_end(field)) for field in fields)
        if torn or not _even(rows) or any(_in_quotes(field, '"') for field in fields):
            return '"'
        columns = ([cell.strip() for cell in column if cell.strip()] for column in zip(*rows[1:], strict=True))
        return "'" if any(column and all(_in_quotes(cell, "'") for cell in column) for column in columns) else '"'

    @cached_property
    def trim(self) -> bool:
        if self.csv.trim is not None or self.delimiter == " ":
            return bool(self.csv.trim)
        fields = [cell for row in self._raw[1:] for cell in row[1:] if cell]
        return bool(fields) and all(field.startswith(" ") for field in fields)

    @property
    def header(self) -> list[str]:
        """The header's fields as they are written."""
        return self._raw[0]

    @cached_property
    def _raw(self) -> list[list[str]]:
        """The rows' fields as they are written, with quotes and blanks; the header is the first."""
        return self._complete(_rows(self.sample, self.delimiter, self.quote))

    def _complete(self, rows: list[list[str]]) -> list[list[str]]:
        """Without a last row that may be cut off, and without the empty lines that are no rows."""
        kept = rows if self.whole or len(rows) == 1 else rows[:-1]
        single = len(kept[0]) == 1
        return [kept[0], *(row for row in kept[1:] if single or row != [""])]

    def _text(self, cell: str) -> str:
        field = cell.lstrip(" ") if self.trim else cell
        if not self.quote or not _in_quotes(field, self.quote):
            return field
        return field[1:-1].replace(self.quote * 2, self.quote)

    def _decimals(self, names: tuple[str, ...], rows: list[list[str]]) -> tuple[str, tuple[int, ...]]:
        """The columns in which a decimal comma was seen, in words, and the numbers of all in which one may stand."""
        if self.csv.decimal == "." or (self.csv.decimal is None and self.delimiter == ","):
            return "", ()
        columns = [[row[number].strip() for row in rows if number < len(row)] for number in range(len(names))]
        known = [[cell for cell in column if cell.lower() not in _NULLS] for column in columns]
        numeric = [number for number, cells in enumerate(known) if all(map(_is_number, cells))]
        seen = [number for number in numeric if any("," in cell for cell in known[number])]
        sure = any(
            "," in cell and not _AMBIGUOUS.fullmatch(cell) and not _GROUPED.fullmatch(cell)
            for number in seen
            for cell in known[number]
        )
        if not sure and self.csv.decimal is None:
            return "", ()
        more = f" and {len(seen) - _SHOWN} more" if len(seen) > _SHOWN else ""
        return ", ".join(names[number] for number in seen[:_SHOWN]) + more, tuple(numeric)


def _rows(sample: str, delimiter: str, quote: str) -> list[list[str]]:
    return [row for row, _ in _split(sample, delimiter, quote)]


def _split(sample: str, delimiter: str, quote: str) -> Iterator[tuple[list[str], int]]:
    """The raw fields of each row and where the row ends; an unclosed quote is an ordinary character here."""
    mark, rest = re.escape(delimiter), rf"[^{re.escape(delimiter)}\r\n]*+"
    quoted = rf" *{re.escape(quote)}(?:[^{re.escape(quote)}]|{re.escape(quote * 2)})*+{re.escape(quote)}{rest}|"
    field = re.compile(rf"({quoted if quote else ''}{rest})({mark}|\r\n|\r|\n|\Z)")
    row: list[str] = []
    for match in field.finditer(sample):
        if match.start() == len(sample) and not row and match.start() > 0:
            return  # behind the end of the last line
        row.append(match[1])
        if match[2] != delimiter:
            yield row, match.end()
            row = []
            if not match[2]:
                return


def _even(rows: list[list[str]]) -> bool:
    return all(len(row) == len(rows[0]) for row in rows)


def _is_open(field: str, quote: str) -> bool:
    return bool(quote) and field.lstrip(" ").startswith(quote) and field.count(quote) % 2 == 1


def _has_line_end(field: str) -> bool:
    return "\n" in field or "\r" in field


def _in_quotes(field: str, quote: str) -> bool:
    return len(field) > 1 and field[0] == field[-1] == quote


def _is_number(cell: str) -> bool:
    return bool(_DECIMAL_COMMA.fullmatch(cell) or _GROUPED.fullmatch(cell))


def _counts_rows(names: tuple[str, ...], rows: list[list[str]]) -> bool:
    if len(names) < 2 or names[0] not in _INDEX_NAMES or not rows:
        return False
    found = [row[0].strip() for row in rows]
    return any(found == [str(start + row) for row in range(len(rows))] for start in (0, 1))
