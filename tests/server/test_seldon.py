"""Seldon's REST protocol, over HTTP."""

from __future__ import annotations

import json
import re
import time
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest

from lifeboat.server.protocols.row_parser import Reader, compile_parser
from lifeboat.server.protocols.seldon import SeldonCodec
from lifeboat.usecase.schema import Column
from tests.server.world import ROW, ROW_VALUES, TINY, Running, call, expected, ndarray

NAMES = list(ROW)


@pytest.mark.parametrize("path", ["/predict", "/api/v1.0/predictions", "/api/v0.1/predictions"])
def test_an_ndarray_is_answered_in_kind_with_class_names_and_the_model_that_gave_it(
    running: Running, path: str
) -> None:
    answer = call(running.url + path, ndarray(ROW_VALUES))
    assert answer.status == 200
    assert answer.json["data"]["names"] == ["died", "survived"]
    assert answer.survived == pytest.approx([expected(22.5, port="C")])
    tags = answer.json["meta"]["tags"]
    assert tags["model_name"] == "tiny"
    assert tags["model_version"] == "3"
    assert len(tags["bundle_digest"]) == 64


def test_names_come_in_any_order_without_the_nullable_ones_and_with_keys(running: Running) -> None:
    answer = call(running.url + "/predict", ndarray([7, 3, "Ann"], names=["id", "class", "name"]))
    assert answer.survived == pytest.approx([expected(None)])


def test_a_tensor_is_answered_with_a_tensor(running: Running) -> None:
    tensor = {"shape": [2, 5], "values": [*ROW_VALUES, *ROW_VALUES]}
    answer = call(running.url + "/predict", {"data": {"tensor": tensor}})
    assert answer.json["data"]["tensor"]["shape"] == [2, 2]
    assert answer.json["data"]["tensor"]["values"][1::2] == pytest.approx([expected(22.5, port="C")] * 2)


@pytest.mark.parametrize("rows", [ROW, [ROW, {"name": "Bo", "class": 1}]])
def test_json_data_is_one_object_or_a_list_of_them(running: Running, rows: Any) -> None:
    answer = call(running.url + "/predict", {"jsonData": rows})
    assert answer.json["data"]["tensor"]["shape"] == [1 if rows is ROW else 2, 2]


def test_a_request_comes_as_form_field_as_query_as_multipart_or_as_curl_sends_it(running: Running) -> None:
    url, text = running.url + "/predict", json.dumps(ndarray(ROW_VALUES))
    form = "application/x-www-form-urlencoded"
    boundary = f'--b\r\ncontent-disposition: form-data; name="data"\r\n\r\n{json.dumps(ndarray(ROW_VALUES)["data"])}'
    for answer in (
        call(url, f"json={quote(text)}".encode(), content_type=form),
        call(url, text.encode(), content_type=form),
        call(f"{url}?json={quote(text)}", method="GET"),
        call(url, f"{boundary}\r\n--b--\r\n".encode(), content_type="multipart/form-data; boundary=b"),
    ):
        assert answer.survived == pytest.approx([expected(22.5, port="C")]), answer.body


OURS = re.compile("[0-9a-f]{32}")


@pytest.mark.parametrize("puid", ["order 12", "Grüße", "a\r\nb: c", "x" * 256, "x" * 100_000])
def test_a_puid_of_the_body_is_any_text_and_comes_back_in_the_body(running: Running, puid: str) -> None:
    answer = call(running.url + "/predict", {**ndarray(ROW_VALUES), "meta": {"puid": puid}})
    assert answer.status == 200
    assert answer.json["meta"]["puid"] == puid
    assert OURS.fullmatch(answer.headers["seldon-puid"])
    assert "b" not in answer.headers


def test_the_puid_of_the_header_wins_over_that_of_the_meta(running: Running) -> None:
    message = {**ndarray(ROW_VALUES), "meta": {"puid": "from-meta"}}
    answer = call(running.url + "/predict", message, seldon_puid="from-header")
    assert (answer.headers["seldon-puid"], answer.json["meta"]["puid"]) == ("from-header", "from-header")


