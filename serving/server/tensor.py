"""Tensors of the Open Inference Protocol: one column each, in JSON or as little-endian binary data."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from serving.server.errors import bad

DATATYPES = {"BOOL": "?", "FP32": "<f4", "FP64": "<f8", "INT32": "<i4", "INT64": "<i8", "BYTES": ""}


@dataclass(frozen=True, slots=True)
class Tensor:
    """A column.

    Args:
        name: of the column.
        values: n JSON values.
    """

    name: str
    values: list[Any]


def read_tensor(entry: Any, binary: bytes, start: int) -> tuple[Tensor, int]:
    """Reads one of the inputs.

    Args:
        entry: its JSON.
        binary: the binary data of all inputs.
        start: where its own begins.

    Returns:
        The tensor and how many bytes of the binary data are its own.

    Raises:
        RequestError: 400; it names the input and what is wrong.
    """
    if type(entry) is not dict or type(entry.get("name")) is not str:
        raise bad("an input is not an object with a name")
    name, datatype = entry["name"], entry.get("datatype")
    if type(datatype) is not str or datatype not in DATATYPES:
        raise bad(f"input {name}: the datatype is none of {', '.join(DATATYPES)}")
    rows = _rows(name, entry.get("shape"))
    parameters = entry.get("parameters") or {}
    size = parameters.get("binary_data_size") if type(parameters) is dict else None
    if size is None:
        return Tensor(name, _from_json(name, entry.get("data"), rows)), 0
    if type(size) is not int or not 0 <= size <= len(binary) - start:
        raise bad(f"input {name}: binary_data_size is not a number of bytes that were sent")
    own = binary[start : start + size]
    if datatype == "BYTES":
        return Tensor(name, _unpack_strings(name, own, rows)), size
    return Tensor(name, _from_binary(name, own, DATATYPES[datatype], rows)), size


def pack_strings(values: list[str]) -> bytes:
    """BYTES as binary data: each value behind its length in four bytes."""
    encoded = [value.encode() for value in values]
    return b"".join(chain.from_iterable((len(value).to_bytes(4, "little"), value) for value in encoded))


def _rows(name: str, shape: Any) -> int:
    """The n of a shape [n] or [n, 1]."""
    if type(shape) is list and all(type(size) is int and size >= 0 for size in shape):
        if len(shape) == 1:
            return int(shape[0])
        if len(shape) == 2 and shape[1] == 1:
            return int(shape[0])
    raise bad(f"input {name}: the shape is neither [rows] nor [rows, 1]")


def _from_json(name: str, data: Any, rows: int) -> list[Any]:
    if type(data) is not list:
        raise bad(f"input {name}: data is not a list")
    if data and type(data[0]) is list:
        if any(type(row) is not list or len(row) != 1 for row in data):
            raise bad(f"input {name}: data is nested but not one value a row")
        data = [row[0] for row in data]
    values: list[Any] = data
    if len(values) != rows:
        raise bad(f"input {name}: data holds {len(values)} values, its shape asks for {rows}")
    return values


def _from_binary(name: str, content: bytes, kind: str, rows: int) -> list[Any]:
    width = np.dtype(kind).itemsize
    if len(content) != rows * width:
        raise bad(f"input {name}: {len(content)} bytes were sent, its shape asks for {rows * width}")
    values: list[Any] = np.frombuffer(content, kind).tolist()
    return [None if value != value else value for value in values] if "f" in kind else values


def _unpack_strings(name: str, content: bytes, rows: int) -> list[str]:
    values: list[str] = []
    place = 0
    while place < len(content) and len(values) <= rows:
        end = place + 4 + int.from_bytes(content[place : place + 4], "little")
        if end > len(content):
            break
        values.append(_decode(name, content[place + 4 : end]))
        place = end
    if place != len(content) or len(values) != rows:
        raise bad(f"input {name}: its bytes are not {rows} strings, each behind its length in four bytes")
    return values


def _decode(name: str, content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise bad(f"input {name}: a string is not UTF-8") from None
