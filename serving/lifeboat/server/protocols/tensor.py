"""Tensors of the Open Inference Protocol: one column each, in JSON or as little-endian binary data."""

from __future__ import annotations

import math
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lifeboat.http.errors import bad, refuse_unknown
from lifeboat.usecase.column import shown_value

_Null = type(None)


@dataclass(frozen=True)
class Datatype:
    """What a tensor may hold.

    Args:
        code: numpy's, of its binary data; none for texts.
        kinds: of the values in JSON, null included.
        lower, upper: inclusive limits of a number; infinite where any is within them.
    """

    code: str
    kinds: frozenset[type]
    lower: float = -math.inf
    upper: float = math.inf


_FLOATS = {
    "FP16": ("<f2", float(np.finfo("f2").max)),
    "FP32": ("<f4", float(np.finfo("f4").max)),
    "FP64": ("<f8", math.inf),
}
# All of the protocol's but BF16, which numpy has not.
DATATYPES = {
    "BOOL": Datatype("?", frozenset({bool, _Null})),
    **{f"UINT{8 * n}": Datatype(f"<u{n}", frozenset({int, _Null}), 0, 2 ** (8 * n) - 1) for n in (1, 2, 4, 8)},
    **{
        f"INT{8 * n}": Datatype(f"<i{n}", frozenset({int, _Null}), -(2 ** (8 * n - 1)), 2 ** (8 * n - 1) - 1)
        for n in (1, 2, 4, 8)
    },
    **{name: Datatype(code, frozenset({int, float, _Null}), -most, most) for name, (code, most) in _FLOATS.items()},
    "BYTES": Datatype("", frozenset({str, _Null})),
}
# What MLServer's clients say of an input, and the datatypes of which it may be said. A `datetime` is a text in ISO
# 8601, which its column reads.
CONTENT_TYPES = {"np": frozenset(DATATYPES), **dict.fromkeys(("str", "base64", "datetime"), frozenset({"BYTES"}))}
_ORDINARY = frozenset({"name", "datatype", "shape", "data"})
_MEMBERS = _ORDINARY | {"parameters"}
_PARAMETERS = frozenset({"binary_data_size", "content_type"})


class Tensor(NamedTuple):
    """A column, or all of them.

    Args:
        name: of the column.
        values: n JSON values, of each row one or, for [n, k], k.
        width: None for a column, k for a tensor [n, k].
    """

    name: str
    values: list[Any]
    width: int | None


def read_tensor(entry: Any, binary: bytes, start: int, otherwise: Any = None) -> tuple[Tensor, int]:
    """Reads one of the inputs.

    Args:
        entry: its JSON.
        binary: the binary data of all inputs.
        start: where its own begins.
        otherwise: the request's content type.

    Returns:
        The tensor and how many bytes of the binary data are its own.

    Raises:
        RequestError: 400; it names the input and what is wrong.
    """
    if type(entry) is not dict or type(entry.get("name")) is not str:
        raise bad("an input is not an object with a name")
    name, datatype = entry["name"], entry.get("datatype")
    if not entry.keys() <= _ORDINARY:
        refuse_unknown(f"input {name}", "member", entry, _MEMBERS)
    if type(datatype) is not str or datatype not in DATATYPES:
        raise bad(f"input {name}: the datatype {shown_value(datatype)} is none of {', '.join(DATATYPES)}")
    rows, width = _read_shape(name, entry.get("shape"))
    count = rows * (width or 1)
    parameters = read_parameters(f"input {name}", entry, _PARAMETERS) if "parameters" in entry else {}
    values, size = _read_values(entry, binary, start, count, width or 1, parameters.get("binary_data_size"))
    said = parameters["content_type"] if "content_type" in parameters else request_type(otherwise, datatype)
    return Tensor(name, _as_said(name, datatype, values, said), width), size


