"""Where the notebook stands, what it waits for, and a page that it shows."""

from __future__ import annotations

import html
import json
import time
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from components.core.errors import LifeboatError
from components.core.settings import Settings, read_settings

PROJECT = Path(__file__).resolve().parents[2]
PAUSE = 0.25
Document = dict[str, Any]


def open_home() -> Settings:
    """The settings as every verb reads them; a relative home is the project's, wherever Jupyter was started.

    Call it before importing anything of `components`: other libraries read what it sets when they are imported.
    """
    settings = read_settings()
    return replace(settings, home=str(PROJECT / settings.home)).resolved()


@dataclass(frozen=True)
class Page:
    """A whole HTML page, which Jupyter shows in a frame of its own, so that its style stays its own."""

    path: Path
    height: int = 700

    def _repr_html_(self) -> str:
        page = html.escape(self.path.read_text(encoding="utf-8"))
        return f'<div><iframe srcdoc="{page}" width="100%" height="{self.height}" frameborder="0"></iframe></div>'


def wait_for_windows(detector: str, more: int, patience: float = 120.0) -> Document:
    """What the detector says of the version it heard of last, once it has judged so many windows more.

    Args:
        detector: URL of the drift detector.
        more: windows to wait for; 0 does not wait.
        patience: seconds to wait.

    Raises:
        LifeboatError: it has heard of no model, or time is up.
    """
    found = _heard_of_last(detector)
    until, wanted = time.monotonic() + patience, _judged(found) + more
    while _judged(found) < wanted:
        if time.monotonic() > until:
            raise LifeboatError(f"{detector} judged {_judged(found)} windows in {patience:.0f} s, asked: {wanted}")
        time.sleep(PAUSE)
        found = _heard_of_last(detector)
    return found


def _heard_of_last(detector: str) -> Document:
    with urllib.request.urlopen(f"{detector}/drift", timeout=10) as answer:  # noqa: S310  # our own detector
        models: list[Document] = json.load(answer)["models"]
    if not models:
        raise LifeboatError(f"{detector} has heard of no model yet")
    return max(models, key=lambda model: float(model["last"]))


def _judged(model: Document) -> int:
    return int(model["judgements"]["judged"])
