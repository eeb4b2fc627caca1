"""The control socket: JSON lines, one connection for each deployment."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from lifeboat.config.errors import LifeboatError, PortError
from lifeboat.supervisor.daemon import Deployment, Supervisor
from lifeboat.supervisor.process import TOLD


class ControlSession:
    """One control connection: questions in, answers out, and a candidate that ends with it.

    Args:
        daemon: does what is asked.
        reader, writer: of the connection.

    Attributes:
        deployed: whether a deployment was begun here.
    """

    def __init__(self, daemon: Supervisor, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._daemon, self._reader, self._writer = daemon, reader, writer
        self._deployment = Deployment()
        self.deployed = False

    async def hold(self) -> None:
        """Answers until the client leaves, then ends what it has not promoted."""
        try:
            line = await self._read()
            while line:
                answer = asyncio.create_task(self._answer(line))
                line = await self._read()
                if not line:
                    answer.cancel()
                await self._finish(answer)
        finally:
            await asyncio.shield(self._daemon.abandon(self._deployment))
            self._writer.close()

    def hang_up(self) -> None:
        """Lets go of a client that stays, as if it had left: `hold` ends."""
        self._writer.transport.abort()

    async def _read(self) -> bytes:
        """The next line; empty when the client has left."""
        try:
            return await self._reader.readline()
        except (ConnectionError, ValueError):
            return b""

    async def _finish(self, answer: asyncio.Task[None]) -> None:
        try:
            await answer
        except asyncio.CancelledError:
            if not answer.cancelled():
                raise

    async def _answer(self, line: bytes) -> None:
        try:
            document = await self._do(json.loads(line))
        except (LifeboatError, ValueError, KeyError) as error:
            document = {"error": str(error), "port_taken": isinstance(error, PortError)}
        self._writer.write(json.dumps(document).encode() + b"\n")

    async def _do(self, question: dict[str, Any]) -> dict[str, Any]:
        operation = question["op"]
        if operation == "status":
            return self._daemon.status()
        if operation == "start":
            return await self._start(question)
        if operation == "promote":
            # A switch that has begun is finished, whether or not the client waits for it.
            return await asyncio.shield(self._daemon.promote(self._deployment))
        if operation in TOLD:
            return self._daemon.tell(operation, question["url"])
        if operation == "stop":
            await asyncio.shield(self._daemon.end())
            self._daemon.stopping.set()
            return {}
        raise ValueError(f"{operation!r} is no operation; they are status, start, promote, {', '.join(TOLD)} and stop")

    async def _start(self, question: dict[str, Any]) -> dict[str, Any]:
        self.deployed = True
        if self._deployment.server is not None:
            self._deployment = Deployment()
        return await self._daemon.start(self._deployment, question)
