"""Values that nobody expects, and documents changed by them, in JSON and in its bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from random import Random
from typing import Any

# What no serializer writes is put in its place afterwards, for a text of these two characters and a number.
_OPEN, _CLOSE = "\ue000", "\ue001"
_MARK = re.compile(f'"{_OPEN}([0-9]+){_CLOSE}"'.encode())
RAW = (
    b"NaN", b"Infinity", b"-Infinity", b"1e400", b"-1e400", b"1e-400", b"9" * 10_000, b"-" + b"7" * 10_000,
    b"0." + b"3" * 10_000, b"01", b"+1", b".5", b"1.", b"0x10", b"1e", b"-", b'"\\ud800"', b'"\\udc00\\ud800"',
    b'"\\ud83d\\ude00"', b'"\xff\xfe"', b'"\xed\xa0\x80"', b'"\xc0\xaf"', b'"\xf8\x88\x80\x80\x80"', b'"\x01"',
    b'"\x00"', b'"\\u0000"', b'"\\x"', b'"\\', b"[" * 150 + b"]" * 150, b'{"a":' * 150 + b"1" + b"}" * 150,
    b"[" * 60 + b"]" * 60, b"[" * 1500 + b"]" * 1500, b"[" * 300 + b"]" * 300, b"{" * 90, b'{"a":1,"a":2}',
    b'{"a":1,"\\u0061":2}', b'{"":{"b":1,"b":1}}', b"tru", b"'x'", b"", b"//", b"18446744073709551616",
    b"-9223372036854775809", b"1E5", b"-0", b"3.0", b"3e0", b"0.3e1", b"-0.0", b"5e-324", b"2.0000000000000001",
    b"[1,]", b"[,1]", b"{,}", b'{"a"}', b"\xef\xbb\xbf1", b'"\\u00e9"', b'"e\xcc\x81"', b"nul", b"True", b"None",
)  # fmt: skip
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 3, 7, 22.5, 0.5, -0.0, 1e-7, 1e308, -1e308, 3.5, 120, 121, 2**24,
    2**24 + 1, 2**31,
    2**53, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**30, "", " ", "x", "0",
    "1", "1.0",
    "true", "NaN", "null", "NA", "?", "C", "Ann", "survived", "died", "\x00", "a\x00b", "\n", "\x7f", "\u2028",
    "\u202eabc", "\ufeff", "é", "e\u0301", "ﬁ", "Å", "王小明", "😀", "\U0010ffff", "x" * 40, "x" * 41, "é" * 40,
    "x" * 300,
    "x" * 5000, "../../etc/passwd", "{{x}}", "${x}", "<b>", "' OR 1=1 --", "\\", '"', "2026-01-01T00:00:00Z",
    "eA==",
    [], {}, [[]], [{}], [[], []], [None], [1], ["x"], [[1]], [[1, 2], [3]], {"": None}, {"a": []}, [[[]]], [1,
    "x", None],
    [0] * 300, {"data": {}}, {"ndarray": []}, [[0] * 40] * 3, {"x" * 300: 1},
)  # fmt: skip
NAMES = (
    "data", "names", "ndarray", "tensor", "shape", "values", "tftensor", "jsonData", "strData", "binData",
    "customData",
    "meta", "tags", "puid", "routing", "requestPath", "metrics", "status", "request", "response", "truth", "reward",
    "inputs", "outputs", "parameters", "id", "name", "datatype", "binary_data_size", "binary_data", "content_type",
    "binary_data_output", "classification", "shared_memory_region", "priority", "timeout", "model_name",
    "type", "source",
    "specversion", "requestid", "modelid", "modelversion", "clientid", "authid", "time", "datacontenttype",
    "data_base64",
    "port", "age", "class", "alone", "fate", "x", "", "é", "x" * 300, "__proto__", "a.b", "\x00",
)  # fmt: skip
_BYTES = (
    b"\x00", b"\xff", b"{", b"}", b"[", b"]", b'"', b"\\", b",", b":", b" ", b"\n", b"\xef\xbb\xbf", b"9",
    b"-", b"e",
    b"null", b'"a":1,', b"\xc3", b"\xed\xa0\x80", b"/*", b"NaN",
)  # fmt: skip

_USUAL = json.JSONEncoder(ensure_ascii=False).encode
_SHORT = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
_WIDE = json.JSONEncoder(indent=1, ensure_ascii=False, separators=(" ,", " : ")).encode


def odd_value(rng: Random) -> Any:
    """Something else; a fifth of it is no JSON that a serializer writes."""
    if rng.random() < 0.2:
        return f"{_OPEN}{rng.randrange(len(RAW))}{_CLOSE}"
    return pick(VALUES, rng)


def pick(values: Sequence[Any], rng: Random) -> Any:
    """One of a table, as a copy: what is changed later is not to be the table's."""
    return copy(rng.choice(values))


