"""A home made by hand, and its page as the process that a run starts."""

from __future__ import annotations

import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from lifeboat.config.settings import NO_DETECTOR, Settings
from lifeboat.pipeline.run_record import recording
from lifeboat.registry.registry import Registry
from lifeboat.registry.versions import Version
from lifeboat.services.home_page import ensure_home_page, home_page_service
from tests.ports import free_port
from tests.registry.world import METRICS, make_bundle, verdict

CARD = "<!doctype html><html lang='en'><head><title>card</title></head><body class='x'><h1>{}</h1></body></html>"
RUN = "tiny-20261128-050110-798339"


@dataclass(frozen=True)
class Shown:
    """An answer of the page's server."""

    status: int
    headers: dict[str, str]
    text: str

    @property
    def links(self) -> list[str]:
        """Those that lead somewhere; the icon's picture does not."""
        return [link for link in re.findall(r'href="([^"#]+)', self.text) if not link.startswith("data:")]


class Home:
    """A home in a folder.

    Args:
        folder: of it, not there yet.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "home"
        self.settings = Settings(
            home=str(self.path), detector_python=NO_DETECTOR, explainer=False, ui_port=free_port()
        ).resolved()
        self._made = folder / "made"

    def register(self, bias: float, *, passed: bool = True, card: str = "the card") -> Version:
        """A version with its pages."""
        bundle = make_bundle(self._made / f"bundle-{bias}", bias)
        reports = self._made / f"reports-{bias}"
        reports.mkdir(parents=True)
        for name in ("model-card.html", "data-profile.html"):
            (reports / name).write_text(CARD.format(card))
        return Registry(self.settings).register(bundle, verdict(bundle, passed=passed), METRICS, reports)

    def run(self, name: str = RUN, *, error: str = "", **outcome: object) -> Path:
        """A run's folder with a record and a card."""
        folder = self.path / "runs" / name
        folder.mkdir(parents=True)
        (folder / "run.log").write_text("1. preprocess\n")
        (folder / "model-card.html").write_text(CARD.format("of the run"))
        with recording(folder) as record:
            for key, value in {"error": error, **outcome}.items():
                setattr(record, key, value)
        return folder

    @contextmanager
    def shown(self) -> Iterator[Page]:
        """Its page, ended afterwards."""
        try:
            yield Page(ensure_home_page(self.settings, print))
        finally:
            home_page_service(self.settings).daemon().stop()


@dataclass(frozen=True)
class Page:
    """The page's server.

    Args:
        url: of the page.
    """

    url: str

    def get(self, path: str = "/", method: str = "GET", **headers: str) -> Shown:
        """Asks as it stands: no path is made shorter on the way."""
        address = urlsplit(self.url).netloc
        connection = http.client.HTTPConnection(address, timeout=20)
        try:
            connection.putrequest(method, path, skip_host="Host" in headers)
            for name, value in headers.items():
                connection.putheader(name, value)
            connection.endheaders()
            found = connection.getresponse()
            text = found.read().decode()
        finally:
            connection.close()
        return Shown(found.status, {name.lower(): value for name, value in found.getheaders()}, text)
