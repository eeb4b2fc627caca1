"""What a client asks Seldon's executor over gRPC, and what the executor then told the detector: `recorded_rpc.json`."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from google.protobuf.json_format import ParseDict

from lifeboat.server.rpc.documents import CONTENTS
from lifeboat.server.rpc.messages import INFERENCE, SELDON, message
from tests.detector.world import Detector, add_bundle, detector
from tests.ports import free_port
from tests.server.executor.scenes import ANN, BOB, KINDS, NAMES, OLD, Part
from tests.server.executor.world import VERSION, Executor, Recorder, executor, recorder
from tests.server.rpc.stub import Stub, add_input
from tests.server.world import server

RECORDED = Path(__file__).with_name("recorded_rpc.json")
# In the place of the bundle's digest, and as long: a message says how long each text is.
DIGEST = "d" * 64
CODES = {"FP64": "<f8", "INT64": "<i8", "BOOL": "?"}


@dataclass(frozen=True)
class Call:
    """One call of a client.

    Args:
        name: what it is about.
        protocol: of the executor.
        method: of the protocol's service.
        metadata: beside the message.
        code: gRPC's, of the answer.
        events: what the detector was sent, requests before responses.
    """

    name: str
    protocol: str
    method: str
    metadata: dict[str, str]
    code: str = ""
    events: tuple[Part, ...] = ()

    def about(self, digest: str) -> list[Part]:
        """The events, of a bundle with this digest."""
        return [replace(one, body=one.body.replace(DIGEST, digest)) for one in self.events]


@dataclass(frozen=True)
class Between:
    """An executor between a client, a model server and a detector."""

    running: Executor
    heard: Recorder
    drift: Detector
    digest: str
    channel: grpc.Channel

    def ask(self, one: Call) -> Any:
        """The response to a call; raises RpcError."""
        service = SELDON if one.protocol == "seldon" else INFERENCE
        return Stub(self.channel, service)(one.method, MESSAGES[one.protocol, one.name], **one.metadata)


def _seldon(*rows: list[Any]) -> dict[str, Any]:
    return {"data": {"names": NAMES, "ndarray": list(rows)}}


def _infer(*rows: list[Any], raw: bool = False) -> Any:
    """A ModelInferRequest; a null is NaN or the empty text."""
    request: Any = message("inference.ModelInferRequest")(model_name="tiny", id="unheard")
    for (name, kind), column in zip(KINDS.items(), zip(*rows, strict=True), strict=True):
        add_input(request, name, kind, [len(rows)], list(column))
        if raw:
            values = getattr(request.inputs[-1].contents, CONTENTS[kind])
            request.raw_input_contents.append(_packed(kind, list(values)))
            request.inputs[-1].ClearField("contents")
    return request


def _packed(kind: str, values: list[Any]) -> bytes:
    if kind == "BYTES":
        return b"".join(len(value).to_bytes(4, "little") + value for value in values)
    return np.array(values, CODES[kind]).tobytes()


def _message(kind: str, document: dict[str, Any]) -> Any:
    return ParseDict(document, message(f"seldon.protos.{kind}")())


TENSOR = {"data": {"names": NAMES[2:4], "tensor": {"shape": [1, 2], "values": [22.5, 3]}}}
OBJECTS = {"jsonData": [{**dict(zip(NAMES, row, strict=True)), "id": id_} for id_, row in ((1, ANN), (2, BOB))]}
TRUTH = {"response": {"meta": {"puid": "mine"}}, "truth": {"data": {"ndarray": ["survived", 0]}}, "reward": 1}
MESSAGES: dict[tuple[str, str], Any] = {
    ("seldon", "two rows with a puid"): _message("SeldonMessage", _seldon(ANN, BOB)),
    ("seldon", "objects with ids"): _message("SeldonMessage", OBJECTS),
    ("seldon", "refused"): _message("SeldonMessage", _seldon(OLD)),
    ("seldon", "columns that are missing"): _message("SeldonMessage", TENSOR),
    ("seldon", "not to be logged"): _message("SeldonMessage", _seldon(ANN)),
    ("seldon", "truth by puid"): _message("Feedback", TRUTH),
    ("v2", "two rows"): _infer(ANN, BOB),
    ("v2", "raw"): _infer(ANN, ANN, raw=True),
    ("v2", "refused"): _infer(OLD),
}
CALLS = [
    Call(
        name, protocol,
        "ModelInfer" if protocol == "v2" else "SendFeedback" if name.startswith("truth") else "Predict",
        {"seldon-puid": "mine"} if name == "two rows with a puid" else
        {"seldon-skip-logging": "1"} if name == "not to be logged" else {},
    )
    for protocol, name in MESSAGES
]  # fmt: skip


@contextmanager
def between(folder: Path, protocol: str, *flags: str) -> Iterator[Between]:
    """Starts all three, the server as our template has it.

    Args:
        folder: for the store and the database.
        protocol: of the executor.
        flags: of the detector.
    """
    digest, port = add_bundle(folder / "store"), free_port()
    bundle = folder / "store" / "bundles" / "tiny" / digest
    with detector(folder / "store", folder / protocol / "drift.db", *flags) as drift, recorder(drift.port) as heard:
        url = f"http://127.0.0.1:{heard.port}/"
        own = (
            "--model-version",
            VERSION,
            "--grpc-port",
            str(port),
            "--events-url",
            url,
            "--events-by-executor",
            "true",
        )
        with (
            server(bundle, *own) as serving,
            executor(serving.port, url, protocol, grpc_port=port) as running,
            grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel,
        ):
            yield Between(running, heard, drift, digest, channel)


def record(folder: Path) -> list[Call]:
    """Makes all calls."""
    done = []
    for protocol in ("seldon", "v2"):
        with between(folder, protocol) as world:
            done += [_play(one, world) for one in CALLS if one.protocol == protocol]
    return done


def _play(one: Call, world: Between) -> Call:
    world.heard.heard.clear()
    try:
        world.ask(one)
        code = "OK"
    except grpc.RpcError as error:
        code = error.code().name
    time.sleep(0.5)  # whatever is to be logged is logged by then
    # Without what the model server itself sends: its events come in batches.
    heard = [found for found in world.heard.heard if "Ce-Type" in dict(found.headers)]
    left_out = ("Content-Length", "Traceparent", "Ce-Traceparent", "Date")
    parts = []
    for found in sorted(heard, key=lambda found: dict(found.headers)["Ce-Type"]):
        headers = {name: value for name, value in found.headers if name not in left_out}
        body = found.body.decode("latin-1").replace(world.digest, DIGEST)
        parts.append(Part(found.method, found.path, headers, body, found.status, found.answer.decode("latin-1")))
    return replace(one, code=code, events=tuple(parts))


def recorded() -> list[Call]:
    """What an executor did."""
    return [
        Call(**{**one, "events": tuple(Part(**part) for part in one["events"])})
        for one in json.loads(RECORDED.read_text())
    ]


def write(calls: list[Call]) -> None:
    """Replaces the file."""
    RECORDED.write_text(json.dumps([asdict(one) for one in calls], indent=1) + "\n")
