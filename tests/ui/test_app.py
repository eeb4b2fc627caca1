"""The home page's server: what it shows, and all that it does not."""

from __future__ import annotations

import html
import re
import shutil
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeboat.pipeline.run_record import LOCK
from lifeboat.registry.registry import Registry
from lifeboat.system.files import holding_lock
from lifeboat.system.pages.look import inline_hash
from lifeboat.ui.app import is_own_host
from lifeboat.ui.home import FRESH_SECONDS
from lifeboat.ui.navigation import with_navigation
from tests.ui.world import CARD, RUN, Home, Page


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory, empty_registry: Path) -> Home:
    """Two versions, of which one is the champion and the other was refused; a run; a demonstration; a secret."""
    made = Home(tmp_path_factory.mktemp("ui"))
    made.path.mkdir()
    shutil.copyfile(empty_registry, made.path / "mlflow.db")
    first = made.register(0.1)
    registry = Registry(made.settings)
    registry.promote(first, expected=None)
    registry.keep_rollout(first, "passed", CARD.format("the first rollout"))
    registry.keep_rollout(first, "passed", CARD.format("the last rollout"))
    made.register(0.2, passed=False, card="<script>alert(1)</script>")
    made.run(verdict={"bundle": first.digest, "criteria": []}, deployment={"version": "1"})
    loop = made.path / "loops" / "tiny-20261128-050316"
    loop.mkdir(parents=True)
    (loop / "loop.html").write_text(CARD.format("the circle"))
    (made.path / "secret.html").write_text("secret")
    (made.path / "runs" / RUN / "secret.html").write_text("secret")
    (made.path / "runs" / "linked-20261128-050110").symlink_to(made.path)
    (made.path / "runs" / RUN / "data-profile.html").symlink_to(made.path / "secret.html")
    return made


@pytest.fixture(scope="module")
def page(home: Home) -> Iterator[Page]:
    with home.shown() as found:
        yield found


def test_the_page_names_versions_with_verdict_alias_and_pages(page: Page) -> None:
    shown = page.get()
    assert (shown.status, shown.headers["content-type"]) == (200, "text/html; charset=utf-8")
    text = html.unescape(re.sub(r"<[^>]+>", " ", shown.text.partition("<main>")[2]))
    assert "Nothing serves" in text
    for words in ("champion", "gate passed", "gate failed", "0.7000, asked: at least 0.8", "deployed version 1"):
        assert words in text
    wanted = {f"/models/tiny/1/{name}.html" for name in ("model-card", "data-profile", "rollout")}
    wanted |= {"/models/tiny/2/model-card.html", f"/runs/{RUN}/model-card.html", f"/runs/{RUN}/run.log"}
    assert wanted <= set(shown.links)


def test_every_link_of_the_page_answers(page: Page) -> None:
    links = [link for link in page.get().links if link.startswith("/")]
    assert len(links) > 7
    assert {link: page.get(link).status for link in links} == dict.fromkeys(links, 200)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/models/tiny/1/rollout.html", "the last rollout"),
        ("/models/tiny/1/model-card.html", "the card"),
        (f"/runs/{RUN}/model-card.html", "of the run"),
        (f"/runs/{RUN}/run.log", "1. preprocess"),
        ("/loops/tiny-20261128-050316/loop.html", "the circle"),
    ],
)
def test_a_file_is_shown_as_it_is(page: Page, path: str, words: str) -> None:
    shown = page.get(path)
    assert shown.status == 200
    assert words in shown.text
    kind = "text/plain" if path.endswith(".log") else "text/html"
    assert shown.headers["content-type"] == f"{kind}; charset=utf-8"


def test_a_page_stands_under_links_to_those_beside_it(page: Page) -> None:
    shown = page.get("/models/tiny/1/data-profile.html")
    assert shown.links == ["/", *(f"/models/tiny/1/{name}.html" for name in ("model-card", "data-profile", "rollout"))]
    assert re.findall(r'href="([^"]+)" aria-current=page', shown.text) == ["/models/tiny/1/data-profile.html"]
    assert "tiny version 1" in shown.text


@pytest.mark.parametrize(
    "path",
    [
        "/secret.html",
        f"/runs/{RUN}/secret.html",
        f"/runs/{RUN}/data-profile.html",  # a link that leads out
        "/runs/linked-20261128-050110/secret.html",
        f"/runs/{RUN}/../../secret.html",
        f"/runs/../runs/{RUN}/model-card.html",
        f"/runs/{RUN}/..%2f..%2fsecret.html",
        "/runs/..%2f/model-card.html",
        "/runs/%2e%2e/secret.html",
        "/runs/./model-card.html",
        "/runs//model-card.html",
        f"/runs/{RUN}/",
        f"/runs/{RUN}/model-card.html/",
        f"/runs/{RUN}/model-card.html%00",
        f"/runs/{RUN}%00/model-card.html",
        "/runs/none-20261128-050110/model-card.html",
        "/models/tiny/3/model-card.html",
        "/models/tiny/01/model-card.html",
        "/models/tiny/2/rollout.html",
        "/models/../tiny/1/model-card.html",
        "/models/tiny/1/..%2f..%2fmlflow.db",
        "/loops/tiny-20261128-050316/run.log",
        "/mlflow.db",
        "/ui/log",
    ],
)
def test_nothing_else_is_shown(page: Page, path: str) -> None:
    shown = page.get(path)
    assert shown.status == 404
    assert "secret" not in shown.text.replace(html.escape(path), "")
    assert shown.links == ["/"]


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
@pytest.mark.parametrize("path", ["/", f"/runs/{RUN}/model-card.html"])
def test_nothing_can_be_sent(page: Page, method: str, path: str) -> None:
    shown = page.get(path, method)
    assert shown.status == 405
    assert "GET" in shown.headers["allow"]


