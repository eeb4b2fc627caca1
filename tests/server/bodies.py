"""The largest bodies that a server takes, of every kind: what they cost it, nobody else may feel."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote_from_bytes

import numpy as np

from tests.server.test_v2 import INFER
from tests.server.world import ROW, ROW_VALUES

JSON = "application/json"
MOST = 4 * 1024 * 1024
Body = tuple[str, bytes, dict[str, str], int]


def largest() -> dict[str, Body]:
    """By name: path, body, headers and the status that it is answered with. The server has its usual limits."""
    return {**_json(), **_forms(), **_inferences()}


def _json() -> dict[str, Body]:
    rows = b",".join([json.dumps(ROW_VALUES).encode()] * 10_000)
    wrong = b",".join([json.dumps(["\u00e9" * 40, *ROW_VALUES[1:]]).encode()] * 9_999 + [b'["Ann","C",130,3,true]'])
    objects = b",".join([json.dumps(ROW).encode()] * 10_000)
    row = b'"jsonData":%b}' % json.dumps(ROW).encode()
    return {
        "rows": _predict(b'{"data":{"ndarray":[%b]}}' % rows, 200),
        "a wrong last row": _predict(b'{"data":{"ndarray":[%b]}}' % wrong, 400),
        "objects": _predict(b'{"jsonData":[%b]}' % objects, 200),
        "feedback": ("/send-feedback", _fit(b'{"truth":{"data":{"ndarray":[%b]}}}', b'["survived"]', 10_000), {}, 200),
        "feedback with its rows": (
            "/send-feedback", b'{"request":{"data":{"ndarray":[%b]}},"truth":{"jsonData":[1]}}' % rows, {}, 200,
        ),
        "empty rows": _predict(_fit(b'{"data":{"ndarray":[%b]}}', b"[]"), 400),
        "empty objects": _predict(_fit(b'{"jsonData":[%b]}', b"{}"), 400),
        "the most lists": _predict(_fit(b'{"data":{"ndarray":[[%b]]}}', b"[]", 90_000), 400),
        "a wide row": _predict(_fit(b'{"data":{"ndarray":[[%b]]}}', b"1"), 400),
        "the widest row": _predict(_fit(b'{"data":{"ndarray":[[%b]]}}', b"1", 90_000), 400),
        "long numbers": _predict(_fit(b'{"data":{"ndarray":[[%b]]}}', b"9" * 10_000), 400),
        "long fractions": _predict(_fit(b'{"data":{"ndarray":[[%b]]}}', b"0." + b"9" * 10_000), 400),
        "a long name": _predict(_fit(b'{"data":{"names":["%b"]}}', b"x" * 4_000_000), 400),
        "a long text": _predict(_fit(b'{"data":{"ndarray":[["%b",null,1,1,null]]}}', b"\xc3\xa9" * 2_000_000), 400),
        "escapes": _predict(_fit(b'{"data":{"ndarray":[["%b"]]}}', b"\\u00e9" * 690_000), 400),
        "quotes in a text": _predict(_fit(b'{"data":{"ndarray":[["%b"]]}}', b'\\",[{:' * 690_000), 400),
        "many names": _predict(_numbered(b'{"jsonData":{%b}}', b'"n%d":1', 300_000), 400),
        "the most names": _predict(_numbered(b'{"meta":{"tags":{%b}},"jsonData":{}}', b'"n%d":1', 90_000), 400),
        "the most tags": _predict(_numbered(b'{"meta":{"tags":{%b}},' + row, b'"n%d":1', 90_000), 200),
        "many columns": _predict(_numbered(b'{"data":{"names":[%b]}}', b'"n%d"', 300_000), 400),
        "too deep": _predict(b'{"data":' + b"[" * 2_000_000 + b"]" * 2_000_000 + b"}", 400),
        "deep": _predict(_fit(b'{"data":{"ndarray":[%b]}}', b"[" * 97 + b"]" * 97, 900), 400),
        "no JSON at the end": _predict(_fit(b'{"data":{"ndarray":[%b]}', b"[1]", 90_000), 400),
    }  # fmt: skip


def _forms() -> dict[str, Body]:
    message = b'{"data":{"ndarray":[%b]}}' % b",".join([json.dumps(ROW_VALUES).encode()] * 10_000)
    urlencoded = {"content-type": "application/x-www-form-urlencoded"}
    multipart = {"content-type": "multipart/form-data; boundary=b"}
    head = b'--b\r\ncontent-disposition: form-data; name="json"\r\n\r\n'
    return {
        "a form": ("/predict", b"json=" + quote_from_bytes(message).encode(), urlencoded, 200),
        "a form of percents": ("/predict", b"json=" + b"%5B" * 1_300_000, urlencoded, 400),
        "a multipart form": ("/predict", head + message + b"\r\n--b--", multipart, 200),
        "a multipart form of heads": ("/predict", b"--b\r\n" + b"content-disposition: \n" * 180_000, multipart, 400),
    }


def _inferences() -> dict[str, Body]:
    def inference(*inputs: dict[str, Any], binary: bytes = b"") -> Body:
        text = json.dumps({"inputs": inputs}).encode()
        headers = {"inference-header-content-length": str(len(text))} if binary else {}
        return INFER, text + binary, headers, 200

    def tensor(name: str, datatype: str, **more: Any) -> dict[str, Any]:
        return {"name": name, "datatype": datatype, "shape": [10_000, 1], **more}

    names, classes = ["Ann"] * 10_000, [3] * 10_000
    packed = b"\3\0\0\0Ann" * 10_000
    numbers = np.full(10_000, 3, "<i8").tobytes()
    sizes = [{"binary_data_size": len(content)} for content in (packed, numbers)]
    return {
        "v2": inference(tensor("name", "BYTES", data=names), tensor("class", "INT64", data=classes)),
        "v2, one value a list": inference(
            tensor("name", "BYTES", data=[[name] for name in names]), tensor("class", "FP64", data=[[3]] * 10_000)
        ),
        "v2, binary": inference(
            tensor("name", "BYTES", parameters=sizes[0]), tensor("class", "INT64", parameters=sizes[1]),
            binary=packed + numbers,
        ),
        "v2, a million inputs": (INFER, _fit(b'{"inputs":[%b]}', b"{}"), {}, 400),
    }  # fmt: skip


def _predict(body: bytes, status: int) -> Body:
    return "/predict", body, {}, status


def _fit(frame: bytes, item: bytes, number: int = MOST) -> bytes:
    """A body of as many items as are asked for, or as fit."""
    return frame % b",".join([item] * min(number, (MOST - len(frame)) // (len(item) + 1)))


def _numbered(frame: bytes, item: bytes, number: int) -> bytes:
    return frame % b",".join([item % index for index in range(number)])
