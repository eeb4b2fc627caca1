"""Clients that other people wrote, as they are by default: each predicts, keeps its connection, sends chunks, gets a
refusal of a bad body and asks for a head.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest
import requests

from tests.server.relay import Relay
from tests.server.world import ROW_VALUES, Running, call, ndarray

SOURCES = Path(__file__).parent / "clients"
JSON = {"content-type": "application/json"}
BODY = json.dumps(ndarray(ROW_VALUES))
Asked = Iterator[tuple[int, int]]

# Of a program: its command line, and a line that it sends by itself.
PROGRAMS = {
    "java": (["java", "-Xshare:auto", str(SOURCES / "Client.java")], b"Upgrade: h2c"),
    "go": (["go", "run", str(SOURCES / "client.go")], b"User-Agent: Go-http-client/1.1"),
    "node": (["node", str(SOURCES / "client.mjs")], b"sec-fetch-mode: cors"),
}


@pytest.fixture
def relay(running: Running) -> Iterator[Relay]:
    with Relay(running.port) as made:
        yield made


def check(running: Running, relay: Relay, answers: list[tuple[int, int]]) -> None:
    """Five answers on a connection or two: three predictions, a refusal with a body, a head without one."""
    length = len(call(running.url + "/predict", BODY.encode()).body)
    assert [status for status, _ in answers] == [200, 200, 200, 400, 200], answers
    assert [abs(size - length) < 10 for _, size in answers[:3]] == [True] * 3
    assert answers[3][1] > 0
    assert answers[4][1] == 0
    assert relay.connections <= 2  # one, but for undici: to it the first is still busy when an answer has been read
    assert b"ransfer-encoding: chunked" in bytes(relay.sent).replace(b"E", b"e")


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_client_of_another_language(program: str, running: Running, relay: Relay) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed, so its HTTP client is not tested")
    command, own = PROGRAMS[program]
    url = f"http://127.0.0.1:{relay.port}"
    done = subprocess.run([*command, url, BODY], capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    check(running, relay, [(int(status), int(size)) for status, size in map(str.split, done.stdout.splitlines())])
    assert own in relay.sent


def test_curl_that_asks_for_http2(running: Running, relay: Relay, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed, so it is not tested")
    body, url = tmp_path / "body", f"http://127.0.0.1:{relay.port}"
    body.write_text(BODY)
    common = ["--http2", "--silent", "--output", "/dev/null", "--write-out", "%{http_code} %{size_download}\n"]
    json_type = ["--header", "content-type: application/json"]
    requests_of = [
        ["--data", f"@{body}", f"{url}/predict"],
        [*json_type, "--data", f"@{body}", f"{url}/predict"],
        [*json_type, "--header", "Transfer-Encoding: chunked", "--data", f"@{body}", f"{url}/predict"],
        [*json_type, "--data", "{", f"{url}/predict"],
        ["--head", f"{url}/live"],
    ]
    words = [word for asked in requests_of for word in ("--next", *common, *asked)][1:]
    done = subprocess.run(["curl", *words], capture_output=True, text=True, timeout=60, check=True)
    check(running, relay, [(int(status), int(size)) for status, size in map(str.split, done.stdout.splitlines())])
    assert b"Upgrade: h2c" in relay.sent


def by_requests(url: str) -> Asked:
    with requests.Session() as session:
        bodies = (BODY, BODY, iter([BODY[:9].encode(), BODY[9:].encode()]), "{")
        for body in bodies:
            answer = session.post(f"{url}/predict", data=body, headers=JSON, timeout=10)
            yield answer.status_code, len(answer.content)
        answer = session.head(f"{url}/live", timeout=10)
        yield answer.status_code, len(answer.content)


def by_aiohttp(url: str) -> Asked:
    async def ask() -> list[tuple[int, int]]:
        async def pieces():  # type: ignore[no-untyped-def]  # aiohttp takes any asynchronous iterator
            yield BODY[:9].encode()
            yield BODY[9:].encode()

        found = []
        async with aiohttp.ClientSession(headers=JSON) as session:
            for body in (BODY, BODY, pieces(), "{"):
                async with session.post(f"{url}/predict", data=body) as answer:
                    found.append((answer.status, len(await answer.read())))
            async with session.head(f"{url}/live") as answer:
                found.append((answer.status, len(await answer.read())))
        return found

    yield from asyncio.run(ask())


def by_http_client(url: str) -> Asked:
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    bodies = (BODY, BODY, iter([BODY[:9].encode(), BODY[9:].encode()]), "{", None)
    for body in bodies:
        method, path = ("HEAD", "/live") if body is None else ("POST", "/predict")
        connection.request(method, path, body, JSON)
        answer = connection.getresponse()
        yield answer.status, len(answer.read())
    connection.close()


@pytest.mark.parametrize("client", [by_requests, by_aiohttp, by_http_client])
def test_a_client_of_python(client: Callable[[str], Asked], running: Running, relay: Relay) -> None:
    check(running, relay, list(client(f"http://127.0.0.1:{relay.port}")))
