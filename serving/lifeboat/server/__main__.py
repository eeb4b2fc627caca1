"""`python -m lifeboat.server`: serve one bundle."""

from __future__ import annotations

import os
import sys

from lifeboat.server.settings import LIBRARIES, SERVICE, read_settings
from lifeboat.system import log


def main() -> int:
    """Serves until SIGTERM (then 0); 1 if the bundle or a setting does not allow it, 2 for an unknown
    flag."""
    return log.run_program(SERVICE, _work)


def _work() -> None:
    settings = read_settings(sys.argv[1:], os.environ)
    os.environ.update(LIBRARIES | os.environ)
    from lifeboat.server.lifecycle import serve

    serve(settings)


if __name__ == "__main__":
    raise SystemExit(main())
