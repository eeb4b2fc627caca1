"""A tiny bundle and the processes that serve it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from lifeboat.model.bundle import GOLDEN, MODEL, REFERENCE, SCHEMA, write_bundle
from lifeboat.usecase.schema import BinaryLabel, Column, Schema

ROOT = Path(__file__).resolve().parents[2]
TINY = Schema(
    columns=(
        Column("name", "string", max_length=40, example="Ann"),
        Column("port", "string", nullable=True, categories=("C", "Q"), example="C"),
        Column("age", "float", nullable=True, minimum=0, maximum=120, example=22.5),
        Column("class", "integer", categories=(1, 2, 3), example=3),
        Column("alone", "boolean", nullable=True, example=True),
    ),
    label=BinaryLabel("fate", ("died", "survived")),
    keys=(Column("id", "integer", minimum=1, example=7),),
    id="id",
)
ROW = {"name": "Ann", "port": "C", "age": 22.5, "class": 3, "alone": True}
ROW_VALUES = list(ROW.values())


def expected(age: float | None, bias: float = 0.0, port: str | None = None) -> float:
    """What the tiny model answers: a hundredth of the age (0.5 for none), 0.01 more from C, plus the bias."""
    return min(1.0, (0.5 if age is None else age / 100) + (0.01 if port == "C" else 0.0) + bias)


def graph(schema: Schema = TINY, bias: float = 0.0) -> bytes:
    """survived = age / 100 + (port == "C") / 100 + bias, from every column as the contract names it."""
    inputs = [
        helper.make_tensor_value_info(
            column.name, TensorProto.FLOAT if column.is_number else TensorProto.STRING, [None, 1]
        )
        for column in schema.columns
    ]
    constants = {"hundred": 100.0, "cent": 0.01, "half": 0.5, "bias": bias, "zero": 0.0, "one": 1.0}
    initializers = [numpy_helper.from_array(np.float32(value), name) for name, value in constants.items()]
    initializers.append(numpy_helper.from_array(np.array(["C"], object), "C"))
    nodes = [
        helper.make_node("Div", ["age", "hundred"], ["scaled"]),
        helper.make_node("IsNaN", ["age"], ["unknown"]),
        helper.make_node("Where", ["unknown", "half", "scaled"], ["base"]),
        helper.make_node("Equal", ["port", "C"], ["is_c"]),
        helper.make_node("Cast", ["is_c"], ["from_c"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["from_c", "cent"], ["extra"]),
        helper.make_node("Add", ["base", "extra"], ["sum"]),
        helper.make_node("Add", ["sum", "bias"], ["score"]),
        helper.make_node("Clip", ["score", "zero", "one"], ["survived"]),
        helper.make_node("Sub", ["one", "survived"], ["died"]),
        helper.make_node("Concat", ["died", "survived"], ["probabilities"], axis=1),
    ]
    output = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, [None, 2])
    made = helper.make_graph(nodes, "tiny", inputs, [output], initializers)
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_bundle(directory: Path, bias: float = 0.0, wrong_by: float = 0.0, model: bytes | None = None) -> Path:
    """Writes a tiny bundle; `wrong_by` spoils its golden answers."""
    survived = expected(22.5, bias, "C") + wrong_by
    golden = [{"row": ROW, "probabilities": [1 - survived, survived]}]
    files = {
        MODEL: model or graph(bias=bias),
        SCHEMA: TINY.to_json().encode(),
        REFERENCE: b"",
        GOLDEN: json.dumps(golden).encode(),
    }
    write_bundle(directory, files, {"usecase": "tiny"})
    return directory


@dataclass
class Answer:
    """Status, headers and body of an HTTP answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def survived(self) -> list[float]:
        return [row[1] for row in self.json["data"]["ndarray"]]

    @property
    def info(self) -> str:
        return str(self.json["status"]["info"])


def call(url: str, body: Any = None, method: str | None = None, **headers: str) -> Answer:
    """One request on a connection of its own; a body that is not bytes is sent as JSON."""
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"content-type": "application/json", **{name.replace("_", "-"): v for name, v in headers.items()}}
    request = urllib.request.Request(url, data, sent, method=method)
    try:
        with urllib.request.urlopen(request, timeout=10) as reply:
            return Answer(reply.status, {k.lower(): v for k, v in reply.headers.items()}, reply.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(error.code, {k.lower(): v for k, v in error.headers.items()}, error.read())


def ndarray(*rows: list[Any], names: list[str] | None = None) -> dict[str, Any]:
    """A SeldonMessage."""
    return {"data": {"ndarray": list(rows), **({"names": names} if names else {})}}


@dataclass
class Running:
    """A server process and where it listens."""

    process: subprocess.Popen[bytes]
    port: int
    metrics_port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)

    def stop(self) -> int:
        """SIGTERM; gives the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def server(bundle: Path, *flags: str, env: dict[str, str] | None = None) -> Iterator[Running]:
    """Runs `python -m lifeboat.server` on free ports, ready."""
    with tempfile.TemporaryDirectory() as directory:
        log = Path(directory) / "log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                [
                    sys.executable, "-m", "lifeboat.server", "--bundle", str(bundle), "--host", "127.0.0.1",
                    "--port", "0", "--metrics-port", "0", *flags,
                ],
                cwd=ROOT, stderr=stream, env={**os.environ, **(env or {})},
            )  # fmt: skip
        try:
            port, metrics_port = _ports(process, log)
            yield Running(process, port, metrics_port, log)
        finally:
            process.kill()
            process.wait()


def _ports(process: subprocess.Popen[bytes], log: Path) -> tuple[int, int]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and process.poll() is None:
        for line in log.read_text().splitlines():
            document = json.loads(line)
            if document["message"] == "ready":
                main, metrics = (int(address.rpartition(":")[2]) for address in document["addresses"])
                return main, metrics
        time.sleep(0.02)
    raise AssertionError(f"the server is not ready: {log.read_text()}")