def test_a_puid_of_ours_can_be_guessed_from_no_other(running: Running) -> None:
    answers = [call(running.url + "/predict", ndarray(ROW_VALUES)) for _ in range(600)]
    puids = [answer.headers["seldon-puid"] for answer in answers]
    assert puids == [answer.json["meta"]["puid"] for answer in answers]
    assert all(map(OURS.fullmatch, puids))
    numbers = [int(puid, 16) for puid in puids]
    # Behind the millisecond each of 80 bits is set in half of them (300, give or take 5 times 12), and each differs
    # from its neighbour's.
    assert all(abs(number / 2**80 / 1000 - time.time()) < 60 for number in numbers)
    for bit in range(80):
        assert 238 < sum(number >> bit & 1 for number in numbers) < 362
        assert 238 < sum((one ^ other) >> bit & 1 for one, other in pairwise(numbers)) < 362


@pytest.mark.parametrize("puid", ["Gr\xfc\xdfe", "two words", "x" * 129])
def test_a_header_that_is_no_puid_is_not_taken_for_one(running: Running, puid: str) -> None:
    answer = call(running.url + "/predict", ndarray(ROW_VALUES), seldon_puid=puid)
    assert answer.status == 200
    assert OURS.fullmatch(answer.headers["seldon-puid"])


def test_what_an_answer_repeats_of_a_request_is_written_when_that_is_read(running: Running) -> None:
    """Which a thread does where there is much of it; the loop only puts it behind the numbers."""
    tags = {f"n{index}": index for index in range(50_000)}
    meta = {"puid": "p", "tags": tags, "routing": {"a": 1}, "unknown": 1}
    message = SeldonCodec(Reader(TINY, 1), ("died", "survived"), {"model_name": "m"}).read(
        {"meta": meta, **ndarray(ROW_VALUES)}
    )
    assert json.loads(b"{" + message.tail[1:-1]) == {"tags": {**tags, "model_name": "m"}, "routing": {"a": 1}}
    answered = call(running.url + "/predict", {"meta": {"tags": {"n": "x" * 50_000}}, **ndarray(ROW_VALUES)})
    assert answered.json["meta"]["tags"]["n"] == "x" * 50_000


def test_tags_of_the_request_are_kept_but_cannot_name_another_model(running: Running) -> None:
    message = {**ndarray(ROW_VALUES), "meta": {"tags": {"team": "blue", "model_version": "99"}}}
    tags = call(running.url + "/predict", message).json["meta"]["tags"]
    assert tags["team"] == "blue"
    assert tags["model_version"] == "3"


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (["Ann", "C", 130, 3, True], "row 2, column age: 130 is outside 0 to 120"),
        (["Ann", "X", 22, 3, True], 'row 2, column port: "X" is none of C, Q'),
        (["Ann", "C", "old", 3, True], 'row 2, column age: "old" is not a float'),
        (["Ann", "C", True, 3, True], "row 2, column age: true is not a float"),
        (["Ann", "C", 22, None, True], "row 2, column class: is null, which class may not be"),
        (["Ann", "C", 22, 2.5, True], "row 2, column class: 2.5 is not an integer"),
        (["Ann", "C", 22, 3, 2], "row 2, column alone: 2 is not a boolean"),
        (["A" * 41, "C", 22, 3, True], "has more than 40 characters"),
        ([[], "C", 22, 3, True], "row 2, column name: [] is not a string"),
        (["Ann", {"a": 1}, 22, 3, True], 'row 2, column port: {"a": 1} is not a string'),
        (["Ann", "C", 10**30, 3, True], "row 2, column age: 1e+30 is outside 0 to 120"),
        (["Ann", "C", 22, 3], "row 2 has 4 values, there are 5 names"),
        ("Ann", "row 2 is not a list of values"),
    ],
)
def test_a_bad_value_is_answered_with_its_row_column_value_and_limit(running: Running, row: Any, sentence: str) -> None:
    answer = call(running.url + "/predict", ndarray(ROW_VALUES, row))
    assert answer.status == 400
    assert sentence in answer.info
    status = answer.json["status"]
    assert (status["status"], status["code"], status["reason"]) == (1, -1, "MICROSERVICE_BAD_DATA")


