"""What processes hold: memory, descriptors, and what they logged. Reads /proc, so for Linux only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
# What is an error by a sender's doing and not the server's: it is said once a minute at most.
_EXPECTED = ("bundles that are not here",)


@dataclass(frozen=True)
class Held:
    """What a process and its children hold.

    Args:
        pids: of all.
        rss, pss: bytes; the second counts a page that several share once.
        descriptors: open ones.
    """

    pids: tuple[int, ...]
    rss: int
    pss: int
    descriptors: int

    @classmethod
    def of(cls, pid: int) -> Held:
        """Of a process that lives."""
        pids = tuple(_tree(pid))
        rolled = [_rolled(one) for one in pids]
        descriptors = sum(len(list((PROC / str(one) / "fd").iterdir())) for one in pids)
        return cls(pids, sum(one["Rss"] for one in rolled), sum(one["Pss"] for one in rolled), descriptors)


def _tree(pid: int) -> Iterator[int]:
    yield pid
    for task in sorted((PROC / str(pid) / "task").iterdir()):
        for child in (task / "children").read_text().split():
            yield from _tree(int(child))


def _rolled(pid: int) -> dict[str, int]:
    found = {}
    for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        found[name] = int(value.split()[0]) * 1024
    return found


def read_errors(log: Path, limit: int = 3) -> list[str]:
    """Lines of a log that no client should be able to bring about."""
    return [line for line in log.read_text(errors="replace").splitlines() if _is_error(line)][:limit]


def _is_error(line: str) -> bool:
    if "Traceback" in line:
        return True
    try:
        document = json.loads(line)
    except ValueError:
        return line.strip() != ""
    # Of a run of the trigger, which is told so, or of a schedule, there is none here.
    is_error = document.get("level") in ("error", "critical", "warning")
    return is_error and not any(words in str(document.get("message")) for words in _EXPECTED)