def read_values(
    name: str, datatype: str, shape: list[int], values: list[Any] | bytes, content_type: str | None
) -> Tensor:
    """An input that came as a message of gRPC.

    Args:
        name, datatype, shape: as the message says.
        values: those of its contents, or binary data.
        content_type: its own or the request's; None for none.

    Raises:
        RequestError: 400; it names the input and what is wrong.
    """
    if datatype not in DATATYPES:
        raise bad(f"input {name}: the datatype {shown_value(datatype)} is none of {', '.join(DATATYPES)}")
    rows, width = _read_shape(name, shape)
    count = rows * (width or 1)
    if isinstance(values, list):
        found = _from_contents(name, datatype, values, count)
    else:
        found, _ = _read_values({"name": name, "datatype": datatype}, values, 0, count, 1, len(values))
    return Tensor(name, _as_said(name, datatype, found, content_type), width)


def columns_of(tensors: Sequence[Tensor], names: Sequence[str], numbers: bool) -> tuple[dict[str, list[Any]], int]:
    """The columns of inputs, and their rows.

    Args:
        tensors: at least one: each a column, or one [n, k] with all of them.
        names: of the model's columns, in their order.
        numbers: whether all of these are numbers, so that one tensor can hold them.

    Raises:
        RequestError: 400; it names the input and what is wrong.
    """
    first = tensors[0]
    if first.width is None:
        columns: dict[str, list[Any]] = {}
        for one in tensors:
            if one.width is not None:
                raise bad(f"input {one.name}: it is [rows, {one.width}], beside inputs that are columns")
            if one.name in columns:
                raise bad(f"input {one.name}: given twice")
            columns[one.name] = one.values
        return columns, _count_rows(columns)
    shape = f"input {first.name}: it is [rows, {first.width}]"
    if len(tensors) > 1:
        raise bad(f"{shape}, beside inputs that are columns")
    if not numbers:
        raise bad(f"{shape}, but not all of the model's columns are numbers: send one input for each")
    if first.width != len(names):
        raise bad(f"{shape}, the model has {len(names)} columns: {', '.join(names)}")
    columns = {name: first.values[place :: first.width] for place, name in enumerate(names)}
    return columns, len(columns[names[0]])


def request_type(content_type: Any, datatype: Any) -> str | None:
    """The content type of an input that names none, by that of its request; None for none.

    One of texts says nothing of numbers, and of a request `pd` only says that each input is a column.
    """
    return content_type if content_type in CONTENT_TYPES and datatype in CONTENT_TYPES[content_type] else None


def _as_said(name: str, datatype: str, values: list[Any], content_type: Any) -> list[Any]:
    """Values as their content type means them."""
    if content_type is not None:
        _check_content_type(name, datatype, content_type)
    if content_type == "base64":
        return [_from_base64(name, row, value) for row, value in enumerate(values, start=1)]
    return values


def _from_contents(name: str, datatype: str, values: list[Any], rows: int) -> list[Any]:
    if len(values) != rows:
        raise bad(f"input {name}: its contents hold {len(values)} values, its shape asks for {rows}")
    if datatype == "BYTES":
        return [_decode(name, value) for value in values]
    if "f" in DATATYPES[datatype].code:
        return [None if value != value else value for value in values]
    _check_values(name, datatype, values)
    return values


