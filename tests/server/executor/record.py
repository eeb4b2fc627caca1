"""Records again what Seldon's executor sends: `TEST_SELDON_EXECUTOR=… python -m tests.server.executor.record`."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import replace
from http.client import HTTPConnection
from pathlib import Path

from tests.detector.world import add_bundle, detector
from tests.server.executor import rpc
from tests.server.executor.scenes import DIGEST, SCENES, Part, Scene, write
from tests.server.executor.world import BINARY, VERSION, Heard, Recorder, executor, recorder
from tests.server.world import server

# Said anew for each connection, or by the client's library.
LEFT_OUT = ("Content-Length", "Uber-Trace-Id", "Traceparent", "Ce-Traceparent", "Date")


def record(folder: Path) -> list[Scene]:
    """Plays all scenes through an executor between a client, a model server and a detector."""
    done = []
    digest = add_bundle(folder / "store")
    bundle = folder / "store" / "bundles" / "tiny" / digest
    for protocol in ("seldon", "v2"):
        with (
            detector(folder / "store", folder / protocol / "drift.db") as drift,
            server(bundle, "--model-version", VERSION) as serving,
            recorder(serving.port) as model,
            recorder(drift.port) as events,
            executor(model.port, f"http://127.0.0.1:{events.port}/", protocol) as between,
        ):
            known = {digest: DIGEST, f":{model.port}": ":9000", f":{between.port}": ":8000", f":{events.port}": ":9010"}
            scenes = [scene for scene in SCENES if scene.protocol == protocol]
            done += [_play(scene, between.port, model, events, known) for scene in scenes]
    return done


def _play(scene: Scene, port: int, model: Recorder, events: Recorder, known: dict[str, str]) -> Scene:
    model.heard.clear()
    events.heard.clear()
    asked = scene.client
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(asked.method, asked.path, asked.body.encode() or None, asked.headers)
    reply = connection.getresponse()
    answer = reply.read()
    connection.close()
    time.sleep(0.5)  # whatever is to be logged is logged by then
    heard = sorted(events.heard, key=lambda one: dict(one.headers).get("Ce-Type", ""))
    client = replace(asked, status=reply.status, answer=_text(answer, known))
    parts = [tuple(_part(one, known) for one in found) for found in (model.heard, heard)]
    return replace(scene, client=client, model=parts[0], events=parts[1])


def _part(heard: Heard, known: dict[str, str]) -> Part:
    headers = {name: _text(value.encode(), known) for name, value in heard.headers if name not in LEFT_OUT}
    return Part(
        heard.method, heard.path, headers, _text(heard.body, known), heard.status, _text(heard.answer, known)
    )  # fmt: skip


def _text(content: bytes, known: dict[str, str]) -> str:
    text = content.decode("latin-1")
    for found, shown in known.items():
        text = text.replace(found, shown)
    return text


if __name__ == "__main__":
    if not BINARY:
        sys.exit("TEST_SELDON_EXECUTOR names no executor")
    with tempfile.TemporaryDirectory() as directory:
        write(record(Path(directory)))
        rpc.write(rpc.record(Path(directory) / "rpc"))
