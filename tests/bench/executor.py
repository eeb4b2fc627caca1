"""Our server straight and behind Seldon's executor: `TEST_SELDON_EXECUTOR=… python -m tests.bench.executor`.

All are measured in every round, one row a request. The server and the executor share a core, as they share a pod's
share of a node; the load and the detector have the other. Ends with 1 if anything was not answered with 200.
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lifeboat.model.bundle import open_bundle
from tests.bench.load import LOAD_CORE, Contender, Result, rounds, wait_for
from tests.bench.peers import train_peer
from tests.bench.serving import SERVER_CORE
from tests.bench.soak import message
from tests.detector.world import detector
from tests.server.executor.world import BINARY, executor
from tests.server.world import server

PREDICT = "/api/v1.0/predictions"
STRAIGHT = "ours"


@contextmanager
def _core(name: str) -> Iterator[None]:
    """What is started inside stays on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {int(name)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _contenders(stack: ExitStack, bundle: Path, work: Path, body: str) -> list[Contender]:
    digest = open_bundle(bundle).digest
    for name in ("titanic", "tiny"):  # the server's name for itself, and the executor's for it
        shutil.copytree(bundle, work / "store" / "bundles" / name / digest)
    with _core(LOAD_CORE):
        drift = stack.enter_context(detector(work / "store", work / "drift" / "drift.db"))
    with _core(SERVER_CORE):
        plain = stack.enter_context(server(bundle))
        sending = stack.enter_context(server(bundle, "--events-url", drift.url))
        between = stack.enter_context(executor(plain.port))
        logging = stack.enter_context(executor(plain.port, drift.url))
    ports = {
        STRAIGHT: plain.port,
        "ours, sending events": sending.port,
        "through the executor": between.port,
        "through the executor, logging": logging.port,
    }
    return [Contender(name, port, PREDICT, body) for name, port in ports.items()]


def main() -> int:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, help="keep the trained model here, and find it here again")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=1)
    arguments = parser.parse_args()
    if not BINARY:
        sys.exit("TEST_SELDON_EXECUTOR names no executor")
    failed = 0
    with ExitStack() as stack:
        work = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifeboat-bench-")))
        bundle, _ = train_peer(arguments.work or work)
        body = message(open_bundle(bundle).golden[0]["row"])
        contenders = _contenders(stack, bundle, work, body)
        for contender in contenders:
            wait_for(contender)
        for connections in (1, 16):
            failed += _print(connections, rounds(contenders, connections, arguments.seconds, arguments.rounds))
    return 1 if failed else 0


def _print(connections: int, results: dict[str, list[Result]]) -> int:
    base = statistics.median(result.rate for result in results[STRAIGHT])
    print(f"\n{connections} connection(s), medians of {len(results[STRAIGHT])} interleaved rounds")
    failures = 0
    for name, runs in results.items():
        rate, p50, p99 = (statistics.median(getattr(run, key) for run in runs) for key in ("rate", "p50", "p99"))
        failures += (missed := sum(run.failures for run in runs))
        line = f"{name:32}{rate:10,.0f}/s{p50:9.3f} ms{p99:9.3f} ms  ours is {base / rate:5.2f} x  {missed} not 200"
        print(line)
    return failures


if __name__ == "__main__":
    sys.exit(main())
