"""Each page at three widths, light and dark: whole, readable, for everybody, and two clicks from the home page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urljoin, urlsplit

import pytest

from lifeboat.system.http_request import ask
from tests.pages.look import SCHEMES, WIDTHS, axe_script, grave_faults, overflow, unreachable, visited
from tests.pages.site import LOOP, PAGES, Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# Of a run of their own.
pytestmark = pytest.mark.slow
each = pytest.mark.parametrize("name", PAGES)


@each
def test_it_fits_and_nobody_is_kept_out(browser: Browser, site: Site, name: str) -> None:
    with visited(browser, PAGES[name](site)) as page:
        page.evaluate(axe_script())
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            # Colours are the same at each width.
            for scheme in SCHEMES if width == WIDTHS[0] else SCHEMES[:1]:
                page.emulate_media(color_scheme=scheme)
                page.wait_for_timeout(100)
                assert overflow(page) <= 0, (width, scheme)
                assert grave_faults(page) == [], (width, scheme)


@each
def test_every_control_is_reached_by_the_keyboard_and_shows_it(browser: Browser, site: Site, name: str) -> None:
    with visited(browser, PAGES[name](site), width=800) as page:
        assert unreachable(page) == (0, 0)


@each
def test_it_says_what_it_is_in_either_light(browser: Browser, site: Site, name: str) -> None:
    for scheme in SCHEMES:
        with visited(browser, PAGES[name](site), scheme=scheme) as page:
            assert page.title().strip()
            assert page.locator("h1").count() == 1
            assert page.evaluate("document.documentElement.lang") == "en"
            ground = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)")
            assert (max(ground[:3]) < 90) == (scheme == "dark"), ground


def links(page: Page) -> set[str]:
    """Where its links lead, without the place within a page."""
    found = page.locator("a[href]").evaluate_all("all => all.map(one => one.href)")
    return {link.partition("#")[0] for link in found}


def clicked(browser: Browser, start: str, times: int) -> Iterator[tuple[int, str]]:
    """Every address within so many clicks, with how many it takes."""
    known, newest = {start}, {start}
    yield 0, start
    for clicks in range(1, times + 1):
        reached: set[str] = set()
        for address in sorted(newest):
            if address.endswith((".log", ".json")):
                continue
            with visited(browser, address) as page:
                reached |= {urljoin(address, link) for link in links(page)} - known
        for address in sorted(reached):
            yield clicks, address
        known |= reached
        newest = reached


def test_the_first_address_that_a_run_prints_at_its_end_is_the_home_page(site: Site) -> None:
    [line] = [line for line in site.said.splitlines() if site.home in line]
    assert line.split()[:2] == ["open", site.home]
    assert urlsplit(site.home).port == site.laptop.settings.ui_port


def test_every_link_of_the_home_page_answers_200(browser: Browser, site: Site) -> None:
    with visited(browser, site.home) as page:
        found = links(page)
    assert len(found) > 8
    assert {link: ask(link).status for link in found} == dict.fromkeys(found, 200)


def test_every_page_is_within_two_clicks(browser: Browser, site: Site) -> None:
    reached = {address: clicks for clicks, address in clicked(browser, site.home, 2)}
    run = site.laptop.last_run.name
    wanted = {
        site.drift, site.server, site.version("model-card"), site.version("data-profile"), site.version("rollout"),
        f"{site.home}loops/{LOOP}/loop.html", f"{site.home}runs/{run}/model-card.html",
        f"{site.home}runs/{run}/data-profile.html", f"{site.home}runs/{run}/rollout.html",
        f"{site.home}runs/{run}/run.log",
    }  # fmt: skip
    assert {page: reached.get(page) for page in wanted} == dict.fromkeys(wanted, 1)
    assert max(reached.values()) <= 2
    own = {address for address in reached if urlsplit(address).hostname == "127.0.0.1"}
    assert {address: ask(address).status for address in own} == dict.fromkeys(own, 200)


def test_every_page_leads_home(browser: Browser, site: Site) -> None:
    pages = ["model-card", "data-profile", "rollout"]
    places = [site.drift, site.server, *map(site.version, pages), f"{site.home}loops/{LOOP}/loop.html"]
    for place in places:
        with visited(browser, place) as page:
            assert site.home in links(page), place


def test_a_versions_pages_lead_to_one_another(browser: Browser, site: Site) -> None:
    pages = {site.version(name) for name in ("model-card", "data-profile", "rollout")}
    for place in (*pages, site.drift):
        with visited(browser, place) as page:
            page.wait_for_selector("a[href*='model-card.html']")
            assert pages <= links(page), place
            assert place == site.drift or site.drift in links(page), place


def test_the_home_page_follows_what_happens_and_keeps_what_a_reader_opened(browser: Browser, site: Site) -> None:
    with visited(browser, site.home) as page:
        page.evaluate("window.same = document.querySelector('section.model')")
        predictions = page.locator(".tile", has_text="Predictions").locator("strong")
        before = int(predictions.inner_text().replace(",", ""))
        site.laptop.lifeboat("predict", "Pclass=1", "Sex=female", "Name=Doe", "SibSp=0", "Parch=0")
        # Not by `wait_for_function`: it asks again by eval, which the page's policy forbids.
        predictions.filter(has_not_text=re.compile(rf"^{before:,}$")).wait_for(timeout=15_000)
        assert int(predictions.inner_text().replace(",", "")) > before
        assert page.evaluate("window.same === document.querySelector('section.model')")
        assert re.search(r"As of \d\d:\d\d:\d\d", page.inner_text("#freshness"))