def read_parameters(where: str, entry: dict[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """The parameters of a request, an input or an output; none where they are left out.

    Raises:
        RequestError: 400; one is unknown. What is asked for and not done would give another answer than asked for.
    """
    parameters = entry.get("parameters")
    if parameters is None:
        return {}
    if type(parameters) is not dict:
        raise bad(f"{where}: parameters is not an object")
    refuse_unknown(where, "parameter", parameters, known)
    return parameters


def _count_rows(columns: Mapping[str, list[Any]]) -> int:
    """The rows of inputs, at least one; raises a 400 unless all have as many."""
    rows = len(next(iter(columns.values())))
    for name, values in columns.items():
        if len(values) != rows:
            raise bad(f"input {name}: {len(values)} rows, the first input has {rows}")
    return rows


def pack(values: list[str] | NDArray[Any]) -> bytes:
    """An output as binary data; texts each behind its length in four bytes."""
    if not isinstance(values, list):
        return values.tobytes()
    encoded = [value.encode() for value in values]
    return b"".join(chain.from_iterable((len(value).to_bytes(4, "little"), value) for value in encoded))


def _read_shape(name: str, shape: Any) -> tuple[int, int | None]:
    """The n of a shape [n] or [n, 1], which is a column; n and k of [n, k]."""
    if type(shape) is list and all(type(size) is int and size >= 0 for size in shape):
        if len(shape) == 1 or (len(shape) == 2 and shape[1] == 1):
            return shape[0], None
        if len(shape) == 2 and shape[1] > 1:
            return shape[0], shape[1]
    raise bad(f"input {name}: the shape is neither [rows], nor [rows, 1], nor [rows, columns]")


def _read_values(
    entry: dict[str, Any], binary: bytes, start: int, rows: int, width: int, size: Any
) -> tuple[list[Any], int]:
    """Values, and how many bytes of the binary data they took."""
    name, datatype = entry["name"], entry["datatype"]
    if size is None:
        return _from_json(name, entry.get("data"), rows, width, datatype), 0
    if entry.get("data") is not None:
        raise bad(f"input {name}: data and binary_data_size are both given")
    if type(size) is not int or not 0 <= size <= len(binary) - start:
        raise bad(f"input {name}: binary_data_size is not a number of bytes that were sent")
    own = binary[start : start + size]
    if datatype == "BYTES":
        return list(_unpack_strings(name, own, rows)), size
    return _from_binary(name, own, DATATYPES[datatype].code, rows), size


def _check_content_type(name: str, datatype: str, content_type: Any) -> None:
    shown = shown_value(content_type)
    if type(content_type) is not str or content_type not in CONTENT_TYPES:
        raise bad(f"input {name}: the content_type {shown} is not supported, only {', '.join(CONTENT_TYPES)}")
    if datatype not in CONTENT_TYPES[content_type]:
        raise bad(f"input {name}: the content_type {shown} is one of BYTES, the datatype is {datatype}")


def _from_base64(name: str, row: int, value: Any) -> str | None:
    try:
        return None if value is None else b64decode(value, validate=True).decode()
    except ValueError:
        raise bad(f"input {name}, row {row}: {shown_value(value)} is not the base64 of a UTF-8 text") from None


def _check_values(name: str, datatype: str, values: list[Any], width: int = 1) -> None:
    """Raises a 400 for a value that the datatype cannot hold; a null is none. The column has its say later."""
    kind = DATATYPES[datatype]
    # All at once, by loops in C; one by one only where one of them is wrong, or a whole number is written as 3.0.
    if kind.kinds.issuperset(map(type, values)):
        known = [value for value in values if value is not None] if kind.upper < math.inf and None in values else values
        if kind.upper == math.inf or not known or (kind.lower <= min(known) and max(known) <= kind.upper):
            return
    for place, value in enumerate(values):
        if value is not None and not _holds(kind, value):
            limits = "" if kind.upper == math.inf else f", which is {kind.lower} to {kind.upper}"
            raise bad(f"input {name}, row {place // width + 1}: {shown_value(value)} is no {datatype}{limits}")


def _holds(kind: Datatype, value: Any) -> bool:
    # JSON has one kind of number, so that 3.0 is a whole one; and 0 and 1 are truth values, as for the schema.
    whole = type(value) is float and value.is_integer() and int in kind.kinds
    truth = type(value) is int and value in (0, 1) and bool in kind.kinds
    if not (type(value) in kind.kinds or whole or truth):
        return False
    return kind.upper == math.inf or kind.lower <= value <= kind.upper


def _from_json(name: str, data: Any, rows: int, width: int, datatype: str) -> list[Any]:
    if type(data) is not list:
        raise bad(f"input {name}: data is not a list")
    if data and type(data[0]) is list:
        if any(type(row) is not list or len(row) != width for row in data):
            raise bad(f"input {name}: data is nested but not {width} value{'s' * (width > 1)} a row")
        data = [row[0] for row in data] if width == 1 else list(chain.from_iterable(data))
    values: list[Any] = data
    if len(values) != rows:
        raise bad(f"input {name}: data holds {len(values)} values, its shape asks for {rows}")
    _check_values(name, datatype, values, width)
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
