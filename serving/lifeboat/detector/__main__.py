"""`python -m lifeboat.detector`: watch models by their events."""

from __future__ import annotations

import os
import sys

from lifeboat.detector.settings import SERVICE, read_settings
from lifeboat.system import log


def main() -> int:
    """Watches until SIGTERM or SIGINT (then 0); 1 if a setting does not allow it, 2 for an unknown flag."""
    return log.run_program(SERVICE, _work)


def _work() -> None:
    settings = read_settings(sys.argv[1:], os.environ)
    from lifeboat.detector.lifecycle import watch

    watch(settings, dict(os.environ))


if __name__ == "__main__":
    raise SystemExit(main())
