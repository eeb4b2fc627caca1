"""Every page that we have: of a real run, and of states that a run does not come to."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lifeboat.demo.page import render_page
from lifeboat.deploy.kubernetes.analysis import Comparison, measurement
from lifeboat.deploy.measured import MeasuredNote
from lifeboat.deploy.timeline import RolloutTimeline
from lifeboat.usecases.titanic import USECASE
from tests.demo.circle import made_circle
from tests.deploy.test_analysis import LIMITS, sample, took
from tests.detector import page_state as made
from tests.detector.page_server import Detector
from tests.pipeline.laptop import Laptop

LOOP = "titanic-20261128-050316"


@dataclass(frozen=True)
class Site:
    """A home after its first run, and the pages that lead to nothing of it.

    Args:
        laptop: of the home.
        said: what `lifeboat run` printed.
        detector: a stand-in whose state a page's visit chooses.
        folder: of pages that are opened as files.
    """

    laptop: Laptop
    said: str
    detector: Detector
    folder: Path

    @cached_property
    def home(self) -> str:
        """The address that the run names first when it is done."""
        return re.findall(r"https?://[^\s']+", self.said.partition("\nDeployed ")[2])[0]

    @property
    def server(self) -> str:
        return f"http://127.0.0.1:{self.laptop.settings.port}/"

    @property
    def drift(self) -> str:
        return f"http://127.0.0.1:{self.laptop.settings.detector_port}/"

    def version(self, name: str) -> str:
        """A page of the first version."""
        return f"{self.home}models/titanic/1/{name}.html"

    def at(self, name: str) -> str:
        """A page that is a file."""
        return (self.folder / f"{name}.html").as_uri()

    def drifting(self, state: object) -> str:
        """The drift detector's page in a state."""
        self.detector.state = state
        return self.detector.url


def few_rows() -> object:
    """The detector has five rows with truth."""
    five = {"rows": 5, "accuracy": 0.8, "log_loss": 0.61, "calibration_error": 0.2}
    return made.state(made.model(number=1, live=made.model()["live"] | five, history=[]))


# A line each: the tests of this folder and the screenshots take them from here.
PAGES: dict[str, Callable[[Site], str]] = {
    "home": lambda site: site.home,
    "model-card": lambda site: site.version("model-card"),
    "data-profile": lambda site: site.version("data-profile"),
    "rollout": lambda site: site.version("rollout"),
    "canary": lambda site: site.at("canary"),
    "loop": lambda site: f"{site.home}loops/{LOOP}/loop.html",
    "drift": lambda site: site.drift,
    "drift-alarm": lambda site: site.drifting(made.state(made.model(30, 5))),
    "drift-few-rows": lambda site: site.drifting(few_rows()),
    "model-server": lambda site: site.server,
    "missing": lambda site: f"{site.home}models/titanic/99/model-card.html",
}


def write_pages(laptop: Laptop, folder: Path) -> None:
    """Those that a run does not make: a demonstration in the home, and a canary's course as a file."""
    loop = laptop.home / "loops" / LOOP
    loop.mkdir(parents=True)
    (loop / "loop.html").write_text(render_page(made_circle(), USECASE))
    folder.mkdir()
    (folder / "canary.html").write_text(canary())


def canary() -> str:
    """The page of a canary that passed its first step and broke a limit at the second."""
    pages: list[str] = []
    good = Comparison(sample(4100), sample(460, 2, took(0.012)))
    bad = Comparison(sample(2500), sample(2400, 240, took(0.02)), ("it failed 240 of 2400 requests (10.0%)",))
    with RolloutTimeline("Rollout of titanic version 3", lambda _: None, lambda page, _: pages.append(page)) as course:
        course.note("version 3 is ready at http://titanic-b.lifeboat.svc:8000")
        course.note("it answers the 21 golden requests as its bundle says")
        course.note(MeasuredNote("version 3 at 10 % passed", measurement("Version 3 at 10 %", good, LIMITS)))
        course.note(MeasuredNote("version 3 at 50 % is sent back", measurement("Version 3 at 50 %", bad, LIMITS)))
        course.note("the old version serves again")
    return pages[0]
