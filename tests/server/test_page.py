"""The server's page in a real browser: a form that asks, the answer, its reasons, and the command that repeats it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from lifeboat.server.page.words import allowed
from lifeboat.usecase.schema import Column
from tests.detector.world import add_bundle
from tests.explainer.world import explainer
from tests.server.receiver import Receiver
from tests.server.world import ROW, Running, call, server

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright, which is in the dev group")


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (Column("a", "integer"), "a whole number"),
        (Column("a", "integer", minimum=1), "a whole number, 1 or more"),
        (Column("a", "float", maximum=1.5, nullable=True), "a number, 1.5 or less, or nothing"),
        (Column("a", "integer", minimum=1, maximum=2**53), "a whole number, 1 or more"),
        (Column("a", "boolean", nullable=True), "true or false, or nothing"),
        (Column("a", "string", max_length=5, pattern="[A-Z]+"), "a text, at most 5 characters, of the form [A-Z]+"),
        (Column("a", "string", categories=("C", "Q"), nullable=True), "one of C, Q, or nothing"),
        (
            Column("a", "datetime", minimum="2000-01-01", zone="Japan"),
            "a date, or a date and time, 1999-12-31T15:00:00Z or later, in Japan unless it says its own zone",
        ),
    ],
)
def test_what_may_stand_in_a_column_is_said_in_words(column: Column, words: str) -> None:
    assert allowed(column) == words


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def asked(store: Path) -> Iterator[Running]:
    digest = add_bundle(store)
    with (
        explainer(store) as reasons,
        server(store / "bundles" / "tiny" / digest, "--explainer-url", reasons.url) as started,
    ):
        yield started


Visit = Callable[..., "Page"]


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Opens a page; afterwards nothing may have gone wrong in it or been asked of anyone else."""
    faults, contexts = list[str](), list[Any]()

    def open_page(url: str, width: int = 1280, scheme: str = "light") -> Page:
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda message: faults.append(message.text) if "Security Policy" in message.text else None)
        origin = url[: url.index("/", len("http://"))]
        page.on("request", lambda one: None if one.url.startswith((origin, "data:")) else faults.append(one.url))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert faults == []


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_row_is_asked_and_its_answer_has_its_reasons(asked: Running, visit: Visit, path: str) -> None:
    page = visit(asked.url + path)
    page.get_by_label("age", exact=True).fill("40")
    page.get_by_label("port", exact=True).select_option("Q")
    page.get_by_label("alone", exact=True).select_option("")
    page.get_by_role("button", name="Ask").click()
    page.locator("#answer .large").wait_for()
    assert page.locator("#answer .large").inner_text() == "died"
    assert page.locator("#answer .row.chosen").inner_text().split("\n") == ["died", "60.0 %"]
    page.locator("#why .row").first.wait_for()
    lines = page.locator("#why .row").all_inner_texts()
    assert len(lines) == 5
    said = call(asked.url + "/explain", {"jsonData": {**ROW, "age": 40, "port": "Q", "alone": None}}).json
    found = said["meta"]["tags"]["explanation"]
    by_size = sorted(zip(found["columns"], found["contributions"][0], strict=True), key=lambda one: -abs(one[1][0]))
    assert lines[0].split("\n")[0] == by_size[0][0]
    assert lines[0].split("\n")[-1] == f"{'−' if by_size[0][1][0] < 0 else '+'}{abs(100 * by_size[0][1][0]):.1f}"


@pytest.mark.skipif(shutil.which("curl") is None, reason="needs curl")
def test_the_command_that_is_shown_repeats_the_answer(asked: Running, visit: Visit) -> None:
    page = visit(asked.url + "/")
    page.get_by_label("name", exact=True).fill("Ann 'the' <b>$HOME</b> \\ ")
    page.get_by_role("button", name="Ask").click()
    page.locator("#why .row").first.wait_for()
    first, second = page.locator("#curl").inner_text().split("\n\n")
    done = subprocess.run(["bash", "-c", first], capture_output=True, check=True)
    [prediction] = json.loads(done.stdout)["predictions"]
    assert prediction["label"] == page.locator("#answer .large").inner_text()
    done = subprocess.run(["bash", "-c", second], capture_output=True, check=True)
    assert "explanation" in json.loads(done.stdout)["meta"]["tags"]


def test_what_is_wrong_is_said_where_it_is(asked: Running, visit: Visit) -> None:
    page = visit(asked.url + "/")
    page.get_by_label("age", exact=True).fill("400")
    page.get_by_role("button", name="Ask").click()
    # The browser itself refuses what is beyond the field's limits.
    assert page.evaluate("document.querySelector('[data-column=age]').validity.rangeOverflow")
    page.evaluate("document.getElementById('row').noValidate = true")
    page.get_by_role("button", name="Ask").click()
    page.get_by_role("alert").wait_for()
    assert "400 is outside 0 to 120" in page.get_by_role("alert").inner_text()
    assert page.locator(".field.wrong label").all_inner_texts() == ["age"]
    page.get_by_label("age", exact=True).fill("4")
    page.get_by_role("button", name="Ask").click()
    page.locator("#answer .large").wait_for()
    assert page.locator(".field.wrong").count() == 0


def test_what_is_tried_is_no_traffic(store: Path, visit: Visit, receiver: Receiver) -> None:
    digest = add_bundle(store)
    with server(store / "bundles" / "tiny" / digest, "--events-url", receiver.url) as started:
        page = visit(started.url + "/")
        page.get_by_role("button", name="Fill in the example").click()
        page.locator("#answer .large").wait_for()
        assert not page.locator("#why").is_visible()  # nobody explains here
        page.get_by_text("Any request").click()
        for path in page.locator("#path option").all_inner_texts():
            if "feedback" in path:
                continue
            page.get_by_label("Path", exact=True).select_option(path)
            page.get_by_role("button", name="Send").click()
            page.locator("#reply", has_text=re.compile(r"^200 ")).wait_for()
            page.evaluate("document.getElementById('reply').textContent = ''")
        assert started.stop() == 0
    assert receiver.predictions == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 800, 1400])
def test_it_fits_any_screen(asked: Running, visit: Visit, width: int, scheme: str) -> None:
    page = visit(asked.url + "/", width, scheme)
    page.get_by_role("button", name="Fill in the example").click()
    page.locator("#why .row").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_it_is_usable_by_keyboard_alone(asked: Running, visit: Visit) -> None:
    page = visit(asked.url + "/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.column") == "name"
    page.keyboard.press("Enter")
    page.locator("#answer .large").wait_for()


def test_names_are_never_read_as_html(tmp_path: Path) -> None:
    """Whatever a column, a class or a use case is called."""
    from lifeboat.server.page.form import fields
    from lifeboat.usecase.schema import BinaryLabel, Schema

    wild = '"><script>alert(1)</script>'
    schema = Schema((Column(wild, "string", categories=(wild,), description=wild),), BinaryLabel("l", ("a", "b")))
    assert "<script>" not in fields(schema)
