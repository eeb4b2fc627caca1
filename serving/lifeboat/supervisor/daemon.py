"""The laptop's stand-in for Kubernetes: owns the public sockets and switches model servers behind them.

A candidate starts on a private port. On `promote` it begins to accept from the public sockets, which it
shares with the old server, and only then the old one stops and drains: at no moment is a connection
refused. If it cannot begin, the old one has not noticed anything.
"""

from __future__ import annotations

import asyncio
import os
import socket
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from lifeboat.config.errors import DeployError, LifeboatError
from lifeboat.http.http_client import Target
from lifeboat.http.sockets import bind, listen
from lifeboat.server.settings import ServerSettings
from lifeboat.supervisor.model_server import ModelServer
from lifeboat.supervisor.process import LOG, TOLD
from lifeboat.system.addresses import base_url

PRIVATE_HOST = "127.0.0.1"


@dataclass
class Deployment:
    """A candidate of one control connection.

    Args:
        server: None until it was made.
        decided: held by what promotes it or gives it up: of the two, the first has its way to the end.
    """

    server: ModelServer | None = None
    decided: asyncio.Lock = field(default_factory=asyncio.Lock)


class PublicSockets(NamedTuple):
    """The bound sockets of a supervisor.

    Args:
        heard: of the predictions and the metrics; the servers inherit them.
        kept: whose ports the servers bind themselves: that of gRPC, or none.
    """

    heard: list[socket.socket]
    kept: list[socket.socket]


class Supervisor:
    """What the control connections talk to.

    Args:
        settings: of every server but its bundle, name and version.
        public: sockets of its addresses.
    """

    def __init__(self, settings: ServerSettings, public: PublicSockets) -> None:
        self._settings, self._public = settings, public
        # Also told at the end, when the sockets are closed.
        self._ports = [bound.getsockname()[1] for bound in public.heard]
        self._serving: ModelServer | None = None
        self._deployment: Deployment | None = None
        self.stopping = asyncio.Event()

    def status(self) -> dict[str, Any]:
        """What `lifeboat.supervisor.control.Status` reads."""
        host = self._settings.host
        main, metrics = self._ports
        candidate = self._deployment.server if self._deployment is not None else None
        return {
            "pid": os.getpid(),
            "url": base_url(host, main),
            "metrics_url": f"{base_url(host, metrics)}/metrics",
            "grpc_address": base_url(host, rpc).removeprefix("http://") if (rpc := self._settings.grpc_port) else "",
            **{setting: getattr(self._settings, setting) for setting in TOLD.values()},
            "serving": self._serving.describe() if self._serving is not None else None,
            "candidate": candidate.describe() if candidate is not None else None,
        }

    @property
    def idle(self) -> bool:
        """Nothing serves and nobody deploys."""
        return self._serving is None and self._deployment is None

    async def start(self, deployment: Deployment, question: dict[str, Any]) -> dict[str, Any]:
        """Starts a candidate and waits until it is ready.

        Raises:
            DeployError: another deployment is in progress, or it ended; then with its last words.
        """
        if self._deployment is not None:
            raise DeployError("another deployment is in progress")
        private = bind(PRIVATE_HOST, 0)
        self._deployment = deployment
        listen(private)
        port = private.getsockname()[1]
        settings = replace(
            self._settings,
            bundle=question["bundle"],
            model_name=question["name"],
            model_version=question["version"],
        )
        deployment.server = ModelServer(settings, self._public.heard, private)
        try:
            await deployment.server.start()
        except LifeboatError:
            self._deployment = None
            raise
        LOG.info("version %s of %s is ready on port %d", settings.model_version, settings.model_name, port)
        return {"url": f"http://{PRIVATE_HOST}:{port}", "digest": deployment.server.digest}

    async def promote(self, deployment: Deployment) -> dict[str, Any]:
        """Switches to the candidate of this deployment; returns when the old server has ended.

        Raises:
            DeployError: there is no candidate, or it cannot accept.
        """
        async with deployment.decided:
            new = deployment.server
            if new is None or self._deployment is not deployment:
                raise DeployError("there is nothing to promote: start a candidate first")
            try:
                # Nobody can connect before there is somebody to answer: from the first promotion on.
                for bound in self._public.heard:
                    listen(bound)
                await new.accept()
            except DeployError:
                await self._give_up(new)
                raise
            old, self._serving, self._deployment = self._serving, new, None
        new.catch_up(self._settings)  # what moved since the candidate was started
        LOG.info("version %s of %s serves", new.settings.model_version, new.settings.model_name)
        if old is not None:
            await old.end()
        return {}

    def tell(self, operation: str, url: str) -> dict[str, Any]:
        """Lets what serves, and whatever will, use another URL; events that wait go to the new one too.

        Args:
            operation: `events` or `explainer`.
            url: of the one or the other.

        Raises:
            DeployError: it is no URL that can be posted to.
        """
        try:
            Target.of(url)
        except ValueError as error:
            raise DeployError(f"{operation} cannot be sent to {url!r}: {error}") from None
        told: dict[str, Any] = {TOLD[operation]: url}
        self._settings = replace(self._settings, **told)
        if self._serving is not None:
            self._serving.catch_up(self._settings)
        return {}

    async def abandon(self, deployment: Deployment) -> None:
        """Ends the candidate of a deployment that was not promoted; waits for a promotion that has begun."""
        async with deployment.decided:
            if self._deployment is deployment:
                await self._give_up(deployment.server)

    async def _give_up(self, candidate: ModelServer | None) -> None:
        if candidate is not None:
            await candidate.end()
        self._deployment = None

    async def end(self) -> None:
        """Drains and ends every server."""
        if self._deployment is not None:
            await self.abandon(self._deployment)
        # The servers close the sockets last, after the last connection in the queue; ours would outlive them.
        for bound in (*self._public.heard, *self._public.kept):
            bound.close()
        if self._serving is not None:
            serving, self._serving = self._serving, None
            await serving.end()
