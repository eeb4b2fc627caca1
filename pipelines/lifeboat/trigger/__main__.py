"""`python -m lifeboat.trigger` is `lifeboat trigger`."""

from __future__ import annotations

import argparse
import os
import sys

from lifeboat.config.settings import Settings
from lifeboat.trigger.service import serve
from lifeboat.trigger.settings import read_settings


def start(options: argparse.Namespace, settings: Settings) -> int:
    """Runs the trigger until it is told to end; gives the exit code."""
    serve(settings, read_settings(vars(options), os.environ))
    return 0


if __name__ == "__main__":
    from lifeboat.cli.main import main

    sys.exit(main(["trigger", *sys.argv[1:]]))
