"""The bytes of a CSV file: unpacked and as UTF-8, whatever the file's own encoding and compression."""

from __future__ import annotations

import codecs
import csv
import io
import lzma
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NoReturn

import pyarrow as pa

from lifeboat.config.errors import DataError, StorageError, first_line
from lifeboat.data.csv.dialect import Csv, Dialect

_COMPRESSIONS = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xfd7zXZ\x00": "xz",
}
# In this order: the mark of UTF-32 begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "UTF-8"),
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
_BLOCK = 1 << 20
_LONGEST_HEADER = 1 << 22
Read = Callable[[int], bytes]


def first_bytes(path: Path, size: int = 8) -> bytes:
    """The start of a file; raises StorageError where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(size)
    except OSError as error:
        raise StorageError(f"{path} cannot be read: {error.strerror}") from error


def compression(path: Path) -> str | None:
    """What a file is packed by, told from its first bytes whatever its name says; None for a plain file."""
    start = first_bytes(path)
    return next((name for magic, name in _COMPRESSIONS.items() if start.startswith(magic)), None)


@dataclass(frozen=True)
class CsvFile:
    """A CSV file whose bytes can be read as UTF-8 text, as often as asked.

    Args:
        path: of the file.
        name: how errors call it.
        csv: of which the encoding matters here.
    """

    path: Path
    name: str
    csv: Csv = field(default_factory=Csv)

    @cached_property
    def packed(self) -> str | None:
        """What the file is packed by."""
        return compression(self.path)

    @cached_property
    def marked(self) -> str | None:
        """The encoding that a byte order mark tells; such a mark outweighs what is declared."""
        with self._unpacked() as read:
            start = read(8)
        return next((name for mark, name in _MARKS if start.startswith(mark)), None)

    @property
    def encoding(self) -> str:
        return self.marked or self.csv.encoding or "UTF-8"

    @property
    def assumed(self) -> list[str]:
        """A sentence for each thing that was recognised and is not the usual."""
        said = [f"read as {self.packed}"] if self.packed else []
        declared = codecs.lookup(self.csv.encoding or "UTF-8").name
        if self.marked and not declared.startswith(self.marked.lower()):
            said.append(f"read as {self.marked}, as its byte order mark says")
        return said

    @contextmanager
    def open(self, dialect: Dialect | None = None) -> Iterator[Read]:
        """A function that gives the next bytes of the text, none at its end, in UTF-8 without a byte order mark.

        UTF-8 itself is passed on unchecked: the parser checks it, and `refuse_bytes` then says where it is broken. The
        dialect, as far as known, tells the row of a byte of another encoding.
        """
        with self._unpacked() as read:
            if codecs.lookup(self.encoding).name in ("utf-8", "utf-8-sig"):
                if self.marked:
                    read(len(codecs.BOM_UTF8))
                yield read
            else:
                yield _Decoder(read, self, dialect).read

    def sample(self, size: int) -> tuple[str, bool]:
        """The first `size` bytes of the text, or as many more as the header takes, and whether that is all of it."""
        found = b""
        with self.open() as read:
            while (len(found) < size or _has_no_line(found)) and (block := read(size)):
                found += block
            whole = not read(1)
        if b"\0" in found:
            raise DataError(
                "holds NUL bytes, as no CSV file does; a text in UTF-16 without a byte order mark is read once its use "
                'case declares Csv(encoding="utf-16-le")',
                file=self.name,
            )
        try:
            # Without `final`, a character that is cut off at the end is left out.
            text = codecs.getincrementaldecoder("utf-8")().decode(found, final=whole)
        except UnicodeDecodeError:
            self.refuse_bytes()
            raise
        return text.removeprefix("\ufeff"), whole

    def refuse_bytes(self, dialect: Dialect | None = None) -> None:
        """Raises for the first byte that the file's encoding does not know, with its row and, if known, its column."""
        with self._unpacked() as read:
            decoder = _Decoder(read, self, dialect)
            while decoder.read(_BLOCK):
                pass

    def refuse_byte(self, offset: int, byte: int, dialect: Dialect | None) -> NoReturn:
        """Raises for a byte at this offset of the unpacked file."""
        problem = (
            f"byte {byte:#04x} is not {self.encoding}; save the file as UTF-8 or declare its encoding in the use case, "
            'such as Csv(encoding="cp1252")'
        )
        with self._unpacked() as read:
            raise self._error(problem, *_place(read, offset, self.encoding, dialect))

    def refuse_text(self, offset: int, problem: str, dialect: Dialect) -> NoReturn:
        """Raises for what begins at this offset of the text in UTF-8."""
        with self.open() as read:
            raise self._error(problem, *_place(read, offset, "utf-8", dialect))

    def _error(self, problem: str, row: int, column: str | None) -> DataError:
        if row < 1:
            return DataError(f"its header cannot be read: {problem}", file=self.name)
        return DataError(problem, file=self.name, row=row, column=column)

    @contextmanager
    def _unpacked(self) -> Iterator[Read]:
        try:
            file = self.path.open("rb", buffering=0)
        except OSError as error:
            raise StorageError(f"{self.name} cannot be read: {error.strerror}") from error
        with file:
            yield _Unpacker(file, self.packed, self.name).read


