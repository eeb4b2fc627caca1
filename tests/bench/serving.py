"""The model server beside its peers: `python -m tests.bench.serving [--work DIR] [--requests N] [--soak SECONDS]`.

A machine drifts by a factor of two within minutes, so every contender is measured in every round, round after
round, and medians and ratios are printed. The server has one core and the load another. Peers that are not
installed are left out, and said so. Ends with 1 if anything was answered otherwise than it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from lifeboat.model.bundle import open_bundle
from tests.bench.load import LOAD_CORE, Contender, Result, on_core, pace, rounds, wait_for
from tests.bench.peers import train_peer
from tests.bench.soak import message, print_mixed, soak
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SERVER_CORE = "0"
OURS, SPINNING, CONSTANT = "ours", "ours, spinning", "our constant"
FASTAPI, WRAPPER, SKLEARN = "FastAPI, same ONNX", "Seldon's wrapper, same ONNX", "Seldon's wrapper, scikit-learn"
# How many times a peer's rate ours is to reach.
TARGETS = {CONSTANT: 0.7, FASTAPI: 3.0, WRAPPER: 10.0, SKLEARN: 100.0}
SPIN = ("--spin-us", "200")
say = sys.stdout.write


class Server(NamedTuple):
    """One of ours, running."""

    port: int
    process: int


def main() -> int:
    """Prints the tables."""
    arguments = _parser().parse_args()
    if shutil.which("taskset"):
        os.sched_setaffinity(0, {int(LOAD_CORE)})  # our own generator must not take time from the server
    with ExitStack() as stack:
        work = arguments.work or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifeboat-bench-")))
        bundle, pipeline = train_peer(work)
        row = open_bundle(bundle).golden[0]["row"]
        if arguments.soak:
            port, process = stack.enter_context(_ours(bundle))
            wait_for(Contender(OURS, port, "/ready", None))
            return 1 if soak(port, process, row, arguments.soak) else 0
        if shutil.which("wrk") is None:
            say(
                "wrk is not installed: a generator of our own in Python loads instead, and is slower than ours serves\n"
            )
        failed, top = _race(bundle, pipeline, row, arguments)
        port, _ = stack.enter_context(_ours(bundle))
        wait_for(Contender(OURS, port, "/ready", None))
        failed += _print_half_rate(Contender(OURS, port, "/predict", message(row)), top, arguments.seconds)
        _print_batch(port, row)
        failed += print_mixed(port, row, arguments.requests)
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
            results = rounds(contenders, connections, arguments.seconds, arguments.rounds)
            failed += sum(result.failures for runs in results.values() for result in runs)
            top = _print_table(connections, results)
    return failed, top


def _peers(bundle: Path, pipeline: Path, row: dict[str, Any], wrapper: str) -> Iterator[Any]:
    one, environment = message(row), {**os.environ, "BENCH_BUNDLE": str(bundle)}

    @contextmanager
    def ours() -> Iterator[list[Contender]]:
        with _ours(bundle) as (port, _), _ours(bundle, *SPIN) as (spinning, _):
            yield [
                Contender(OURS, port, "/predict", one),
                Contender(SPINNING, spinning, "/predict", one),
                Contender(CONSTANT, port, "/health/ping", None),
            ]

    @contextmanager
    def peer(name: str, command: Callable[[int], Sequence[str]], body: str = one) -> Iterator[list[Contender]]:
        port = free_port()
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
    yield peer(
        WRAPPER, lambda port: _wrapper(wrapper, port, "lifeboat.server.wrapper.LifeboatModel", bundle=str(bundle))
    )
    yield peer(SKLEARN, lambda port: _wrapper(wrapper, port, "tests.bench.peers.SklearnModel", pipeline=str(pipeline)))


def _installed(module: str, name: str) -> bool:
    found = find_spec(module) is not None
    if not found:
        say(f"left out: {name}, since {module} is not installed here\n")
    return found


def _wrapper(python: str, port: int, model: str, **texts: str) -> list[str]:
    program = str(Path(python).with_name("seldon-core-microservice"))
    ports = ["--http-port", str(port), "--grpc-port", str(free_port()), "--metrics-port", str(free_port())]
    parameters = [{"name": name, "type": "STRING", "value": value} for name, value in texts.items()]
    return [program, model, *ports, "--parameters", json.dumps(parameters)]


@contextmanager
def _ours(bundle: Path, *flags: str) -> Iterator[Server]:
    port = free_port()
    words = ["--bundle", str(bundle), "--host", "127.0.0.1", "--port", str(port), "--metrics-port", str(free_port())]
    with _running([sys.executable, "-m", "lifeboat.server", *words, *flags], dict(os.environ)) as process:
        yield Server(port, process)


@contextmanager
def _running(command: Sequence[str], environment: dict[str, str]) -> Iterator[int]:
    process = subprocess.Popen(
        [*on_core(SERVER_CORE), *command], cwd=ROOT, env={**environment, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


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
    single, batch = (pace(Contender("", port, "/predict", message(row, rows)), 1, 2).p50 for rows in (1, 1000))
    say(f"one row {single * 1e3:.0f} us, a row in a batch of 1,000 {batch:.2f} us: ")
    say(f"1/{single * 1e3 / batch:.0f} (target: under 1/10)\n")


def _print_start(bundle: Path) -> None:
    taken = []
    for _ in range(3):
        start = time.perf_counter()
        with _ours(bundle) as (port, _):
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
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="only load ours at one rate for so long (Linux)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
