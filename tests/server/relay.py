"""A relay before a server that counts connections and keeps what clients sent."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from types import TracebackType


class Relay:
    """Passes bytes on both ways; a context manager.

    Attributes:
        port: where it listens.
        connections: how many it took.
        sent: what all clients sent.
    """

    def __init__(self, target: int) -> None:
        self._target, self._listening = target, socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.connections, self.sent = 0, bytearray()
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Relay:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in (self._listening, *self._sockets):
            one.close()

    def _accept(self) -> None:
        threads = []
        with suppress(OSError):  # it is the end
            while True:
                client, _ = self._listening.accept()
                self.connections += 1
                server = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, server]
                threads += [
                    threading.Thread(target=self._pass, args=(client, server, self.sent)),
                    threading.Thread(target=self._pass, args=(server, client, bytearray())),
                ]
                for thread in threads[-2:]:
                    thread.start()
        for one in self._sockets:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        for thread in threads:
            thread.join()

    def _pass(self, source: socket.socket, target: socket.socket, kept: bytearray) -> None:
        with suppress(OSError):  # one of both has closed
            while content := source.recv(65536):
                kept += content
                target.sendall(content)
            target.shutdown(socket.SHUT_WR)
