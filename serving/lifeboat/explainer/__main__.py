"""`python -m lifeboat.explainer`: give the reasons of answers."""

from __future__ import annotations

import os
import sys

from lifeboat.explainer.settings import SERVICE, read_settings
from lifeboat.server.settings import LIBRARIES
from lifeboat.system import log


def main() -> int:
    """Explains until SIGTERM or SIGINT (then 0); 1 if a setting does not allow it, 2 for an unknown flag."""
    return log.run_program(SERVICE, _work)


def _work() -> None:
    settings = read_settings(sys.argv[1:], os.environ)
    os.environ.update(LIBRARIES | os.environ)
    from lifeboat.explainer.lifecycle import run

    run(settings)


if __name__ == "__main__":
    raise SystemExit(main())
