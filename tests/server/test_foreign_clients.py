"""Clients of Seldon, KServe and MLServer over HTTP and gRPC: `clients/`, in environments of `make conformance`."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from tests.ports import free_port
from tests.server.test_v2 import tensors
from tests.server.world import ROOT, Running, call, server

FOLDER = Path(__file__).with_name("clients")
ANN = {"name": "Ann", "port": "C", "age": 22.5, "class": 3, "alone": True}
# What Seldon's client sends beside it, and the two others, who have no null.
BOB, BEN = (
    {"name": "Bob", "port": port, "age": age, "class": 1, "alone": False} for port, age in ((None, None), ("Q", 30.0))
)


@pytest.fixture(scope="module")
def ports(bundle: Path) -> Iterator[tuple[Running, int]]:
    port = free_port()
    with server(bundle, "--grpc-port", str(port)) as running:
        yield running, port


def ask(environment: str, program: str, ports: tuple[Running, int]) -> dict[str, Any]:
    """What a program of `clients` prints."""
    python = ROOT / ".venvs" / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"the environment of {environment} is not installed; `make conformance` installs it")
    running, port = ports
    command = [str(python), str(FOLDER / f"{program}.py"), str(running.port), str(port)]
    done = subprocess.run(command, cwd=FOLDER, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def straight(ports: tuple[Running, int], *rows: dict[str, Any]) -> Any:
    """The probabilities of rows, by a request of our own."""
    data = {"names": list(ANN), "ndarray": [list(row.values()) for row in rows]}
    answer = call(f"{ports[0].url}/api/v1.0/predictions", {"data": data}).json
    return [pytest.approx(row, abs=1e-6) for row in answer["data"]["ndarray"]]


def test_seldons_client(ports: tuple[Running, int]) -> None:
    found = ask("wrapper", "seldon", ports)
    expected = straight(ports, ANN, BOB)
    for transport, words in (("rest", "400:Bad Request"), ("grpc", "row 1 has 1 values, there are 5 names")):
        assert found[f"{transport}, a model"] == expected
        assert found[f"{transport}, a gateway"] == expected
        success, message = found[f"{transport}, refused"]
        assert not success
        assert words in message
        assert found[f"{transport}, feedback"] == [True, ""]


def test_kserves_clients(ports: tuple[Running, int]) -> None:
    found = ask("kserve", "kserve_", ports)
    expected = straight(ports, ANN, BEN)
    for way in ("rest", "grpc", "rest, v1"):
        assert found[way] == expected
    assert found["rest, ready"] == found["grpc, ready"] == [True] * 3
    assert "400" in found["rest, refused"]


def test_mlservers_codecs_and_stub(ports: tuple[Running, int]) -> None:
    found = ask("mlserver", "mlserver_", ports)
    expected = [straight(ports, ANN, BEN), ["died", "died"]]
    for way in ("rest", "grpc", "grpc, raw"):
        assert found[way] == expected


def test_whoever_knows_the_protocol_by_reflection_alone_can_ask(ports: tuple[Running, int]) -> None:
    """As grpcurl does: no definitions of its own."""
    with grpc.insecure_channel(f"127.0.0.1:{ports[1]}") as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        assert {"inference.GRPCInferenceService", "seldon.protos.Seldon"} <= set(database.get_services())
        method = DescriptorPool(database).FindServiceByName("seldon.protos.Seldon").FindMethodByName("Predict")
        kinds = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
        ask_it = channel.unary_unary("/seldon.protos.Seldon/Predict", kinds[0].SerializeToString, kinds[1].FromString)
        answer = MessageToDict(ask_it(ParseDict({"jsonData": [ANN, BOB]}, kinds[0]()), timeout=10))
    values = answer["data"]["tensor"]["values"]
    assert [values[:2], values[2:]] == straight(ports, ANN, BOB)


def test_a_body_may_name_the_model_that_its_path_names_and_no_other(ports: tuple[Running, int]) -> None:
    url = f"{ports[0].url}/v2/models/tiny/infer"
    body = tensors()
    assert call(url, {"inputs": body, "model_name": "tiny", "model_version": ""}).status == 200
    refused = call(url, {"inputs": body, "model_name": "other"})
    assert (refused.status, refused.json) == (400, {"error": 'model_name is "other", asked is tiny'})
