"""The tests of pages find what they look for, on pages that are wrong on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.pages.look import axe_script, grave_faults, overflow, unreachable, visited

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PAGE = "<!doctype html><html lang=en><title>page</title><body>{}<main><h1>A page</h1>{}</main></body></html>"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "page.html"


def url(written: Path, main: str, style: str = "") -> str:
    written.write_text(PAGE.format(style, main))
    return written.as_uri()


def test_a_page_that_is_well_has_no_fault(browser: Browser, written: Path) -> None:
    with visited(browser, url(written, "<p><a href='#x'>a link</a> in words</p><button>Ask</button>")) as page:
        page.evaluate(axe_script())
        assert (grave_faults(page), overflow(page) <= 0, unreachable(page)) == ([], True, (0, 0))


@pytest.mark.parametrize(
    ("main", "fault"),
    [
        ("<button></button>", "button-name"),
        ("<p style='color: #aaa; background: #fff'>pale</p>", "color-contrast"),
        ("<img src='data:image/gif;base64,R0lGODlhAQABAAAAACw='>", "image-alt"),
        (
            "<div style='height: 2em; overflow: auto'><p style='height: 9em'>long</p></div>",
            "scrollable-region-focusable",
        ),
    ],
)
def test_what_keeps_somebody_out_is_found(browser: Browser, written: Path, main: str, fault: str) -> None:
    with visited(browser, url(written, main)) as page:
        page.evaluate(axe_script())
        assert [one["id"] for one in grave_faults(page)] == [fault]


def test_what_is_too_wide_is_found(browser: Browser, written: Path) -> None:
    with visited(browser, url(written, "<div style='width: 500px'>wide</div>"), width=400) as page:
        assert overflow(page) > 90


def test_what_no_key_reaches_or_shows_is_found(browser: Browser, written: Path) -> None:
    trap = "<button>one</button><button tabindex=-1>two</button>"
    with visited(browser, url(written, trap)) as page:
        assert unreachable(page) == (1, 0)
    hidden = "<style>button:focus { outline: none; }</style>"
    with visited(browser, url(written, "<button>one</button>", hidden)) as page:
        assert unreachable(page)[1] > 0


@pytest.mark.parametrize("script", ["console.error('it broke')", "undefined.x", "fetch('http://127.0.0.1:9/')"])
def test_what_goes_wrong_in_a_page_is_found(browser: Browser, written: Path, script: str) -> None:
    with (
        pytest.raises(AssertionError, match=r"it broke|undefined|127\.0\.0\.1:9"),
        visited(browser, url(written, f"<script>{script}</script>")) as page,
    ):
        page.wait_for_timeout(300)
