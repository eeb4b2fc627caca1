"""What the detector and the trigger say, as moments of the timeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lifeboat.config.token_file import read_token
from lifeboat.demo.timeline import DemoTimeline
from lifeboat.deploy.probe import ask_document

Document = dict[str, Any]


@dataclass
class Watch:
    """Asks the detector, and notes each window that it has judged since the last time.

    A window is kept as the detector tells it, with its `version`, when it was `noted`, and the `truth` in words.

    Args:
        detector, trigger: URLs without a path.
        token_file: holds the trigger's token.
        timeline: takes the moments.
    """

    detector: str
    trigger: str
    token_file: Path
    timeline: DemoTimeline
    windows: list[Document] = field(default_factory=list)
    _seen: set[tuple[str, int]] = field(default_factory=set)
    _alarms: dict[str, bool] = field(default_factory=dict)

    def look(self) -> None:
        """Notes what is new."""
        for model in ask_document(self.detector, "/drift")["models"]:
            for window in model["windows"]:
                key = (model["version"], window["number"])
                if window["state"] == "judged" and key not in self._seen:
                    self._seen.add(key)
                    self._note(model, window)

    def judged(self, version: str) -> list[Document]:
        """The windows of a version seen so far, oldest first."""
        return [window for window in self.windows if window["version"] == version]

    def runs(self) -> list[Document]:
        """The trigger's runs, newest first."""
        found: list[Document] = ask_document(self.trigger, "/runs", token=read_token(self.token_file))["runs"]
        return found

    def feedback(self) -> Document:
        """The detector's counters of truth."""
        found: Document = ask_document(self.detector, "/drift")["feedback"]
        return found

    def _note(self, model: Document, window: Document) -> None:
        drifted = [name for name, p_value in window["p_values"].items() if p_value <= window["threshold"]]
        found = f"drift of {', '.join(sorted(drifted, key=window['p_values'].get))}" if window["drift"] else "no drift"
        truth = _truth(model["live"])
        text = f"version {model['version']}, window {window['number']}: {found}{f'; {truth}' if truth else ''}"
        noted = self.timeline.note("window", text)
        self.windows.append({**window, "version": model["version"], "noted": noted, "truth": truth})
        self._note_alarm(model["version"], window["alarm"])

    def _note_alarm(self, version: str, alarm: bool) -> None:
        if alarm != self._alarms.get(version, False):
            self.timeline.note("alarm", f"the detector's alarm for version {version} is {'on' if alarm else 'over'}")
        self._alarms[version] = alarm


def _truth(live: Document) -> str:
    """The first live figure in words; empty without truth."""
    first = live["figures"][0]
    known = live[first["name"]]
    return f"{first['title'].lower()} {known:.2f} of {live['rows']} rows" if known is not None else ""
