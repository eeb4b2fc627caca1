"""The model server's metrics: a row of numbers that a request adds to, and the text that Prometheus scrapes."""

from __future__ import annotations

import resource
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lifeboat.tasks.task import Task

LATENCY = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5)
PROTOCOLS = ("seldon", "v2", "v1", "mlflow", "grpc-seldon", "grpc-v2", "other")
# These series are there before their first request: from nothing to one is no increase that a rate sees.
FROM_START = {f'protocol="{protocol}",status="{status}"' for protocol in ("seldon", "v2") for status in (200, 500)}
FROM_START |= {""}  # the scores have no label
STATUSES = (200, 400, 403, 404, 405, 408, 413, 415, 431, 500, 503)
REASONS = ("bad", "large", "slow", "overload")
HELP = {
    "lifeboat_model_info": "Which model this is; always 1",
    "lifeboat_request_seconds": "Time from a whole request to its answer",
    "lifeboat_predictions_total": "Rows predicted, by what they are called",
    "lifeboat_feedback_total": "Rows with truth, by the truth",
    "lifeboat_feedback_reward_total": "Sum of the rewards of feedback",
    "lifeboat_rejected_total": "Requests refused, by the reason",
    "lifeboat_events_total": "Events taken by their receiver, and dropped",
    "lifeboat_in_flight": "Requests that are whole and not answered",
    "lifeboat_process_resident_memory_bytes": "Memory of the process that is in use",
    "lifeboat_process_cpu_seconds_total": "User and system time of the process",
}
CONTENT_TYPE = b"text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Histogram:
    """Where a histogram's numbers stand: one for each bound, one for infinity, then the sum.

    Args:
        start: slot of the first.
        bounds: inclusive upper bounds.
    """

    start: int
    bounds: tuple[float, ...]


class ServerMetrics:
    """The metrics of one server.

    Args:
        info: labels of the model.
        task: what is predicted.
    """

    def __init__(self, info: dict[str, str], task: Task[Any, Any]) -> None:
        self._info, self._help = info, {**HELP, "lifeboat_score": task.score_help}
        # Of every series its numbers, one after the other.
        self._cells: list[float] = []
        self._counters: dict[str, dict[str, int]] = {}
        self._histograms: dict[str, dict[str, Histogram]] = {}
        self._latency = {
            (protocol, status): self._histogram(
                "lifeboat_request_seconds", f'protocol="{protocol}",status="{status}"', LATENCY
            )
            for protocol in PROTOCOLS
            for status in STATUSES
        }
        self._score = self._histogram("lifeboat_score", "", task.score_bounds)
        self._classes = [
            self._counter("lifeboat_predictions_total", f'class="{_escape(name)}"') for name in task.counters
        ]
        self._truths = [self._counter("lifeboat_feedback_total", f'truth="{_escape(name)}"') for name in task.counters]
        self._reward = self._counter("lifeboat_feedback_reward_total", "")
        self._rejected = {reason: self._counter("lifeboat_rejected_total", f'reason="{reason}"') for reason in REASONS}
        self._events = [self._counter("lifeboat_events_total", f'result="{word}"') for word in ("sent", "dropped")]
        self._in_flight = self._counter("lifeboat_in_flight", "")

    def begin(self) -> None:
        """A request is whole."""
        self._cells[self._in_flight] += 1.0

    def end(self, protocol: str, status: int, seconds: float) -> None:
        """A request is answered."""
        self._cells[self._in_flight] -= 1.0
        self._observe(self._latency.get((protocol, status)) or self._latency[protocol, 500], seconds)

    def predicted(self, scores: Iterable[float], counters: Iterable[int]) -> None:
        """Rows were scored: see `Task.counted`."""
        for score, place in zip(scores, counters, strict=True):
            self._observe(self._score, score)
            self._cells[self._classes[place]] += 1.0

    def rejected(self, reason: str) -> None:
        """A request was refused."""
        self._cells[self._rejected[reason]] += 1.0

    def judged(self, counters: Iterable[int], reward: float) -> None:
        """Feedback came in: see `Task.count_truths`."""
        for place in counters:
            self._cells[self._truths[place]] += 1.0
        self._cells[self._reward] += reward

    def events_sent(self, number: int) -> None:
        """Events were taken by their receiver."""
        self._cells[self._events[0]] += number

    def events_dropped(self, number: int) -> None:
        """Events found no room, or were refused."""
        self._cells[self._events[1]] += number

    def render(self) -> bytes:
        """The text that Prometheus scrapes."""
        labels = ",".join(f'{name}="{_escape(value)}"' for name, value in self._info.items())
        lines = [*self._head("lifeboat_model_info", "gauge"), f"lifeboat_model_info{{{labels}}} 1"]
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

    def _counter(self, name: str, label: str) -> int:
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
        """Nothing for most histograms without an observation: most pairs of protocol and status never occur."""
        total, lines, comma = 0.0, [], "," if label else ""
        for offset, bound in enumerate([*map(str, histogram.bounds), "+Inf"]):
            total += self._cells[histogram.start + offset]
            lines.append(f'{name}_bucket{{{label}{comma}le="{bound}"}} {total:.0f}')
        if not total and label not in FROM_START:
            return []
        value = self._cells[histogram.start + len(histogram.bounds) + 1]
        return [*lines, f"{name}_sum{_braces(label)} {value!r}", f"{name}_count{_braces(label)} {total:.0f}"]


def _braces(label: str) -> str:
    return f"{{{label}}}" if label else ""


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


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
