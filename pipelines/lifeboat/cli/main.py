"""The command line `lifeboat`, as it is started."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one verb and gives the exit code: 0 done, 1 failed with a sentence, 2 wrong usage, 130 interrupted."""
    try:
        # An interruption waits for the 0.2 s of loading: in the middle of an import Python may print and forget it.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            from lifeboat.cli.verbs import call
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return call(arguments)
    except KeyboardInterrupt:
        print("lifeboat: interrupted; what served before still serves", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
