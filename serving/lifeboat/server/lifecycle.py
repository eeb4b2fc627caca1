"""A server's life in one process: load, listen, serve, drain."""

from __future__ import annotations

import asyncio
import gc
import signal
import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING

import uvloop

from lifeboat.http.listener import Listener
from lifeboat.http.sockets import bind_public, listen
from lifeboat.server.identity import Identity
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.model.onnx_model import load_model
from lifeboat.server.service import Service
from lifeboat.server.settings import SERVICE, ServerSettings
from lifeboat.system import log
from lifeboat.system.tracing import DIGEST, FLUSH_SECONDS, MODEL, VERSION, SpanContext, open_tracer

if TYPE_CHECKING:
    from lifeboat.server.rpc.server import RpcServer

# For the events of the last predictions, once every client has its answer.
EVENTS_SECONDS = 3.0
# Of the garbage collector. A request's objects are in no circle and go with its answer, but those that the events keep
# for a moment look like garbage to come: at each 700 they were looked through.
COLLECT = 50_000, 20, 100


class Server:
    """A loaded model and its listeners; must be made inside a running loop.

    Raises:
        BundleError: the bundle must not serve.
        SettingsError: nothing guards it where others reach it, or its traces cannot be made.
    """

    def __init__(self, settings: ServerSettings) -> None:
        loop = asyncio.get_running_loop()
        model = load_model(settings.bundle)
        identity = Identity.of(model.bundle, settings)
        info = {"name": identity.name, "version": identity.version, "digest": identity.digest}
        self._settings, self._metrics = settings, ServerMetrics(info, model.bundle.task)
        log.choose_level(settings)
        self._tracer = open_tracer(SERVICE, settings, settings.trace_callers)
        if self._tracer is not None:
            self._tracer.about = {MODEL: identity.name, VERSION: identity.version, DIGEST: identity.digest}
            self._tracer.links = (SpanContext.of_bundle(identity.digest),)
        service = Service(model, settings, self._metrics, loop, self._tracer)
        service.warm()
        gc.freeze()  # what is loaded stays, and is not looked through
        gc.set_threshold(*COLLECT)
        self.plane, self._access = service.plane, service.access
        self._rpc: RpcServer | None = None
        self._listener = Listener(loop, settings.listener_limits, service.slicer, service.app.refusal)
        self.stopping = asyncio.Event()
        self._sending = False

    async def begin_rpc(self, shared: bool = False) -> str:
        """Begins to take calls of gRPC; gives their address, empty where none was asked for.

        Args:
            shared: whether a supervisor keeps the port for the servers that hand it over to each other.

        Raises:
            PortError: it is in use.
        """
        if not self._settings.grpc_port:
            return ""
        # Imported here: gRPC's library takes a moment, which a server without it need not pay.
        from lifeboat.server.rpc.server import RpcServer

        self._rpc = RpcServer(self.plane, self._settings, self._metrics, self._access, shared)
        await self._rpc.start()
        return f"{self._settings.host}:{self._rpc.port}"

    def accept(self, sockets: Iterable[socket.socket]) -> None:
        """Begins to take connections and says that it is ready."""
        for listening in sockets:
            self._listener.open(listening)
        self.plane.ready = True
        self._begin_events()

    def send_events(self, url: str) -> None:
        """Sends events, also those that wait, to another URL; the first ones if none were sent so far."""
        self.plane.send_events(url)
        self._begin_events()

    def _begin_events(self) -> None:
        if self.plane.events is not None and not self._sending:
            self._sending = True
            self.plane.events.begin()

    def close(self, listening: socket.socket) -> None:
        """Takes no more connections from one of the sockets."""
        self._listener.shut(listening)

    async def run(self) -> None:
        """Serves until SIGTERM, SIGINT or `stopping`, then drains; a second signal changes nothing."""
        loop = asyncio.get_running_loop()
        for name in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(name, self.stopping.set)
        await self.stopping.wait()
        self.plane.ready = False
        log.info("draining", **self.plane.identity.tags)
        await asyncio.gather(self._listener.drain(), *([self._rpc.drain()] if self._rpc is not None else []))
        if self.plane.events is not None:
            await self.plane.events.end(EVENTS_SECONDS)
        if self._tracer is not None:
            await asyncio.to_thread(self._tracer.close, FLUSH_SECONDS)
        log.info("stopped", **self.plane.identity.tags)


def serve(settings: ServerSettings) -> None:
    """Runs one server until it is told to stop.

    Raises:
        BundleError, SettingsError: it cannot serve.
    """
    uvloop.run(_serve(settings, bind_public(settings.host, settings.port, settings.metrics_port)))


async def _serve(settings: ServerSettings, sockets: list[socket.socket]) -> None:
    server = Server(settings)
    for bound in sockets:
        listen(bound)
    addresses = ["{}:{}".format(*bound.getsockname()[:2]) for bound in sockets]
    rpc = await server.begin_rpc()
    server.accept(sockets)
    log.info("ready", addresses=addresses, **({"grpc": rpc} if rpc else {}), **server.plane.identity.tags)
    await server.run()
