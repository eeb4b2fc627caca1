"""Background services: started once, found again, ended; with real processes."""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeboat.config.errors import DeployError
from lifeboat.services.daemons import Daemon, http_status
from tests.ports import free_port

SERVER = """
import http.server, sys, time
time.sleep(float(sys.argv[2]))
print("listening", flush=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler).serve_forever()
"""


class Service:
    """A web server as a daemon, on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self.daemon = Daemon("web server", folder, f"http://127.0.0.1:{self.port}/")

    def ensure(self, wait: float = 0.0, seconds: float = 10.0) -> None:
        command = [sys.executable, "-c", SERVER, str(self.port), str(wait)]
        self.daemon.ensure(command, dict(os.environ), seconds)

    @property
    def pid(self) -> int:
        return int((self.daemon.folder / "pid").read_text())


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Service]:
    made = Service(tmp_path / "web")
    yield made
    made.daemon.stop()


def test_it_is_started_once_and_found_by_another_handle(service: Service) -> None:
    assert not service.daemon.is_running()
    service.ensure()
    pid = service.pid
    service.ensure()
    assert Daemon("web server", service.daemon.folder, service.daemon.ready_url).is_running()
    assert service.pid == pid
    assert service.daemon.log.read_text().count("listening") == 1


def test_two_callers_at_once_start_one(service: Service) -> None:
    callers = [threading.Thread(target=service.ensure, args=(0.5,)) for _ in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    assert service.daemon.log.read_text().count("listening") == 1


def test_what_speaks_no_http_is_not_ready(service: Service) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        thread = threading.Thread(target=lambda: other.accept()[0].sendall(b"220 ready\r\n"))
        thread.start()
        assert http_status(f"http://127.0.0.1:{other.getsockname()[1]}/") is None
        thread.join()
    assert http_status(service.daemon.ready_url) is None
    service.ensure()
    assert http_status(service.daemon.ready_url) == 200


def test_stop_ends_it_and_says_whether_there_was_one(service: Service) -> None:
    assert service.daemon.stop() is False
    service.ensure()
    assert service.daemon.stop() is True
    assert not service.daemon.is_running()
    assert service.daemon.stop() is False


def test_a_killed_one_counts_as_stopped_and_is_started_again(service: Service) -> None:
    service.ensure()
    killed = service.pid
    os.kill(killed, signal.SIGKILL)
    deadline = time.monotonic() + 5
    while service.daemon.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    service.ensure()
    assert service.pid != killed


def test_one_that_ends_at_its_start_is_reported_with_its_last_words(service: Service) -> None:
    command = [sys.executable, "-c", "print('no such table'); raise SystemExit(3)"]
    with pytest.raises(DeployError, match=r"^the web server ended at its start: no such table$"):
        service.daemon.ensure(command, dict(os.environ))
    with pytest.raises(DeployError, match="cannot be started with /nowhere/python: No such file"):
        service.daemon.ensure(["/nowhere/python"], {})


def test_one_that_is_not_ready_in_time_is_ended(service: Service) -> None:
    with pytest.raises(DeployError, match="was not ready in time; its log is"):
        service.ensure(wait=60.0, seconds=0.5)
    deadline = time.monotonic() + 5
    while service.daemon.is_running():
        assert time.monotonic() < deadline
        time.sleep(0.01)
