"""`python -m tests.fuzz`: send the servers what nobody expects, and see that nothing breaks."""

from __future__ import annotations

import argparse
import secrets
import sys
import tempfile
from pathlib import Path

from .figures import Figures
from .run import Run
from .world import running

REQUESTS = 1_000_000


def main() -> int:
    """0 if nothing was found, 1 if something was, 130 if it was interrupted."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--requests", type=int, default=REQUESTS, help=f"how many are sent (default: {REQUESTS:,})")
    parser.add_argument("--seed", default="", help="of what is sent (default: drawn, and printed)")
    parser.add_argument("--first", type=int, default=0, help="index of the first request (default: 0)")
    parser.add_argument("--only", type=int, help="send the one request of this index")
    options = parser.parse_args()
    seed = options.seed or str(secrets.randbelow(10**9))
    indices = range(options.first, options.first + options.requests)
    if options.only is not None:
        indices = range(options.only, options.only + 1)
    print(f"seed {seed}, requests {indices.start} to {indices.stop - 1}", flush=True)
    # The second and later thousands are compared with the first tenth, by which every room should be full.
    warm = max(2_000, len(indices) // 10)
    with tempfile.TemporaryDirectory() as folder, running(Path(folder)) as world:
        run = Run(world, seed, indices, warm)
        try:
            run.run(_Progress(len(indices)))
            run.check()
        except KeyboardInterrupt:
            sys.stderr.write("\ninterrupted\n")
            print(run.figures.summary(), end="")
            return 1 if run.figures.findings else 130
    sys.stderr.write("\n")
    print(run.figures.summary(), end="")
    return 1 if run.figures.findings else 0


class _Progress:
    """A line that is written over, once a second; on a file one in ten seconds."""

    def __init__(self, requests: int) -> None:
        self._requests, self._calls, self._terminal = requests, 0, sys.stderr.isatty()

    def __call__(self, figures: Figures) -> None:
        self._calls += 1
        if self._terminal or self._calls % 10 == 0:
            rate = figures.requests / max(figures.seconds, 1e-9)
            line = f"{figures.requests:,} of {self._requests:,}, {rate:,.0f} a second, {len(figures.findings)} findings"
            sys.stderr.write(f"\r{line}" if self._terminal else f"{line}\n")
            sys.stderr.flush()


if __name__ == "__main__":
    raise SystemExit(main())
