"""One HTTP request: an answer whatever its status, or why there was none."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lifeboat.system.http_request import Answer, NoAnswerError, ask


class Echo(BaseHTTPRequestHandler):
    """Answers with the status that the path says, and with what it was sent."""

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["content-length"])))

    def _answer(self, body: bytes) -> None:
        names = {"type": "content-type", **({"token": "authorization"} if "authorization" in self.headers else {})}
        heard = {"method": self.command, **{word: self.headers[name] for word, name in names.items()},
                 "body": body.decode()}  # fmt: skip
        content = json.dumps(heard).encode()
        self.send_response(int(self.path[1:]))
        self.send_header("content-length", str(len(content)))
        self.send_header("location", "/200")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.fixture
def url() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Echo) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("status", [200, 404, 503])
def test_every_status_is_an_answer_with_its_body(url: str, status: int) -> None:
    answer = ask(f"{url}/{status}")
    assert (answer.status, answer.json()) == (status, {"method": "GET", "type": None, "body": ""})


def test_a_document_is_posted_as_json(url: str) -> None:
    heard = ask(f"{url}/200", [1, None]).json()
    assert heard == {"method": "POST", "type": "application/json", "body": "[1, null]"}


@pytest.fixture
def dead_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy for everything is one that refuses each connection."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("no_proxy", "")


@pytest.mark.usefixtures("dead_proxy")
def test_other_machines_are_asked_through_the_proxy_and_this_one_is_not(url: str) -> None:
    with pytest.raises(NoAnswerError, match="Connection refused"):
        ask("http://other.invalid/200")
    assert ask(f"{url}/200").status == 200
    assert ask(f"{url}/200".replace("127.0.0.1", "localhost")).status == 200


@pytest.mark.usefixtures("dead_proxy")
def test_a_token_goes_to_that_server_alone(url: str) -> None:
    assert ask(f"{url}/302").status == 200
    with pytest.raises(NoAnswerError, match="resolution|known"):
        ask("http://other.invalid/200", token="secret")
    assert ask(f"{url}/200", token="secret").json()["token"] == "Bearer secret"
    answer = ask(f"{url}/302", {}, token="secret")
    assert (answer.status, answer.json()["method"]) == (302, "POST")


def test_nobody_there_is_told_in_a_few_words() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(NoAnswerError, match=r"^Connection refused$"):
        ask(f"http://127.0.0.1:{port}/")


def test_silence_is_no_answer_once_the_time_is_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(NoAnswerError, match="timed out"):
        ask(f"http://127.0.0.1:{silent.getsockname()[1]}/", seconds=0.1)


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"220 mail.example\r\n", r"220 mail\.example"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", "4 bytes read, 5 more expected"),
        (b"HTTP/1.1 500 No\r\ncontent-length: 9\r\n\r\nhalf", "4 bytes read, 5 more expected"),
    ],
)
def test_what_is_no_http_or_only_the_half_of_an_answer_is_none(said: bytes, words: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def babble() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(said)

        thread = threading.Thread(target=babble)
        thread.start()
        with pytest.raises(NoAnswerError, match=words):
            ask(f"http://127.0.0.1:{server.getsockname()[1]}/")
        thread.join()


def test_only_the_beginning_of_a_long_page_is_shown() -> None:
    assert Answer(502, b"\xff" + b"x" * 1000).shown == "\ufffd" + "x" * 499
