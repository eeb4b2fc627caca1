"""Who may ask the trigger, and what it refuses; one process for all of it."""

from __future__ import annotations

import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.trigger.world import Trigger, World, alert, webhook


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("http"))


@pytest.fixture(scope="module")
def trigger(world: World) -> Iterator[Trigger]:
    with world.trigger(max_body=4096, request_seconds=0.4, model="theirs") as running:
        yield running


def test_live_ready_and_an_empty_list(trigger: Trigger) -> None:
    assert trigger.ask("GET", "/live", headers={})[:2] == (200, {"live": True})
    assert trigger.ask("GET", "/ready", headers={})[:2] == (200, {"ready": True, "reason": ""})
    assert trigger.shown["runs"] == trigger.shown["requests"] == []


def test_every_series_is_there_from_the_start(trigger: Trigger) -> None:
    for result in ("started", "duplicate", "cooldown", "limit", "busy", "failed"):
        assert trigger.metric("requests_total", result=result) == 0
    for result in ("unauthorized", "ignored"):
        assert trigger.metric("requests_total", result=result) >= 0
    for result in ("succeeded", "failed"):
        assert trigger.metric("runs_total", result=result) == 0
    for name in ("running", "last_start_timestamp_seconds", "last_success_timestamp_seconds"):
        assert trigger.metric(name) == 0


def test_the_runs_are_shown_to_those_with_the_token_and_the_probes_to_everybody(trigger: Trigger) -> None:
    def given(authorization: str | None) -> tuple[int, str | None]:
        headers = {} if authorization is None else {"Authorization": authorization}
        status, answer, sent = trigger.ask("GET", "/runs", headers=headers)
        assert ("runs" in answer) == (status == 200)
        return status, sent.get("www-authenticate")

    def basic(pair: str) -> str:
        return f"Basic {b64encode(pair.encode()).decode()}"

    asked = 401, 'Basic realm="Lifeboat retrain trigger"'
    for wrong in (None, "", "Basic", "Basic =", "Bearer wrong", basic(trigger.token), basic(f"{trigger.token}:"),
                  basic("me:wrong"), basic(f"me:{trigger.token}x"), f"Basic {trigger.token}"):  # fmt: skip
        assert given(wrong) == asked
    for right in (f"Bearer {trigger.token}", basic(f":{trigger.token}"), basic(f"me:{trigger.token}")):
        assert given(right) == (200, None)
    # Only to read: a browser would send the password along with any page's form.
    assert trigger.ask("POST", "/retrain", b"{}", {"Authorization": basic(f":{trigger.token}")})[0] == 401
    for path in ("/live", "/ready", "/metrics"):
        assert trigger.ask("GET", path, headers={})[0] == 200


@pytest.mark.parametrize("path", ["/alerts", "/retrain"])
@pytest.mark.parametrize(
    "given", [None, "", "Bearer", "Bearer ", "Bearer wrong", "Basic {}", "{}", "Bearer {}x", "Bearer é"]
)
def test_without_the_token_nothing_is_read(trigger: Trigger, path: str, given: str | None) -> None:
    before = trigger.metric("requests_total", result="unauthorized")
    headers = {} if given is None else {"Authorization": given.format(trigger.token)}
    status, answer, sent = trigger.ask("POST", path, b"no JSON", headers)
    assert (status, answer) == (401, {"error": "missing or wrong token"})
    assert sent["www-authenticate"] == "Bearer"
    assert trigger.metric("requests_total", result="unauthorized") == before + 1


def test_what_is_no_webhook_is_refused_by_field(trigger: Trigger) -> None:
    assert trigger.ask("POST", "/alerts", webhook(groupKey=7))[:2] == (400, {"error": "groupKey is missing or no text"})
    assert trigger.ask("POST", "/retrain", b'{"now": true}')[:2] == (400, {"error": "reason is missing or no text"})
    status, answer, _ = trigger.ask("POST", "/retrain", b'{"reason": "r", "now": 1}')
    assert (status, answer) == (400, {"error": "now is not true or false"})
    status, answer, _ = trigger.ask("POST", "/retrain", b'{"reason": "by {{workflow.name}}"}')
    assert (status, answer["error"].partition(",")[0]) == (400, "reason holds {{")
    assert trigger.runs == []


def test_a_body_that_is_too_long_is_refused(trigger: Trigger) -> None:
    body = webhook(padding="x" * 5000)
    assert trigger.ask("POST", "/alerts", body)[:2] == (
        413,
        {"error": f"the body has {len(body)} bytes, the limit is 4096"},
    )
    headers = {"Authorization": f"Bearer {trigger.token}", "Transfer-Encoding": "chunked"}
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    assert trigger.ask("POST", "/alerts", chunk + chunk + b"0\r\n\r\n", headers)[0] == 413


def test_wrong_type_path_and_method(trigger: Trigger) -> None:
    headers = {"Authorization": f"Bearer {trigger.token}", "Content-Type": "text/plain"}
    assert trigger.ask("POST", "/alerts", webhook(), headers)[0] == 415
    assert trigger.ask("GET", "/nothing")[:2] == (404, {"error": "there is nothing at /nothing"})
    assert trigger.ask("GET", "/alerts")[:2] == (405, {"error": "GET is not allowed here, only OPTIONS, POST"})


def raw(trigger: Trigger, content: bytes) -> tuple[bytes, float]:
    """What comes back for a request that stays unfinished, and after how long."""
    place, start = urlsplit(trigger.url), time.monotonic()
    with socket.create_connection((str(place.hostname), place.port), timeout=10) as connection:
        connection.sendall(content)
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    return answer, time.monotonic() - start


def test_a_body_that_does_not_come_is_given_up(trigger: Trigger) -> None:
    head = f"POST /alerts HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {trigger.token}\r\nContent-Length: 99\r\n\r\n"
    answer, seconds = raw(trigger, head.encode() + b"{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert seconds < 5


def test_headers_that_do_not_come_are_given_up(trigger: Trigger) -> None:
    answer, seconds = raw(trigger, b"POST /alerts HTTP/1.1\r\nHost")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert seconds < 5


def test_a_client_that_vanishes_does_no_harm(trigger: Trigger) -> None:
    place = urlsplit(trigger.url)
    for _ in range(20):
        with socket.create_connection((str(place.hostname), place.port)) as connection:
            connection.sendall(b"POST /alerts HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    assert trigger.ask("GET", "/live")[0] == 200


def test_an_alert_that_does_not_ask_is_ignored(trigger: Trigger) -> None:
    before = trigger.metric("requests_total", result="ignored")
    for other in (alert(), alert(model="theirs", status="resolved"), alert(model="theirs", action="")):
        assert trigger.post(other) == (200, "ignored")
    assert trigger.metric("requests_total", result="ignored") == before + 3
    assert trigger.runs == trigger.shown["requests"] == []


def test_the_token_is_the_users_alone_and_in_no_log(trigger: Trigger, world: World) -> None:
    assert trigger.token_file == world.home / "trigger" / "token"
    assert trigger.token_file.stat().st_mode & 0o777 == 0o600
    assert len(trigger.token) >= 32
    logged = trigger.errors.read_text()
    assert "refused: missing or wrong token" in logged
    assert trigger.token not in logged + trigger.said
    assert "Traceback" not in logged


def test_a_second_trigger_in_one_home_is_refused(trigger: Trigger, world: World) -> None:
    second = world.trigger()
    assert second.process.wait(20) == 1
    assert f"lifeboat: another trigger is already running for {world.home}/trigger\n" in second.errors.read_text()
    assert trigger.ask("GET", "/live")[0] == 200
