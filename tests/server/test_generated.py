"""Generated requests: whatever comes, the answer is a prediction or a 4xx, and the server goes on."""

from __future__ import annotations

import http.client
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.server.world import TINY, Running, expected

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
WORDS = st.sampled_from(["data", "ndarray", "tensor", "names", "shape", "values", "jsonData", "meta", "tags", "puid"])
NAMES = st.sampled_from([*TINY.known, "x"])
MESSAGES = st.recursive(
    JSON_VALUES | st.lists(NAMES, max_size=6),
    lambda inner: st.dictionaries(WORDS | NAMES, inner, max_size=4) | st.lists(inner, max_size=3),
    max_leaves=10,
)
VALID = st.fixed_dictionaries(
    {
        "name": st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40),
        "class": st.sampled_from([1, 2, 3]),
    },
    optional={
        "age": st.none() | st.floats(0, 120) | st.integers(0, 120),
        "port": st.sampled_from(["C", "Q", None, ""]),
        "alone": st.sampled_from([True, False, 0, 1, None]),
        "id": st.integers(1, 1000),
    },
)
CONTENT_TYPES = st.sampled_from(
    [
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=b",
        "multipart/form-data",
    ]
)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


class Client:
    """One connection, kept as long as the server keeps it."""

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def post(self, path: str, body: bytes, content_type: str = "application/json") -> tuple[int, Any]:
        self._connection.request("POST", path, body, {"content-type": content_type})
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        self._connection.close()


@pytest.fixture(scope="module")
def client(running: Running) -> Iterator[Client]:
    made = Client(running.port)
    yield made
    made.close()


@QUICK
@given(rows=st.lists(VALID, min_size=1, max_size=5))
def test_every_valid_row_is_answered_with_its_own_probability(client: Client, rows: list[dict[str, Any]]) -> None:
    status, document = client.post("/predict", json.dumps({"jsonData": rows}).encode())
    assert status == 200, document
    values = document["data"]["tensor"]["values"]
    wanted = [expected(row.get("age"), port=row.get("port")) for row in rows]
    assert values[1::2] == pytest.approx(wanted, abs=1e-5)


@QUICK
@given(message=MESSAGES, path=st.sampled_from(["/predict", "/send-feedback", "/v2/models/tiny/infer"]))
def test_no_message_brings_more_than_a_400(client: Client, message: Any, path: str) -> None:
    status, document = client.post(path, json.dumps(message).encode())
    assert status in (200, 400)
    if status == 400:
        sentence = document["error"] if path.startswith("/v2") else document["status"]["info"]
        assert sentence
        assert "Traceback" not in sentence
    assert not any(math.isnan(value) for value in _floats(document))


@QUICK
@given(body=st.binary(max_size=200), content_type=CONTENT_TYPES)
def test_no_bytes_bring_more_than_a_400(client: Client, body: bytes, content_type: str) -> None:
    status, _ = client.post("/predict", body, content_type)
    assert status == 400


@QUICK
@given(row=VALID, name=NAMES, value=JSON_VALUES)
def test_a_row_with_any_one_value_is_refused_exactly_where_the_schema_refuses_it(
    client: Client, row: dict[str, Any], name: str, value: Any
) -> None:
    changed = {**row, name: value}
    body = json.dumps({"jsonData": changed}).encode()
    try:
        TINY.parse_row(json.loads(body)["jsonData"])
    except ValueError as error:
        sentence = str(error)
    else:
        sentence = ""
    status, document = client.post("/predict", body)
    if b"NaN" in body or b"Infinity" in body or _too_large(value):
        assert status == 400
    elif sentence:
        assert (status, document["status"]["info"]) == (400, f"row 1, {sentence}")
    else:
        assert status == 200, document


def _too_large(value: Any) -> bool:
    """A number beyond 64 bits reaches the server's schema as a float, and reads otherwise in a message."""
    return any(abs(number) >= 2**63 for number in _floats(value))


def _floats(value: Any) -> Iterator[float]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _floats(inner)
    elif isinstance(value, int | float):
        yield value
