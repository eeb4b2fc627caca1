"""`python -m lifeboat.ui --descriptor N`: the home page in the background, on a socket that it inherits."""

from __future__ import annotations

import argparse
import socket
import sys

from lifeboat.config.errors import LifeboatError
from lifeboat.config.settings import read_settings
from lifeboat.services.home_page import DESCRIPTOR
from lifeboat.ui.service import serve


def main() -> int:
    """Answers until it is told to end; 1 if it cannot."""
    parser = argparse.ArgumentParser(prog="python -m lifeboat.ui", description="The page of a home.")
    parser.add_argument(DESCRIPTOR, type=int, required=True, help="number of the listening socket")
    options = parser.parse_args()
    try:
        with socket.socket(fileno=options.descriptor) as listening:
            serve(read_settings(), listening, lambda: None)
    except LifeboatError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
