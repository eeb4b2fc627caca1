"""What a notebook serves, what it waits for, and a page that it shows."""

from __future__ import annotations

import atexit
import html
import shutil
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from lifeboat.config.errors import LifeboatError
from lifeboat.config.settings import Settings
from lifeboat.deploy.probe import ask_document
from lifeboat.system.progress import quiet

PAUSE = 0.25
Document = dict[str, Any]


def serve_copy(settings: Settings, name: str) -> Settings:
    """Serves the champion in a home of its own, with a detector of its own: what is tried there teaches nobody.

    Args:
        settings: of the home that has the champion.
        name: of the model.

    Returns:
        The settings of the copy's home; `stop_copy` ends it, at the latest when Python ends.

    Raises:
        LifeboatError: there is no champion, or it cannot be served.
    """
    from lifeboat.deploy.local import LocalTarget
    from lifeboat.registry.bundle_store import BundleStore
    from lifeboat.registry.registry import Registry
    from lifeboat.services.detector import ensure_detector
    from lifeboat.services.explainer import ensure_explainer

    registry = Registry(settings)
    version = registry.get(name)
    bundle = registry.bundle(version)
    home = tempfile.mkdtemp(prefix="lifeboat-")
    # For this notebook alone, whoever may reach the champion.
    own = replace(settings, home=home, host="127.0.0.1", store="", tracking_uri="", explainer=True)
    own = own.with_ports_of_its_own().resolved()
    # A notebook that ends half way ends its copy, too.
    atexit.register(stop_copy, own)
    BundleStore(own).publish(bundle)
    LocalTarget(own).roll_out(bundle, version, _already, quiet)
    ensure_detector(own, say=quiet)
    ensure_explainer(own, quiet)
    return own


def stop_copy(settings: Settings) -> None:
    """Ends the servers of a copy and removes its home."""
    from lifeboat.services.keeper.daemon import stop_home

    stop_home(settings, quiet)
    shutil.rmtree(settings.home_path, ignore_errors=True)


def _already() -> None:
    """A copy is nobody's champion."""


@dataclass(frozen=True)
class Page:
    """A whole HTML page, which Jupyter shows in a frame of its own, so that its style stays its own."""

    path: Path
    height: int = 700

    def _repr_html_(self) -> str:
        page = html.escape(self.path.read_text(encoding="utf-8"))
        return f'<div><iframe srcdoc="{page}" width="100%" height="{self.height}" frameborder="0"></iframe></div>'


def wait_for_windows(detector: str, more: int, patience: float = 120.0) -> Document:
    """What the detector says of the version it heard of last, once so many windows that began from now on are judged.

    A window that was open before, or that waits for its judgement, holds rows of before and does not count.

    Args:
        detector: URL of the drift detector.
        more: windows to wait for; 0 does not wait.
        patience: seconds to wait.

    Raises:
        LifeboatError: time is up.
    """
    moment, found = _heard_of_last(detector)
    patience = patience if more else 0
    until = time.monotonic() + patience
    while found is None or _judged_since(found, moment) < more:
        if time.monotonic() > until:
            what = "has heard of no model" if found is None else f"judged {_judged_since(found, moment)} new windows"
            raise LifeboatError(f"{detector} {what} in {patience:.0f} s, asked: {more}")
        time.sleep(PAUSE)
        _, found = _heard_of_last(detector)
    return found


def _heard_of_last(detector: str) -> tuple[float, Document | None]:
    """The detector's time, and the version."""
    said = ask_document(detector, "/drift")
    return said["time"], max(said["models"], key=lambda model: float(model["last"]), default=None)


def _judged_since(model: Document, moment: float) -> int:
    return sum(window["state"] == "judged" and window["opened"] > moment for window in model["windows"])
