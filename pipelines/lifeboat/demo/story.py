"""The circle as a story of about ten lines: the moments that count, and the windows of each part as one."""

from __future__ import annotations

from lifeboat.demo.driver import DemoResult
from lifeboat.demo.timeline import TimelineEntry
from lifeboat.demo.watch import Document

# What a reader asks for first; windows, steps and notes are among the details.
_TOLD = ("world", "alarm", "alert", "retrain", "model")
_NAMED = 3


def tell_story(result: DemoResult) -> list[TimelineEntry]:
    """The moments, with one line for the windows of each version before and after the world has changed."""
    moments = [moment for moment in result.timeline.moments if moment.kind in _TOLD]
    changed = [moment.time for moment in moments if moment.kind == "world"][-1]
    parts: dict[tuple[str, bool], list[Document]] = {}
    for window in result.windows:
        parts.setdefault((window["version"], window["noted"] >= changed), []).append(window)
    windows = [_windows(version, part) for (version, _), part in parts.items()]
    return sorted([*moments, *windows], key=lambda moment: moment.time)


def _windows(version: str, windows: list[Document]) -> TimelineEntry:
    """One line for some windows, where the last of them was noted: what they led to stands before it."""
    drifted = [window for window in windows if window["drift"]]
    number = "1 window" if len(windows) == 1 else f"{len(windows)} windows"
    if not drifted:
        words = f"{number} without drift"
    elif len(drifted) == len(windows):
        words = f"{number}, {'each ' if len(windows) > 1 else ''}with drift: {_features(drifted)}"
    else:
        words = f"{number}, {len(drifted)} of them with drift: {_features(drifted)}"
    truth = windows[-1]["truth"]
    return TimelineEntry(windows[-1]["noted"], "window", f"version {version}, {words}{f'; {truth}' if truth else ''}")


def _features(windows: list[Document]) -> str:
    """Those that drifted, the ones that did so most often first."""
    times: dict[str, int] = {}
    for window in windows:
        for name, p_value in window["p_values"].items():
            if p_value <= window["threshold"]:
                times[name] = times.get(name, 0) + 1
    names = sorted(times, key=lambda name: -times[name])
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"
