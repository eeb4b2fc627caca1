"""The model server of one version: a process that is started again when it dies."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lifeboat.config.errors import DeployError
from lifeboat.server.settings import ServerSettings
from lifeboat.supervisor.process import LOG, TOLD, Order, Process
from lifeboat.system.backoff import Backoff

FIRST_DELAY, LONGEST_DELAY = 0.1, 10.0


class ModelServer:
    """One version's.

    Args:
        settings: its own; the bundle's path is made absolute.
        public: listening sockets it serves from after `accept`.
        private: a listening socket it serves from until then.
    """

    def __init__(self, settings: ServerSettings, public: list[socket.socket], private: socket.socket) -> None:
        self.settings = replace(settings, bundle=str(Path(settings.bundle).resolve()))
        self.digest, self.restarts = "", 0
        self._public, self._private = public, private
        self._process: Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._accepting = False

    async def start(self) -> None:
        """Starts it and waits until it is ready.

        Raises:
            DeployError: it ended or takes too long; then none is left.
        """
        try:
            process = self._process = await Process.spawn(self._order())
            self.digest = await process.ready()
        except BaseException:
            await self.end()
            raise
        self._keeper = asyncio.create_task(self._keep(process))

    async def accept(self) -> None:
        """Lets it take connections from the public sockets.

        Raises:
            DeployError: it cannot.
        """
        if self._process is not None:
            await self._process.accept()
        self._accepting = True
        self._private.close()

    def catch_up(self, settings: ServerSettings) -> None:
        """Lets it, which must be ready, use the URLs of other settings where they are others."""
        told = self.settings
        self.settings = replace(told, **{setting: getattr(settings, setting) for setting in TOLD.values()})
        if self._process is not None:
            self._process.catch_up(told, self.settings)

    async def end(self) -> None:
        """Drains and ends it."""
        if self._keeper is not None:
            self._keeper.cancel()
        if self._process is not None:
            await self._process.end()
        self._private.close()

    def describe(self) -> dict[str, Any]:
        """For `status`: what `lifeboat.supervisor.control.Serving` reads."""
        settings, process = self.settings, self._process
        return {
            "name": settings.model_name,
            "version": settings.model_version,
            "digest": self.digest,
            "bundle": settings.bundle,
            "pid": process.pid if process and not process.ended.done() else None,
            "restarts": self.restarts,
        }

    async def _keep(self, process: Process) -> None:
        """Starts it again whenever it ends, ever more slowly while it does not live long."""
        loop, backoff = asyncio.get_running_loop(), Backoff(FIRST_DELAY, LONGEST_DELAY)
        while True:
            begun = loop.time()
            await asyncio.wait([process.ended])
            delay = backoff.pause(loop.time() - begun)
            LOG.error("%s; it starts again in %g s", process.last_words, delay)
            await asyncio.sleep(delay)
            self.restarts += 1
            order = self._order()
            try:
                process = self._process = await Process.spawn(order)
                await process.ready()
                process.catch_up(ServerSettings(**order.settings), self.settings)  # what moved meanwhile
                if self._accepting:
                    await process.accept()
            except (DeployError, OSError) as error:  # the system may have no process or descriptor left for it
                LOG.error("the server did not start again: %s", error)
                process.kill()

    def _order(self) -> Order:
        # That of a promoted server is closed, and its number may belong to another file by now.
        private = () if self._accepting else (self._private.fileno(),)
        return Order(asdict(self.settings), private, tuple(one.fileno() for one in self._public))
