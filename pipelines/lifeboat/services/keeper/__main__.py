"""`python -m lifeboat.services.keeper`: the keeper of a home, in the background."""

from __future__ import annotations

import signal
import sys
import threading
from datetime import UTC, datetime

from lifeboat.config.errors import LifeboatError
from lifeboat.config.settings import read_settings
from lifeboat.services.keeper.daemon import keep_in_background


def main() -> int:
    """Keeps until there is nothing to keep, SIGTERM or SIGINT, and leaves what runs running; 1 if it cannot."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    try:
        keep_in_background(read_settings().resolved(), stopping, _say)
    except LifeboatError as error:
        _say("keeper", str(error))
        return 1
    return 0


def _say(who: str, text: str) -> None:
    sys.stdout.write(f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} {who}: {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
