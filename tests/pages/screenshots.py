"""`make screenshots`: every page in light and dark, from a run and a demonstration of its own, as docs/images."""

from __future__ import annotations

import io
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image
from playwright.sync_api import sync_playwright

from lifeboat.demo.simulation import Simulation
from lifeboat.demo.traffic import Traffic
from lifeboat.usecases.titanic import USECASE
from tests.pages.look import SCHEMES, visited
from tests.pipeline.laptop import Laptop
from tests.server.world import call
from tests.services.kept import eventually

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

IMAGES = Path(__file__).resolve().parents[2] / "docs" / "images"
WIDTH, HEIGHT = 1000, 1000
# The page that leads to the others is shown as narrow and as wide as it is tested, too.
OTHER_WIDTHS = {"home": (400, 1400)}
# Where a picture ends at the latest: with the page, or before a command with the paths of this machine.
_END = """() => document.querySelector("[data-key='registry']")?.getBoundingClientRect().top
  ?? document.documentElement.scrollHeight"""
# Few colours are enough for pages of flat ones, and make a third of the bytes.
COLORS = 96
# Seconds of traffic as the model learned it, and of another world.
CALM, CHANGED = 9.0, 9.0
PATIENCE = 60.0


def main() -> int:
    """Writes the pictures; gives the exit code."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("needs a browser: Debian's package `chromium`", file=sys.stderr)
        return 1
    # A path that a reader of the pictures may look at.
    folder = Path(tempfile.gettempdir()) / "passengers"
    folder.mkdir()
    try:
        laptop = Laptop(folder / ".lifeboat", explainer=True, ui=True)
        try:
            _live(laptop)
            with sync_playwright() as driver:
                args = ["--no-sandbox"] if os.getuid() == 0 else []
                browser = driver.chromium.launch(executable_path=chromium, args=args)
                _shoot_all(browser, _places(laptop))
                browser.close()
        finally:
            laptop.lifeboat("stop")
    finally:
        shutil.rmtree(folder)
    print(f"{sum(path.stat().st_size for path in IMAGES.glob('*.png')) / 1e6:.2f} MB in {IMAGES}")
    return 0


def _live(laptop: Laptop) -> None:
    """A run, a demonstration, and traffic that changes, with its truth."""
    print("a run, which deploys")
    laptop.lifeboat("run")
    print("a demonstration, which takes some minutes")
    laptop.lifeboat("loop")
    settings = laptop.settings
    simulation = Simulation.of(USECASE, settings.s3, laptop.home)
    traffic = Traffic(f"http://127.0.0.1:{settings.port}", 100.0)
    print("traffic")
    traffic.begin(simulation.normal(), truth=True)
    time.sleep(CALM)
    traffic.change(simulation.shifted(), truth=True)
    time.sleep(CHANGED)
    traffic.end()
    drift = f"http://127.0.0.1:{settings.detector_port}/drift"
    eventually(lambda: any(model["alarm"] for model in call(drift).json["models"]), PATIENCE)


def _places(laptop: Laptop) -> dict[str, str]:
    settings = laptop.settings
    home = f"http://127.0.0.1:{settings.ui_port}/"
    [loop] = (laptop.home / "loops").iterdir()
    versions = {name: f"{home}models/titanic/1/{name}.html" for name in ("model-card", "data-profile", "rollout")}
    return {
        "home": home, **versions, "loop": f"{home}loops/{loop.name}/loop.html",
        "drift": f"http://127.0.0.1:{settings.detector_port}/", "model-server": f"http://127.0.0.1:{settings.port}/",
    }  # fmt: skip


def _shoot_all(browser: Browser, places: dict[str, str]) -> None:
    shutil.rmtree(IMAGES, ignore_errors=True)
    IMAGES.mkdir(parents=True)
    for name, url in places.items():
        for scheme in SCHEMES:
            for width in (WIDTH, *OTHER_WIDTHS.get(name, ())):
                with visited(browser, url, width, scheme) as page:
                    ending = "" if width == WIDTH else f"-{width}"
                    _shoot(page, name, width, IMAGES / f"{name}-{scheme}{ending}.png")


def _shoot(page: Page, name: str, width: int, file: Path) -> None:
    """The top of a page, once it shows what it has to show."""
    if name == "model-server":
        page.get_by_role("button", name="Ask").first.click()
    if name == "home":  # labelled rows are counted in the background
        page.locator("body").filter(has_not_text="Being counted").wait_for(timeout=1000 * PATIENCE)
    page.wait_for_timeout(1500)
    clip = {"x": 0, "y": 0, "width": width, "height": min(HEIGHT, page.evaluate(_END))}
    picture = Image.open(io.BytesIO(page.screenshot(clip=clip, full_page=True))).convert("RGB")
    picture.quantize(COLORS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(file, optimize=True)


if __name__ == "__main__":
    raise SystemExit(main())
