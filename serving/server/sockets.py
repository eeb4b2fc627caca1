"""The sockets that servers listen on."""

from __future__ import annotations

import socket

from components.core.errors import SettingsError
from serving.server.settings import Settings

BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket that has the address but does not listen yet, so that nobody connects before there is an
    answer.

    Raises:
        SettingsError: the address is in use or is none of this machine.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        raise SettingsError(f"cannot listen on {host} port {port}: {error.strerror}") from error
    return bound


def bind_public(settings: Settings) -> list[socket.socket]:
    """The sockets of the predictions and the metrics, one if they share a port; raises as `bind` does."""
    shared = settings.port == settings.metrics_port != 0
    ports = [settings.port] if shared else [settings.port, settings.metrics_port]
    return [bind(settings.host, port) for port in ports]
