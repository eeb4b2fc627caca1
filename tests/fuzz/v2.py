"""Inference requests of the Open Inference Protocol, version 2."""

from __future__ import annotations

import struct
from base64 import b64encode
from random import Random
from typing import Any

import numpy as np

from .case import MODEL, Case, Part
from .heads import compressed, post, puid_line, some_puid
from .odd import VALUES, change, change_bytes, dump, pick
from .rows import CODES, COLUMNS, Row, some_rows

INFER = (b"/v2/models/tiny/infer", b"/v2/models/tiny/infer", b"/v2/models/tiny/versions/3/infer")
_TYPES = (b"application/json", b"application/json", None, b"application/octet-stream", b"Application/JSON; a=b")
# Of each column the datatypes whose range and kind hold what `some_rows` gives, in JSON.
_FLOATS = ("FP64", "FP64", "FP32")
_WHOLE = ("INT8", "INT16", "INT32", "INT64", "UINT8", "UINT16", "UINT32", "UINT64", "FP16", "FP32", "FP64")
_ALL = (*CODES, "BYTES", "BF16", "STRING", "fp32", "")
_OUTPUTS: tuple[Any, ...] = (
    [], None, [{"name": "probabilities"}], [{"name": "label"}], [{"name": "label"}, {"name": "probabilities"}],
    [{"name": "probabilities", "parameters": {"binary_data": True}}],
    [{"name": "label", "parameters": {"binary_data": True}}, {"name": "probabilities"}],
    [{"name": "probabilities", "parameters": None}, {"name": "label", "parameters": {"binary_data": False}}],
)  # fmt: skip
_PARAMETERS: tuple[Any, ...] = (
    {}, None, {"binary_data_output": True}, {"binary_data_output": False}, {"content_type": "pd"}, {"priority": 1},
    {"timeout": 10, "headers": {"a": "b"}}, {"sequence_id": 1, "sequence_start": True, "sequence_end": False},
)  # fmt: skip
_REFUSED: tuple[Any, ...] = (
    {"content_type": "np"}, {"content_type": "datetime"}, {"classification": 1}, {"binary_data_output": 1},
    {"x": 1}, [],
)  # fmt: skip
_IDS = ("i-1", "i-1", "", None, "x" * 256, "x" * 257, "é", "\x00", "../x", "\n", "😀")


def inference(rng: Random) -> Case:
    """An inference; half of them are as they should be."""
    rows = some_rows(rng)
    document, blobs = tensors(rng, rows)
    intact = rng.random() < 0.55
    _add_options(rng, document)
    if not intact:
        for _ in range(rng.choice((1, 1, 1, 2))):
            document = _spoil(document, rng)
    text = dump(document, rng)
    binary = b"".join(blobs)
    if not intact and rng.random() < 0.1:
        text = change_bytes(text, rng)
    if not intact and binary and rng.random() < 0.15:
        binary = change_bytes(binary, rng)
    puid, path = some_puid(rng), rng.choice(INFER)
    fields, want, form = puid_line(puid, rng), 200 if intact else None, "binary" if binary else "json"
    if binary or rng.random() < 0.05:
        length = b"%d" % len(text)
        if not intact and rng.random() < 0.05:
            length, form = rng.choice((b"0", b"-1", b"x", b"9" * 30, b"1", b"", b"0x5", b"99999")), "wrong header"
            text = binary = b""
        fields += b"inference-header-content-length: %b\r\n" % length
    body, content_type, draw = text + binary, rng.choice(_TYPES), rng.random()
    if draw < 0.02:
        form, content_type, want = "wrong type", rng.choice((b"text/plain", b"application/jsonx", b"\xff")), 415
    elif draw < 0.03:
        form, body, fields, want = compressed(rng, body, fields, want)
    elif draw < 0.04:
        form, path, want = "wrong path", rng.choice((b"/v2/models/other/infer", b"/v2/x", path + b"/")), 404
    part = Part("v2", want, text, binary, puid=puid, rows=rows if want == 200 else None)
    return Case("v2", form, MODEL, post(rng, path, body, content_type, fields), [part])


def tensors(rng: Random, rows: list[Row]) -> tuple[dict[str, Any], list[bytes]]:
    """Inputs that hold the rows, and their binary data; the rows become what these say."""
    inputs, blobs = [], []
    with_id = rng.random() < 0.2
    names = [*COLUMNS, "id"] if with_id else list(COLUMNS)
    if rng.random() < 0.3:
        rng.shuffle(names)
    if rng.random() < 0.2:
        names = [name for name in names if name in ("name", "class", "id")]
    for name in names:
        entry, values, blob = _tensor(rng, name, [7 if name == "id" else row[name] for row in rows])
        inputs.append(entry)
        blobs.append(blob)
        for row, value in zip(rows, values, strict=True):
            row[name] = value
    for row in rows:
        for name in [name for name in row if name not in names]:
            del row[name]
    return {"inputs": inputs}, blobs


