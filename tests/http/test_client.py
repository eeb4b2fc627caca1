"""The client that posts events and asks for reasons: connections kept, ended and broken, against real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from lifeboat.http.http_client import Answer, HttpClient, Target

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


async def _request(reader: asyncio.StreamReader) -> bytes:
    """A whole one; empty where the client has left."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    return head + await reader.readexactly(length)


def answered(talk: Talk, posts: int = 2, most: int = 1000, pause: float = 0.0) -> tuple[list[Answer], int]:
    """What a server answers to posts one after the other, and how many connections it saw."""

    async def run() -> tuple[list[Answer], int]:
        connections = 0

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await talk(reader, writer)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client = HttpClient(Target.of(f"http://127.0.0.1:{port}/events?a=1"))
        try:
            found = []
            for number in range(posts):
                found.append(await client.post(b"body %d" % number, "text/plain", {"x": "y"}, seconds=3, most=most))
                await asyncio.sleep(pause)
        finally:
            client.close()
            server.close()
        return found, connections

    return asyncio.run(run())


def _each(answer: bytes, times: int = 100) -> Talk:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times):
            if not await _request(reader):
                return
            writer.write(answer)

    return talk


def test_a_connection_is_kept_for_the_next_post() -> None:
    seen: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while request := await _request(reader):
            seen.append(request)
            writer.write(OK)

    found, connections = answered(talk, 3)
    assert ([one.body for one in found], connections) == ([b"ok"] * 3, 1)
    assert seen[2].startswith(b"POST /events?a=1 HTTP/1.1\r\nhost: 127.0.0.1:")
    assert seen[2].endswith(b"x: y\r\ncontent-length: 6\r\n\r\nbody 2")


@pytest.mark.parametrize("pause", [0.0, 0.05])
def test_one_that_the_server_has_ended_is_opened_anew(pause: float) -> None:
    """Seen before the next post, or only by it."""
    found, connections = answered(_each(OK, 1), 3, pause=pause)
    assert ([one.status for one in found], connections) == ([200] * 3, 3)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\ncontent-length: 2000\r\n\r\n" + b"k" * 2000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n7d0\r\n" + b"k" * 2000 + b"\r\n0\r\n\r\n",
    ],
)
def test_one_that_is_of_no_more_use_is_ended(answer: bytes) -> None:
    found, connections = answered(_each(answer))
    assert (found[1].status, connections) == (200, 2)
    assert len(found[1].body) <= 1000


def test_a_body_in_chunks_is_read_to_its_end_and_the_connection_kept() -> None:
    chunked = b"HTTP/1.1 202 Accepted\r\ntransfer-encoding: chunked\r\n\r\n2;a=b\r\nok\r\n1\r\n!\r\n0\r\n\r\n"
    found, connections = answered(_each(chunked))
    assert ([one.body for one in found], connections) == ([b"ok!", b"ok!"], 1)


def test_no_content_has_no_body() -> None:
    found, connections = answered(_each(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert ([one.body for one in found], connections) == ([b"", b""], 1)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"", ConnectionResetError),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nok", ConnectionResetError),
        (b"SSH-2.0\r\n", ValueError),
    ],
)
def test_what_is_no_answer_is_an_error(answer: bytes, error: type[Exception]) -> None:
    with pytest.raises(error):
        answered(_each(answer, 1), 1)


def test_an_address_of_ipv6_stands_in_brackets() -> None:
    client = HttpClient(Target.of("http://[::1]:9010/events"))
    seen: list[bytes] = []

    async def run() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await _request(reader))
            writer.write(OK)
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        client.target = replace(client.target, host="::ffff:127.0.0.1", port=port)
        await client.post(b"", "text/plain", seconds=3)
        server.close()

    asyncio.run(run())
    assert b"\r\nhost: [::ffff:127.0.0.1]:" in seen[0]


def test_silence_is_over_in_time() -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    with pytest.raises(TimeoutError):
        answered(silent, 1)
