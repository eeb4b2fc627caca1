"""The model server beside its peers: `python -m tests.bench.serving [--work DIR] [--requests N]`.

A machine drifts by a factor of two within minutes, so every contender is measured in every round, round after
round, and medians and ratios are printed. The server has one core and the load another. Peers that are not
installed are left out, and said so. Ends with 1 if anything was answered otherwise than it should be.
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
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from itertools import cycle
from pathlib import Path
from typing import Any

from components.core.bundle import open_bundle
from tests.bench.load import LOAD_CORE, Contender, Load, Result, measure, on_core, pace, render, wait_for
from tests.bench.peers import train_peer

ROOT = Path(__file__).resolve().parents[2]
SERVER_CORE = "0"
OURS, CONSTANT = "ours", "our constant"
FASTAPI, WRAPPER, SKLEARN = "FastAPI, same ONNX", "Seldon's wrapper, same ONNX", "Seldon's wrapper, scikit-learn"
# How many times a peer's rate ours is to reach.
TARGETS = {CONSTANT: 0.7, FASTAPI: 3.0, WRAPPER: 10.0, SKLEARN: 100.0}
say = sys.stdout.write


def main() -> int:
    """Prints the tables."""
    arguments = _parser().parse_args()
    if shutil.which("taskset"):
        os.sched_setaffinity(0, {int(LOAD_CORE)})  # our own generator must not take time from the server
    with ExitStack() as stack:
        work = arguments.work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifeboat-bench-")))
        bundle, pipeline = train_peer(work)
        row = open_bundle(bundle).golden[0]["row"]
        if shutil.which("wrk") is None:
            say(
                "wrk is not installed: a generator of our own in Python loads instead, and is slower than ours serves\n"
            )
        failed, top = _race(bundle, pipeline, row, arguments)
        port = stack.enter_context(_ours(bundle))
        wait_for(Contender(OURS, port, "/ready", None))
        failed += _print_half_rate(Contender(OURS, port, "/predict", _message(row)), top, arguments.seconds)
        _print_batch(port, row)
        failed += _print_mixed(port, row, arguments.requests)
        _print_start(bundle)
    return 1 if failed else 0


def _race(bundle: Path, pipeline: Path, row: dict[str, Any], arguments: argparse.Namespace) -> tuple[int, float]:
    """Failures, and our rate at 16 connections."""
    failed, top = 0, 0.0
    with ExitStack() as stack:
        peers = _peers(bundle, pipeline, row, arguments.wrapper)
        contenders = [contender for start in peers for contender in stack.enter_context(start)]
        for contender in contenders:
            wait_for(contender)
        for connections in (1, 16):
            results: dict[str, list[Result]] = defaultdict(list)
            for _ in range(arguments.rounds):
                for contender in contenders:
                    results[contender.name].append(measure(contender, connections, arguments.seconds))
            failed += sum(result.failures for runs in results.values() for result in runs)
            top = _print_table(connections, results)
    return failed, top


def _peers(bundle: Path, pipeline: Path, row: dict[str, Any], wrapper: str) -> Iterator[Any]:
    message, environment = _message(row), {**os.environ, "BENCH_BUNDLE": str(bundle)}

    @contextmanager
    def ours() -> Iterator[list[Contender]]:
        with _ours(bundle) as port:
            yield [Contender(OURS, port, "/predict", message), Contender(CONSTANT, port, "/health/ping", None)]

    @contextmanager
    def peer(name: str, command: Callable[[int], Sequence[str]], body: str = message) -> Iterator[list[Contender]]:
        port = _free_port()
        with _running(command(port), environment):
            yield [Contender(name, port, "/predict", body)]

    def granian(kind: str, port: int) -> list[str]:
        words = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--interface", kind]
        return [sys.executable, "-m", "granian", *words, f"tests.bench.peers:{kind}"]

    def uvicorn(application: Sequence[str], port: int) -> list[str]:
        words = ["--port", str(port), "--no-access-log", "--log-level", "error"]
        return [sys.executable, "-m", "uvicorn", *words, *application]

    yield ours()
    if _installed("granian", "our handler on granian"):
        yield peer("our handler, granian RSGI", lambda port: granian("rsgi", port))
        yield peer("our handler, granian ASGI", lambda port: granian("asgi", port))
    if _installed("uvicorn", "our handler on uvicorn"):
        yield peer("our handler, uvicorn", lambda port: uvicorn(["tests.bench.peers:asgi"], port))
    if _installed("fastapi", "FastAPI"):
        factory = ["--factory", "tests.bench.peers:fastapi"]
        yield peer(FASTAPI, lambda port: uvicorn(factory, port), json.dumps(row))
    if not Path(wrapper).exists():
        say(f"left out: Seldon's wrapper, since there is no {wrapper}; `make conformance` makes it\n")
        return
    yield peer(WRAPPER, lambda port: _wrapper(wrapper, port, "serving.wrapper.LifeboatModel", bundle=str(bundle)))
    yield peer(SKLEARN, lambda port: _wrapper(wrapper, port, "tests.bench.peers.SklearnModel", pipeline=str(pipeline)))


def _installed(module: str, name: str) -> bool:
    found = find_spec(module) is not None
    if not found:
        say(f"left out: {name}, since {module} is not installed here\n")
    return found


def _wrapper(python: str, port: int, model: str, **texts: str) -> list[str]:
    program = str(Path(python).with_name("seldon-core-microservice"))
    ports = ["--http-port", str(port), "--grpc-port", str(_free_port()), "--metrics-port", str(_free_port())]
    parameters = [{"name": name, "type": "STRING", "value": value} for name, value in texts.items()]
    return [program, model, *ports, "--parameters", json.dumps(parameters)]


@contextmanager
def _ours(bundle: Path) -> Iterator[int]:
    port = _free_port()
    address = ["--host", "127.0.0.1", "--port", str(port), "--metrics-port", str(_free_port())]
    with _running([sys.executable, "-m", "serving.server", "--bundle", str(bundle), *address], dict(os.environ)):
        yield port


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str]) -> Iterator[None]:
    process = subprocess.Popen(
        [*on_core(SERVER_CORE), *command], cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT)},
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


def _message(row: dict[str, Any], rows: int = 1) -> str:
    return json.dumps({"data": {"names": list(row), "ndarray": [list(row.values())] * rows}})


def _print_table(connections: int, results: dict[str, list[Result]]) -> float:
    def median(name: str, field: str) -> float:
        return statistics.median(getattr(result, field) for result in results[name])

    base = median(OURS, "rate")
    say(f"\n{connections} connection(s), medians of {len(results[OURS])} interleaved rounds\n")
    say(f"{'':32}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'ours is':>10}{'target':>9}{'not 200':>9}\n")
    for name in results:
        rate, p50, p99 = (median(name, field) for field in ("rate", "p50", "p99"))
        failures = sum(result.failures for result in results[name])
        ratio = f"{base / rate:.2f} x" if rate else "-"
        target = f"{TARGETS[name]:g} x" if name in TARGETS else ""
        say(f"{name:32}{rate:12,.0f}{p50:9.3f}{p99:9.3f}{ratio:>10}{target:>9}{failures:9}\n")
    return base


def _print_half_rate(ours: Contender, top: float, seconds: int) -> int:
    runs = [pace(ours, 16, seconds, top / 2) for _ in range(3)]
    rate, p50, p99 = (statistics.median(getattr(run, field) for run in runs) for field in ("rate", "p50", "p99"))
    say(f"\nat {rate:,.0f} requests/s (half the top rate is {top / 2:,.0f}), 16 connections: ")
    say(f"p50 {p50:.3f} ms, p99 {p99:.3f} ms, {p99 / p50:.1f} x (target: under 3 x)\n")
    return sum(run.failures for run in runs)


def _print_batch(port: int, row: dict[str, Any]) -> None:
    single, batch = (pace(Contender("", port, "/predict", _message(row, rows)), 1, 2).p50 for rows in (1, 1000))
    say(f"one row {single * 1e3:.0f} us, a row in a batch of 1,000 {batch:.2f} us: ")
    say(f"1/{single * 1e3 / batch:.0f} (target: under 1/10)\n")


def _print_mixed(port: int, row: dict[str, Any], requests: int) -> int:
    """Valid and broken payloads in turn; every broken one is to be a 400."""
    good = _message(row).encode()
    wrong_value, unknown = ({**row, name: "x" * 999} for name in (next(iter(row)), "unknown"))
    broken = [b"{", b"", b"[]", good[:-9], _message(wrong_value).encode(), _message(unknown).encode()]
    messages = [(render("/predict", body), status) for bad in broken for body, status in ((good, 200), (bad, 400))]
    before = _resident(port)
    load = Load(port, 16, cycle(messages))
    seconds = load.run(requests=requests)
    wrong = sum(number for (wanted, status), number in load.statuses.items() if wanted != status)
    classes = {name: sum(n for (_, s), n in load.statuses.items() if s // 100 == name) for name in (2, 4, 5)}
    counts = ", ".join(f"{number:,} of {name}xx" for name, number in classes.items())
    say(f"{requests:,} requests, half of them broken, in {seconds:.0f} s: {counts}, {wrong} otherwise than due; ")
    time.sleep(2.5)
    say(f"memory {before:.1f} MB before, {_resident(port):.1f} MB after (target: flat, under 150 MB)\n")
    return wrong


def _resident(port: int) -> float:
    """Megabytes in use, as the server says."""
    metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10).read().decode()
    found = re.search(r"^lifeboat_process_resident_memory_bytes\S* ([\d.e+]+)", metrics, re.MULTILINE)
    return float(found[1]) / 1e6 if found else 0.0


def _print_start(bundle: Path) -> None:
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        with _ours(bundle) as port:
            wait_for(Contender("a new server", port, "/ready", None))
            taken.append(time.perf_counter() - start)
    say(f"start to ready {statistics.median(taken):.2f} s (target: under 1.5 s)\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.serving", description="Bench the model server.")
    parser.add_argument("--work", type=Path, help="keeps the trained model from run to run (default: kept nowhere)")
    python = str(ROOT / ".venvs/wrapper/bin/python")
    parser.add_argument("--wrapper", default=python, help="interpreter with seldon-core (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender is measured (default: 3)")
    parser.add_argument("--seconds", type=int, default=3, help="length of a run (default: 3)")
    parser.add_argument("--requests", type=int, default=100_000, help="of the mixed run (default: %(default)s)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
