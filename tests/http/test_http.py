"""HTTP as bad clients speak it: each gets an answer or a closed connection, and nobody else notices."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from lifeboat.http.connection import WRITING_SECONDS, Connection
from lifeboat.http.http_types import Request
from lifeboat.http.limits import ListenerLimits
from tests.server.world import ROW_VALUES, Running, call, ndarray, server

BODY = json.dumps(ndarray(ROW_VALUES)).encode()
REQUEST = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (
    len(BODY),
    BODY,
)
PING = b"GET /health/ping HTTP/1.1\r\nhost: a\r\n\r\n"


def talk(running: Running, *parts: bytes, pause: float = 0.0, half_close: bool = False) -> bytes:
    """Sends parts and reads until the server closes or is silent for half a second."""
    with socket.create_connection(("127.0.0.1", running.port)) as client:
        client.settimeout(0.5)
        for part in parts:
            client.sendall(part)
            time.sleep(pause)
        if half_close:
            client.shutdown(socket.SHUT_WR)
        return _read_all(client)


def _read_all(client: socket.socket) -> bytes:
    content = b""
    try:
        while chunk := client.recv(65536):
            content += chunk
    except TimeoutError:
        content += b"<open>"
    return content


def _read_until(client: socket.socket, holds: Callable[[bytes], bool]) -> bytes:
    content = b""
    while not holds(content):
        chunk = client.recv(65536)
        assert chunk, content
        content += chunk
    return content


def statuses(content: bytes) -> list[int]:
    return [int(part[:3]) for part in content.split(b"HTTP/1.1 ")[1:]]


def test_pipelined_requests_are_answered_in_their_order(running: Running) -> None:
    content = talk(running, PING + REQUEST + PING + REQUEST * 100 + PING.replace(b"ping", b"pong"))
    assert statuses(content) == [200] * 103 + [404]
    assert content.index(b"pong") < content.index(b"ndarray")
    assert content.endswith(b"<open>")


def test_a_client_that_sent_many_requests_ahead_is_read_again(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port), timeout=5) as client:
        for _ in range(2):
            client.sendall(REQUEST * 40)
            _read_until(client, lambda content: len(statuses(content)) == 40)


def test_a_chunked_body_is_joined(running: Running) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(BODY[i : i + 7]), BODY[i : i + 7]) for i in range(0, len(BODY), 7))
    assert statuses(talk(running, head + chunks + b"0\r\n\r\n" + PING)) == [200, 200]


def test_a_chunked_body_over_the_limit_is_refused(running: Running) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    content = talk(running, head, *[chunk] * 4)
    assert statuses(content) == [413]
    assert not content.endswith(b"<open>")


def test_a_body_over_the_limit_is_refused_before_it_is_sent_and_after(running: Running) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 200001\r\n"
    assert statuses(talk(running, head + b"\r\n")) == [413]
    assert statuses(talk(running, head + b"expect: 100-continue\r\n\r\n")) == [413]
    assert b"the limit is 200000" in talk(running, head + b"\r\n" + b" " * 200_001)


@pytest.mark.parametrize("before", [b"", REQUEST], ids=["first", "behind another"])
def test_a_client_that_asks_before_it_sends_a_body_is_told_to_go_on(running: Running, before: bytes) -> None:
    head, body = REQUEST.split(b"\r\n\r\n")
    with socket.create_connection(("127.0.0.1", running.port), timeout=10) as client:
        client.sendall(before + head + b"\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n")
        content = _read_until(client, lambda content: content.endswith(b"HTTP/1.1 100 Continue\r\n\r\n"))
        client.sendall(body)
        assert statuses(content + _read_all(client)) == [200] * bool(before) + [100, 200]


def test_a_content_length_longer_than_the_body_is_no_request(running: Running) -> None:
    content = talk(running, b"POST /predict HTTP/1.1\r\nhost: a\r\ncontent-length: 50\r\n\r\n{}", half_close=True)
    assert statuses(content) in ([], [400])


def test_a_client_that_ends_its_side_is_still_answered(running: Running) -> None:
    content = talk(running, REQUEST * 3, half_close=True)
    assert statuses(content) == [200] * 3


def test_head_of_every_path_of_get_has_its_length_and_no_body(running: Running) -> None:
    paths = [path for path, methods in call(running.url + "/openapi.json").json["paths"].items() if "get" in methods]
    for path in [*paths, "/docs", "/v2", "/health/status", "/openapi.json"]:
        got, head = call(running.url + path), call(running.url + path, method="HEAD")
        assert (head.status, head.body) == (200, b"")
        assert path == "/metrics" or head.headers["content-length"] == got.headers["content-length"]


@pytest.mark.parametrize("name", ["Content-Type", "Seldon-Puid", "Inference-Header-Content-Length", "CE-Id"])
def test_a_header_that_says_one_thing_may_not_come_twice(running: Running, name: str) -> None:
    line = f"{name}: 1\r\n".encode()
    content = talk(running, PING.replace(b"host: a\r\n", b"host: a\r\n" + line + line))
    assert statuses(content) == [400]
    assert f"the header {name.lower()} is there more than once".encode() in content


def test_lines_of_a_header_that_is_a_list_are_joined(running: Running) -> None:
    content = talk(running, REQUEST.replace(b"host: a", b"host: a\r\ncontent-encoding: identity"))
    assert statuses(content) == [200]
    twice = b"host: a\r\ncontent-encoding: gzip\r\ncontent-encoding: identity"
    assert statuses(talk(running, REQUEST.replace(b"host: a", twice))) == [415]


def test_wrong_path_method_and_content_type(running: Running) -> None:
    assert call(running.url + "/nowhere").status == 404
    answer = call(running.url + "/health/ping", b"{}", method="DELETE")
    assert answer.status == 405
    assert answer.headers["allow"] == "GET, HEAD, OPTIONS"
    assert call(running.url + "/predict", b"<a/>", content_type="text/xml").status == 415


def test_slow_and_silent_clients_are_let_go_and_take_nobodys_place(bundle: Path) -> None:
    flags = ["--request-seconds", "0.5", "--keep-alive-seconds", "0.5", "--max-connections", "8"]
    with server(bundle, *flags) as running:
        slow = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(4)]
        silent = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(4)]
        for client in slow:
            client.sendall(REQUEST[:40])
        crowded = talk(running, REQUEST)
        assert statuses(crowded) == [503]
        assert b"retry-after: 1" in crowded
        time.sleep(2.5)
        assert call(running.url + "/predict", ndarray(ROW_VALUES)).status == 200
        assert [statuses(_read_all(client)) for client in slow] == [[408]] * 4
        assert [_read_all(client) for client in silent] == [b""] * 4
        for client in slow + silent:
            client.close()


def test_a_client_that_does_not_read_takes_bounded_memory_and_nobodys_time(running: Running) -> None:
    with socket.create_connection(("127.0.0.1", running.port)) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(0.3)
        sent = 0
        try:
            while sent < 200_000_000:
                sent += deaf.send(REQUEST * 50)
        except TimeoutError:
            pass
        assert sent < 50_000_000
        assert call(running.url + "/predict", ndarray(ROW_VALUES)).status == 200


def test_clients_that_vanish_leave_nothing_behind(running: Running) -> None:
    for cut in (1, 30, len(REQUEST) - 1, len(REQUEST)):
        for _ in range(10):
            client = socket.create_connection(("127.0.0.1", running.port))
            client.sendall(REQUEST[:cut])
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
            client.close()
    time.sleep(0.2)
    lines = call(running.url + "/metrics").body.decode().splitlines()
    assert "lifeboat_in_flight 1" in lines


def test_a_trailer_without_an_end_is_refused_and_one_with_an_end_changes_nothing(running: Running) -> None:
    head = b"POST /predict HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n%b\r\n0\r\n" % (len(BODY), BODY)
    assert statuses(talk(running, head + chunk + b"content-encoding: gzip\r\n\r\n" + PING)) == [200, 200]
    assert statuses(talk(running, head + chunk + b"a: ", *[b"b" * 20_000] * 4, pause=0.02)) == [431]


def test_an_older_client_that_keeps_its_connection_is_told_so(running: Running) -> None:
    ping = b"GET /health/ping HTTP/1.0\r\nconnection: keep-alive\r\n\r\n"
    content = talk(running, ping)
    assert b"\r\nconnection: keep-alive\r\n" in content
    assert content.endswith(b"<open>")


class Unread:
    """A transport whose client reads nothing."""

    aborted, reading = False, True

    def pause_reading(self) -> None:
        self.reading = False

    def write(self, data: bytes) -> None:
        pass

    def abort(self) -> None:
        self.aborted = True


class Quiet:
    """As much of a listener as a connection needs; it answers nothing."""

    limits, now, draining = ListenerLimits(max_body=1 << 20, max_connections=4), 0.0, False

    def __init__(self) -> None:
        self.connections: set[Connection] = set()

    def on_request(self, request: Request) -> None:
        pass


def test_bodies_sent_ahead_are_held_up_to_the_largest_body() -> None:
    listener, transport = Quiet(), Unread()
    connection = Connection(listener)  # type: ignore[arg-type]
    connection.connection_made(transport)  # type: ignore[arg-type]
    half = listener.limits.max_body // 2
    large = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: %d\r\n\r\n" % half + b" " * half
    for reading in (True, True, True, False):  # one is handled, two are as much as may wait, one is too much
        connection.data_received(large)
        assert transport.reading is reading


def test_requests_sent_ahead_do_not_save_a_client_that_does_not_read() -> None:
    listener, transport = Quiet(), Unread()
    connection = Connection(listener)  # type: ignore[arg-type]
    connection.connection_made(transport)  # type: ignore[arg-type]
    connection.pause_writing()
    connection.data_received(PING * 2)
    assert connection.deadline == WRITING_SECONDS
    connection.expire()
    assert transport.aborted
