"""Compressed bodies of requests and answers, and answers that pages of elsewhere may read."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lifeboat.config.errors import SettingsError
from lifeboat.http.cors import Cors
from tests.server.receiver import Receiver, wait_for
from tests.server.test_v2 import INFER, tensors
from tests.server.world import ROW, ROW_VALUES, Answer, Running, call, ndarray, server

CODINGS: dict[str, Callable[[bytes], bytes]] = {"gzip": gzip.compress, "deflate": zlib.compress}


def packed(body: bytes) -> bytes:
    return gzip.compress(body, mtime=0)


REQUESTS = {
    "/api/v1.0/predictions": ndarray(ROW_VALUES),
    INFER: {"inputs": tensors()},
    "/v1/models/tiny:predict": {"instances": [ROW]},
    "/invocations": {"dataframe_records": [ROW]},
    "/api/v1.0/feedback": {"truth": ndarray([1]), "reward": 1.0},
}
LIMIT = 300_000
DESK = "https://desk.example"


@pytest.fixture(scope="module")
def limited(bundle: Path) -> Iterator[Running]:
    flags = ["--max-body", str(LIMIT), "--model-version", "3", "--cors-origins", f"{DESK}, http://localhost:3000"]
    with server(bundle, *flags) as running:
        yield running


def without_ids(answer: Answer) -> Any:
    document = answer.json
    document.pop("id", None)
    document.get("meta", {}).pop("puid", None)
    return document


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("path", REQUESTS)
def test_a_compressed_request_is_answered_as_the_plain_one(limited: Running, path: str, coding: str) -> None:
    packed = CODINGS[coding](json.dumps(REQUESTS[path]).encode())
    found, plain = call(limited.url + path, packed, content_encoding=coding), call(limited.url + path, REQUESTS[path])
    assert (found.status, without_ids(found)) == (200, without_ids(plain))


def test_a_feedbacks_event_holds_what_was_said_and_not_how_it_was_packed(bundle: Path, receiver: Receiver) -> None:
    said = {"truth": ndarray([0]), "reward": 0.25}
    with server(bundle, "--events-url", receiver.url) as running:
        call(running.url + "/send-feedback", packed(json.dumps(said).encode()), content_encoding="gzip")
        assert [event["data"] for event in wait_for(receiver, 1)] == [said]


@pytest.mark.parametrize(
    ("coding", "body", "status", "sentence"),
    [
        ("br", b"x", 415, "the body's coding is br, which is none of gzip and deflate"),
        ("gzip, gzip", b"x", 415, "the body's coding is gzip, gzip"),
        ("gzip", b"{}", 400, "the body cannot be inflated"),
        ("gzip", packed(b"{}")[:-3], 400, "the compressed body is cut off"),
        ("gzip", packed(b"{}") + b"x", 400, "or more follows it"),
        ("deflate", packed(b"{}"), 400, "the body cannot be inflated"),
        ("gzip", packed(bytes(LIMIT + 1)), 413, f"more than {LIMIT} bytes when it is inflated"),
        # A thousand times its size, of which no more than the limit is ever made.
        ("gzip", packed(bytes(250_000_000)), 413, f"more than {LIMIT} bytes when it is inflated"),
        ("gzip", packed(b'{"inputs": 1}'), 400, "inputs is not a list"),
    ],
)
def test_what_is_wrong_with_a_compressed_body_is_said(
    limited: Running, coding: str, body: bytes, status: int, sentence: str
) -> None:
    found = call(limited.url + INFER, body, content_encoding=coding)
    assert (found.status, sentence in found.json["error"]) == (status, True), found.body


@pytest.mark.parametrize(
    ("accepted", "rows", "packed"),
    [
        ("gzip", 200, True), ("br;q=1.0, gzip;q=0.8", 200, True), ("*", 200, True), ("GZIP", 200, True),
        ("gzip;q=0", 200, False), ("gzip;q=0.000", 200, False), ("identity", 200, False), ("br", 200, False),
        ("gzip", 1, False),  # it is as small as it can be
        ("gzip", 2000, True),  # by the thread
    ],
)  # fmt: skip
def test_a_large_answer_is_compressed_for_whoever_asks(
    limited: Running, accepted: str, rows: int, packed: bool
) -> None:
    body = ndarray(*[ROW_VALUES] * rows)
    found = call(limited.url + "/predict", body, accept_encoding=accepted)
    assert (found.headers.get("content-encoding") == "gzip") == packed
    if packed:
        assert found.headers["vary"] == "accept-encoding"
        assert len(found.body) * 10 < len(gzip.decompress(found.body))
        found.body = gzip.decompress(found.body)
    assert without_ids(found) == without_ids(call(limited.url + "/predict", body))


def test_pages_of_chosen_origins_may_read_answers_and_no_other(limited: Running) -> None:
    url = limited.url + "/predict"
    for origin in (DESK, "http://localhost:3000"):
        found = call(url, ndarray(ROW_VALUES), origin=origin)
        assert (found.headers["access-control-allow-origin"], found.headers["vary"]) == (origin, "origin")
        assert "seldon-puid" in found.headers["access-control-expose-headers"]
    asked = {"origin": DESK, "access_control_request_method": "POST", "access_control_request_headers": "content-type"}
    preflight = call(url, method="OPTIONS", **asked)
    assert (preflight.status, preflight.headers["access-control-allow-origin"]) == (200, DESK)
    assert "content-type" in preflight.headers["access-control-allow-headers"]
    assert "POST" in preflight.headers["access-control-allow-methods"]
    wrong = call(url, ndarray([1]), origin=DESK)
    assert (wrong.status, wrong.headers["access-control-allow-origin"]) == (400, DESK), "the page may say why"
    for origin in ("https://desk.example.evil", "https://DESK.example", "null", "https://desk.example:444"):
        assert "access-control-allow-origin" not in call(url, ndarray(ROW_VALUES), origin=origin).headers
        assert "access-control-allow-origin" not in call(url, method="OPTIONS", **{**asked, "origin": origin}).headers
    assert "access-control-allow-origin" not in call(url, ndarray(ROW_VALUES)).headers


def test_any_page_may_read_where_that_is_set_and_none_unless_it_is(bundle: Path, running: Running) -> None:
    assert "access-control-allow-origin" not in call(running.url + "/ready", origin=DESK).headers
    with server(bundle, "--cors-origins", "*") as opened:
        assert call(opened.url + "/ready", origin="null").headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize("origins", ["desk.example", "https://desk.example/", "https://a b", "ftp://x"])
def test_what_is_no_origin_is_refused_at_the_start(origins: str) -> None:
    with pytest.raises(SettingsError, match="cors_origins: .* is no origin, such as https://desk.example"):
        Cors(origins)
