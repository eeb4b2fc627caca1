"""`python -m lifeboat.supervisor`: keep a model server on a public port of this machine and switch its
version."""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Mapping
from logging.handlers import RotatingFileHandler
from pathlib import Path

from lifeboat.config.errors import LifeboatError, PortError
from lifeboat.http.sockets import bind, bind_shared
from lifeboat.server.settings import ServerSettings, from_texts
from lifeboat.supervisor.control import LOG_FILE
from lifeboat.supervisor.control_session import ControlSession
from lifeboat.supervisor.daemon import PublicSockets, Supervisor
from lifeboat.supervisor.process import LOG
from lifeboat.supervisor.state import SupervisorState
from lifeboat.system.log import JsonLines

LOG_BYTES = 10 * 1024 * 1024
# The servers of a supervisor that was killed give their port back at once, but not in the same instant.
PORT_SECONDS = 5.0
# Until a supervisor ends with which nobody deploys.
IDLE_SECONDS = 5.0
# In which a client reads its last answer.
LEAVING_SECONDS = 0.5


def main() -> int:
    """Runs until `stop`, SIGTERM or SIGINT (then 0); 1 if it cannot, for instance because a port is in use.

    Its first line on standard output says `{"ready": true}` or `{"error": sentence}`.
    """
    try:
        arguments = _parser().parse_args()
        settings = _settings(arguments)
        state = SupervisorState(arguments.state)
    except LifeboatError as error:
        return _fail(error)
    try:
        _log_to(arguments.state / LOG_FILE)
        public = _bind_public(settings, patient=state.crashed)
        asyncio.run(_supervise(settings, public, state))
    except LifeboatError as error:
        return _fail(error)
    finally:
        state.close()
    return 0


def _fail(error: LifeboatError) -> int:
    sys.stdout.write(json.dumps({"error": str(error), "port_taken": isinstance(error, PortError)}) + "\n")
    sys.stderr.write(f"{error}\n")
    return 1


async def _supervise(settings: ServerSettings, public: PublicSockets, state: SupervisorState) -> None:
    daemon = Supervisor(settings, public)
    conversations: dict[asyncio.Task[None], ControlSession] = {}

    def leave_if_idle() -> None:
        if not conversations and daemon.idle:
            # A first deployment that came to nothing leaves nothing behind, not even us.
            daemon.stopping.set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        conversation = ControlSession(daemon, reader, writer)
        task = asyncio.ensure_future(conversation.hold())
        conversations[task] = conversation
        try:
            await task
        finally:
            del conversations[task]
            # Whoever only asked was maybe faster than the one that had us started.
            asyncio.get_running_loop().call_later(0.0 if conversation.deployed else IDLE_SECONDS, leave_if_idle)

    server = await asyncio.start_unix_server(converse, state.socket)
    state.socket.chmod(0o600)
    state.write()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, daemon.stopping.set)
    _say_ready()
    await daemon.stopping.wait()
    server.close()
    await daemon.end()
    state.close()  # first: a client takes the end of its connection for the end of everything
    await _let_go(conversations)


async def _let_go(conversations: Mapping[asyncio.Task[None], ControlSession]) -> None:
    """Gives each client a moment to read its last answer and leave, then leaves it."""
    if conversations:
        await asyncio.wait(conversations, timeout=LEAVING_SECONDS)
        for conversation in conversations.values():
            conversation.hang_up()
    if conversations:
        await asyncio.wait(conversations)


def _say_ready() -> None:
    """Answers whoever waits for the start, then lets go of the pipe: it may end with its reader."""
    LOG.info("the supervisor is ready")
    sys.stdout.write('{"ready": true}\n')
    sys.stdout.flush()
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())


def _bind_public(settings: ServerSettings, patient: bool) -> PublicSockets:
    deadline = time.monotonic() + (PORT_SECONDS if patient else 0.0)
    heard = [_retry(bind, settings.host, port, deadline) for port in (settings.port, settings.metrics_port)]
    kept = [_retry(bind_shared, settings.host, settings.grpc_port, deadline)] if settings.grpc_port else []
    return PublicSockets(heard, kept)


def _retry(make: Callable[[str, int], socket.socket], host: str, port: int, deadline: float) -> socket.socket:
    while True:
        try:
            return make(host, port)
        except PortError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)


def _log_to(path: Path) -> None:
    handler = RotatingFileHandler(path, maxBytes=LOG_BYTES, backupCount=1)
    handler.setFormatter(JsonLines("supervisor"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)


def _settings(arguments: argparse.Namespace) -> ServerSettings:
    address = {name: getattr(arguments, name) for name in ("host", "port", "metrics_port", "grpc_port")}
    pairs = [text.partition("=") for text in arguments.set]
    return from_texts({**address, **{name: value for name, _, value in pairs}})


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m lifeboat.supervisor", description=__doc__)
    parser.add_argument("--state", type=Path, required=True, help="directory of its state and its log")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    parser.add_argument("--port", default="9000", help="port of the predictions (default: 9000)")
    parser.add_argument("--metrics-port", default="6000", help="port of the metrics (default: 6000)")
    parser.add_argument("--grpc-port", default="0", help="port of the predictions over gRPC (default: 0, none)")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="a setting of the model servers"
    )
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
