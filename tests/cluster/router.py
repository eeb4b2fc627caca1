"""A stand-in for the service network and Istio's gateway: one port in front of every model server.

`/svc/DEPLOYMENT-PREDICTOR/…` is a predictor's own service, `/seldon/NAMESPACE/DEPLOYMENT/…` the weighted route to all.
"""

from __future__ import annotations

import http.client
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PREDICTIONS = "/api/v1.0/predictions"


@dataclass(frozen=True)
class Route:
    """A predictor that is up: its server's port and its share."""

    port: int
    weight: int
    shadow: bool


class Router:
    """Listens on a free port until closed."""

    def __init__(self) -> None:
        self.services: dict[str, int] = {}
        self.routes: dict[str, list[Route]] = {}
        self._choice = random.Random(0)  # noqa: S311  # shares of traffic
        self._pool = ThreadPoolExecutor(4)
        router = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status, answer = router.answer(self.path, body)
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_: object) -> None:
                """No line for each request."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def answer(self, path: str, body: bytes) -> tuple[int, bytes]:
        """Sends a request on; once more where its server has just gone, as a mesh does."""
        for _ in range(2):
            port, shadow = self._choose(path)
            if port is None:
                return 503, b'{"error": "no route"}'
            if shadow is not None:
                self._pool.submit(_post, shadow, body)
            try:
                return _post(port, body)
            except ConnectionError:
                continue
        return 502, b'{"error": "no server"}'

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._pool.shutdown()

    def _choose(self, path: str) -> tuple[int | None, int | None]:
        _, kind, rest = path.removesuffix(PREDICTIONS).split("/", 2)
        if kind == "svc":
            return self.services.get(rest), None
        routes = self.routes.get(rest, [])
        shadow = next((route.port for route in routes if route.shadow), None)
        open_ = [route for route in routes if route.weight and not route.shadow]
        if not open_:
            return None, None
        return self._choice.choices(open_, [route.weight for route in open_])[0].port, shadow


def _post(port: int, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", PREDICTIONS, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()
