"""The server of gRPC beside that of HTTP: in the same loop, over the same data plane."""

from __future__ import annotations

import asyncio
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection, reflection_pb2

from lifeboat.config.errors import PortError
from lifeboat.server.dataplane import DataPlane
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.rpc.calls import Calls
from lifeboat.server.rpc.messages import MODEL, SELDON, methods, pool
from lifeboat.server.rpc.seldon import SeldonService
from lifeboat.server.rpc.v2 import InferenceService
from lifeboat.server.settings import ServerSettings

# Of a message beside what HTTP's body may hold: headers of gRPC, and what a message is named.
_FRAME = 16 * 1024


class RpcServer:
    """Both protocols, health and reflection on one port; must be made inside a running loop.

    Args:
        plane: predicts.
        settings: address and limits.
        metrics: counts.

    Raises:
        PortError: the address is in use.
    """

    def __init__(self, plane: DataPlane, settings: ServerSettings, metrics: ServerMetrics) -> None:
        self._settings = settings
        self._server = grpc.aio.server(
            options=[
                # Two servers on one port would answer each other's calls in silence.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", settings.max_body + _FRAME),
                ("grpc.max_send_message_length", -1),
                ("grpc.max_concurrent_streams", settings.max_pending),
                ("grpc.max_connection_idle_ms", round(1000 * settings.keep_alive_seconds)),
                ("grpc.http2.max_pings_without_data", 0),
            ],
        )
        calls = Calls(plane, metrics, asyncio.get_running_loop())
        services: list[Any] = [InferenceService(calls)]
        services += [SeldonService(name, calls, settings) for name in (SELDON, MODEL)]
        for service in services:
            handlers = {
                method: calls.handler(service.protocol, getattr(service, method), kinds)
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
        """Begins to take calls."""
        await self._server.start()
        for name in ("", *self._names):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)

    async def drain(self) -> None:
        """Takes no more calls, and ends once those under way are answered."""
        await self._health.enter_graceful_shutdown()
        await self._server.stop(self._settings.drain_seconds)