def _has_no_line(text: bytes) -> bool:
    return len(text) < _LONGEST_HEADER and b"\n" not in text and b"\r" not in text


class _Unpacker:
    """Reads a plain or packed file; raises DataError where it is torn."""

    def __init__(self, file: Any, packed: str | None, name: str) -> None:
        self._packed, self._name = packed, name
        self._stream: Any = file
        if packed == "xz":
            self._stream = lzma.LZMAFile(file)  # noqa: SIM115  # the file that it reads is closed by who opened it
        elif packed:
            self._stream = pa.CompressedInputStream(pa.PythonFile(file, "r"), packed)

    def read(self, size: int) -> bytes:
        try:
            found: bytes = self._stream.read(size)
        except (OSError, EOFError, lzma.LZMAError, pa.ArrowInvalid) as error:
            if self._packed is None:
                raise StorageError(f"{self._name} cannot be read: {first_line(error)}") from error
            raise DataError(f"is not a whole {self._packed} file: {first_line(error)}", file=self._name) from error
        return found


class _Decoder:
    """From the file's encoding to UTF-8."""

    def __init__(self, read: Read, file: CsvFile, dialect: Dialect | None = None) -> None:
        self._read, self._file, self._dialect = read, file, dialect
        self._decoder = codecs.getincrementaldecoder(file.encoding)()
        self._taken = 0

    def read(self, size: int) -> bytes:
        text = ""
        while not text:
            block = self._read(size)
            self._taken += len(block)
            try:
                text = self._decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                # The decoder keeps the start of a character from the block before: the error counts from there.
                offset = self._taken - len(error.object) + error.start
                self._file.refuse_byte(offset, error.object[error.start], self._dialect)
            if not block:
                break
        return text.encode()


def _place(read: Read, offset: int, encoding: str, dialect: Dialect | None) -> tuple[int, str | None]:
    """Row and column of the byte at an offset; row 0 is the header."""
    text = io.TextIOWrapper(io.BufferedReader(_Prefix(read, offset + 1)), encoding, errors="replace", newline="")
    style: dict[str, Any] = {}
    if dialect is not None:
        style = {"delimiter": dialect.delimiter, "quotechar": dialect.quote or None, "skipinitialspace": dialect.trim}
        style["quoting"] = csv.QUOTE_MINIMAL if dialect.quote else csv.QUOTE_NONE
    names = dialect.names if dialect else ()
    number, row = -1, [""]
    try:
        for found in csv.reader(text, **style):
            if found or len(names) == 1:
                number, row = number + 1, found
    except csv.Error:  # a field that is longer than the module takes: it belongs to the next row
        number, row = number + 1, []
    return number, names[len(row) - 1] if 0 < len(row) <= len(names) else None


class _Prefix(io.RawIOBase):
    """The first bytes of a stream as a file."""

    def __init__(self, read: Read, size: int) -> None:
        self._read, self._left = read, size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        # Decoded text may be longer than the bytes asked for: three in UTF-8 for one of another encoding.
        found = self._read(max(len(buffer) // 4, 1))[: self._left]
        self._left -= len(found)
        buffer[: len(found)] = found
        return len(found)
