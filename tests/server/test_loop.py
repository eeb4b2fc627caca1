"""One request does not hold the loop: whatever is sent beside it, a probe and a prediction are answered soon."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.server.bodies import Body, largest
from tests.server.world import ROW_VALUES, Running, call, ndarray, server

# The limits are 50 and 100 ms on a machine whose two cores are free; here others may run, and four clients and we do.
LIVE_SECONDS, PREDICTION_SECONDS = 0.1, 0.2
PROBE = b"GET /live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def usual(bundle: Path) -> Iterator[Running]:
    """A server with its usual limits."""
    with server(bundle) as running:
        yield running


def post(path: str, body: bytes, headers: dict[str, str]) -> bytes:
    named = {"host": "x", "content-type": "application/json", **headers, "content-length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def exchange(connection: socket.socket, request: bytes) -> int:
    """Sends a request and reads its answer whole; gives its status."""
    connection.sendall(request)
    content = b""
    while b"\r\n\r\n" not in content:
        content += _receive(connection)
    head, _, rest = content.partition(b"\r\n\r\n")
    left = int(head.lower().partition(b"content-length: ")[2].split()[0]) - len(rest)
    while left > 0:
        left -= len(_receive(connection))
    return int(head[9:12])


def _receive(connection: socket.socket) -> bytes:
    received = connection.recv(2**18)
    if not received:
        raise ConnectionError("the server closed within an answer")
    return received


@contextmanager
def hammered(port: int, body: Body, connections: int = 4) -> Iterator[list[int]]:
    """Sends a request on some connections over and over; gives the statuses of the answers."""
    request, statuses, end = post(*body[:3]), list[int](), threading.Event()

    def hammer() -> None:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            while not end.is_set():
                statuses.append(exchange(connection, request))

    threads = [threading.Thread(target=hammer) for _ in range(connections)]
    for thread in threads:
        thread.start()
    try:
        yield statuses
    finally:
        end.set()
        for thread in threads:
            thread.join()


@pytest.mark.slow
def test_a_probe_and_a_prediction_beside_the_largest_bodies_of_each_kind_are_answered_soon(usual: Running) -> None:
    one = post("/predict", json.dumps(ndarray(ROW_VALUES)).encode(), {})
    probes: list[tuple[float, str]] = []
    predictions: list[tuple[float, str]] = []
    with socket.create_connection(("127.0.0.1", usual.port), timeout=30) as kept:
        for kind, body in largest().items():
            with hammered(usual.port, body) as statuses:
                end = time.monotonic() + 0.4
                while time.monotonic() < end or not statuses:
                    start = time.perf_counter()
                    with socket.create_connection(("127.0.0.1", usual.port), timeout=30) as fresh:
                        assert exchange(fresh, PROBE) == 200
                    probes.append((time.perf_counter() - start, kind))
                    start = time.perf_counter()
                    assert exchange(kept, one) == 200
                    predictions.append((time.perf_counter() - start, kind))
            assert set(statuses) == {body[3]}, kind
    assert _p99(probes)[0] < LIVE_SECONDS, sorted(probes)[-30:]
    assert _p99(predictions)[0] < PREDICTION_SECONDS, sorted(predictions)[-30:]


def _p99(times: list[tuple[float, str]]) -> tuple[float, str]:
    """Of all kinds together, each of which has about a thirtieth: one that is slow throughout is beyond it."""
    return sorted(times)[len(times) * 99 // 100]


def test_a_large_request_is_answered_as_its_rows_are_alone(usual: Running) -> None:
    rows = [["Ann", "C", age / 2, 3, True] for age in range(200)]
    alone = [call(usual.url + "/predict", ndarray(row)).json["data"]["ndarray"][0] for row in rows]
    large = call(usual.url + "/predict", ndarray(*rows * 50), seldon_puid="p")
    assert large.json["data"]["ndarray"] == alone * 50
    assert large.json["meta"]["puid"] == "p"


def test_answers_keep_their_order_when_a_small_request_follows_a_large_one(usual: Running) -> None:
    requests = [ndarray(*[ROW_VALUES] * 10_000), ndarray(ROW_VALUES), ndarray(*[ROW_VALUES] * 3_000), {}]
    sent = [post("/predict", json.dumps(request).encode(), {}) for request in requests]
    last = sent[3].replace(b"host: x", b"host: x\r\nconnection: close")
    with socket.create_connection(("127.0.0.1", usual.port), timeout=30) as connection:
        connection.sendall(b"".join([*sent[:3], last]))
        content = b"".join(iter(lambda: connection.recv(2**18), b""))
    bodies = [part.partition(b"\r\n\r\n")[2] for part in content.split(b"HTTP/1.1 ")[1:]]
    lengths = [len(json.loads(body).get("data", {}).get("ndarray", [])) for body in bodies]
    assert lengths == [10_000, 1, 3_000, 0]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b'{"jsonData":[' + b"{}," * 91_001 + b"{}]}", "the JSON holds 91001 values, the limit is 91000"),
        (b'{"data":{"ndarray":' + b"[1]" + b" " * 91_000 + b"," + b"[" * 91_001, "the JSON holds 91002 lists"),
    ],
)
def test_more_values_than_any_request_needs_are_refused_before_they_are_read(
    usual: Running, text: bytes, sentence: str
) -> None:
    assert sentence in call(usual.url + "/predict", text).info


@pytest.mark.parametrize("filling", [',[:{"', "\\", '\\"', 'é,"\\', "[" * 7])
def test_what_stands_in_a_text_is_no_value(usual: Running, filling: str) -> None:
    text = filling * (800_000 // len(filling))
    answer = call(usual.url + "/predict", {**ndarray(ROW_VALUES), "meta": {"tags": {"long": text}}})
    assert answer.status == 200
    assert answer.json["meta"]["tags"]["long"] == text
