"""The sockets that servers listen on."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack

from lifeboat.config.errors import PortError, SettingsError

BACKLOG = 2048


def bind(host: str, port: int) -> socket.socket:
    """A TCP socket that has the address for itself but does not listen yet, so that nobody connects before there is
    an answer; `listen` goes on with it.

    Raises:
        PortError: the address is in use.
        SettingsError: it is none of this machine, or not for this user.
    """
    with ExitStack() as stack:
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(
                host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
            )[0]
            bound = stack.enter_context(socket.socket(family, kind, protocol))
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            # With it Linux would let others bind the address too, until one of them listens.
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
        except OSError as error:
            sentence = f"cannot listen on {host} port {port}: {error.strerror}"
            raise (PortError if error.errno == errno.EADDRINUSE else SettingsError)(sentence) from error
        stack.pop_all()
    return bound


def bind_shared(host: str, port: int) -> socket.socket:
    """A socket as `bind` makes it, which never listens but keeps the port for those that this program starts.

    They bind it too, by SO_REUSEPORT. Whoever uses that as well and runs for the same user still could; whoever
    looks first, as `bind` does, finds the port taken. Raises as `bind` does.
    """
    bound = bind(host, port)
    # Only now: set before, it would let us in beside anybody.
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return bound


def listen(bound: socket.socket) -> None:
    """Lets clients connect to a bound socket.

    Raises:
        PortError: somebody else was faster, on a system that lets two bind one address.
    """
    try:
        # Its connections inherit it: while they close, the next server can bind the port.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.listen(BACKLOG)
    except OSError as error:
        raise PortError(f"cannot listen on port {bound.getsockname()[1]}: {error.strerror}") from error


def bind_public(host: str, port: int, metrics_port: int) -> list[socket.socket]:
    """The sockets of the predictions and the metrics, one if they share a port; raises as `bind` does."""
    ports = [port] if port == metrics_port != 0 else [port, metrics_port]
    return [bind(host, one) for one in ports]
