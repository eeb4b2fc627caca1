"""What stands between a client and an S3 endpoint: it counts requests, and can stop in the middle of one."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

_REQUEST = re.compile(rb"^(GET|PUT|POST|HEAD|DELETE) (\S+) HTTP/1\.1\r\n")


class Relay:
    """Hands bytes on in both directions; made by `relaying`."""

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self._target = str(parts.hostname), int(parts.port or 80)
        self._server = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}"
        self.requests: list[tuple[str, str]] = []
        self.stalled = threading.Event()
        self._counting = threading.Lock()
        self._left: int | None = None
        self._left_back: int | None = None
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def written(self) -> list[str]:
        """Paths of the objects that clients have sent, in order."""
        return [path.partition("?")[0] for method, path in self.requests if method == "PUT"]

    def stall_after(self, sent: int) -> None:
        """Hands on so many more bytes of what clients send, then nothing and for ever."""
        self._left = sent

    def cut_after(self, sent: int) -> None:
        """Hands on so many more bytes of what the server answers, then ends the connection."""
        self._left_back = sent

    def close(self) -> None:
        for one in (self._server, *self._open):
            one.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:  # closed
                return
            try:
                server = socket.create_connection(self._target)
            except OSError:  # the target is away
                client.close()
                continue
            self._open += [client, server]
            threading.Thread(target=self._forward, args=(client, server), daemon=True).start()
            threading.Thread(target=self._back, args=(server, client), daemon=True).start()

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        try:
            while data := client.recv(65536):
                # A client sends a request's head by itself, and begins it only when the last one was answered.
                if found := _REQUEST.match(data):
                    self.requests.append((found[1].decode(), found[2].decode()))
                server.sendall(self._let_through(data))
                if self._left == 0:
                    self.stalled.set()
                    return  # both ends stay open
            server.shutdown(socket.SHUT_WR)
        except OSError:  # one end is gone
            server.close()

    def _let_through(self, data: bytes) -> bytes:
        with self._counting:
            if self._left is None:
                return data
            data = data[: self._left]
            self._left -= len(data)
            return data

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        try:
            while (data := server.recv(65536)) and self._left_back != 0:
                if self._left_back is not None:
                    data = data[: self._left_back]
                    self._left_back -= len(data)
                client.sendall(data)
            client.shutdown(socket.SHUT_WR)
        except OSError:
            client.close()


@contextmanager
def relaying(target: str) -> Iterator[Relay]:
    """A relay to a URL for the block."""
    relay = Relay(target)
    try:
        yield relay
    finally:
        relay.close()
