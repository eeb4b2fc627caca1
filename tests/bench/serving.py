"""The model server beside its peers: `python -m tests.bench.serving [--work DIR] [--requests N] [--soak SECONDS]`.

Measured is what runs by default, with the drift detector and without, at every process's own priority. The server
has one core; the load has the other, and shares it with the detector. A machine drifts by a factor of two within
minutes, so every contender is measured in every round, round after round; what holds are shares of FastAPI's within a
run, and time of the processor by the system's account. Peers that are not installed are left out, and said so. Ends
with 1 if anything was answered otherwise than it should be, or an event was dropped.
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
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import grpc

from lifeboat.model.bundle import open_bundle
from tests.bench import rpc
from tests.bench.load import (
    LOAD_CORE,
    Contender,
    Result,
    children,
    on_core,
    pace,
    processor_seconds,
    rounds,
    wait_for,
)
from tests.bench.peers import train_peer
from tests.bench.soak import message, print_mixed, soak
from tests.detector.world import detector
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
SERVER_CORE = "0"
CONNECTIONS = (1, 16, 64)
OURS, WATCHED, CONSTANT = "ours, without events", "ours, with events", "our constant"
FASTAPI, WRAPPER, SKLEARN = "FastAPI, same ONNX", "Seldon's wrapper, same ONNX", "Seldon's wrapper, scikit-learn"
MLSERVER, KSERVE = "MLServer, same ONNX", "KServe, same ONNX"
QUIET_MLSERVER = {"MLSERVER_PARALLEL_WORKERS": "0", "MLSERVER_DEBUG": "false"}
# Parts of a contender; the first is the one that answers.
SERVER, DETECTOR, TEST = "server", "detector", "its drift test"
# Shares of FastAPI's processor time a request that are not to be exceeded, by connections, contender and part.
TARGETS = {
    1: {(WATCHED, SERVER): 0.75, (WATCHED, DETECTOR): 0.20},
    16: {(OURS, SERVER): 0.18, (WATCHED, SERVER): 0.21, (WATCHED, DETECTOR): 0.10},
    64: {},
}
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
        failed, top = _race(work, bundle, pipeline, row, arguments)
        failed += _race_rpc(bundle, arguments)
        port, _ = stack.enter_context(_ours(bundle))
        wait_for(Contender(OURS, port, "/ready", None))
        failed += _print_half_rate(Contender(OURS, port, "/predict", message(row)), top, arguments.seconds)
        _print_batch(port, row)
        failed += print_mixed(port, row, arguments.requests)
        _print_start(bundle)
    return 1 if failed else 0


def _race(
    work: Path, bundle: Path, pipeline: Path, row: dict[str, Any], arguments: argparse.Namespace
) -> tuple[int, float]:
    """Failures, and our rate at 16 connections."""
    failed, top = 0, 0.0
    with ExitStack() as stack:
        contenders = stack.enter_context(_watched(work, bundle, message(row)))
        for start in _peers(bundle, pipeline, row, arguments):
            contenders += stack.enter_context(start)
        for contender in contenders:
            wait_for(contender)
        for connections in CONNECTIONS:
            results = rounds(contenders, connections, arguments.seconds, arguments.rounds)
            failed += sum(result.failures for runs in results.values() for result in runs)
            rate = _print_table(connections, results)
            top = rate if connections == 16 else top
        failed += _print_dropped(contenders[1].port)
    return failed, top


def _race_rpc(bundle: Path, arguments: argparse.Namespace) -> int:
    """Failures of gRPC."""
    opened, contenders = open_bundle(bundle), list[rpc.RpcContender]()
    with ExitStack() as stack:

        def add(name: str, model: str, start: Callable[[int], Any]) -> None:
            port = free_port()
            process = stack.enter_context(start(port))
            meter = partial(processor_seconds, process)
            contenders.append(rpc.RpcContender(name, port, rpc.infer_body(opened, model), meter))
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                grpc.channel_ready_future(channel).result(60)

        @contextmanager
        def ours(port: int) -> Iterator[int]:
            with _ours(bundle, "--grpc-port", str(port)) as running:
                yield running.process

        def nothing(port: int) -> Any:
            return _running([sys.executable, "-m", "tests.bench.rpc", str(port)], dict(os.environ))

        def kserve(port: int) -> Any:
            return _running(_kserve(arguments.kserve, bundle, free_port(), port), dict(os.environ))

        def mlserver(port: int) -> Any:
            command = _mlserver(arguments.mlserver, bundle, free_port(), port)
            return _running(command, {**os.environ, **QUIET_MLSERVER})

        add(rpc.OURS, opened.usecase, ours)
        add(rpc.NOTHING, opened.usecase, nothing)
        if Path(arguments.mlserver).exists():
            add(rpc.MLSERVER, "peer", mlserver)
        if Path(arguments.kserve).exists():
            add(KSERVE, "peer", kserve)
        return rpc.print_rpc(contenders, CONNECTIONS, arguments.seconds, arguments.rounds)


@contextmanager
def _watched(work: Path, bundle: Path, body: str) -> Iterator[list[Contender]]:
    """Ours, without events and with them."""
    place = work / "store" / "bundles" / "titanic" / open_bundle(bundle).digest
    shutil.copytree(bundle, place, dirs_exist_ok=True)
    database = Path(tempfile.mkdtemp(prefix="drift-", dir=work)) / "drift.db"
    with (
        detector(work / "store", database, "--judge", "lifeboat.detector.drift_test") as drift,
        _ours(bundle) as alone,
        _ours(bundle, "--events-url", drift.url) as sending,
    ):
        detecting = drift.process.pid

        def meter() -> dict[str, float]:
            drift.settled()
            own = processor_seconds(detecting, inside=False)
            testing = sum(processor_seconds(child) for child in children(detecting))
            return {SERVER: processor_seconds(sending.process), DETECTOR: own, TEST: testing}

        yield [
            Contender(OURS, alone.port, "/predict", body, _meter(alone.process)),
            Contender(WATCHED, sending.port, "/predict", body, meter),
            Contender(CONSTANT, alone.port, "/health/ping", None, _meter(alone.process)),
        ]


def _meter(process: int) -> Callable[[], dict[str, float]]:
    return lambda: {SERVER: processor_seconds(process)}


def _peers(bundle: Path, pipeline: Path, row: dict[str, Any], arguments: argparse.Namespace) -> Iterator[Any]:
    one, environment = message(row), {**os.environ, "BENCH_BUNDLE": str(bundle)}

    @contextmanager
    def peer(
        name: str, command: Callable[[int], Sequence[str]], body: str = one, path: str = "/predict"
    ) -> Iterator[list[Contender]]:
        port = free_port()
        with _running(command(port), environment) as process:
            yield [Contender(name, port, path, body, _meter(process))]

    def uvicorn(port: int) -> list[str]:
        words = ["--port", str(port), "--no-access-log", "--log-level", "error"]
        return [sys.executable, "-m", "uvicorn", *words, "--factory", "tests.bench.peers:fastapi"]

    yield peer(FASTAPI, uvicorn, json.dumps(row))
    if _installed(arguments.mlserver, MLSERVER):
        environment |= QUIET_MLSERVER
        command = partial(_mlserver, arguments.mlserver, bundle, grpc_port=free_port())
        yield peer(MLSERVER, command, tensors(bundle), "/v2/models/peer/infer")
    if _installed(arguments.kserve, KSERVE):
        kserve = partial(_kserve, arguments.kserve, bundle, grpc_port=free_port())
        yield peer(KSERVE, kserve, tensors(bundle), "/v2/models/peer/infer")
    if _installed(arguments.wrapper, WRAPPER):
        ours = "lifeboat.server.wrapper.LifeboatModel"
        yield peer(WRAPPER, lambda port: _wrapper(arguments.wrapper, port, ours, bundle=str(bundle)))
        theirs = "tests.bench.peers.SklearnModel"
        yield peer(SKLEARN, lambda port: _wrapper(arguments.wrapper, port, theirs, pipeline=str(pipeline)))


def _installed(python: str, name: str) -> bool:
    found = Path(python).exists()
    if not found:
        say(f"left out: {name}, since there is no {python}; `make bench-serving` makes it\n")
    return found


def _mlserver(python: str, bundle: Path, port: int, grpc_port: int) -> list[str]:
    """MLServer with a runtime of a few lines, in a folder with its settings."""
    folder = Path(tempfile.mkdtemp(prefix="mlserver-", dir=bundle.parent))
    settings = {"http_port": port, "grpc_port": grpc_port, "metrics_port": free_port(), "host": "127.0.0.1"}
    (folder / "settings.json").write_text(json.dumps(settings))
    model = {"name": "peer", "implementation": "tests.bench.mlserver_peer.Runtime", "parameters": {"uri": str(bundle)}}
    (folder / "model-settings.json").write_text(json.dumps(model))
    return [str(Path(python).with_name("mlserver")), "start", str(folder)]


def _kserve(python: str, bundle: Path, port: int, grpc_port: int) -> list[str]:
    return [python, "-m", "tests.bench.kserve_peer", str(bundle), str(port), str(grpc_port)]


def tensors(bundle: Path) -> str:
    """A row as the Open Inference Protocol has it, for the graph itself, to which a text that is missing is empty."""
    opened = open_bundle(bundle)
    row = opened.schema.parse_row(opened.golden[0]["row"])
    inputs = [
        {
            "name": column.name, "shape": [1, 1], "datatype": "FP32" if column.is_number else "BYTES",
            "data": [row[column.name]],
        }
        for column in opened.schema.columns
    ]  # fmt: skip
    return json.dumps({"inputs": inputs})


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
    """Medians, and of the processor's time the least and the most; gives our rate."""
    base = _median(results[FASTAPI], lambda run: run.cpu[SERVER])
    rate = _median(results[FASTAPI], lambda run: run.rate)
    say(f"\n{connections} connection(s), medians of {len(results[OURS])} interleaved rounds\n")
    say(f"{'':38}{'CPU us a request':>26}{'of FastAPI':>11}{'target':>8}{'requests/s':>12}{'x':>7}")
    say(f"{'p50 ms':>9}{'p99 ms':>9}{'not 200':>9}\n")
    for name, runs in results.items():
        for part in runs[0].cpu:
            taken = [run.cpu[part] for run in runs]
            middle = statistics.median(taken)
            spread = f"{middle:,.1f} ({min(taken):,.1f} to {max(taken):,.1f})"
            target = TARGETS[connections].get((name, part))
            label = name if part == SERVER else f"  {part}"
            say(f"{label:38}{spread:>26}{middle / base:11.3f}{'' if target is None else f'{target:.2f}':>8}")
            if part == SERVER:
                own, p50, p99 = (
                    _median(runs, lambda run, key=key: getattr(run, key)) for key in ("rate", "p50", "p99")
                )
                say(f"{own:12,.0f}{own / rate:7.2f}{p50:9.3f}{p99:9.3f}{sum(run.failures for run in runs):9}")
            say("\n")
    ours, watched = (_median(results[name], lambda run: run.cpu[SERVER]) for name in (OURS, WATCHED))
    say(f"with events {watched / ours:.2f} times without (target at 16: 1.15)\n")
    return _median(results[OURS], lambda run: run.rate)


