"""Load on a server of this machine: by `wrk` where it is installed, else by a small generator of our own.

Ours also does what wrk cannot: a fixed rate, and requests of which each knows what its answer should be. It is
Python on one core, so beside a quick server it shows what the generator can do, not what the server can.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import cycle
from pathlib import Path
from statistics import quantiles

LOAD_CORE = "1"


@dataclass(frozen=True)
class Contender:
    """A server under load.

    Args:
        name: in the table.
        port: where it listens on this machine.
        path, body: of its request; no body is a GET.
        meter: gives the seconds of processor that each of its parts has taken so far, once it rests; None where nobody
            asks.
    """

    name: str
    port: int
    path: str
    body: str | None
    meter: Callable[[], dict[str, float]] | None = None

    @property
    def message(self) -> bytes:
        """Its request as it goes over the wire."""
        return render(self.path, None if self.body is None else self.body.encode())


@dataclass(frozen=True)
class Result:
    """Of one run.

    Args:
        rate: requests a second.
        p50, p99: of the time of a request, in milliseconds.
        failures: answers that were not 200.
        cpu: microseconds of processor a request, by part of the contender.
    """

    rate: float
    p50: float
    p99: float
    failures: int
    cpu: dict[str, float] = field(default_factory=dict)


@dataclass
class _Client:
    """A connection with one request at a time."""

    socket: socket.socket
    started: float = 0.0
    wanted: int = 200
    content: bytearray = field(default_factory=bytearray)


def render(path: str, body: bytes | None) -> bytes:
    """A GET, or a POST of JSON."""
    if body is None:
        return f"GET {path} HTTP/1.1\r\nhost: a\r\n\r\n".encode()
    head = f"POST {path} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    return head.encode() + body


def wait_for(contender: Contender) -> None:
    """Returns when it answers 200; ends the bench if it answers anything else, or nothing for a minute."""
    deadline = time.monotonic() + 60
    data = None if contender.body is None else contender.body.encode()
    url = f"http://127.0.0.1:{contender.port}{contender.path}"
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    while True:
        try:
            urllib.request.urlopen(request, timeout=30).close()
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{contender.name} answers {error.code}: {error.read()[:200]!r}") from None
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"{contender.name} does not answer: {error}") from None
            time.sleep(0.02)
        else:
            return


def measure(contender: Contender, connections: int, seconds: int) -> Result:
    """As much load as the connections can carry."""
    if shutil.which("wrk") is None:
        return pace(contender, connections, seconds)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if contender.body is not None:
            script.write(f'wrk.method = "POST"\nwrk.body = {json.dumps(contender.body)}\n')
            script.write('wrk.headers["content-type"] = "application/json"\n')
            script.flush()
        url = f"http://127.0.0.1:{contender.port}{contender.path}"
        options = ["-t1", f"-c{connections}", f"-d{seconds}s", "--latency", "-s", script.name]
        output = subprocess.run([*on_core(LOAD_CORE), "wrk", *options, url], capture_output=True, text=True, check=True)
    return _parse(output.stdout)


def rounds(contenders: Sequence[Contender], connections: int, seconds: int, count: int) -> dict[str, list[Result]]:
    """Each contender's results by its name. All are measured in every round, since a machine drifts meanwhile."""
    results: dict[str, list[Result]] = {contender.name: [] for contender in contenders}
    for _ in range(count):
        for contender in contenders:
            results[contender.name].append(_metered(contender, connections, seconds))
    return results


def _metered(contender: Contender, connections: int, seconds: int) -> Result:
    if contender.meter is None:
        return measure(contender, connections, seconds)
    before = contender.meter()
    result = measure(contender, connections, seconds)
    after = contender.meter()
    requests = result.rate * seconds
    return replace(result, cpu={part: 1e6 * (taken - before[part]) / requests for part, taken in after.items()})


def processor_seconds(process: int, *, inside: bool = True) -> float:
    """User and system time of a process and, unless they are not meant, of those that it has started.

    Args:
        process: its number.
        inside: whether those that it has started count.
    """
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + (sum(processor_seconds(child) for child in children(process)) if inside else 0.0)


