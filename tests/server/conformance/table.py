"""The requests both servers are asked, and where their answers differ on purpose."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

ROW = ["Ann", "C", 22.5, 3, True]
NAMES = ["name", "port", "age", "class", "alone"]
OBJECT = dict(zip(NAMES, ROW, strict=True))
FORM = "application/x-www-form-urlencoded"
PATHS = ("/predict", "/api/v1.0/predictions", "/api/v0.1/predictions")


@dataclass(frozen=True)
class Case:
    """A request and how its answers compare.

    Args:
        name: what it is about.
        body: JSON or bytes.
        path, method, content_type: of HTTP.
        status: of our answer.
        wrapper_status: of the wrapper's, if it differs.
        reason: why they differ, else the answers must agree (an error's sentence may be worded otherwise).
    """

    name: str
    body: Any = None
    path: str = "/predict"
    method: str | None = None
    content_type: str = "application/json"
    status: int = 200
    wrapper_status: int | None = None
    reason: str = ""


def data(*rows: Any, **more: Any) -> dict[str, Any]:
    return {"data": {"ndarray": list(rows), **more}}


def tensor(shape: list[int], values: list[Any], **more: Any) -> dict[str, Any]:
    return {"data": {"tensor": {"shape": shape, "values": values}, **more}}


def changed(column: str, value: Any) -> list[Any]:
    return [value if name == column else cell for name, cell in zip(NAMES, ROW, strict=True)]


RAGGED = "numpy cannot make an array of it, which the wrapper reports as its own failure"
LOST = "numpy makes every value of a mixed list a string, so the wrapper's model cannot see the type"
MISSING = "the wrapper hands on nothing, and its failure to do so is a 500"
NO_PATH = "the wrapper reports a path or method that it does not know as its own failure"

ACCEPTED = [
    *[Case(f"a row at {path}", data(ROW), path) for path in PATHS],
    *[Case(f"a tensor at {path}", tensor([1, 5], ROW), path) for path in PATHS],
    *[Case(f"an object at {path}", {"jsonData": OBJECT}, path) for path in PATHS],
    Case("rows", data(ROW, changed("age", 80), changed("port", "Q"))),
    Case("a hundred rows", data(*[changed("age", age) for age in range(100)])),
    Case("names in order", data(ROW, names=NAMES)),
    Case("names in another order", data(ROW[::-1], names=NAMES[::-1])),
    Case("no names", data(ROW, names=[])),
    Case("names without the nullable ones", data(["Ann", 3], names=["name", "class"])),
    Case("a key beside the inputs", data([7, *ROW], names=["id", *NAMES])),
    *[Case(f"a null {name}", data(changed(name, None))) for name in ("port", "age", "alone")],
    Case("an empty string for null", data(changed("port", ""))),
    Case("a number without a fraction", data(changed("age", 30))),
    Case("a boolean as 1", data(changed("alone", 1))),
    Case("a float of an integer's column", data(changed("class", 3.0))),
    *[Case(f"an age of {age}", data(changed("age", age))) for age in (0, 120, 0.42, 1e-30)],
    Case("Unicode", data(changed("name", "Zoë Ångström 船"))),
    Case("quotes", data(changed("name", 'O\'Neil "Bo"'))),
    Case("a tensor of two rows", tensor([2, 5], [*ROW, *changed("age", 80)])),
    Case("a tensor with names", tensor([1, 5], ROW[::-1], names=NAMES[::-1])),
    Case("a list of objects", {"jsonData": [OBJECT, {**OBJECT, "age": None}]}),
    Case("an object without the nullable ones", {"jsonData": {"name": "Ann", "class": 1}}),
    Case("an object with a key", {"jsonData": {**OBJECT, "id": 7}}),
    Case("a puid", {**data(ROW), "meta": {"puid": "p1"}}),
    Case("tags", {**data(ROW), "meta": {"tags": {"team": "blue"}}}),
    Case("tags and a puid", {**tensor([1, 5], ROW), "meta": {"puid": "p1", "tags": {"n": 1}}}),
    Case("an empty meta", {**data(ROW), "meta": {}}),
    Case("a form's field", f"json={quote(json.dumps(data(ROW)))}".encode(), content_type=FORM),
    Case(
        "a form's field with a tensor",
        f"json={quote(json.dumps(tensor([1, 5], ROW)))}".encode(),
        content_type=FORM,
    ),
    Case("a query", path=f"/predict?json={quote(json.dumps(data(ROW)))}", method="GET"),
    Case(
        "a multipart form",
        b'--b\r\ncontent-disposition: form-data; name="data"\r\n\r\n'
        + json.dumps(data(ROW)["data"]).encode()
        + b"\r\n--b--\r\n",
        content_type="multipart/form-data; boundary=b",
    ),
]

REFUSED = [
    Case("an age over the limit", data(changed("age", 121)), status=400),
    Case("an age under the limit", data(changed("age", -1)), status=400),
    Case("an age in words", data(changed("age", "old")), status=400),
    Case("an unknown port", data(changed("port", "X")), status=400),
    Case("an unknown class", data(changed("class", 4)), status=400),
    Case("half a class", data(changed("class", 2.5)), status=400),
    Case("a null class", data(changed("class", None)), status=400),
    Case("a null name", data(changed("name", None)), status=400),
    Case("a long name", data(changed("name", "A" * 41)), status=400),
    Case("a boolean of 2", data(changed("alone", 2)), status=400),
    Case("the second row", data(ROW, changed("age", 121)), status=400),
    Case("an unknown column", data(ROW, names=[*NAMES[:4], "x"]), status=400),
    Case("a column twice", data(ROW, names=[*NAMES[:4], "name"]), status=400),
    Case("a missing column", data(["Ann"], names=["name"]), status=400),
    Case("a row too short", data(ROW[:4]), status=400),
    Case("a row too long", data([*ROW, 1]), status=400),
    Case("a bad key", data([0, *ROW], names=["id", *NAMES]), status=400),
    Case("no row", data(), status=400),
    Case("a row that is no list", data("Ann"), status=400),
    Case("no data", {"data": {}}, status=400),
    Case("an object's unknown column", {"jsonData": {**OBJECT, "x": 1}}, status=400),
    Case("an object's missing column", {"jsonData": {"name": "Ann"}}, status=400),
    Case("an object's bad value", {"jsonData": {**OBJECT, "age": "old"}}, status=400),
    Case("a list of numbers", {"jsonData": [1, 2]}, status=400),
    Case("a string", {"strData": "x"}, status=400),
    Case("bytes", {"binData": "eA=="}, status=400),
    Case("nothing", {}, status=400),
    Case("a list", [], status=400),
    Case("no JSON", b"{", status=400),
    Case("NaN", b'{"data":{"ndarray":[["Ann","C",NaN,3,true]]}}', status=400),
    Case("no body", b"", method="POST", status=400),
]

DIFFERENT = [
    Case("a number as text", data(changed("age", "22")), status=400, wrapper_status=200, reason=LOST),
    Case("a name as a number", data(changed("name", 5)), status=400, wrapper_status=200, reason=LOST),
    Case("rows of two lengths", data(ROW, ROW[:4]), status=400, wrapper_status=500, reason=RAGGED),
    Case("a tensor of another shape", tensor([2, 5], ROW), status=400, wrapper_status=500, reason=RAGGED),
    Case("a tensor without a shape", {"data": {"tensor": {"values": ROW}}}, status=400, wrapper_status=500,
         reason=MISSING),
    Case("data that is a number", {"data": 1}, status=400, wrapper_status=500, reason=MISSING),
    Case("a meta that is a number", {**data(ROW), "meta": 1}, status=400, wrapper_status=500, reason=MISSING),
    Case("an unknown path", path="/nowhere", status=404, wrapper_status=500, reason=NO_PATH),
    Case("another method", data(ROW), method="PUT", status=405, wrapper_status=500, reason=NO_PATH),
    Case("JSON as a form, as curl sends it", json.dumps(data(ROW)).encode(), content_type=FORM,
         wrapper_status=400, reason="friendlier: the body says itself what it is"),
    Case("another content type", b"<a/>", content_type="text/xml", status=415, wrapper_status=400,
         reason="the status that HTTP has for it"),
]  # fmt: skip

CASES = [*ACCEPTED, *REFUSED, *DIFFERENT]
