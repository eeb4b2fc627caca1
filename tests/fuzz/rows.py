"""Rows that the tiny model takes, and what a request's JSON means, read without any of the servers' code."""

from __future__ import annotations

import json
import struct
import sys
from base64 import b64decode
from random import Random
from typing import Any

import numpy as np

# Numbers of ten thousand digits are read here, too.
sys.set_int_max_str_digits(0)

Row = dict[str, Any]
COLUMNS = ("name", "port", "age", "class", "alone")
_NAMES = (
    "Ann", "Ann", "Bartholomew", "Žofie", "e\u0301", "王小明", "😀" * 10, "x" * 40, 'a"b:c', "\\", '{"a":1,"a":2}',
    "\x00",
    "\u202eabc", " ", "12:30", "\U0010ffff", "é" * 40, "[],:",
)  # fmt: skip
_PORTS = ("C", "Q", "C", "Q", None, "", "NA")
_AGES = (None, 0, 120, 22.5, 0.1, 1, 40, 50, 49.999996, 50.000004, 119.99999, 5e-324, -0.0, 1e-7, 33.3, 64, 7.25, 22.0)
_CLASSES = (1, 2, 3, 3, 3.0)
_ALONE = (True, False, True, 0, 1, None, 1.0)
CODES = {
    "BOOL": "?", "UINT8": "<u1", "UINT16": "<u2", "UINT32": "<u4", "UINT64": "<u8", "INT8": "<i1", "INT16": "<i2",
    "INT32": "<i4", "INT64": "<i8", "FP16": "<f2", "FP32": "<f4", "FP64": "<f8",
}  # fmt: skip


def _make(rng: Random) -> Row:
    age = rng.choice(_AGES) if rng.random() < 0.7 else round(rng.random() * 120, rng.randrange(6))
    return {
        "name": rng.choice(_NAMES), "port": rng.choice(_PORTS), "age": age, "class": rng.choice(_CLASSES),
        "alone": rng.choice(_ALONE),
    }  # fmt: skip


# Most rows are of these, so that most are asked alone once only.
_POOL = [_make(Random(number)) for number in range(400)]  # noqa: S311  # to be repeatable is what it is for


def some_rows(rng: Random) -> list[Row]:
    """One row, or several, each a dictionary of its own."""
    size = rng.random()
    if size < 0.6:
        number = 1
    elif size < 0.95:
        number = rng.randrange(2, 12)
    elif size < 0.995:
        number = rng.randrange(12, 80)
    else:
        number = rng.randrange(300, 999)
    return [dict(rng.choice(_POOL)) if rng.random() < 0.98 else _make(rng) for _ in range(number)]


def read_rows(text: bytes, binary: bytes, kind: str) -> list[Row]:
    """The rows of a prediction that was answered with 200.

    Raises:
        ValueError, LookupError, TypeError: there are none: it should not have been answered so.
    """
    document = json.loads(text, object_pairs_hook=_once)
    return _of_tensors(document["inputs"], binary) if kind == "v2" else _of_message(document)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice in one object")
    return found


def _of_message(message: dict[str, Any]) -> list[Row]:
    data = message.get("data")
    if data is None:
        rows = message["jsonData"]
        return [rows] if isinstance(rows, dict) else list(rows)
    names = data.get("names") or COLUMNS
    rows = data.get("ndarray")
    if rows is None:
        (number, width), values = data["tensor"]["shape"], data["tensor"]["values"]
        rows = [values[row * width : (row + 1) * width] for row in range(number)]
    return [dict(zip(names, row, strict=True)) for row in rows]


def _of_tensors(inputs: list[dict[str, Any]], binary: bytes) -> list[Row]:
    columns: dict[str, list[Any]] = {}
    for entry in inputs:
        parameters = entry.get("parameters") or {}
        size, values = parameters.get("binary_data_size"), entry.get("data")
        if size is not None:
            values, binary = _unpack(entry["datatype"], binary[:size]), binary[size:]
        if parameters.get("content_type") == "base64":
            nested = [value[0] if isinstance(value, list) else value for value in values]
            values = [None if value is None else b64decode(value).decode() for value in nested]
        columns[entry["name"]] = [value[0] if isinstance(value, list) else value for value in values]
    if binary:
        raise ValueError("there is binary data of no input")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _unpack(datatype: str, content: bytes) -> list[Any]:
    if datatype != "BYTES":
        return [None if value != value else value for value in np.frombuffer(content, CODES[datatype]).tolist()]
    values = []
    while content:
        (size,) = struct.unpack_from("<I", content)
        values.append(content[4 : 4 + size].decode())
        content = content[4 + size :]
    return values


def plainest(row: Row) -> bytes:
    """The request of a row alone: what the model does not see is left out, and a number is what it means."""
    names = [name for name in COLUMNS if name in row]
    return json.dumps({"data": {"names": names, "ndarray": [[row[name] for name in names]]}}).encode()
