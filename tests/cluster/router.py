"""A stand-in for the service network and Istio's gateway: one port in front of every model server.

`/svc/SERVICE:PORT/…` is a Service, `/seldon/NAMESPACE/DEPLOYMENT/…` what a VirtualService leads to. Both are taken from
the objects that Seldon's operator, or its stand-in, writes into the API server.
"""

from __future__ import annotations

import http.client
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.cluster.api import Document

PREDICTIONS = "/api/v1.0/predictions"


@dataclass(frozen=True)
class Route:
    """Where a VirtualService leads: weights by service, and the service that gets a copy. `NAME:PORT` each."""

    weights: dict[str, int]
    mirror: str | None

    @classmethod
    def of(cls, virtual_service: Document) -> tuple[str, Route]:
        """The prefix and the route of its first rule, which is the one for HTTP."""
        rule = virtual_service["spec"]["http"][0]
        assert rule["rewrite"] == {"uri": "/"}
        # A weight of 0 is not written; a lone destination gets all, whatever its weight.
        parts = {_service(part["destination"]): part.get("weight", 0) for part in rule["route"]}
        weights = parts if len(parts) > 1 else dict.fromkeys(parts, 100)
        return rule["match"][0]["uri"]["prefix"], cls(weights, _service(rule["mirror"]) if "mirror" in rule else None)


class Router:
    """Listens on a free port until closed."""

    def __init__(self) -> None:
        self.services: dict[str, int] = {}
        self.routes: dict[str, Route] = {}
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

    def leads_somewhere(self, url: str) -> bool:
        """Whether a server is behind a URL of ours, if only for some of the requests."""
        path = url.removeprefix(self.url)
        route = self.routes.get(f"{path}/", Route({}, None))
        shares = [name for name, share in route.weights.items() if share]
        return any(name in self.services for name in (path.removeprefix("/svc/"), *shares))

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._pool.shutdown()

    def _choose(self, path: str) -> tuple[int | None, int | None]:
        """The ports of the server for a path and of its shadow."""
        rest = path.removesuffix(PREDICTIONS)
        if rest.startswith("/svc/"):
            return self.services.get(rest.removeprefix("/svc/")), None
        route = self.routes.get(f"{rest}/")
        if route is None or not any(route.weights.values()):
            return None, None
        chosen = self._choice.choices(list(route.weights), list(route.weights.values()))[0]
        return self.services.get(chosen), self.services.get(route.mirror) if route.mirror else None


def _service(destination: Document) -> str:
    name, _, domain = destination["host"].partition(".")
    assert domain.endswith(".svc.cluster.local")
    return f"{name}:{destination['port']['number']}"


def _post(port: int, body: bytes) -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("POST", PREDICTIONS, body, {"Content-Type": "application/json"})
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()
