"""One model server as a child process: spawned with inherited sockets, told what to do, listened to."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections import deque
from dataclasses import dataclass
from typing import Any

from lifeboat.config.errors import DeployError
from lifeboat.server.settings import ServerSettings

LOG = logging.getLogger("lifeboat.supervisor")
# The settings that a server can be told anew while it serves, by the operation that does it.
TOLD = {"events": "events_url", "explainer": "explainer_url"}
READY_SECONDS = 60.0
ACCEPT_SECONDS = 10.0
# Beyond the time a server gives its clients to finish.
END_SECONDS = 8.0


@dataclass(frozen=True)
class Order:
    """What a server is told on its first line.

    Args:
        settings: all of `Settings`, as JSON has them.
        private: descriptors of sockets to serve from as soon as it is ready.
        public: descriptors of sockets to serve from when told to.
    """

    settings: dict[str, Any]
    private: tuple[int, ...]
    public: tuple[int, ...]

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All that the child inherits."""
        return (*self.private, *self.public)


class Process:
    """A running server; make it with `spawn`."""

    def __init__(self, child: asyncio.subprocess.Process, order: Order) -> None:
        self._child, self._order = child, order
        self._words: deque[str] = deque(maxlen=20)
        self._failure: str | None = None
        self._ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._accepting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._readers = asyncio.gather(self._read_events(), self._read_log())
        self.ended = asyncio.create_task(self._watch())

    @classmethod
    async def spawn(cls, order: Order) -> Process:
        """Starts a child and gives it its order."""
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "lifeboat.server.supervised",
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE, pass_fds=order.descriptors,
        )  # fmt: skip
        process = cls(child, order)
        process._say(json.dumps(order.__dict__))
        return process

    @property
    def pid(self) -> int:
        return self._child.pid

    async def ready(self) -> str:
        """Waits until it is ready and gives the digest of its bundle.

        Raises:
            DeployError: it ended before, or it takes too long.
        """
        await self._expect(self._ready, READY_SECONDS, "is not ready")
        return self._ready.result()

    async def accept(self) -> None:
        """Lets it take connections from the public sockets and waits until it does.

        Raises:
            DeployError: it ended before, or it takes too long.
        """
        self._say("accept")
        await self._expect(self._accepting, ACCEPT_SECONDS, "does not accept")

    def catch_up(self, told: ServerSettings, settings: ServerSettings) -> None:
        """Tells it which URLs are others than it was told; once it is ready, not before."""
        for command, setting in TOLD.items():
            if getattr(told, setting) != (url := getattr(settings, setting)):
                self._say(f"{command} {url}")

    async def end(self) -> None:
        """Drains it and waits for its end; kills it if that takes too long."""
        if self._child.returncode is None:
            self._child.send_signal(signal.SIGTERM)
        limit = self._order.settings["drain_seconds"] + END_SECONDS
        done, _ = await asyncio.wait([self.ended], timeout=limit)
        if not done:
            LOG.error("the server %d did not end within %g s and is killed", self.pid, limit)
            self._child.kill()
        await asyncio.wait([self.ended])

    def kill(self) -> None:
        """Ends it at once."""
        if self._child.returncode is None:
            self._child.kill()

    @property
    def last_words(self) -> str:
        """Why it ended, in its own words as far as it had any."""
        if self._failure is not None:
            return self._failure
        code = self._child.returncode or 0
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        return f"the server ended with {how}: {self._words[-1]}" if self._words else f"the server ended with {how}"

    async def _expect(self, event: asyncio.Future[Any], seconds: float, complaint: str) -> None:
        await asyncio.wait([event, self.ended], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if event.done():
            return
        if self.ended.done():
            raise DeployError(self.last_words)
        raise DeployError(f"the server {complaint} within {seconds:g} s")

    def _say(self, line: str) -> None:
        if self._child.stdin is not None and not self._child.stdin.is_closing():
            self._child.stdin.write(line.encode() + b"\n")

    async def _watch(self) -> None:
        await asyncio.wait([self._readers])
        await self._child.wait()
        if self._child.stdin is not None:
            self._child.stdin.close()

    async def _read_events(self) -> None:
        assert self._child.stdout is not None  # noqa: S101  # asked for in spawn
        async for line in self._child.stdout:
            event = json.loads(line)
            if event["event"] == "ready" and not self._ready.done():
                self._ready.set_result(event["digest"])
            elif event["event"] == "accepting" and not self._accepting.done():
                self._accepting.set_result(None)
            elif event["event"] == "failed":
                self._failure = event["error"]

    async def _read_log(self) -> None:
        assert self._child.stderr is not None  # noqa: S101  # asked for in spawn
        while line := await _log_line(self._child.stderr):
            text = line.decode(errors="replace").rstrip()
            self._words.append(text)
            LOG.info("%s", text, extra={"raw": text})


async def _log_line(stream: asyncio.StreamReader) -> bytes:
    """The next line, empty at the end; of one longer than the stream's limit, what it is."""
    try:
        return await stream.readline()
    except ValueError:
        return b"(a line too long to be kept)"