def _median(runs: Sequence[Result], value: Callable[[Result], float]) -> float:
    return statistics.median(map(value, runs))


def _print_dropped(port: int) -> int:
    lines = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics").read().decode().splitlines()
    sent, dropped = (
        int(next(line for line in lines if line.startswith(f'lifeboat_events_total{{result="{word}"')).split()[-1])
        for word in ("sent", "dropped")
    )
    say(f"\nof {sent + dropped:,} predictions {dropped:,} did not reach the detector\n")
    return dropped


def _print_half_rate(ours: Contender, top: float, seconds: int) -> int:
    runs = [pace(ours, 16, seconds, top / 2) for _ in range(3)]
    rate, p50, p99 = (statistics.median(getattr(run, field) for run in runs) for field in ("rate", "p50", "p99"))
    say(f"\nat {rate:,.0f} requests/s (half the top rate is {top / 2:,.0f}), 16 connections: ")
    say(f"p50 {p50:.3f} ms, p99 {p99:.3f} ms, {p99 / p50:.1f} x\n")
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
    for option, package in (("wrapper", "seldon-core"), ("mlserver", "mlserver"), ("kserve", "kserve")):
        python = str(ROOT / ".venvs" / option / "bin" / "python")
        parser.add_argument(f"--{option}", default=python, help=f"interpreter with {package} (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each contender is measured (default: 3)")
    parser.add_argument("--seconds", type=int, default=3, help="length of a run (default: 3)")
    parser.add_argument("--requests", type=int, default=100_000, help="of the mixed run (default: %(default)s)")
    parser.add_argument("--soak", type=float, metavar="SECONDS", help="only load ours at one rate for so long (Linux)")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
