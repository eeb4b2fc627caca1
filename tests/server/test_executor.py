"""What Seldon's executor 1.17.1 asked a model server, asked again of ours: `tests/server/executor/recorded.json`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lifeboat.model.bundle import open_bundle
from lifeboat.server.settings import ServerSettings
from tests.server.executor.scenes import Part, Scene, recorded
from tests.server.executor.world import VERSION
from tests.server.world import Running, server

EVERY = [*recorded("seldon"), *recorded("v2")]
# In seconds: IdleConnTimeout of the default transport of Go, which the executor does not change.
GO_KEEPS = 90


@pytest.fixture(scope="module")
def serving(bundle: Path) -> Iterator[Running]:
    with server(bundle, "--model-version", VERSION) as process:
        yield process


@pytest.mark.parametrize("scene", EVERY, ids=lambda scene: f"{scene.protocol}: {scene.name}")
def test_a_request_of_the_executor_is_answered_as_it_was(scene: Scene, serving: Running, bundle: Path) -> None:
    (asked,) = scene.model
    status, body = _send(serving, asked)
    assert status == asked.status == scene.client.status
    expected = asked.about(open_bundle(bundle).digest).answer.encode("latin-1")
    if "binary" in scene.name:
        assert body == expected
    else:
        assert json.loads(body) == json.loads(expected)


def test_what_the_client_gets_is_the_answer_with_some_characters_escaped() -> None:
    for scene in EVERY:
        if "binary" not in scene.name:
            assert json.loads(scene.client.answer) == json.loads(scene.model[0].answer)


def test_the_executors_id_and_not_the_clients_is_in_the_answer_and_in_the_events() -> None:
    """A puid in `meta` is not heard, since the executor always sends the header: clients have to read the answer's."""
    (scene,) = [one for one in EVERY if one.name == "a puid in meta"]
    said = json.loads(scene.client.answer)["meta"]["puid"]
    assert said == scene.model[0].headers["Seldon-Puid"] == scene.events[0].headers["Ce-Requestid"] != "unheard"


def test_an_idle_connection_outlives_the_executors_use_of_it() -> None:
    assert ServerSettings().keep_alive_seconds > GO_KEEPS


def _send(running: Running, part: Part) -> tuple[int, bytes]:
    connection = running.connect()
    connection.putrequest(part.method, part.path, skip_host=True, skip_accept_encoding=True)
    body = part.body.encode("latin-1")
    for name, value in {**part.headers, "Content-Length": str(len(body))}.items():
        connection.putheader(name, value)
    connection.endheaders(body)
    reply = connection.getresponse()
    answer = reply.read()
    connection.close()
    return reply.status, answer