def children(process: int) -> list[int]:
    """The processes that one has started and that run."""
    tasks = Path(f"/proc/{process}/task").glob("*/children")
    return [int(child) for task in tasks for child in task.read_text().split()]


def pace(contender: Contender, connections: int, seconds: float, rate: float | None = None) -> Result:
    """Load of our own; at a rate, times count from when a request was due, not from when it could be sent."""
    load = Load(contender.port, connections, cycle([(contender.message, 200)]), rate)
    taken = load.run(seconds=seconds)
    hundredths = quantiles(load.times, n=100) if len(load.times) > 1 else [0.0] * 99
    failures = len(load.times) - load.statuses[200, 200]
    return Result(len(load.times) / taken, hundredths[49] * 1e3, hundredths[98] * 1e3, failures)


def on_core(core: str) -> Sequence[str]:
    """The words that keep a program on one core, where the system has them."""
    return ["taskset", "-c", core] if shutil.which("taskset") else []


class Load:
    """Connections that each send one request after the other, or as many as a rate allows.

    Args:
        port: of the server.
        connections: their number.
        messages: requests and the status that each should have.
        rate: of requests a second; as many as possible if None.
    """

    def __init__(
        self, port: int, connections: int, messages: Iterator[tuple[bytes, int]], rate: float | None = None
    ) -> None:
        self.statuses: Counter[tuple[int, int]] = Counter()
        self.times: list[float] = []
        self._port, self._messages, self._pause = port, messages, 1 / rate if rate else 0.0
        self._selector = selectors.DefaultSelector()
        self._idle = deque(self._connect() for _ in range(connections))

    def run(self, seconds: float = 1e9, requests: float = 1e18) -> float:
        """Sends for a time or a number of requests; gives the seconds it took."""
        start = due = time.perf_counter()
        sent = 0
        while (now := time.perf_counter()) - start < seconds and sent < requests:
            while self._idle and sent < requests and (not self._pause or due <= now):
                self._send(self._idle.popleft(), due if self._pause else time.perf_counter())
                due += self._pause
                sent += 1
            # The system waits by whole milliseconds: the last one is spent awake, so as to be on time.
            self._collect(max(0.0, due - time.perf_counter() - 0.0015) if self._pause else 1.0)
        while self._selector.get_map():
            self._collect(1.0)
        return time.perf_counter() - start

    def _connect(self) -> _Client:
        made = socket.create_connection(("127.0.0.1", self._port), timeout=30)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return _Client(made)

    def _send(self, client: _Client, started: float) -> None:
        message, client.wanted = next(self._messages)
        client.started = started
        client.socket.sendall(message)
        self._selector.register(client.socket, selectors.EVENT_READ, client)

    def _collect(self, seconds: float) -> None:
        for key, _ in self._selector.select(seconds):
            client: _Client = key.data
            chunk = client.socket.recv(262144)
            client.content += chunk
            if chunk and not _whole(client.content):
                continue
            self._selector.unregister(client.socket)
            status = int(client.content[9:12] or 0)
            self.statuses[client.wanted, status] += 1
            self.times.append(time.perf_counter() - client.started)
            if not chunk or b"connection: close" in client.content[:500].lower():
                client.socket.close()
                client = self._connect()
            client.content.clear()
            self._idle.append(client)


def _whole(content: bytearray) -> bool:
    """Whether an answer with a Content-Length has come to its end."""
    end = content.find(b"\r\n\r\n")
    if end < 0:
        return False
    length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", content[:end])
    return length is not None and len(content) >= end + 4 + int(length[1])


def _parse(output: str) -> Result:
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}

    def find(pattern: str) -> tuple[str, ...]:
        match = re.search(pattern, output)
        return match.groups() if match else ("0", "ms")

    def percentile(number: int) -> float:
        value, unit = find(rf"{number}%\s+([\d.]+)(us|ms|s)")
        return float(value) * units[unit]

    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    failures = int(find(r"Non-2xx or 3xx responses: (\d+)")[0]) + (sum(map(int, broken.groups())) if broken else 0)
    return Result(float(find(r"Requests/sec:\s+([\d.]+)")[0]), percentile(50), percentile(99), failures)
