"""From CSV text to batches: pieces of whole rows, each parsed by Arrow on its own.

Arrow's parser takes a quote that is not closed as closed by the end of its text, and would swallow rows in silence. So
a piece is taken as it was parsed only where it has as many rows as lines: then no field holds a line end. Any other
piece is looked at quote by quote.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv

from lifeboat.config.errors import DataError, first_line
from lifeboat.data.csv.bytes import CsvFile, Read
from lifeboat.data.csv.dialect import Dialect
from lifeboat.data.csv.quotes import QuotedText, QuoteError

# A row may be as long, in bytes; what is longer is an unclosed quote rather than a row.
_LONGEST_ROW = 1 << 24


class CsvParser:
    """Reads the rows of a file.

    Args:
        file: that is read.
        dialect: of the file.
        block: bytes that are parsed at a time.
    """

    def __init__(self, file: CsvFile, dialect: Dialect, block: int) -> None:
        self._file, self._dialect, self._block = file, dialect, block
        self._names = [str(number) for number in range(len(dialect.names))]
        # Of a table of one column an empty line is a row.
        self._single = len(self._names) == 1
        self._rows, self._offset = 0, dialect.header
        self.empty_lines = 0  # those that are rows, or stand between rows
        self._empty_behind = 0

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Batches of strings; the columns are called by their numbers.

        Raises:
            DataError: a row has another number of fields than the header, a quote is not closed, bytes are of another
                encoding.
        """
        with self._file.open(self._dialect) as read:
            try:
                yield from self._pieces(read)
            except QuoteError as error:
                self._file.refuse_text(self._offset + error.offset, error.problem, self._dialect)

    def _pieces(self, read: Read) -> Iterator[pa.RecordBatch]:
        held = b""  # begins where a row begins
        for block in self._blocks(read):
            if end := _last_line_end(block):
                rest = yield from self._parse(_native(held, memoryview(block)[:end]))
                held = rest + block[end:]
            else:
                held += block
            if len(held) > _LONGEST_ROW:
                QuotedText(held, self._dialect).refuse_open()
                raise DataError(f"is longer than {_LONGEST_ROW:,} bytes", file=self._file.name, row=self._rows + 1)
        if held:
            text = held if held.endswith((b"\r", b"\n")) else held + b"\n"
            QuotedText(text, self._dialect).refuse_open()
            yield from self._parse(_native(text))

    def _blocks(self, read: Read) -> Iterator[bytes]:
        skip = self._dialect.header
        while block := read(self._block):
            yield block[skip:]
            skip = max(skip - len(block), 0)

    def _parse(self, text: Any) -> Generator[pa.RecordBatch, None, bytes]:
        """Yields the rows that are all there in a buffer; gives what is left of it."""
        batch = None if self._single or self._dialect.trim else self._parse_plain(text)
        rest, between, behind = b"", 0, 0
        if batch is None:
            quoted = QuotedText(text.to_pybytes(), self._dialect)
            between, behind = quoted.empty_lines()
            batch, rest = self._parse_rows(_native(quoted.rows())), quoted.rest
        self._count(batch.num_rows, between, behind)
        self._offset += len(text) - len(rest)
        if batch.num_rows:
            yield batch
        return rest

    def _count(self, rows: int, between: int, behind: int) -> None:
        """Empty lines behind the last row of a wider table mean nothing, so they wait for a row that follows."""
        self._rows += rows
        if self._single:
            self.empty_lines += between + behind
        elif rows:
            self.empty_lines += self._empty_behind + between
            self._empty_behind = behind
        else:
            self._empty_behind += between + behind

    def _parse_plain(self, text: Any) -> pa.RecordBatch | None:
        """The rows where no field holds a line end and no line is empty; else None."""
        try:
            batch = self._arrow(text, [])
        except pa.ArrowInvalid:
            return None
        plain = batch.num_rows and {batch.num_rows} == _line_counts(text) and not _ends_line(batch.column(-1)[-1])
        return batch if plain else None

    def _parse_rows(self, text: Any) -> pa.RecordBatch:
        wrong: list[Any] = []
        try:
            return self._arrow(text, wrong)
        except pa.ArrowInvalid as error:
            if wrong:
                row = self._rows + wrong[0].number
                problem = f"has {wrong[0].actual_columns} fields, the header has {wrong[0].expected_columns}"
                raise DataError(problem, file=self._file.name, row=row) from error
            self._file.refuse_bytes(self._dialect)
            raise DataError(f"is not a readable CSV file: {first_line(error)}", file=self._file.name) from error

    def _arrow(self, text: Any, wrong: list[Any]) -> pa.RecordBatch:
        """Parses whole rows; a row with a wrong number of fields is added to `wrong` before ArrowInvalid is raised."""
        types = dict.fromkeys(self._names, pa.string())
        if self._holds_no_row(text):  # of which Arrow makes an error
            return pa.RecordBatch.from_pylist([], pa.schema(types))

        def note(row: Any) -> str:
            wrong.append(row)
            return "error"

        parsed = pa.csv.read_csv(
            pa.BufferReader(text),
            pa.csv.ReadOptions(use_threads=False, block_size=len(text), column_names=self._names),
            pa.csv.ParseOptions(
                delimiter=self._dialect.delimiter,
                quote_char=self._dialect.quote or False,
                newlines_in_values=False,
                invalid_row_handler=note,
                ignore_empty_lines=not self._single,
            ),
            pa.csv.ConvertOptions(column_types=types, strings_can_be_null=False),
        )
        [batch] = parsed.to_batches()
        return batch

    def _holds_no_row(self, text: Any) -> bool:
        if not len(text) or self._single:
            return not len(text)
        return text[:1].to_pybytes() in (b"\r", b"\n") and not text.to_pybytes().strip(b"\r\n")


def _native(*parts: bytes | memoryview) -> Any:
    """A copy in Arrow's memory: a thread of Arrow's that lets go of Python's memory at exit would abort the process."""
    copy = pa.allocate_buffer(sum(map(len, parts)))
    place = memoryview(copy).cast("B")
    for part in parts:
        place[: len(part)] = part
        place = place[len(part) :]
    return copy


def _last_line_end(block: bytes) -> int:
    """Where the last whole line ends; 0 for none. A carriage return at the very end may be half of a line end."""
    return (block.rfind(b"\n") + 1) or (block.rfind(b"\r", 0, -1) + 1)


def _ends_line(cell: Any) -> bool:
    """Whether the last field took the line end that should have ended its row, as an unclosed quote does."""
    return bool(cell.as_py().endswith(("\r", "\n")))


def _line_counts(text: Any) -> set[int]:
    """The number of line ends by each of the two characters that occurs."""
    data = np.frombuffer(text, np.uint8)
    return {int(np.count_nonzero(data == line_end)) for line_end in b"\r\n"} - {0}
