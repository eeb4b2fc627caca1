"""`lifeboat retain`: what is kept of rows, since when and for how long; and the removal of what is too old."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from lifeboat.config.settings import Settings
from lifeboat.data.timestamps import show_seconds
from lifeboat.personal.retention import Held, apply, held
from lifeboat.system.markup import terminal_text


def retention(options: argparse.Namespace, settings: Settings) -> int:
    """Prints what is kept, or removes what is too old before."""
    now = time.time()
    if options.apply:
        apply(settings, now, lambda line: print(terminal_text(line)))
    found = held(settings, now)
    print(json.dumps([asdict(one) for one in found], indent=1) if options.json else "\n".join(_lines(found)))
    return 0


def _lines(found: Sequence[Held]) -> Iterator[str]:
    for one in found:
        since = f"since {show_seconds(one.since)}" if one.since is not None else "nothing"
        kept = f"kept {one.days:,} days" if one.days else "kept for ever"
        due = f"; {one.due:,} are due: lifeboat retain --apply" if one.due else ""
        spared = f"; {one.spared:,} older ones stay with what serves or runs" if one.spared else ""
        yield f"  {one.what:28} {one.number:>7,}  {since}, {kept}{due}{spared}"
    yield "  events in the drift detector have a setting of its own, LIFEBOAT_DRIFT_RETENTION_SECONDS"
