"""A program's metrics: a row of numbers that a request adds to, and the text that Prometheus scrapes."""

from __future__ import annotations

import resource
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"
CALLERS = "lifeboat_callers_total"
CALLERS_HELP = "Requests by who sent them, and whether they were taken, limited, forbidden or unauthorized"
HELP = {
    CALLERS: CALLERS_HELP,
    "lifeboat_process_resident_memory_bytes": "Memory of the process that is in use",
    "lifeboat_process_cpu_seconds_total": "User and system time of the process",
}


@dataclass(frozen=True)
class Histogram:
    """Where a histogram's numbers stand: one for each bound, one for infinity, then the sum.

    Args:
        start: slot of the first.
        bounds: inclusive upper bounds.
    """

    start: int
    bounds: tuple[float, ...]


class Series:
    """Counters, gauges and histograms of one process, which a subclass names.

    Args:
        texts: the help of each metric by its name.
        from_start: labels of histograms that are there before their first observation: from nothing to one is no
            increase that a rate sees.
    """

    def __init__(self, texts: Mapping[str, str], from_start: frozenset[str]) -> None:
        self._help, self._from_start = {**HELP, **texts}, from_start
        # Of every series its numbers, one after the other.
        self._cells: list[float] = []
        self._counters: dict[str, dict[str, int]] = {}
        self._histograms: dict[str, dict[str, Histogram]] = {}

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        lines = list[str]()
        for name, series in self._counters.items():
            lines += self._head(name)
            lines += [f"{name}{_braces(label)} {_number(self._cells[slot])}" for label, slot in series.items()]
        for name, histograms in self._histograms.items():
            lines += self._head(name, "histogram")
            for label, histogram in histograms.items():
                lines += self._render_histogram(name, label, histogram)
        for name, value in _process().items():
            lines += [*self._head(name), f"{name} {value!r}"]
        return ("\n".join(lines) + "\n").encode()

    def _head(self, name: str, kind: str = "") -> list[str]:
        """The lines of help and type; a kind that is not given follows from the name."""
        kind = kind or ("counter" if name.endswith("_total") else "gauge")
        return [f"# HELP {name} {self._help[name]}", f"# TYPE {name} {kind}"]

    def called(self, caller: str, result: str) -> None:
        """What became of a request of a caller: see `lifeboat.http.access`."""
        label = f'caller="{escape(caller)}",result="{result}"'
        slot = self._counters.get(CALLERS, {}).get(label)
        self._cells[self._counter(CALLERS, label) if slot is None else slot] += 1.0

    def _counter(self, name: str, label: str = "") -> int:
        slot = self._take(1)
        self._counters.setdefault(name, {})[label] = slot
        return slot

    def _histogram(self, name: str, label: str, bounds: tuple[float, ...]) -> Histogram:
        histogram = Histogram(self._take(len(bounds) + 2), bounds)
        self._histograms.setdefault(name, {})[label] = histogram
        return histogram

    def _take(self, number: int) -> int:
        start = len(self._cells)
        self._cells += [0.0] * number
        return start

    def _observe(self, histogram: Histogram, value: float) -> None:
        start, bounds = histogram.start, histogram.bounds
        self._cells[start + bisect_left(bounds, value)] += 1.0
        self._cells[start + len(bounds) + 1] += value

    def _render_histogram(self, name: str, label: str, histogram: Histogram) -> list[str]:
        """Nothing for most histograms without an observation: most pairs of labels never occur."""
        total, lines, comma = 0.0, [], "," if label else ""
        for offset, bound in enumerate([*map(str, histogram.bounds), "+Inf"]):
            total += self._cells[histogram.start + offset]
            lines.append(f'{name}_bucket{{{label}{comma}le="{bound}"}} {total:.0f}')
        if not total and label not in self._from_start:
            return []
        value = self._cells[histogram.start + len(histogram.bounds) + 1]
        return [*lines, f"{name}_sum{_braces(label)} {value!r}", f"{name}_count{_braces(label)} {total:.0f}"]


def escape(value: str) -> str:
    """As the value of a label."""
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _braces(label: str) -> str:
    return f"{{{label}}}" if label else ""


def _process() -> dict[str, float]:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return {
        "lifeboat_process_resident_memory_bytes": _resident_bytes() or usage.ru_maxrss * 1024.0,
        "lifeboat_process_cpu_seconds_total": usage.ru_utime + usage.ru_stime,
    }


def _resident_bytes() -> float:
    """Memory in use now where the system says so (Linux), else 0."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except OSError:
        return 0.0
    return pages * float(resource.getpagesize())


def _number(value: float) -> str:
    return f"{value:.0f}" if value.is_integer() else repr(value)
