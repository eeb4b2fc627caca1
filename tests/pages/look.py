"""What holds for every page of ours, looked at in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

WIDTHS = (400, 800, 1400)
SCHEMES = ("light", "dark")
# Of axe-core's four impacts those that keep somebody out.
GRAVE = ("serious", "critical")
_FOUND = """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations.map((one) => (
  {id: one.id, impact: one.impact, help: one.help, nodes: one.nodes.map((node) => node.html.slice(0, 160))}))"""
# What a Tab reaches, as the page itself tells: shown, enabled, and not within what is folded away.
_REACHABLE = """() => {
  const parts = "a[href], button, input, select, textarea, summary, [tabindex='0']";
  const seen = (one) => one.checkVisibility() && !one.disabled;
  return [...document.querySelectorAll(parts)].filter(seen).length;
}"""
_FOCUSED = """() => {
  const one = document.activeElement;
  if (!one || one === document.body) return null;
  const style = getComputedStyle(one);
  window.reached ??= new Set();
  window.reached.add(one);
  return {count: window.reached.size, outline: style.outlineStyle !== "none" || style.boxShadow !== "none"};
}"""


@contextmanager
def visited(browser: Browser, url: str, width: int = 1400, scheme: str = "light") -> Iterator[Page]:
    """A page, in which until the end nothing may go wrong, and which asks nobody but its own server."""
    faults: list[str] = []
    place = urlsplit(url)
    own = (f"{place.scheme}://{place.netloc}", "data:", "blob:")
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, timezone_id="UTC")
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("console", lambda one: faults.append(one.text) if one.type in ("error", "warning") else None)
    page.on("request", lambda one: None if one.url.startswith(own) else faults.append(one.url))
    try:
        answer = page.goto(url)
        page.wait_for_selector("h1")
        if answer is not None and answer.status == 404:  # a page as any other, of which the browser reports that
            faults[:] = [fault for fault in faults if "404" not in fault]
        yield page
    finally:
        context.close()
    if faults:
        raise AssertionError(f"{url}: {'; '.join(faults)}")


def axe_script() -> str:
    """axe-core's own script, as a package of the tests carries it."""
    axe = pytest.importorskip("axe_playwright_python", reason="needs axe-playwright-python, which is in the dev group")
    return (Path(axe.__file__).parent / "axe.min.js").read_text(encoding="utf-8")


def grave_faults(page: Page) -> list[dict[str, Any]]:
    """What axe-core finds that is serious or critical; `axe_script` was evaluated in the page before."""
    return [one for one in page.evaluate(_FOUND) if one["impact"] in GRAVE]


def overflow(page: Page) -> int:
    """By how many pixels the page is wider than the window."""
    return int(page.evaluate("document.documentElement.scrollWidth - window.innerWidth"))


def unreachable(page: Page) -> tuple[int, int]:
    """How many controls a Tab does not reach, and how many of those reached do not show it."""
    wanted, unseen, reached = page.evaluate(_REACHABLE), 0, 0
    for _ in range(wanted + 5):
        page.keyboard.press("Tab")
        focused = page.evaluate(_FOCUSED)
        if focused is not None:
            reached = max(reached, focused["count"])
            unseen += not focused["outline"]
        if reached >= wanted:
            break
    return wanted - reached, unseen