def test_a_body_is_refused(page: Page) -> None:
    assert page.get("/", "GET", **{"Content-Length": "1"}).status == 413


@pytest.mark.parametrize(
    ("host", "status"),
    [("evil.example", 421), ("evil.example:9050", 421), ("127.0.0.1.evil.example", 421), ("localhost:1", 200),
     ("LOCALHOST", 200), ("127.0.0.1", 200), ("[::1]:9050", 200), ("192.0.2.7:80", 200)],
)  # fmt: skip
def test_whoever_does_not_name_this_machine_is_refused(page: Page, host: str, status: int) -> None:
    for path in ("/", f"/runs/{RUN}/model-card.html", "/ready", "/nowhere"):
        wanted = 404 if path == "/nowhere" and status == 200 else status
        assert page.get(path, Host=host).status == wanted, path
    assert page.get("/", "POST", Host=host).status == (405 if status == 200 else 421)
    if status == 421:
        assert "Nothing serves" not in page.get("/", Host=host).text


def test_a_name_that_was_told_us_is_ours_and_no_address_can_be_rebound() -> None:
    assert is_own_host("desk:9050", {"desk"})
    assert not is_own_host("desk.example", {"desk"})
    assert not is_own_host("", {"desk"})
    assert not is_own_host("[::1", {"desk"})


def test_the_policy_lets_nothing_run_or_load_but_what_the_page_has(page: Page) -> None:
    shown = page.get()
    policy = dict(part.strip().split(" ", 1) for part in shown.headers["content-security-policy"].split(";"))
    [style] = re.findall(r"<style>(.*?)</style>", shown.text, re.DOTALL)
    [script] = re.findall(r'<script type="module">(.*?)</script>', shown.text, re.DOTALL)
    assert policy["default-src"] == "'none'"
    assert policy["style-src"] == inline_hash(style)
    assert policy["script-src"] == inline_hash(script)
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"
    assert "style=" not in shown.text.partition("<main>")[2]
    assert shown.headers["x-content-type-options"] == "nosniff"
    assert shown.headers["cross-origin-resource-policy"] == "same-origin"
    assert "access-control-allow-origin" not in shown.headers


def test_a_file_may_run_nothing_whatever_stands_in_it(page: Page) -> None:
    shown = page.get("/models/tiny/2/model-card.html")
    assert "<script>alert(1)</script>" in shown.text
    policy = shown.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert "script" not in policy


def test_what_is_shown_of_others_is_escaped(page: Page, home: Home) -> None:
    evil = "<img src=x onerror=alert(1)>"
    home.run("tiny-20261128-060000-000000", error=evil)
    time.sleep(FRESH_SECONDS + 0.1)
    text = page.get().text
    assert evil not in text
    assert html.escape(evil) in text


def test_a_run_tells_how_it_ended(page: Page, home: Home) -> None:
    criteria = [{"name": "roc_auc", "passed": False, "why": "0.7"}, {"name": "log_loss", "passed": True, "why": "0.4"}]
    home.run("tiny-20261128-070000-000000", verdict={"bundle": "b", "criteria": criteria})
    with_lock = home.path / "runs" / "tiny-20261128-080000-000000"
    with holding_lock(with_lock / LOCK):
        text = page_text(page)
        assert re.search(r"not deployed\s+roc_auc: 0\.7\b", text)
        assert "under way" in text
    assert "no record of its end" in page_text(page)


def page_text(page: Page) -> str:
    time.sleep(FRESH_SECONDS + 0.1)  # readers that come at once see one reading
    return html.unescape(re.sub(r"<[^>]+>", " ", page.get().text.partition("<main>")[2]))


def test_a_registry_that_cannot_be_read_is_said_and_the_rest_is_shown(page: Page, home: Home) -> None:
    database = home.path / "mlflow.db"
    whole = database.read_bytes()
    try:
        database.write_bytes(b"no database at all, but long enough to look like one" * 100)
        text = page_text(page)
        assert "the model registry cannot be read: file is not a database" in text
        assert "deployed version 1" in text
        assert page.get("/models/tiny/1/model-card.html").status == 503
        assert page.get(f"/runs/{RUN}/model-card.html").status == 200
    finally:
        database.write_bytes(whole)
    assert sqlite3.connect(database).execute("SELECT count(*) FROM model_versions").fetchone() == (2,)


def test_an_empty_home_says_how_to_begin(tmp_path: Path) -> None:
    made = Home(tmp_path)
    with made.shown() as page:
        text = page_text(page)
    assert "Nothing serves" in text
    assert "Start with: lifeboat run" in text
    assert "No run yet" in text


def test_links_stand_at_the_body_or_where_there_is_none_at_the_end() -> None:
    found = with_navigation("<!doctype html><title>x</title><h1>x</h1>", "/", "a & b", {"/x?a&b": "<x>"})
    assert found.startswith("<!doctype html><title>x</title>")
    assert "a &amp; b" in found
    assert '<a href="/x?a&amp;b">&lt;x&gt;</a>' in found
    with_body = with_navigation(CARD.format("x"), "/", "x", {})
    assert with_body.index("<style>") < with_body.index("</head>") < with_body.index("<nav") < with_body.index("<h1>")
