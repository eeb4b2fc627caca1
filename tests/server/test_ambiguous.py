"""What could be read in two ways, or is meant and passed over, is refused: a proxy may read it otherwise."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from tests.server.test_seldon import FORM
from tests.server.test_v2 import INFER, tensors
from tests.server.world import ROW, ROW_VALUES, Running, call, expected, ndarray

URLENCODED = "application/x-www-form-urlencoded"
TENSOR = {"shape": [1, 5], "values": ROW_VALUES}
DATA = json.dumps(ndarray(ROW_VALUES)["data"])
MANY = ",".join([json.dumps(ROW_VALUES)] * 900)


@pytest.mark.parametrize(
    ("path", "text", "name"),
    [
        ("/predict", f'{{"data": {DATA}, "data": {DATA}}}', '"data"'),
        ("/predict", f'{{"data": {DATA}, "d\\u0061ta": {DATA}}}', '"d\\u0061ta"'),
        ("/predict", f'{{"data": {{"ndarray": [[1]], "ndarray": [{json.dumps(ROW_VALUES)}]}}}}', '"ndarray"'),
        ("/predict", f'{{"data" : {DATA}, "meta": {{"tags": {{"a": 1, "b": {{"c\\"": 1, "c\\"" :2}}}}}}}}', '"c\\""'),
        ("/predict", '{"jsonData": [{"name": "12:30", "class": 1, "class": 3}]}', '"class"'),
        ("/predict", f'{{"data": {{"ndarray": [{MANY}], "names": [], "names": []}}}}', '"names"'),
        ("/predict", f'{{"data": {DATA}, "meta": {{"tags": [{{}}, {{"": 1, "": 2}}]}}}}', '""'),
        ("/send-feedback", '{"reward": 1, "truth": {"jsonData": [1]}, "reward": 0}', '"reward"'),
        (INFER, f'{{"inputs": {json.dumps(tensors())}, "id": "a", "id": "b"}}', '"id"'),
        (INFER, f'{{"inputs": {json.dumps(tensors())[:-1]}, {{"shape": [2], "shape": [1]}}]}}', '"shape"'),
    ],
)  # fmt: skip
def test_a_name_that_stands_twice_in_one_object_is_refused(running: Running, path: str, text: str, name: str) -> None:
    answer = call(running.url + path, text.encode())
    assert answer.status == 400
    sentence = answer.json["error"] if path == INFER else answer.info
    assert sentence == f"the body has the name {name} twice in one object"


@pytest.mark.parametrize("name", ['a"b:c', "12:30", '\\":\\', '\\\\":', ":::", '{"a":1,"a":2}', '"', "\\"])
def test_colons_and_quotes_within_texts_are_no_names(running: Running, name: str) -> None:
    row = [name, *ROW_VALUES[1:]]
    for message in (ndarray(row), ndarray(*[row] * 300), {"jsonData": [{**ROW, "name": name}] * 3}):
        for text in (json.dumps(message), json.dumps(message, indent=1, separators=(" ,", " : "))):
            assert call(running.url + "/predict", text.encode()).status == 200
    answer = call(running.url + "/predict", {**ndarray(row), "meta": {"tags": {name: name, "other": [{name: 1}] * 2}}})
    assert answer.survived == pytest.approx([expected(22.5, port="C")])
    assert answer.json["meta"]["tags"][name] == name


def test_in_a_large_body_a_name_that_stands_twice_is_not_looked_for(running: Running) -> None:
    """A string of escaped quotes held every other request for 0.2 s while it was."""
    body = b'{"x": "' + b'\\"' * 70_000 + b'", "a": 1, "a": 2}'
    answer = call(running.url + "/predict", body)
    assert (answer.status, answer.info) == (400, "the body has a name twice in one object")


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({**ndarray(ROW_VALUES), "jsonData": ROW}, "data and jsonData are both given"),
        ({**ndarray(ROW_VALUES), "strData": "x"}, "data and strData are both given"),
        ({"jsonData": ROW, "binData": "eA=="}, "jsonData and binData are both given"),
        ({"data": {"ndarray": [ROW_VALUES], "tensor": TENSOR}}, "data.ndarray and data.tensor are both given"),
        ({"data": {"ndarray": [ROW_VALUES], "tftensor": {}}}, "data.ndarray and data.tftensor are both given"),
        ({**ndarray(ROW_VALUES), "names": ["age"]}, "the message: the member names is not supported"),
        ({"data": {"ndarray": [ROW_VALUES], "columns": ["age"]}}, "data: the member columns is not supported"),
        ({"data": {"tensor": {**TENSOR, "names": ["age"]}}}, "data.tensor: the member names is not supported"),
    ],
)
def test_rows_in_two_forms_or_with_what_is_not_known_are_refused(running: Running, message: Any, sentence: str) -> None:
    answer = call(running.url + "/predict", message)
    assert answer.status == 400
    assert sentence in answer.info


def test_a_form_that_is_null_is_none(running: Running) -> None:
    answer = call(running.url + "/predict", {**ndarray(ROW_VALUES), "jsonData": None, "strData": None, "status": {}})
    assert answer.survived == pytest.approx([expected(22.5, port="C")])


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({"truths": {"jsonData": [1]}}, "the feedback: the member truths is not supported"),
        ({"truth": {"jsonData": [1]}, "response": {"meta": "p-1"}}, "response.meta is not an object"),
        ({"truth": {"strData": "survived"}}, "truth: the member strData is not supported"),
        ({"truth": {"data": {"ndarray": [1]}, "jsonData": [0]}}, "truth.data and truth.jsonData are both given"),
        (
            {"truth": {"data": {"ndarray": [1], "tensor": {"shape": [1], "values": [0]}}}},
            "truth.data.ndarray and truth.data.tensor are both given",
        ),
    ],
)
def test_a_truth_in_two_forms_or_under_another_name_is_refused(running: Running, message: Any, sentence: str) -> None:
    answer = call(running.url + "/send-feedback", message)
    assert answer.status == 400
    assert sentence in answer.info


def part(name: str, content: str) -> str:
    return f'--b\r\ncontent-disposition: form-data; name="{name}"\r\n\r\n{content}\r\n'


@pytest.mark.parametrize(
    ("query", "body", "content_type", "sentence"),
    [
        ("?a=1&json=%7B%7D", json.dumps(ndarray(ROW_VALUES)), "application/json", "and a field json in the query"),
        ("", f"json={quote(json.dumps(ndarray(ROW_VALUES)))}&json=1", URLENCODED, "the form has two fields json"),
        ("", part("data", DATA) + part("data", DATA), FORM, "the multipart form has two fields data"),
        ("", part("json", f'{{"data": {DATA}}}') + part("meta", "{}"), FORM, "the whole message, and 1 others"),
        ("", part("data", DATA[:-1] + ', "ndarray": [[1]]}'), FORM, 'the field data has the name "ndarray" twice'),
        ("", part("data", DATA) + part("jsonData", json.dumps(ROW)), FORM, "data and jsonData are both given"),
    ],
)
def test_a_form_that_says_it_twice_is_refused(
    running: Running, query: str, body: str, content_type: str, sentence: str
) -> None:
    answer = call(f"{running.url}/predict{query}", body.encode(), content_type=content_type)
    assert answer.status == 400
    assert sentence in answer.info


def test_a_query_of_another_name_is_no_message(running: Running) -> None:
    assert call(f"{running.url}/predict?myjson=1", ndarray(ROW_VALUES)).status == 200
