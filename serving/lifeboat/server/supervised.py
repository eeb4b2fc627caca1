"""A server as a child of a supervisor: `python -m lifeboat.server.supervised`.

The first line on standard input is its order (settings, inherited sockets). It answers in JSON lines on standard
output: `ready`, `accepting` or `failed`. The line `accept` lets it begin on the public sockets, `events URL` sends its
events elsewhere, `explainer URL` lets it ask for reasons elsewhere. When standard input ends its parent is gone, so it
drains and exits too.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from typing import TYPE_CHECKING, Any

import uvloop

from lifeboat.config.errors import LifeboatError
from lifeboat.server.settings import LIBRARIES, SERVICE, ServerSettings
from lifeboat.system import log

if TYPE_CHECKING:
    from lifeboat.server.lifecycle import Server


def main() -> int:
    """Serves until SIGTERM or the end of its input (then 0); 1 if it cannot."""
    log.set_up(SERVICE)
    order = json.loads(sys.stdin.buffer.readline() or b"{}")
    if not order:
        return 0  # the parent ended before it could say what to do
    os.environ.update(LIBRARIES | os.environ)
    try:
        uvloop.run(_work(order))
    except LifeboatError as error:
        _tell(event="failed", error=str(error))
        return 1
    return 0


async def _work(order: dict[str, Any]) -> None:
    # ONNX Runtime comes with it.
    from lifeboat.server.lifecycle import Server

    server = Server(ServerSettings(**order["settings"]))
    private = [socket.socket(fileno=descriptor) for descriptor in order["private"]]
    public = [socket.socket(fileno=descriptor) for descriptor in order["public"]]
    server.accept(private)
    _tell(event="ready", digest=server.plane.identity.digest)
    commands = asyncio.create_task(_follow(server, private, public))
    await server.run()
    commands.cancel()


async def _follow(server: Server, private: list[socket.socket], public: list[socket.socket]) -> None:
    """Does what the parent says until it is gone."""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async for line in reader:
        command, _, url = line.decode().strip().partition(" ")
        if command == "events":
            server.send_events(url)
        elif command == "explainer":
            server.plane.explanations.ask_at(url)
        elif command == "accept":
            try:
                await server.begin_rpc(shared=True)
            except LifeboatError as error:
                _tell(event="failed", error=str(error))
                break
            server.accept(public)
            for listening in private:
                server.close(listening)
            _tell(event="accepting")
    server.stopping.set()


def _tell(**event: Any) -> None:
    try:
        sys.stdout.write(json.dumps(event) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        log.error("the parent is gone")


if __name__ == "__main__":
    raise SystemExit(main())