def dump(document: Any, rng: Random) -> bytes:
    """JSON in one of its forms, with what no serializer writes put in."""
    style = rng.random()
    if style < 0.7:
        text = _USUAL(document)
    elif style < 0.9:
        text = _SHORT(document)
    else:
        text = _WIDE(document)
    content = text.encode()
    return _MARK.sub(lambda mark: RAW[int(mark[1])], content) if _OPEN in text else content


def change(document: Any, rng: Random) -> Any:
    """Changes a document at one place of it, and gives it; what is shared with others must be copied before."""
    parent, key, node = None, None, document
    while type(node) in (dict, list) and node and (parent is None or rng.random() < 0.75):
        parent = node
        key = rng.choice(list(node)) if type(node) is dict else rng.randrange(len(node))
        node = node[key]
    if parent is None:
        return odd_value(rng)
    act = rng.random()
    if act < 0.4:
        parent[key] = odd_value(rng)
    elif act < 0.55:
        del parent[key]
    elif act < 0.7:
        if type(parent) is dict:
            parent[rng.choice(NAMES)] = odd_value(rng) if rng.random() < 0.6 else copy(node)
        else:
            parent.insert(key, odd_value(rng) if rng.random() < 0.5 else copy(node))
    elif act < 0.78:
        parent[key] = [node] if rng.random() < 0.7 else {rng.choice(NAMES): node}
    elif act < 0.86 and type(node) in (int, float, str):
        parent[key] = _other_type(node, rng)
    elif act < 0.93 and type(parent) is dict:
        parent[_other_name(key, rng)] = parent.pop(key)
    else:
        parent[key] = pick(VALUES, rng)
    return document


def change_bytes(content: bytes, rng: Random, tokens: tuple[bytes, ...] = _BYTES) -> bytes:
    """Changes some bytes."""
    place = rng.randrange(len(content) + 1)
    length = min(len(content) - place, rng.choice((1, 1, 2, 5, 20, 100)))
    piece = content[place : place + length]
    act = rng.random()
    if act < 0.3:
        return content[:place] + rng.choice(tokens) + content[place:]
    if act < 0.5:
        return content[:place] + content[place + length :]
    if act < 0.65:
        return content[:place] + piece + content[place:]
    if act < 0.8:
        return content[:place] + bytes((rng.randrange(256),)) + content[place + 1 :]
    if act < 0.9:
        return content[:place] + rng.choice(tokens) + content[place + length :]
    if act < 0.95:
        return content[:place]
    other = rng.randrange(len(content) + 1)
    return content[:other] + piece + content[other:]


def copy(document: Any) -> Any:
    """A copy whose containers are its own."""
    if type(document) is dict:
        return {name: copy(value) for name, value in document.items()}
    return [copy(value) for value in document] if type(document) is list else document


def _other_type(value: Any, rng: Random) -> Any:
    if type(value) is str:
        return rng.choice((value.upper(), value + " ", value + "\x00", f" {value}", [value], value[:-1], value * 3))
    return rng.choice(
        (str(value), float(value) if abs(value) < 1e300 else 0.5, -value, value + 1, [value], bool(value))
    )


def _other_name(name: str, rng: Random) -> str:
    return rng.choice((name.upper(), name + " ", name[:-1], f"{name}\x00", name * 2, rng.choice(NAMES)))
