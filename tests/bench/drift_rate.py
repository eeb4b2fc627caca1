"""Whether the detector keeps up with the model server, and what it costs: `python -m tests.bench.drift_rate`.

The server has one core, the detector the other, which it shares with the load. First as many predictions as the server
can give, with events: how many events were dropped, and how many a second the detector folded in. Then the server at a
fixed rate with events and another without, in turns: the ratio of their 99th percentiles. Ends with 1 if a prediction
failed, or if what the server says it sent is not what the detector counted.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.bench.load import LOAD_CORE, Contender, measure, pace, processor_seconds, wait_for
from tests.detector.world import Detector, add_bundle, detector
from tests.server.world import ROW_VALUES, Running, call, ndarray, server

SERVER_CORE = "0"
CONNECTIONS = 16
BODY = json.dumps(ndarray(ROW_VALUES))
# So much the 99th percentile may be with the detector, in times of that without.
ALLOWED = 1.2
say = sys.stdout.write


def main() -> int:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=60, help="of full load")
    parser.add_argument("--rounds", type=int, default=7, help="of the comparison")
    parser.add_argument("--rate", type=float, default=500.0, help="predictions a second in the comparison")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, {int(LOAD_CORE)})
    with tempfile.TemporaryDirectory(prefix="lifeboat-bench-") as name:
        directory = Path(name)
        bundle = directory / "store" / "bundles" / "tiny" / add_bundle(directory / "store")
        judge = ("--judge", "lifeboat.detector.drift_test")
        with detector(directory / "store", directory / "drift.db", *judge) as watching:
            failed = _full_rate(bundle, watching, arguments.seconds)
            failed += _compare(bundle, watching, arguments.rounds, arguments.rate)
    return 1 if failed else 0


@dataclass(frozen=True)
class _Counts:
    """Events: what the server sent and dropped, what the detector counted."""

    sent: int
    dropped: int
    counted: int

    @classmethod
    def of(cls, serving: Running, watching: Detector) -> _Counts:
        """Now."""
        lines = call(serving.url + "/metrics").body.decode().splitlines()
        sent, dropped = (
            next(int(line.split()[-1]) for line in lines if line.startswith(f'lifeboat_events_total{{result="{word}"'))
            for word in ("sent", "dropped")
        )
        return cls(sent, dropped, watching.report()["events"]["accepted"])


@contextmanager
def _serving(bundle: Path, *flags: str) -> Iterator[tuple[Running, Contender]]:
    with server(bundle, *flags) as process:
        for thread in Path(f"/proc/{process.process.pid}/task").iterdir():
            os.sched_setaffinity(int(thread.name), {int(SERVER_CORE)})
        contender = Contender("server", process.port, "/predict", BODY)
        wait_for(contender)
        yield process, contender


def _full_rate(bundle: Path, watching: Detector, seconds: int) -> int:
    with _serving(bundle, "--events-url", watching.url) as (serving, contender):
        before, cpu = watching.report()["events"]["accepted"], processor_seconds(watching.process.pid, inside=False)
        result = measure(contender, CONNECTIONS, seconds)
        during = watching.report()["events"]["accepted"] - before
        _wait_until_sent(serving)
        watching.settled()
        cpu = processor_seconds(watching.process.pid, inside=False) - cpu
        counts = _Counts.of(serving, watching)
        waited = watching.report()["models"][-1]
    say(f"{seconds} s at full rate, {CONNECTIONS} connections\n")
    say(f"  predictions a second        {result.rate:10.0f}   p50 {result.p50:.2f} ms, p99 {result.p99:.2f} ms\n")
    say(f"  folded in a second          {during / seconds:10.0f}   while the load ran\n")
    say(f"  events sent, dropped        {counts.sent:10d} {counts.dropped:d}\n")
    say(f"  processor time of each      {1e6 * cpu / counts.sent:10.1f} us, so at most ")
    say(f"{counts.sent / cpu:.0f} predictions a second on a core of its own\n")
    say(f"  rows in windows             {waited['rows']:10d}\n")
    if counts.counted - before != counts.sent:
        say(f"WRONG: {counts.sent} sent, {counts.counted - before} counted\n")
        return 1
    return result.failures


def _wait_until_sent(serving: Running) -> None:
    """Returns when the counts of the server stand still."""
    before = ""
    while (now := _events_of(serving)) != before:
        before = now
        time.sleep(1.0)


def _events_of(serving: Running) -> str:
    lines = call(serving.url + "/metrics").body.decode().splitlines()
    return "".join(line for line in lines if line.startswith("lifeboat_events_total"))


def _compare(bundle: Path, watching: Detector, rounds: int, rate: float) -> int:
    results: dict[str, list[Any]] = {"without": [], "with": []}
    with ExitStack() as stack:
        _, without = stack.enter_context(_serving(bundle))
        _, with_events = stack.enter_context(_serving(bundle, "--events-url", watching.url))
        for number in range(rounds):
            order = [("without", without), ("with", with_events)]
            for name, contender in order if number % 2 else reversed(order):
                results[name].append(pace(contender, CONNECTIONS, 5.0, rate))
    say(f"\n{rounds} rounds of 5 s at {rate:.0f} predictions a second, in turns; medians\n")
    for name, found in results.items():
        p50, p99 = (statistics.median(getattr(result, field) for result in found) for field in ("p50", "p99"))
        say(f"  {name:8} the detector   p50 {p50:6.3f} ms   p99 {p99:6.3f} ms\n")
    pairs = zip(results["with"], results["without"], strict=True)
    ratio = statistics.median(one.p99 / other.p99 for one, other in pairs)
    say(f"  ratio of the 99th percentiles, median of the rounds: {ratio:.2f} (wanted: below {ALLOWED})\n")
    return sum(result.failures for found in results.values() for result in found)


if __name__ == "__main__":
    raise SystemExit(main())
