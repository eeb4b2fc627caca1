"""The pages that stay with a run, the model card and the data profile, opened from a file in a real browser."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lifeboat.evaluate.card import model_card
from lifeboat.evaluate.step import evaluate
from lifeboat.preprocess.step import preprocess
from lifeboat.usecase.usecase import Slice
from tests.detector.page_server import CONTRAST
from tests.evaluate.test_card import TRAINING
from tests.evaluate.world import make_bundle, make_usecase, quiet, write_rows
from tests.preprocess import world as prepared

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PAGES = ("card", "profile")
Opener = Callable[..., "Page"]


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One of each, as files."""
    folder = tmp_path_factory.mktemp("pages")
    usecase = make_usecase(slices=(Slice("sex"), Slice("age", edges=(16,))))
    bundle, champion = make_bundle(folder / "b", training=TRAINING), make_bundle(folder / "champion", {"dose": 1.0})
    found = evaluate(usecase, bundle, write_rows(folder / "test.parquet"), champion=champion, say=quiet)
    card = folder / "card.html"
    card.write_text(model_card(found, bundle, usecase, version="7").html, encoding="utf-8")
    made = folder / "preprocessed"
    outputs = prepared.outputs(made)
    table = [row | {"note": "n" * (row["id"] % 17 + 1)} for row in prepared.rows(400)]
    table[0]["dose"], table[1]["sex"] = "900", "x"
    preprocess(prepared.make_usecase(), prepared.write(folder / "rows.csv", table), outputs, say=quiet)
    return {"card": card, "profile": outputs.profile}


@pytest.fixture
def visit(browser: Browser, pages: dict[str, Path]) -> Iterator[Opener]:
    """Opens a page; afterwards it has asked for nothing, and its security policy has refused nothing."""
    contexts, faults = [], []

    def open_page(name: str, width: int = 1400, scheme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: faults.append(message.text))
        page.on("request", lambda one: None if one.url.startswith("file:") else faults.append(one.url))
        page.goto(pages[name].as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


@pytest.mark.parametrize("width", [400, 800, 1400])
@pytest.mark.parametrize("name", PAGES)
def test_no_width_needs_a_sideways_scroll(visit: Opener, name: str, width: int) -> None:
    assert visit(name, width).evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_it_is_readable_in_light_and_dark(visit: Opener, name: str, scheme: str) -> None:
    page = visit(name, scheme=scheme)
    # The numbers of a confusion matrix stand on its own colours.
    page.evaluate("document.querySelectorAll('[aria-label=\"Confusion matrix\"]').forEach(one => one.remove())")
    assert page.evaluate(CONTRAST) >= 4.5
    red = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert (red < 60) if scheme == "dark" else (red > 200)


def test_the_colours_of_plots_follow_the_page(visit: Opener) -> None:
    """Text and bars alike, whatever matplotlib wrote."""
    fills = {}
    for scheme in ("light", "dark"):
        page = visit("card", scheme=scheme)
        plot = page.locator("svg[aria-label='Permutation importance']")
        fills[scheme] = plot.locator("text").first.evaluate("one => getComputedStyle(one).fill")
        assert plot.locator("text", has_text="skill").count() == 1
    assert fills["light"] != fills["dark"]


@pytest.mark.parametrize("name", PAGES)
def test_every_chart_says_what_it_is_and_has_numbers_on_its_axes(visit: Opener, name: str) -> None:
    page = visit(name)
    charts = page.locator("svg[role=img]").evaluate_all(
        "all => all.map(one => [one.getAttribute('aria-label'), one.getBoundingClientRect().height,"
        " [...one.querySelectorAll('text')].map(text => text.textContent)])"
    )
    assert len(charts) == (12 if name == "card" else 6)
    for label, height, texts in charts:
        assert label
        assert height > 50
        assert sum(any(sign.isdigit() for sign in text) for text in texts) >= 2, (label, texts)


def test_tables_that_are_wide_are_reached_by_the_keyboard(visit: Opener) -> None:
    page = visit("card", 400)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')") == "Gate"
    assert page.locator(".scroll:not([tabindex='0'])").count() == 0


def test_the_profile_says_why_rows_are_in_quarantine_and_how_the_sides_differ(visit: Opener) -> None:
    page = visit("profile")
    words = page.inner_text("body")
    for said in (
        "is outside 0 to 100",
        "keeps rows together",
        "stability index",
        "Spearman",
        "Training and held-out rows",
    ):
        assert said in words
    assert page.locator("rect.train").count() == page.locator("rect.held").count() > 20
    # A number with the label, two classes: by V, without a sign.
    assert page.locator(".matrix tr", has_text="dose").last.locator("td").last.inner_text().strip() == "0.00"


@pytest.mark.parametrize("width", [400, 800])
@pytest.mark.parametrize("name", PAGES)
def test_no_word_is_broken_for_want_of_room(visit: Opener, name: str, width: int) -> None:
    """A column that is too narrow is scrolled to; none becomes a column of letters."""
    heights = (
        visit(name, width)
        .locator("td, th")
        .evaluate_all("all => all.map(one => [one.textContent, one.getBoundingClientRect().height])")
    )
    assert [text for text, height in heights if height > 150] == []
