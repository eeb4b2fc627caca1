"""`lifeboat loop`: the closed circle in front of one's eyes."""

from __future__ import annotations

import argparse
import math
import re
import socket
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from lifeboat.config.settings import Settings
from lifeboat.demo.driver import DemoPlan, Driver
from lifeboat.demo.page import figures, render_page
from lifeboat.demo.timeline import DemoTimeline, TimelineEntry
from lifeboat.services.home_page import home_page_service, home_page_url
from lifeboat.system.files import write_text
from lifeboat.usecase.usecase import load_usecase

# Longer than this nobody waits for a sign of life.
QUIET_SECONDS = 10.0
STYLES = {"world": "bold magenta", "alarm": "bold yellow", "alert": "bold yellow", "retrain": "bold cyan",
          "model": "bold green", "step": "dim", "window": "dim"}  # fmt: skip


def loop(options: argparse.Namespace, settings: Settings) -> int:
    """Closes the circle in a home and on ports of its own, and writes its page."""
    console = Console(file=sys.stdout, highlight=False)
    console.print("Drift, alert, retraining, gate and rollout, in under 3 minutes; loading the use case")
    usecase = load_usecase(options.usecase)
    settings.make_environments(print)
    start = time.monotonic()
    ports = _free_ports(7)
    home = settings.home_path / "loops" / f"{usecase.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    # Beside what runs already: the circle touches neither its registry nor its server.
    own = replace(
        settings, home=str(home), tracking_uri="", store="", host="127.0.0.1",
        port=ports[0], metrics_port=ports[1], detector_port=ports[2],
        grpc_port=ports[3], explainer=False, explainer_port=0, ui=False, ui_port=0,
    )  # fmt: skip
    home.mkdir(parents=True)

    console.print(f"[bold]{usecase.title}[/bold]  (use case {usecase.name}, {home})", soft_wrap=True)
    console.print(f"  the detector's page, while this runs: http://127.0.0.1:{ports[2]}/", soft_wrap=True)
    plan = DemoPlan(options.rate, options.calm, options.patience, *ports[4:])
    result = Driver(usecase, own, plan, DemoTimeline(_Teller(console).show)).run()
    page = home / "loop.html"
    write_text(page, render_page(result, usecase))
    console.print()
    for figure, words in figures(result):
        console.print(f"  {figure:>8}  {words}", soft_wrap=True)
    console.print(f"\nThe circle closed in {time.monotonic() - start:.0f} s. Its page: {page}", soft_wrap=True)
    console.print(f"Beside all other pages: {_place_of(page, settings)}", soft_wrap=True)
    return 1 if result.failed else 0


class _Teller:
    """Prints moments as they happen; of windows that say the same as the one before, one in a while.

    Args:
        console: to print on.
    """

    def __init__(self, console: Console) -> None:
        self._console, self._last, self._said = console, -math.inf, ""

    def show(self, seconds: float, moment: TimelineEntry) -> None:
        # Of "version 1, window 4: drift of Age; accuracy 0.70 of 225 rows" what may differ from window to window.
        said = re.sub(r", window \d+: (no drift|drift).*", r"\1", moment.text)
        if moment.kind == "window" and said == self._said and seconds - self._last < QUIET_SECONDS:
            return
        if moment.kind == "window":
            self._said = said
        self._last = seconds
        style = STYLES.get(moment.kind, "default")
        self._console.print(f"{seconds:6.1f} s  [{style}]{_plain(moment.text)}[/{style}]", soft_wrap=True)


def _place_of(page: Path, settings: Settings) -> str:
    """Where the home's page shows it, or what starts that."""
    if not home_page_service(settings).find().is_running():
        return "lifeboat ui"
    return f"{home_page_url(settings)}{page.relative_to(settings.home_path)}"


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listens on; held until all are found, so that they differ."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
