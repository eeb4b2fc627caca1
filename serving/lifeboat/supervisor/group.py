"""The processes of one model version: started together, started again when they die, ended together."""

from __future__ import annotations

import asyncio
import mmap
import os
import signal
import socket
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from lifeboat.config.errors import DeployError
from lifeboat.http.sockets import bind_public, listen
from lifeboat.server.metrics import allocate
from lifeboat.server.settings import ServerSettings
from lifeboat.supervisor.process import LOG, Order, Process
from lifeboat.system.backoff import Backoff
from lifeboat.system.log import info

FIRST_DELAY, LONGEST_DELAY = 0.1, 10.0


class Group:
    """`settings.workers` processes that share sockets and metrics.

    Args:
        settings: of each; the bundle's path is made absolute.
        public: listening sockets they serve from after `accept`.
        private: a listening socket they serve from until then, or None.
    """

    def __init__(
        self, settings: ServerSettings, public: list[socket.socket], private: socket.socket | None = None
    ) -> None:
        self.settings = replace(settings, bundle=str(Path(settings.bundle).resolve()))
        self.digest, self.restarts = "", 0
        self._public, self._private = public, private
        self._memory: tuple[int, mmap.mmap] = allocate(settings.workers)
        self._processes: dict[int, Process] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._accepting = self._ending = False

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes.values() if not process.ended.done()]

    async def start(self) -> None:
        """Starts every process and waits until all are ready.

        Raises:
            DeployError: one of them ended or takes too long; then none is left.
        """
        try:
            for worker in range(self.settings.workers):
                self._processes[worker] = await Process.spawn(self._order(worker))
            digests = await asyncio.gather(*(process.ready() for process in self._processes.values()))
        except BaseException:
            await self.end()
            raise
        self.digest = digests[0]
        self._keepers = [asyncio.create_task(self._keep(worker)) for worker in self._processes]

    async def accept(self) -> None:
        """Lets every process take connections from the public sockets.

        Raises:
            DeployError: one of them cannot.
        """
        await asyncio.gather(*(process.accept() for process in self._processes.values()))
        self._accepting = True
        if self._private is not None:
            self._private.close()

    def send_events(self, url: str) -> None:
        """Lets every process, which must be ready, send its events to another URL."""
        self.settings = replace(self.settings, events_url=url)
        for process in self._processes.values():
            process.send_events(url)

    async def end(self) -> None:
        """Drains and ends every process."""
        self._ending = True
        for keeper in self._keepers:
            keeper.cancel()
        await asyncio.gather(*(process.end() for process in self._processes.values()))
        if self._private is not None:
            self._private.close()
        descriptor, memory = self._memory
        if not memory.closed:
            memory.close()
            os.close(descriptor)

    def describe(self) -> dict[str, Any]:
        """For `status`: what `lifeboat.supervisor.control.Serving` reads."""
        settings = self.settings
        return {
            "name": settings.model_name,
            "version": settings.model_version,
            "digest": self.digest,
            "bundle": settings.bundle,
            "pids": self.pids,
            "restarts": self.restarts,
        }

    async def _keep(self, worker: int) -> None:
        """Starts a process again whenever it ends, ever more slowly while it does not live long."""
        loop, backoff = asyncio.get_running_loop(), Backoff(FIRST_DELAY, LONGEST_DELAY)
        while True:
            begun = loop.time()
            await asyncio.wait([self._processes[worker].ended])
            delay = backoff.pause(loop.time() - begun)
            LOG.error("%s; it starts again in %g s", self._processes[worker].last_words, delay)
            await asyncio.sleep(delay)
            self.restarts += 1
            order = self._order(worker)
            process = self._processes[worker] = await Process.spawn(order)
            try:
                await process.ready()
                if self.settings.events_url != order.settings["events_url"]:  # it moved meanwhile
                    process.send_events(self.settings.events_url)
                if self._accepting:
                    await process.accept()
            except DeployError as error:
                LOG.error("%s", error)
                process.kill()

    def _order(self, worker: int) -> Order:
        # A promoted group's private socket is closed, and its number may belong to another file by now.
        private = () if self._private is None or self._accepting else (self._private.fileno(),)
        public = tuple(one.fileno() for one in self._public)
        return Order(asdict(self.settings), private, public, self._memory[0], worker)


def serve_group(settings: ServerSettings) -> None:
    """Runs several workers on the public address until SIGTERM or SIGINT.

    Raises:
        DeployError, SettingsError: they cannot serve.
    """
    public = bind_public(settings.host, settings.port, settings.metrics_port)
    asyncio.run(_serve_group(Group(settings, public), public))


async def _serve_group(group: Group, public: list[socket.socket]) -> None:
    stopping = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopping.set)
    await group.start()
    for bound in public:
        listen(bound)
    await group.accept()
    addresses = ["{}:{}".format(*bound.getsockname()[:2]) for bound in public]
    info("ready", addresses=addresses, workers=group.settings.workers, bundle_digest=group.digest)
    await stopping.wait()
    for bound in public:
        bound.close()  # the workers close theirs last, after the last connection in the queue
    await group.end()
