"""gRPC of the model server beside MLServer's, and beside a method of grpc.aio that does nothing, the least there is.

`python -m tests.bench.serving` calls this. The load is grpc.aio in Python, slower than what it asks, so what counts is
time of the processor by the system's account. `python -m tests.bench.rpc PORT` is the server that does nothing.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import grpc

from lifeboat.model.bundle import Bundle
from lifeboat.server.rpc.messages import INFERENCE, message
from tests.server.rpc.stub import add_input

METHOD = f"/{INFERENCE}/ModelInfer"
OURS, MLSERVER, NOTHING = "ours", "MLServer, same ONNX", "grpc.aio that does nothing"
# Of MLServer's time of the processor.
TARGET = 0.2
say = sys.stdout.write


class RpcContender(NamedTuple):
    """A server of gRPC under load.

    Args:
        name: in the table.
        port: where it listens.
        body: the message that it is asked.
        meter: gives the seconds of processor that it has taken so far.
    """

    name: str
    port: int
    body: bytes
    meter: Callable[[], float]


class _Run(NamedTuple):
    """Microseconds of processor a call, calls a second, and those that were not answered."""

    cpu: float
    rate: float
    failures: int


def infer_body(bundle: Bundle, model: str) -> bytes:
    """A row of a bundle as the Open Inference Protocol has it, for the graph itself."""
    row = bundle.schema.parse_row(bundle.golden[0]["row"])
    request: Any = message("inference.ModelInferRequest")(model_name=model)
    for column in bundle.schema.columns:
        add_input(request, column.name, "FP32" if column.is_number else "BYTES", [1, 1], [row[column.name]])
    body: bytes = request.SerializeToString()
    return body


def print_rpc(contenders: Sequence[RpcContender], calls: Sequence[int], seconds: float, rounds: int) -> int:
    """Measures all, round after round; gives how many calls failed.

    Args:
        contenders: the first of them is ours.
        calls: at once, of each table.
        seconds: of a run.
        rounds: of each table.
    """
    failed = 0
    for at_once in calls:
        results: dict[str, list[_Run]] = {one.name: [] for one in contenders}
        for _ in range(rounds):
            for one in contenders:
                results[one.name].append(_measure(one, at_once, seconds))
        failed += sum(run.failures for runs in results.values() for run in runs)
        _print_table(at_once, results)
    return failed


def _measure(contender: RpcContender, at_once: int, seconds: float) -> _Run:
    asyncio.run(_load(contender, at_once, seconds / 4))  # warm
    before = contender.meter()
    start = time.perf_counter()
    done, failures = asyncio.run(_load(contender, at_once, seconds))
    return _Run((contender.meter() - before) / max(done, 1) * 1e6, done / (time.perf_counter() - start), failures)


async def _load(contender: RpcContender, at_once: int, seconds: float) -> tuple[int, int]:
    """Calls answered, and calls that were not."""
    done = failures = 0
    end = time.perf_counter() + seconds

    async def ask(call: Any) -> None:
        nonlocal done, failures
        while time.perf_counter() < end:
            try:
                await call(contender.body, timeout=10)
                done += 1
            except grpc.RpcError:
                failures += 1

    async with grpc.aio.insecure_channel(f"127.0.0.1:{contender.port}") as channel:
        call = channel.unary_unary(METHOD)
        await asyncio.gather(*(ask(call) for _ in range(at_once)))
    return done, failures


def _print_table(at_once: int, results: dict[str, list[_Run]]) -> None:
    peer = statistics.median(run.cpu for run in results[MLSERVER]) if MLSERVER in results else None
    say(f"\ngRPC, {at_once} call(s) at once, medians of {len(results[OURS])} interleaved rounds\n")
    say(f"{'':38}{'CPU us a call':>26}{'of MLServer':>12}{'target':>8}{'calls/s':>10}{'failed':>8}\n")
    for name, runs in results.items():
        taken = [run.cpu for run in runs]
        middle = statistics.median(taken)
        spread = f"{middle:,.1f} ({min(taken):,.1f} to {max(taken):,.1f})"
        share = "" if peer is None else f"{middle / peer:.3f}"
        target = f"{TARGET:.2f}" if name == OURS else ""
        rate = statistics.median(run.rate for run in runs)
        say(f"{name:38}{spread:>26}{share:>12}{target:>8}{rate:10,.0f}{sum(run.failures for run in runs):8}\n")


async def _serve_nothing(port: str) -> None:
    async def nothing(body: bytes, context: Any) -> bytes:
        return b""

    server = grpc.aio.server()
    handlers = {"ModelInfer": grpc.unary_unary_rpc_method_handler(nothing)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(INFERENCE, handlers),))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    import uvloop

    uvloop.run(_serve_nothing(sys.argv[1]))
