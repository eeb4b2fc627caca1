"""The server of gRPC beside that of HTTP: in the same loop, over the same data plane."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection, reflection_pb2

from lifeboat.config.errors import PortError
from lifeboat.http.access import ANY, MAY_FEED_BACK, MAY_PREDICT, OPEN, Access
from lifeboat.server.dataplane import DataPlane
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.rpc.calls import Calls
from lifeboat.server.rpc.handover import let_clients_go, take_new_connections
from lifeboat.server.rpc.messages import MODEL, SELDON, methods, pool
from lifeboat.server.rpc.seldon import SeldonService
from lifeboat.server.rpc.v2 import InferenceService
from lifeboat.server.settings import ServerSettings

# Of a message beside what HTTP's body may hold: headers of gRPC, and what a message is named.
FRAME = 16 * 1024
# What each method takes, as the paths of HTTP that do the same.
RIGHTS = {
    "Predict": MAY_PREDICT, "ModelInfer": MAY_PREDICT, "SendFeedback": MAY_FEED_BACK, "Metadata": ANY,
    "ModelMetadata": ANY, "ServerMetadata": ANY, "ServerLive": OPEN, "ServerReady": OPEN, "ModelReady": OPEN,
}  # fmt: skip
# The library ends a connection at its age or a tenth of that later.
_LATEST_AGE = 1.1


class RpcServer:
    """Both protocols, health and reflection on one port; must be made inside a running loop.

    Args:
        plane: predicts.
        settings: address and limits.
        metrics: counts.
        access: says who may ask; None where everybody may.
        shared: whether the port may be that of the version before, which hands over to this one.

    Raises:
        PortError: the address is in use.
    """

    def __init__(
        self,
        plane: DataPlane,
        settings: ServerSettings,
        metrics: ServerMetrics,
        access: Access | None,
        shared: bool,
    ) -> None:
        self._settings, self._shared = settings, shared
        self._server = grpc.aio.server(
            options=[
                # Two servers on one port answer each other's calls in silence: only where a supervisor keeps it.
                ("grpc.so_reuseport", int(shared)),
                ("grpc.max_receive_message_length", settings.max_body + FRAME),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_concurrent_streams", settings.max_pending),
                ("grpc.max_connection_idle_ms", round(1000 * settings.keep_alive_seconds)),
                ("grpc.max_connection_age_ms", round(1000 * settings.grpc_connection_seconds)),
                ("grpc.http2.max_pings_without_data", 0),
            ],
        )
        calls = Calls(plane, metrics, asyncio.get_running_loop(), access, settings.log_requests)
        services: list[Any] = [InferenceService(calls)]
        services += [SeldonService(name, calls, settings) for name in (SELDON, MODEL)]
        for service in services:
            handlers = {
                method: calls.handler(
                    f"{service.name}/{method}", service.protocol, getattr(service, method), kinds, RIGHTS[method]
                )
                for method, kinds in methods(service.name).items()
            }
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.name, handlers),))
        self._names = [service.name for service in services]
        self._health = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        known = (*self._names, health_pb2.DESCRIPTOR.services_by_name["Health"].full_name, reflection.SERVICE_NAME)
        for described in (health_pb2.DESCRIPTOR, reflection_pb2.DESCRIPTOR):
            pool().AddSerializedFile(described.serialized_pb)
        reflection.enable_server_reflection(known, self._server, pool())
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        try:
            self.port: int = self._server.add_insecure_port(f"{host}:{settings.grpc_port}")
        except RuntimeError as error:
            raise PortError(f"cannot listen on {settings.host} port {settings.grpc_port}: it is in use") from error

    async def start(self) -> None:
        """Begins to take calls; where the port is shared, instead of the server before."""
        await self._server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        if self._shared:
            take_new_connections(self.port)

    async def drain(self) -> None:
        """Takes no more connections, and ends once those that there are have ended, each call answered."""
        loop, settings = asyncio.get_running_loop(), self._settings
        end = loop.time() + settings.drain_seconds
        await self._health.enter_graceful_shutdown()
        await let_clients_go(self.port, min(_LATEST_AGE * settings.grpc_connection_seconds, settings.drain_seconds))
        await self._server.stop(max(end - loop.time(), 0.0))
