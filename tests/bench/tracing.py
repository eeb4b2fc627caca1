"""What traces cost the model server: `python -m tests.bench.tracing [--rounds N] [--seconds S] [--base PYTHON]`.

Servers of the tiny model, for which a request is cheapest and a trace dearest beside it: without traces, with one
request of a hundred and with every request traced; with --base
that of another checkout's interpreter, before there were traces. All send to a receiver of this process, and all are
measured in every round, in an order that is drawn. The processor time is the server's own, its threads' included;
a second one without traces shows what chance does.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.bench.load import Contender, Result, rounds, wait_for
from tests.ports import free_port
from tests.server.world import ROOT, ROW, ROW_VALUES, make_bundle, ndarray
from tests.tracing.collector import Collector, collecting

say = sys.stdout.write
BODY = json.dumps(ndarray(ROW_VALUES, names=list(ROW)))


def main() -> None:
    """Prints the processor time of a request of each, and beside that without traces."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9, help="how often each is measured (default: 9)")
    parser.add_argument("--seconds", type=int, default=3, help="length of a run (default: 3)")
    parser.add_argument("--connections", type=int, default=16, help="connections at a time (default: 16)")
    parser.add_argument("--base", type=Path, help="interpreter of another checkout, whose server is measured as well")
    options = parser.parse_args()
    own = Path(sys.executable)
    with ExitStack() as stack:
        collector = stack.enter_context(collecting())
        bundle = make_bundle(Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="lifeboat-bench-"))) / "tiny")
        traced = ("--traces", collector.url, "--trace-share")
        kinds = {
            "off": (own, ()),
            "off again": (own, ()),
            "1 %": (own, (*traced, "0.01")),
            "100 %": (own, (*traced, "1")),
        }
        if options.base:
            kinds = {"before": (options.base, ()), **kinds}
        contenders = [stack.enter_context(_serving(name, *kind, bundle)) for name, kind in kinds.items()]
        results: dict[str, list[Result]] = {name: [] for name in kinds}
        order = random.Random(0)  # noqa: S311
        for _ in range(options.rounds):
            order.shuffle(contenders)  # whoever comes first in a round may find another machine than who comes last
            for contender in contenders:
                results[contender.name] += rounds([contender], options.connections, options.seconds, 1)[contender.name]
                _settle(collector)
        spans = len(collector.spans)
    times = {name: [run.cpu["server"] for run in runs] for name, runs in results.items()}
    for name, runs in results.items():
        beside = statistics.median(one / other for one, other in zip(times[name], times["off"], strict=True))
        rate = statistics.median(run.rate for run in runs)
        say(f"  {name:9} {statistics.median(times[name]):7.1f} us of CPU a request  {beside:6.3f} of off's  ")
        say(f"{rate:8,.0f} requests/s  {sum(run.failures for run in runs)} failures\n")
    say(f"{spans:,} spans arrived\n")


@contextmanager
def _serving(name: str, python: Path, flags: tuple[str, ...], bundle: Path) -> Iterator[Contender]:
    port = free_port()
    command = [str(python), "-m", "lifeboat.server", "--bundle", str(bundle), "--host", "127.0.0.1"]
    command += ["--port", str(port), "--metrics-port", "0", *flags]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            meter = partial(_seconds, process.pid)
            contender = Contender(name, port, "/predict", BODY, meter)
            wait_for(contender)
            yield contender
        finally:
            process.kill()


def _settle(collector: Collector) -> None:
    """Until no more spans come: those of one server are not to be read while another one is measured."""
    before = -1
    while len(collector.spans) != before:
        before = len(collector.spans)
        time.sleep(1.5)


def _seconds(process: int) -> dict[str, float]:
    tasks = Path(f"/proc/{process}/task").glob("*/schedstat")
    return {"server": sum(int(task.read_text().split()[0]) for task in tasks) / 1e9}


if __name__ == "__main__":
    main()