def _tensor(rng: Random, name: str, values: list[Any]) -> tuple[dict[str, Any], list[Any], bytes]:
    datatype, values = _fit(rng, name, values)
    entry: dict[str, Any] = {"name": name, "datatype": datatype, "shape": [len(values)]}
    if rng.random() < 0.4:
        entry["shape"].append(1)
    nulls = None in values
    if rng.random() < 0.3 and (datatype in ("BYTES", "FP32", "FP64") or not nulls):
        blob, values = _pack(datatype, values)
        entry["parameters"] = {"binary_data_size": len(blob)}
        if rng.random() < 0.1:
            entry["parameters"]["content_type"] = "np"
        return entry, values, blob
    shown = values
    draw = rng.random()
    if draw < 0.1:
        entry["parameters"] = {"content_type": "np"}
    elif draw < 0.3 and datatype == "BYTES":
        entry["parameters"] = {"content_type": "base64"}
        shown = [None if value is None else b64encode(value.encode()).decode() for value in values]
    elif draw < 0.4 and datatype == "BYTES":
        entry["parameters"] = {"content_type": "str"}
    elif draw < 0.45:
        entry["parameters"] = rng.choice(({}, None))
    entry["data"] = [[value] for value in shown] if rng.random() < 0.2 else shown
    return entry, values, b""


def _fit(rng: Random, name: str, values: list[Any]) -> tuple[str, list[Any]]:
    """A datatype for a column, and its values as that can hold them."""
    if name in ("name", "port"):
        return "BYTES", values
    if name == "age":
        return rng.choice(_FLOATS), values
    if name == "alone" and rng.random() < 0.5:
        return "BOOL", [None if value is None else bool(value) for value in values]
    return rng.choice(_WHOLE), [None if value is None else int(value) for value in values]


def _pack(datatype: str, values: list[Any]) -> tuple[bytes, list[Any]]:
    """Binary data, and the values that it holds."""
    if datatype == "BYTES":
        texts = ["" if value is None else value for value in values]
        encoded = [text.encode() for text in texts]
        return b"".join(struct.pack("<I", len(value)) + value for value in encoded), texts
    numbers = [float("nan") if value is None else value for value in values]
    packed = np.array(numbers).astype(CODES[datatype])
    return packed.tobytes(), [None if value != value else value for value in packed.tolist()]


def _add_options(rng: Random, document: dict[str, Any]) -> None:
    if rng.random() < 0.4:
        document["outputs"] = pick(_OUTPUTS, rng)
    if rng.random() < 0.3:
        document["parameters"] = pick(_PARAMETERS, rng)
    if rng.random() < 0.4:
        document["id"] = rng.choice(_IDS)


def _spoil(document: Any, rng: Random) -> Any:
    """Changes a document as any, or as only one of this protocol can be wrong."""
    if type(document) is not dict or type(document.get("inputs")) is not list or not document["inputs"]:
        return document if rng.random() < 0.5 else change(document, rng)
    entry = rng.choice(document["inputs"])
    act = rng.random()
    if act < 0.6 or type(entry) is not dict:
        return change(document, rng)
    if act < 0.7:
        entry["datatype"] = rng.choice(_ALL)
    elif act < 0.8:
        entry["shape"] = rng.choice(
            ([], [0], [1, 2], [2], [1, 1, 1], [-1], [2**63], [1.0], [True], None, "1", [[1]], {})
        )
    elif act < 0.88:
        entry["parameters"] = rng.choice((
            {"content_type": rng.choice(("np", "str", "base64", "datetime", "pd", "jpg", 1, None))},
            {"binary_data_size": rng.choice((0, 1, -1, 2**63, 1.0, True, "4", None, 10**30))},
            {"shared_memory_region": "a"},
        ))  # fmt: skip
    elif act < 0.92:
        entry["data"] = [pick(VALUES, rng)] * rng.choice((0, 1, 2))
    elif act < 0.95:
        document["parameters"] = pick(_REFUSED, rng)
    elif act < 0.97:
        document["outputs"] = rng.choice(
            ([{"name": "x"}], ["label"], {}, [{"name": "label"}] * 2, [{"name": "label", "x": 1}])
        )
    else:
        document["inputs"].append(dict(entry))
    return document
