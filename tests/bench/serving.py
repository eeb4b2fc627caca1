"""The model server beside its peers: `python -m tests.bench.serving --bundle DIR [--wrapper PYTHON]`.

A machine drifts by a factor of two within minutes, so every contender is measured in every round, round
after round, and medians and ratios are printed. The server has one core and the load (`wrk`) another.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.core.bundle import open_bundle

ROOT = Path(__file__).resolve().parents[2]
SERVER_CORE, LOAD_CORE = "0", "1"
BASE = "ours"


@dataclass(frozen=True)
class Contender:
    """A server under load.

    Args:
        name: in the table.
        port: where it listens.
        path, body: of its request; no body is a GET.
    """

    name: str
    port: int
    path: str
    body: str | None


@dataclass(frozen=True)
class Result:
    """Of one run: requests a second, median and 99th percentile in milliseconds, answers that were not
    200."""

    rate: float
    p50: float
    p99: float
    failures: int


def main() -> int:
    """Prints the table; 1 if anything was answered otherwise than 200."""
    arguments = _parser().parse_args()
    missing = [program for program in ("wrk", "taskset") if shutil.which(program) is None]
    if missing:
        raise SystemExit(f"install {' and '.join(missing)} first")
    row = open_bundle(arguments.bundle).golden[0]["row"]
    with ExitStack() as stack:
        contenders = [contender for start in _starters(arguments, row) for contender in stack.enter_context(start)]
        for contender in contenders:
            _wait_for(contender)
        failed = _compare(contenders, arguments.rounds, arguments.seconds)
    with _ours(arguments.bundle) as port:
        _wait_for(Contender("the server", port, "/ready", None))
        _print_batch(port, row)
        _print_memory_and_start(arguments.bundle, port)
    return 1 if failed else 0


def _starters(arguments: argparse.Namespace, row: dict[str, Any]) -> Iterator[Any]:
    message = json.dumps({"data": {"names": list(row), "ndarray": [list(row.values())]}})
    bundle = str(arguments.bundle)
    environment = {**os.environ, "BENCH_BUNDLE": bundle}

    @contextmanager
    def ours() -> Iterator[list[Contender]]:
        with _ours(arguments.bundle) as port:
            yield [Contender(BASE, port, "/predict", message), Contender("our constant", port, "/health/ping", None)]

    @contextmanager
    def peer(name: str, command: Sequence[str], path: str, body: str) -> Iterator[list[Contender]]:
        port = _free_port()
        words = [word.format(port=port) for word in command]
        with _running(words, environment):
            yield [Contender(name, port, path, body)]

    python = sys.executable
    granian = [python, "-m", "granian", "--host", "127.0.0.1", "--port", "{port}", "--no-access-log", "--interface"]
    uvicorn = [python, "-m", "uvicorn", "--port", "{port}", "--no-access-log", "--log-level", "error"]
    yield ours()
    yield peer("our handler, granian RSGI", [*granian, "rsgi", "tests.bench.peers:rsgi"], "/predict", message)
    yield peer("our handler, granian ASGI", [*granian, "asgi", "tests.bench.peers:asgi"], "/predict", message)
    yield peer("our handler, uvicorn", [*uvicorn, "tests.bench.peers:asgi"], "/predict", message)
    yield peer("FastAPI, ONNX", [*uvicorn, "--factory", "tests.bench.peers:fastapi"], "/predict", json.dumps(row))
    if arguments.wrapper:
        yield peer("Seldon's wrapper, ONNX", _wrapper(arguments.wrapper, bundle), "/predict", message)


def _wrapper(python: str, bundle: str) -> list[str]:
    program = str(Path(python).with_name("seldon-core-microservice"))
    parameters = json.dumps([{"name": "bundle", "type": "STRING", "value": bundle}]).replace("{", "{{")
    ports = ["--http-port", "{port}", "--grpc-port", str(_free_port()), "--metrics-port", str(_free_port())]
    return [program, "serving.wrapper.LifeboatModel", *ports, "--parameters", parameters.replace("}", "}}")]


@contextmanager
def _ours(bundle: Path) -> Iterator[int]:
    port = _free_port()
    address = ["--host", "127.0.0.1", "--port", str(port), "--metrics-port", str(_free_port())]
    with _running([sys.executable, "-m", "serving.server", "--bundle", str(bundle), *address], dict(os.environ)):
        yield port


@contextmanager
def _running(command: list[str], environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        ["taskset", "-c", SERVER_CORE, *command], cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _wait_for(contender: Contender) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            _post(contender.port, contender.path, contender.body)
        except urllib.error.HTTPError as error:
            raise SystemExit(f"{contender.name} answers {error.code}: {error.read()[:200]!r}") from None
        except OSError as error:
            if time.monotonic() > deadline:
                raise SystemExit(f"{contender.name} does not answer: {error}") from None
            time.sleep(0.02)
        else:
            return


def _post(port: int, path: str, body: str | None) -> None:
    data = None if body is None else body.encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()


def _compare(contenders: list[Contender], rounds: int, seconds: float) -> int:
    failures = 0
    for connections in (1, 16):
        results: dict[str, list[Result]] = defaultdict(list)
        for _ in range(rounds):
            for contender in contenders:
                results[contender.name].append(_load(contender, connections, seconds))
        failures += sum(result.failures for runs in results.values() for result in runs)
        _print_table(connections, results)
    return failures


def _load(contender: Contender, connections: int, seconds: float) -> Result:
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        if contender.body is not None:
            script.write(f'wrk.method = "POST"\nwrk.body = {json.dumps(contender.body)}\n')
            script.write('wrk.headers["content-type"] = "application/json"\n')
            script.flush()
        url = f"http://127.0.0.1:{contender.port}{contender.path}"
        options = ["-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency", "-s", script.name]
        output = subprocess.run(
            ["taskset", "-c", LOAD_CORE, "wrk", *options, url], capture_output=True, text=True, check=True
        ).stdout
    return _parse(output)


def _parse(output: str) -> Result:
    units = {"us": 0.001, "ms": 1.0, "s": 1000.0}

    def find(pattern: str) -> tuple[str, ...]:
        match = re.search(pattern, output)
        return match.groups() if match else ("0", "ms")

    def percentile(number: int) -> float:
        value, unit = find(rf"{number}%\s+([\d.]+)(us|ms|s)")
        return float(value) * units[unit]

    failures = int(find(r"Non-2xx or 3xx responses: (\d+)")[0])
    return Result(float(find(r"Requests/sec:\s+([\d.]+)")[0]), percentile(50), percentile(99), failures)


def _print_table(connections: int, results: dict[str, list[Result]]) -> None:
    def median(name: str, field: str) -> float:
        return statistics.median(getattr(result, field) for result in results[name])

    base = median(BASE, "rate")
    sys.stdout.write(f"\n{connections} connection(s), medians of {len(results[BASE])} interleaved rounds\n")
    sys.stdout.write(f"{'':28}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'ours is':>10}{'not 200':>9}\n")
    for name in results:
        rate, p50, p99 = (median(name, field) for field in ("rate", "p50", "p99"))
        failures = sum(result.failures for result in results[name])
        ratio = f"{base / rate:.2f} x" if rate else "-"
        sys.stdout.write(f"{name:28}{rate:12,.0f}{p50:9.3f}{p99:9.3f}{ratio:>10}{failures:9}\n")


def _print_batch(port: int, row: dict[str, Any]) -> None:
    values = list(row.values())
    seconds = {}
    for rows in (1, 1000):
        body = json.dumps({"data": {"names": list(row), "ndarray": [values] * rows}})
        times = []
        for _ in range(30):
            start = time.perf_counter()
            _post(port, "/predict", body)
            times.append(time.perf_counter() - start)
        seconds[rows] = statistics.median(times)
    single, batch = seconds[1] * 1e6, seconds[1000] * 1e3
    sys.stdout.write(f"\none row {single:.0f} us, a row in a batch of 1,000 {batch:.1f} us, new connection each\n")


def _print_memory_and_start(bundle: Path, port: int) -> None:
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    resident = re.search(r"^lifeboat_process_resident_memory_bytes\S* ([\d.e+]+)", metrics, re.MULTILINE)
    start = time.perf_counter()
    with _ours(bundle) as new:
        _wait_for(Contender("a new server", new, "/ready", None))
        seconds = time.perf_counter() - start
    megabytes = float(resident.group(1)) / 1e6 if resident else 0.0
    sys.stdout.write(f"memory {megabytes:.0f} MB, start to ready {seconds:.2f} s\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.serving", description="Bench the model server.")
    parser.add_argument("--bundle", type=Path, required=True, help="directory of the bundle to serve")
    parser.add_argument("--wrapper", default="", help="interpreter of the environment with seldon-core")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender is measured (default: 3)")
    parser.add_argument("--seconds", type=float, default=3, help="length of a run (default: 3)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