@pytest.mark.parametrize(
    ("message", "sentence"),
    [
        ({"data": {"ndarray": []}}, "holds 0 rows, allowed are 1 to 1000"),
        (ndarray(*[ROW_VALUES] * 1001), "holds 1001 rows, allowed are 1 to 1000"),
        ({"data": {"ndarray": {}}}, "data.ndarray is not a list of rows"),
        ({"data": {}}, "data holds neither ndarray nor tensor"),
        ({"data": []}, "data is not an object"),
        ({}, "neither data (ndarray or tensor) nor jsonData"),
        ({"strData": "x"}, "strData has no meaning"),
        (
            {"data": {"tensor": {"shape": [2, 5], "values": ROW_VALUES}}},
            "holds 5 values, its shape asks for 10",
        ),
        ({"data": {"tensor": {"shape": [5], "values": ROW_VALUES}}}, "not [rows, columns]"),
        ({"data": {"tensor": {"shape": [-1, -5], "values": ROW_VALUES}}}, "not [rows, columns]"),
        ({"data": {"tensor": 1}}, "data.tensor is not an object"),
        (ndarray(ROW_VALUES, names=[*NAMES[:4], "x"]), "column x: unknown; the columns are name, port, age"),
        (ndarray(ROW_VALUES, names=[*NAMES[:4], "name"]), "column name: named twice"),
        (ndarray(["Ann"], names=["name"]), "column class: missing, and it may not be null"),
        (ndarray([0, 3, "Ann"], names=["id", "class", "name"]), "row 1, column id: 0 is outside"),
        ({"data": {"ndarray": [ROW_VALUES], "names": "name"}}, "names is not a list of column names"),
        ({"data": {"ndarray": [ROW_VALUES], "names": [[]]}}, "names is not a list of column names"),
        ({"jsonData": {**ROW, "x": 1}}, "row 1, column x: unknown"),
        ({"jsonData": {"name": "Ann"}}, "row 1, column class: missing, and it may not be null"),
        ({"jsonData": {**ROW, "id": "seven"}}, 'row 1, column id: "seven" is not an integer'),
        ({"jsonData": [1]}, "row 1 is not an object"),
        ({"jsonData": 1}, "jsonData is not a list of rows"),
        ({**ndarray(ROW_VALUES), "meta": []}, None),
        ({**ndarray(ROW_VALUES), "meta": 1}, "meta or meta.tags is not an object"),
        ({**ndarray(ROW_VALUES), "meta": {"tags": 1}}, "meta or meta.tags is not an object"),
        ({**ndarray(ROW_VALUES), "meta": {"puid": 7}}, "meta.puid is not a string"),
    ],
)
def test_a_bad_message_is_answered_with_what_is_wrong(running: Running, message: Any, sentence: str | None) -> None:
    answer = call(running.url + "/predict", message)
    assert answer.status == (400 if sentence else 200)
    assert sentence is None or sentence in answer.info


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"1", b"\xff", b'{"data": NaN}', b'{"data":{"ndarray":[["\\ud800"]]}}', b"null",
        b'{"data":' + b"[" * 900 + b"]" * 900 + b"}", b'{"meta":' + b"[" * 900 + b"]" * 900 + b"}",
        b"[" * 100_000, b'{"data":' + b"9" * 400 + b"}", b'{"data":{"ndarray":[[Infinity]]}}',
    ],
)  # fmt: skip
def test_what_is_no_message_is_a_400_and_the_next_request_is_answered(running: Running, body: bytes) -> None:
    answer = call(running.url + "/predict", body, method="POST")
    assert answer.status == 400
    assert "Traceback" not in answer.info
    assert call(running.url + "/predict", ndarray(ROW_VALUES)).status == 200


def test_a_row_in_a_batch_is_answered_as_alone(running: Running) -> None:
    ages = [float(age) for age in range(100)]
    answer = call(running.url + "/predict", ndarray(*[["Ann", None, age, 1, None] for age in ages]))
    assert answer.survived == pytest.approx([expected(age) for age in ages], abs=1e-6)


@pytest.mark.parametrize("path", ["/send-feedback", "/api/v1.0/feedback"])
def test_feedback_is_counted_by_truth(running: Running, path: str) -> None:
    def counted() -> int:
        lines = call(running.url + "/metrics").body.decode().splitlines()
        return next(int(line.split()[-1]) for line in lines if line.startswith('lifeboat_feedback_total{truth="surv'))

    before = counted()
    message = {"reward": 1.0, "truth": {"data": {"ndarray": [["survived"], [1], [0]]}}}
    assert call(running.url + path, message).status == 200
    assert counted() == before + 2
    assert call(running.url + path, {"truth": {"data": {"ndarray": ["sunk"]}}}).status == 400
    assert call(running.url + path, {"reward": "much"}).status == 400


def test_health_and_metadata(running: Running) -> None:
    assert call(running.url + "/health/ping").body == b"pong"
    for path in ("/health/status", "/api/v1.0/health/status", "/ready", "/live"):
        assert call(running.url + path).status == 200
    metadata = call(running.url + "/metadata").json
    assert metadata["name"] == "tiny"
    assert metadata["versions"] == ["3"]


