"""Each page at three widths, light and dark: whole, readable, and for everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.pages.look import SCHEMES, WIDTHS, axe_script, grave_faults, overflow, unreachable, visited
from tests.pages.site import PAGES, Site

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# Every page at each width, and a run of its own: the links, in the file beside, are looked at each time.
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
