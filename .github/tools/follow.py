#!/usr/bin/env python3
"""A page's own commands, for bash: follow.py PAGE HEADING [--skip TEXT]... [--from TEXT] [--until TEXT].

So what the page tells a person to type is what is tried. `--skip` leaves a line out that begins so; `--from` and
`--until` cut it at the line that begins so, which is in the later part.
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

# What a person takes until the next command, and what a port-forward needs.
PAUSE = "sleep 5"


def section(page: Path, heading: str) -> list[str]:
    """The lines of code of a section."""
    parts = re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
    found = [part for part in parts[1:] if part.partition("\n")[0] == heading]
    if len(found) != 1:
        sys.exit(f"{page} has {len(found)} sections {heading!r}, asked: one")
    return [line[4:] for line in found[0].splitlines() if line.startswith("    ")]


def place(lines: list[str], beginning: str) -> int:
    """The number of the line that begins so."""
    found = [number for number, line in enumerate(lines) if line.startswith(beginning)]
    if len(found) != 1:
        sys.exit(f"{len(found)} commands begin with {beginning!r}, asked: one")
    return found[0]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(usage=(__doc__ or "").splitlines()[0].partition(": ")[2])
    parser.add_argument("page", type=Path)
    parser.add_argument("heading")
    parser.add_argument("--skip", action="append", default=[])
    parser.add_argument("--from", dest="start")
    parser.add_argument("--until", dest="end")
    options = parser.parse_args()
    commands = section(options.page, options.heading)
    start = place(commands, options.start) if options.start else 0
    end = place(commands, options.end) if options.end else len(commands)
    left_out = {place(commands, beginning) for beginning in options.skip}
    for number in range(start, end):
        if number not in left_out:
            print(commands[number])
        if commands[number].endswith(" &"):
            print(PAUSE)