FORM = "multipart/form-data; boundary=b"
NESTED = b"".join(b"--b%d\r\ncontent-type: multipart/mixed; boundary=b%d\r\n\r\n" % (i, i + 1) for i in range(3000))


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (NESTED, "the multipart form cannot be read"),
        (b'--b\r\ncontent-disposition: form-data; name="\xff"\r\n\r\n{\r\n--b--', "the field \ufffd is not JSON"),
        (b'--b\r\ncontent-disposition: form-data; name="json"\r\n\r\n[1]\r\n--b--', "json is not a JSON object"),
    ],
    ids=["nested", "a name that is no text", "a list"],
)
def test_a_bad_multipart_form_is_a_400(running: Running, body: bytes, sentence: str) -> None:
    answer = call(running.url + "/predict", body, content_type=FORM)
    assert answer.status == 400
    assert sentence in answer.info


def test_a_long_name_is_answered_briefly_and_a_cut_within_a_letter_is_no_failure(running: Running) -> None:
    long = call(running.url + "/predict", ndarray(ROW_VALUES, names=["x" * 100_000]))
    assert (long.status, len(long.info)) == (400, 1000)
    cut = call(running.url + "/predict", {"data": {"tensor": {"shape": ["a\u00e9" * 50], "values": []}}})
    assert cut.status == 400


@pytest.mark.parametrize("value", ["\ud800", "a\udfff", 3.5e38, -3.5e38, 3.4e38, "Zo\u00eb", "\u8239"])
def test_a_value_is_refused_in_the_words_of_its_column(value: Any) -> None:
    kind: Any = "string" if isinstance(value, str) else "float"
    column = Column("x", kind, max_length=40)
    try:
        wanted = column.parse(value)
    except ValueError as error:
        with pytest.raises(ValueError, match=re.escape(str(error))):
            compile_parser(column)(value)
    else:
        assert compile_parser(column)(value) == wanted


def test_a_lone_surrogate_is_a_400(running: Running) -> None:
    body = b'{"data":{"ndarray":[["\\ud800","C",22.5,3,true]]}}'
    assert "surrogate" in call(running.url + "/predict", body).info


FORGED = "/api/v1.0/feedback?json=%7B%22truth%22%3A%7B%22jsonData%22%3A%5B1%5D%7D%7D"


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "http://evil.example"},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        # Whose name was made to mean this machine, so that its page is of the same origin.
        {"origin": "http://evil.example", "host": "evil.example"},
        {"sec_fetch_site": "same-origin", "host": "evil.example:9000"},
    ],
)
def test_feedback_of_a_page_of_elsewhere_is_refused(running: Running, headers: dict[str, str]) -> None:
    """A browser of this machine reaches what only this machine reaches."""
    found = call(running.url + FORGED, method="GET", **headers)
    assert (found.status, found.info) == (403, "feedback from a page of another origin is not taken")
    message = {"truth": {"jsonData": [1]}}
    assert call(running.url + "/send-feedback", message, **headers).status == 403


def test_feedback_of_the_servers_own_page_and_of_programs_is_taken(running: Running) -> None:
    message = {"truth": {"jsonData": [1]}}
    assert call(running.url + "/send-feedback", message).status == 200
    assert call(running.url + "/send-feedback", message, origin=running.url, sec_fetch_site="same-origin").status == 200
    assert call(running.url + FORGED, method="GET", sec_fetch_site="none").status == 200


def test_the_media_type_alone_says_what_a_body_is(running: Running) -> None:
    boundary = "json1"
    head = f'--{boundary}\r\ncontent-disposition: form-data; name="json"\r\n\r\n'
    body = f"{head}{json.dumps(ndarray(ROW_VALUES))}\r\n--{boundary}--\r\n"
    found = call(running.url + "/predict", body.encode(), content_type=f"multipart/form-data; boundary={boundary}")
    assert found.status == 200, found.body


def test_an_endless_content_type_is_refused(running: Running) -> None:
    """It would go into the event beside the body."""
    long = "application/json; a=" + "x" * 300
    for path, body in (("/predict", ndarray(ROW_VALUES)), ("/v2/models/tiny/infer", {"inputs": []})):
        found = call(running.url + path, body, content_type=long)
        assert found.status == 415
        assert b"the content type has more than 256 characters" in found.body
