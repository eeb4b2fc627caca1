"""`lifeboat loop`: the closed circle in front of one's eyes."""

from __future__ import annotations

import argparse
import socket
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime

from rich.console import Console

from lifeboat.config.settings import Settings
from lifeboat.demo.driver import DemoPlan, Driver
from lifeboat.demo.page import figures, render_page
from lifeboat.demo.timeline import DemoTimeline, TimelineEntry
from lifeboat.system.files import write_text
from lifeboat.usecase.usecase import load_usecase

STYLES = {"world": "bold magenta", "alarm": "bold yellow", "alert": "bold yellow", "retrain": "bold cyan",
          "model": "bold green"}  # fmt: skip


def loop(options: argparse.Namespace, settings: Settings) -> int:
    """Closes the circle in a home and on ports of its own, and writes its page."""
    console = Console(file=sys.stdout, highlight=False)
    usecase = load_usecase(options.usecase)
    settings.make_environments(print)
    start = time.monotonic()
    ports = _free_ports(7)
    home = settings.home_path / "loops" / f"{usecase.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
    # Beside what runs already: the circle touches neither its registry nor its server.
    own = replace(
        settings, home=str(home), tracking_uri="", store="", host="127.0.0.1",
        port=ports[0], metrics_port=ports[1], detector_port=ports[2],
        grpc_port=ports[3], explainer=False,
    )  # fmt: skip
    home.mkdir(parents=True)

    def show(seconds: float, moment: TimelineEntry) -> None:
        style = STYLES.get(moment.kind, "default")
        console.print(f"{seconds:6.1f} s  [{style}]{_plain(moment.text)}[/{style}]", soft_wrap=True)

    console.print(f"[bold]{usecase.title}[/bold]  (use case {usecase.name}, {home})", soft_wrap=True)
    console.print(f"  the detector's page, while this runs: http://127.0.0.1:{ports[2]}/", soft_wrap=True)
    plan = DemoPlan(options.rate, options.calm, options.patience, *ports[4:])
    result = Driver(usecase, own, plan, DemoTimeline(show)).run()
    page = home / "loop.html"
    write_text(page, render_page(result, usecase))
    console.print()
    for figure, words in figures(result):
        console.print(f"  {figure:>8}  {words}", soft_wrap=True)
    console.print(f"\nThe circle closed in {time.monotonic() - start:.0f} s. Its page: {page}", soft_wrap=True)
    return 1 if result.failed else 0


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listens on; held until all are found, so that they differ."""
    probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
