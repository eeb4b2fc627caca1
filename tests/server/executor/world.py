"""An executor as Seldon's operator starts it for our template, and a recorder that can stand behind it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from lifeboat.deploy.kubernetes import manifest
from lifeboat.registry.versions import Version
from tests.ports import free_port
from tests.server.world import ROOT, call

BINARY = os.environ.get("TEST_SELDON_EXECUTOR", "")
TEMPLATE = ROOT / "kustomize" / "base" / "model" / "model-template.yaml"
VERSION = "7"


def template() -> dict[str, Any]:
    """Our SeldonDeployment."""
    found: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text())
    return found


def predictor(port: int, url: str, grpc_port: int = 9500) -> dict[str, Any]:
    """Our predictor as the deploy step fills it in and the operator completes it, with the logger's URL changed.

    Args:
        port: of the model server on this machine.
        url: of the drift detector; "" logs nothing.
        grpc_port: of the same model server.
    """
    made = manifest.predictor(template(), "blue", Version("tiny", VERSION, "d" * 64, "run")).document
    endpoint = {"service_host": "localhost", "service_port": port, "httpPort": port, "grpcPort": grpc_port}
    graph = {**made["graph"], "implementation": "UNKNOWN_IMPLEMENTATION", "endpoint": endpoint}
    graph["logger"] = {**graph["logger"], "url": url}
    if not url:
        del graph["logger"]
    return {**made, "graph": graph, "replicas": 0, "traffic": 0}


@dataclass
class Executor:
    """An executor process and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    grpc_port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def executor(
    port: int, url: str = "", protocol: str = "seldon", full: bool = False, grpc_port: int = 9500
) -> Iterator[Executor]:
    """Runs the user's executor before a model server, alive.

    Args:
        port: of the model server.
        url: of the drift detector.
        protocol: seldon or v2.
        full: whether its /ready asks the model server's own.
        grpc_port: of the model server.
    """
    with tempfile.TemporaryDirectory() as folder:
        log, own, own_grpc = Path(folder) / "log", free_port(), free_port()
        described = json.dumps(predictor(port, url, grpc_port)).encode()
        environment = {"ENGINE_PREDICTOR": b64encode(described).decode()}
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [BINARY, *flags(own, own_grpc, protocol, full)],
                cwd=folder,
                env=environment,
                stdout=stream,
                stderr=stream,
            )
        try:
            _wait(process, own, log)
            yield Executor(process, own, own_grpc, log)
        finally:
            process.kill()
            process.wait()


def flags(port: int, grpc_port: int, protocol: str, full: bool) -> list[str]:
    """What the operator writes into the container's `args`."""
    queue = template()["spec"]["annotations"]["seldon.io/executor-logger-queue-size"]
    named = {
        "sdep": "tiny", "namespace": "lifeboat", "predictor": "blue", "http_port": port, "grpc_port": grpc_port,
        "protocol": protocol, "transport": "rest", "prometheus_path": "/prometheus", "server_type": "rpc",
        "log_work_buffer_size": queue, "log_write_timeout_ms": 2000, "full_health_checks": str(full).lower(),
    }  # fmt: skip
    return [f"--{name}={value}" for name, value in named.items()]


def _wait(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if call(f"http://127.0.0.1:{port}/live").status == 200:
                return
        except OSError:
            time.sleep(0.02)
    raise AssertionError(f"the executor is not alive: {log.read_text()}")


@dataclass
class Heard:
    """A request that came through a recorder, and its answer."""

    method: str
    path: str
    headers: list[tuple[str, str]]
    body: bytes
    status: int
    answer: bytes


@dataclass
class Recorder:
    """Passes requests on to a port and keeps them."""

    port: int
    heard: list[Heard] = field(default_factory=list)


@contextmanager
def recorder(target: int) -> Iterator[Recorder]:
    """Stands before a server of this machine."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = list(self.headers.items())
            connection = http.client.HTTPConnection("127.0.0.1", target, timeout=30)
            connection.request(self.command, self.path, body or None, dict(headers))
            reply = connection.getresponse()
            answer = reply.read()
            connection.close()
            # Before the answer: whoever has it finds the request here.
            made.heard.append(Heard(self.command, self.path, headers, body, reply.status, answer))
            self.send_response_only(reply.status, reply.reason)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer)

        def do_GET(self) -> None:
            self.handle_any()

        def do_POST(self) -> None:
            self.handle_any()

        def log_message(self, *_: Any) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    made = Recorder(server.server_port)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield made
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
