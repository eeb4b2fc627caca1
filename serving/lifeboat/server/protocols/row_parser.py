"""From the rows of a request to columns: each value checked once, by its column.

Every check is `Column.parse` of the schema. A column's parser here only answers the ordinary cases itself
(a number in its range, a string that is allowed) and leaves everything else to it, so that rules and
sentences stand in one place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from lifeboat.http.errors import RequestError, bad
from lifeboat.server.protocols.tensor import Tensor, columns_of
from lifeboat.usecase.schema import Column, Schema, Value

Parser = Callable[[Any], Value]
Columns = list[list[Value]]


class NotSent(list[Value]):
    """Nulls in place of a column that a request leaves out, for a feature server to fill."""


# Orders of names remembered; a client has one or two.
MAX_LAYOUTS = 64
# Kinds of columns of which a tensor [n, k] can hold all.
NUMBERS = ("float", "integer", "boolean")


@dataclass(frozen=True)
class _Layout:
    """Where the values stand in a row given as a list.

    Args:
        width: of a row.
        read: for each column its parser, its place (None where it is left out) and its null.
        gaps: which of these columns a feature server is asked for.
    """

    width: int
    read: tuple[tuple[Parser, int | None, Value], ...]
    gaps: tuple[int, ...]


class Reader:
    """Turns rows into columns: the inputs of the model, and behind them the keys, null where a request has none.

    Args:
        schema: of a row.
        max_rows: of a request.
        views: by name the keys by which a feature server is asked for columns that a request leaves out; without any
            they are to be sent.
    """

    def __init__(self, schema: Schema, max_rows: int, views: Mapping[str, Sequence[str]] | None = None) -> None:
        self._schema, self._max_rows = schema, max_rows
        sources = {column.name: column.source.partition(":")[0] for column in schema.columns if column.source}
        # Of each column that a feature server is asked for, by which others.
        self._needs = {name: tuple(views[view]) for name, view in sources.items()} if views else {}
        # Those that rows have to bring, though they may be null.
        self._brought = sources.keys() - self._needs.keys()
        self._columns = (*schema.columns, *(replace(key, nullable=True) for key in schema.keys))
        self._parsers = {column.name: compile_parser(column) for column in self._columns}
        self._all_numbers = all(column.kind in NUMBERS for column in schema.columns)
        self._layouts: dict[tuple[Any, ...], _Layout] = {}
        # The most of one kind (names, values, lists or objects) that a body needs: in a feedback each row may have its
        # request, an answer of two probabilities and a truth. The rest is for what is said of all rows at once.
        self.max_values = max_rows * (len(schema.known) + 3) + 1000

    def from_rows(self, rows: Any, names: Any, where: str) -> Columns:
        """Reads rows given as lists.

        Args:
            rows: n lists of m values.
            names: the m names of the columns in any order; None or empty for the schema's order.
            where: the place of the rows in the request, for messages.

        Raises:
            RequestError: 400; it names row, column, value and limit.
        """
        self.check_count(rows, where)
        layout = self._layout(names)
        for number, row in enumerate(rows, start=1):
            if type(row) is not list:
                raise bad(f"{where}: row {number} is not a list of values")
            if len(row) != layout.width:
                raise bad(f"{where}: row {number} has {len(row)} values, there are {layout.width} names")
        try:
            columns = [
                [null] * len(rows) if place is None else [parser(row[place]) for row in rows]
                for parser, place, null in layout.read
            ]
        except ValueError:
            order = names or self._schema.names
            raise self._first_problem([dict(zip(order, row, strict=True)) for row in rows]) from None
        return _marked(columns, layout.gaps)

    def from_objects(self, rows: Any, where: str) -> Columns:
        """Reads rows given as objects by column name; a column that is left out is a null where it may be.

        Raises:
            RequestError: 400; it names row, column, value and limit.
        """
        self.check_count(rows, where)
        known = self._parsers.keys()
        for number, row in enumerate(rows, start=1):
            if type(row) is not dict:
                raise bad(f"{where}: row {number} is not an object of column names and values")
            if not self._brought <= row.keys() <= known:
                raise self._first_problem(rows)
            if self._needs and row.keys() & self._needs.keys() != rows[0].keys() & self._needs.keys():
                raise bad(f"{where}: row {number} brings other columns of the feature store than row 1; bring the same")
        try:
            columns = [[parser(row.get(name)) for row in rows] for name, parser in self._parsers.items()]
        except ValueError:
            raise self._first_problem(rows) from None
        return _marked(columns, self._gaps(rows[0]))

    def from_columns(self, columns: dict[str, list[Any]], rows: int) -> Columns:
        """Reads columns of equal length given by name; one that is left out is all null where it may be.

        Raises:
            RequestError: 400; it names row, column, value and limit.
        """
        if not 0 < rows <= self._max_rows:
            raise bad(f"the inputs hold {rows} rows, allowed are 1 to {self._max_rows}")
        layout = self._layout(list(columns))
        try:
            read = [
                [null] * rows if place is None else [parser(value) for value in columns[name]]
                for name, (parser, place, null) in zip(self._parsers, layout.read, strict=True)
            ]
        except ValueError:
            objects = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
            raise self._first_problem(objects) from None
        return _marked(read, layout.gaps)

    def from_tensors(self, tensors: Sequence[Tensor]) -> Columns:
        """Reads tensors of the Open Inference Protocol: each a column, or one [n, k] of a model of numbers.

        Raises:
            RequestError: 400; it names the input, or row, column, value and limit.
        """
        return self.from_columns(*columns_of(tensors, self._schema.names, self._all_numbers))

    def check_count(self, rows: Any, where: str) -> None:
        """Raises a 400 unless this is a list of at least one row and at most the limit."""
        if type(rows) is not list:
            raise bad(f"{where} is not a list of rows")
        if not 0 < len(rows) <= self._max_rows:
            raise bad(f"{where} holds {len(rows)} rows, allowed are 1 to {self._max_rows}")

    def _layout(self, names: Any) -> _Layout:
        if names is None:
            names = []
        if type(names) is not list or not all(type(name) is str for name in names):
            raise bad("names is not a list of column names")
        order = tuple(names) or self._schema.names
        layout = self._layouts.get(order)
        if layout is None:
            layout = self._make_layout(order)
            if len(self._layouts) < MAX_LAYOUTS:
                self._layouts[order] = layout
        return layout

    def _make_layout(self, order: tuple[str, ...]) -> _Layout:
        known = self._schema.known
        for name in order:
            if name not in known:
                raise bad(f"column {name}: unknown; the columns are {', '.join(self._schema.names)}")
            if order.count(name) > 1:
                raise bad(f"column {name}: named twice")
        for column in self._schema.columns:
            if column.name not in order and not (column.is_optional or column.name in self._needs):
                raise bad(f"column {column.name}: {column.why_missing}")
        places = {name: place for place, name in enumerate(order)}
        read = tuple((self._parsers[column.name], places.get(column.name), column.null) for column in self._columns)
        return _Layout(len(order), read, self._gaps(order))

    def _gaps(self, names: Container[str]) -> tuple[int, ...]:
        """Which columns a feature server is asked for where these are sent; raises a 400 where a key of one is not."""
        gaps = [name for name in self._needs if name not in names]
        for name in gaps:
            for key in self._needs[name]:
                if key not in names:
                    raise bad(
                        f"column {key}: missing: by it the feature store is asked for {name}, which is missing as well"
                    )
        return tuple(place for place, name in enumerate(self._parsers) if name in gaps)

    def _first_problem(self, rows: list[dict[str, Any]]) -> RequestError:
        """The first row that the schema refuses, in its words."""
        for number, row in enumerate(rows, start=1):
            try:
                self._schema.parse_row({**dict.fromkeys(self._needs), **row})
            except ValueError as error:
                return bad(f"row {number}, {error}")
        raise AssertionError("a compiled parser refused what its column accepts")


def _marked(columns: Columns, gaps: Iterable[int]) -> Columns:
    for place in gaps:
        columns[place] = NotSent(columns[place])
    return columns


def compile_parser(column: Column) -> Parser:
    """A parser with the meaning of `column.parse`, quick for the ordinary values."""
    if not column.is_number:
        return _string_parser(column)
    if column.is_datetime:
        return column.parse
    return _integer_parser(column) if column.kind == "integer" else _float_parser(column)


def _float_parser(column: Column) -> Parser:
    lower, upper, parse = column.lower, column.upper, column.parse
    ordinary = column.kind == "float" and not column.categories

    def parser(value: Any) -> Value:
        if ordinary and (type(value) is float or type(value) is int) and lower <= value <= upper:
            return value + 0.0  # the negative zero is zero
        return parse(value)

    return parser


def _integer_parser(column: Column) -> Parser:
    lower, upper, parse = column.lower, column.upper, column.parse
    categories = frozenset(column.categories)

    def parser(value: Any) -> Value:
        if type(value) is int and lower <= value <= upper and (not categories or value in categories):
            return value
        return parse(value)

    return parser


def _string_parser(column: Column) -> Parser:
    parse, longest, categories = column.parse, column.max_length, frozenset(column.categories)
    nulls = column.nulls
    matches = None if column.pattern is None else re.compile(column.pattern).fullmatch

    def parser(value: Any) -> Value:
        if (
            type(value) is str
            and 0 < len(value) <= longest
            and value.isascii()
            and value not in nulls
            and (not categories or value in categories)
            and (matches is None or matches(value))
        ):
            return value
        return parse(value)

    return parser
