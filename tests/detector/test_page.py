"""The detector's page in a real browser, served as the detector serves it, under the same security policy."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.detector import page_state as made
from tests.detector.page_server import CONTRAST, Detector
from tests.detector.page_state import STATES
from tests.slow import first_of

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which is in the dev group")


@pytest.fixture
def detector() -> Iterator[Detector]:
    with Detector() as running:
        yield running


Opener = Callable[..., "Page"]


@pytest.fixture
def faults() -> list[str]:
    return []


@pytest.fixture
def visit(browser: Browser, detector: Detector, faults: list[str]) -> Iterator[Opener]:
    """Opens the page; afterwards nothing may have gone wrong in it or been asked of anyone else."""
    contexts = []

    def open_page(width: int = 1280, scheme: str = "light", before: Callable[[Page], None] | None = None) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            timezone_id="UTC",
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console", lambda message: faults.append(message.text) if message.type in ("error", "warning") else None
        )
        page.on("request", lambda one: None if one.url.startswith((detector.url, "data:")) else faults.append(one.url))
        if before:
            before(page)
        page.goto(detector.url)
        page.wait_for_selector("h1")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


def expect(page: Page, selector: str, words: str) -> None:
    playwright.expect(page.locator(selector)).to_contain_text(words, timeout=15_000)


@pytest.mark.parametrize("name", STATES)
def test_the_headline_says_the_verdict(visit: Opener, detector: Detector, name: str) -> None:
    detector.state, words = STATES[name]
    page = visit()
    assert page.inner_text("h1") == words
    assert page.title() == f"{words} · Lifeboat"


def test_a_failed_judge_gives_its_reason(visit: Opener, detector: Detector) -> None:
    detector.state = STATES["judge failed"][0]
    assert "no module named alibi_detect" in visit().inner_text("main")


def test_what_else_is_wrong_stands_above_the_charts(visit: Opener, detector: Detector) -> None:
    model = made.model(10, online={"alarm": True, "rows": 5400})
    detector.state = made.state(model, problems=["bundle 9f2c is not in the store"])
    words = visit().inner_text("main")
    assert words.index("bundle 9f2c is not in the store") < words.index("Live performance")
    assert "Online detector: the score has shifted within the last 200 rows." in words


def test_a_failed_window_gives_its_reason(visit: Opener, detector: Detector) -> None:
    detector.state = made.state(made.model(5))
    failed = {"state": "failed", "reason": "no reference", "p_values": {}, "threshold": None, "drift": False}
    detector.state["models"][0]["windows"][2] |= failed
    page = visit()
    expect(page, "[aria-label='Newest windows'] tr:nth-child(3)", "not judged: no reference")
    assert page.locator(".column").count() == 5


def test_what_is_not_there_is_said_in_words(visit: Opener, detector: Detector) -> None:
    detector.state = made.state(made.model(0))
    words = visit().inner_text("main")
    for empty in ("No truth has come back yet", "nothing to compare", "No p-value yet", "No window has closed yet"):
        assert empty in words


def test_of_few_rows_a_share_is_a_count_and_no_percentage(visit: Opener, detector: Detector) -> None:
    five = {"rows": 5, "accuracy": 0.8, "log_loss": 0.61, "calibration_error": 0.2, "bound": 0.9}
    history = [{"time": made.NOW - 10, "rows": 5, "accuracy": 0.8, "log_loss": 0.61}]
    detector.state = made.state(made.model(live=made.model()["live"] | five, history=history))
    page = visit()
    live = page.inner_text("[data-key='Live performance']")
    assert "4 of 5" in live
    assert "Too few rows to judge by: from 100 on" in live
    assert "%" not in live
    assert page.locator("[data-key='Live performance'] figure").count() == 0
    # Nor is four of five below a bound of 90 %.
    assert page.inner_text("h1") == "No drift"
    page.locator("[data-key='live'] summary").click()
    assert "4 of 5" in page.inner_text("[aria-label='Live performance over time']")
    hundred = {"rows": 100, "accuracy": 0.8}
    detector.state["models"][0]["live"] |= hundred
    expect(page, "[data-key='Live performance']", "80.0%")
    expect(page, "h1", "No drift, but live accuracy is below its bound")


def test_it_leads_home_and_to_the_models_other_pages(visit: Opener, detector: Detector) -> None:
    detector.home = "http://127.0.0.1:9050"
    detector.state = made.state(made.model(version="3/é"))
    links = visit().locator("header a, .identity a").evaluate_all("all => all.map(one => one.getAttribute('href'))")
    place = "http://127.0.0.1:9050/models/titanic/3%2F%C3%A9"
    pages = [f"{place}/{name}" for name in ("model-card.html", "data-profile.html", "rollout.html")]
    assert links == ["http://127.0.0.1:9050/", *pages]


def test_without_a_home_there_is_no_link(visit: Opener) -> None:
    assert visit().locator("header a, .identity a").count() == 0


def test_features_stand_by_their_p_values_with_their_facts(visit: Opener, detector: Detector) -> None:
    detector.state = made.state(made.model(30, 5))
    page = visit()
    p_values = {one["name"]: one["p_value"] for one in detector.state["models"][0]["latest"]["features"]}
    assert page.locator(".card .feature").all_inner_texts() == sorted(p_values, key=p_values.__getitem__)
    age = page.locator("[data-key='Age']").inner_text()
    for fact in (
        "p <0.0001",
        "below the threshold 0.0037",
        "Wasserstein 0.31",
        "20% in the reference, 21% now",
        "drift",
    ):
        assert fact in age
    assert page.locator("[data-key='Age'] svg").first.locator("rect.recent").count() == 8


def test_every_chart_has_a_sentence_and_a_table(visit: Opener, detector: Detector) -> None:
    detector.state = made.state(made.model(30, 5))
    page = visit()
    labels = page.locator("main svg").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert len(labels) == 10 * 2 + 2 + 1
    assert all(labels)
    features = detector.state["models"][0]["latest"]["features"]
    several = sum(len(feature["tests"]) > 1 for feature in features)
    assert several > 0
    assert page.locator("details table").count() == 10 + several + 1 + 1 + 1


def test_it_follows_the_detector_and_keeps_what_the_reader_opened(visit: Opener, detector: Detector) -> None:
    page = visit()
    page.locator("[data-key='Age'] summary").click()
    page.evaluate("window.same = document.querySelector('[data-key=Age]')")
    detector.state = made.state(made.model(30, 5))
    expect(page, "h1", "Drift: Fare, Age, score")
    assert page.locator("[data-key='Age'] table").is_visible()
    assert page.evaluate("window.same === document.querySelector('[data-key=Age]')")
    assert page.locator(".card .feature").first.inner_text() == "Fare"


@pytest.mark.slow
def test_a_detector_that_went_away_is_told_and_its_return_seen(
    visit: Opener, detector: Detector, faults: list[str]
) -> None:
    page = visit()
    assert page.locator("#stale").is_hidden()
    detector.__exit__()
    expect(page, "#stale", "The detector does not answer (no connection). What you see is from")
    assert page.inner_text("h1") == "No drift"
    detector.state = made.state(made.model(30, 5))
    detector.__enter__()
    expect(page, "h1", "Drift")
    assert page.locator("#stale").is_hidden()
    detector.status = 503
    expect(page, "#stale", "status 503")
    # The browser itself writes a line for each refused request.
    assert any("ERR_CONNECTION_REFUSED" in fault for fault in faults)
    faults[:] = [fault for fault in faults if not fault.startswith("Failed to load resource")]


def test_it_asks_nothing_while_nobody_sees_it(visit: Opener, detector: Detector) -> None:
    page = visit(before=lambda page: page.clock.install())
    hide = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true})"
    page.evaluate(f"{hide % 'true'}; document.dispatchEvent(new Event('visibilitychange'))")
    asked = detector.asked
    page.clock.run_for(60_000)
    assert detector.asked == asked
    detector.state = made.state(made.model(30, 5))
    page.evaluate(f"{hide % 'false'}; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page, "h1", "Drift")


def test_the_active_model_comes_first_and_another_can_be_chosen(visit: Opener, detector: Detector) -> None:
    silent = made.model(4, 3, version="2", digest="77aa", active=False)
    detector.state = made.state(silent, made.model())
    page = visit()
    assert page.inner_text("h1") == "No drift"
    page.get_by_label("Model").select_option("titanic 2 (silent), drift")
    expect(page, "h1", "Drift")
    assert "silent: no recent prediction" in page.inner_text("main")
    page.reload()
    expect(page, "h1", "Drift")


def test_names_and_reasons_are_never_read_as_html(visit: Opener, detector: Detector) -> None:
    evil = '<img src=x onerror="window.hit=1"></script><script>window.hit=1</script>'
    text = json.dumps(made.state(made.model(30, 5, version=evil, digest=evil)))
    detector.state = json.loads(text.replace('"Age"', json.dumps(evil)).replace('"under 10"', json.dumps(evil)))
    detector.state |= {"judge": {"state": "failed", "reason": evil}}
    detector.state["events"]["refused"] = {evil: 1, "__proto__": 2}
    page = visit()
    assert evil in page.inner_text("h1")
    assert page.inner_text("main").count(evil) >= 4
    assert page.locator("main img, main script").count() == 0
    assert page.evaluate("window.hit") is None


@pytest.mark.parametrize("name", first_of(sorted(STATES, key="alarm".__ne__), 2))
def test_a_narrow_screen_needs_no_sideways_scroll(visit: Opener, detector: Detector, name: str) -> None:
    detector.state = STATES[name][0]
    page = visit(width=400)
    page.locator("summary").evaluate_all("all => all.forEach(one => one.parentElement.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


def test_a_long_name_needs_no_sideways_scroll(visit: Opener, detector: Detector) -> None:
    text = json.dumps(made.state(made.model(30, 5, digest="9" * 64, version="v" * 60)))
    detector.state = json.loads(text.replace('"Age"', f'"{"Age" * 40}"'))
    assert visit(width=400).evaluate("document.documentElement.scrollWidth") <= 400


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", first_of(sorted(STATES, key="alarm".__ne__), 2))
def test_it_is_readable_in_light_and_dark(
    visit: Opener, detector: Detector, tmp_path: Path, scheme: str, name: str
) -> None:
    detector.state = STATES[name][0]
    page = visit(scheme=scheme)
    page.screenshot(path=tmp_path / f"{scheme}.png", full_page=True)
    assert page.evaluate(CONTRAST) >= 4.5
    red = page.evaluate("Number(getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0])")
    assert (red < 60) if scheme == "dark" else (red > 200)
