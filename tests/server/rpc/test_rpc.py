"""Both protocols over gRPC, by a client that nobody here wrote and by stubs: as REST answers, and in gRPC's errors."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict, ParseDict
from grpc import StatusCode
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from lifeboat.server.rpc.messages import INFERENCE, MODEL, SELDON, message
from tests.ports import free_port
from tests.server.receiver import Receiver, wait_for, wait_for_predictions
from tests.server.rpc.load import RpcLoad
from tests.server.rpc.stub import Stub, infer_request, seldon_message
from tests.server.test_v2 import tensors
from tests.server.world import ROOT, ROW, ROW_VALUES, Running, call, ndarray, server

# Messages that are changed at random.
GARBAGE = int(os.environ.get("LIFEBOAT_TEST_GARBAGE", "1500"))


@dataclass
class Both:
    """A server of both transports."""

    running: Running
    port: int
    channel: grpc.Channel

    @property
    def inference(self) -> Stub:
        return Stub(self.channel, INFERENCE)

    @property
    def seldon(self) -> Stub:
        return Stub(self.channel, SELDON)

    @property
    def triton(self) -> InferenceServerClient:
        return InferenceServerClient(f"127.0.0.1:{self.port}")


@pytest.fixture(scope="module")
def both(bundle: Path) -> Iterator[Both]:
    yield from _both(bundle, "--model-version", "3")


def _both(bundle: Path, *flags: str) -> Iterator[Both]:
    port = free_port()
    with (
        server(bundle, "--grpc-port", str(port), *flags) as running,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield Both(running, port, channel)


def refused(ask: Callable[[], Any]) -> tuple[StatusCode, str]:
    with pytest.raises(grpc.RpcError) as caught:
        ask()
    return caught.value.code(), caught.value.details()


def test_tritons_client_is_answered_as_over_http(both: Both) -> None:
    client = both.triton
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("tiny", "3")
    described = client.get_model_metadata("tiny", as_json=True)
    over_http = call(f"{both.running.url}/v2/models/tiny").json
    assert [one["name"] for one in described["inputs"]] == [one["name"] for one in over_http["inputs"]]
    assert [one["datatype"] for one in described["outputs"]] == [one["datatype"] for one in over_http["outputs"]]
    inputs = []
    for name, values in (("name", [b"Ann", b"Bo"]), ("port", [b"C", b""])):
        inputs.append(InferInput(name, [2, 1], "BYTES"))
        inputs[-1].set_data_from_numpy(np.array(values, dtype=object).reshape(2, 1))
    for name, kind, code, numbers in (
        ("age", "FP32", np.float32, [22.5, np.nan]), ("class", "INT32", np.int32, [3, 1]),
        ("alone", "BOOL", bool, [1, 0]),
    ):  # fmt: skip
        inputs.append(InferInput(name, [2, 1], kind))
        inputs[-1].set_data_from_numpy(np.array(numbers, dtype=code).reshape(2, 1))
    found = client.infer("tiny", inputs, request_id="r1")
    rows = [[*ROW_VALUES], ["Bo", None, None, 1, False]]
    expected = call(both.running.url + "/predict", ndarray(*rows)).json["data"]["ndarray"]
    assert found.as_numpy("probabilities").tolist() == pytest.approx(np.array(expected, dtype=np.float32))
    assert found.as_numpy("label").tolist() == [b"survived" if row[1] > 0.5 else b"died" for row in expected]
    assert found.get_response().id == "r1"
    assert found.get_response().parameters["bundle_digest"].string_param.isalnum()
    [only] = client.infer("tiny", inputs, outputs=[InferRequestedOutput("label")]).get_response().outputs
    assert only.name == "label"
    with pytest.raises(InferenceServerException, match="there is no model 'other'"):
        client.infer("other", inputs)


def test_contents_of_each_type_are_answered_in_contents(both: Both) -> None:
    request = infer_request([ROW, {**ROW, "age": None, "port": None}])
    answer = both.inference("ModelInfer", request)
    over_http = call(f"{both.running.url}/v2/models/tiny/infer", {"inputs": tensors()}).json
    probabilities, label = answer.outputs
    expected = next(one for one in over_http["outputs"] if one["name"] == "probabilities")["data"]
    assert list(probabilities.contents.fp32_contents)[:2] == pytest.approx(expected[:2], abs=1e-6)
    assert len(label.contents.bytes_contents) == 2
    assert answer.raw_output_contents == []
    for datatype, field, value in (
        ("INT8", "int_contents", 3), ("INT16", "int_contents", 3), ("INT32", "int_contents", 3),
        ("INT64", "int64_contents", 3),
        ("UINT8", "uint_contents", 3), ("UINT16", "uint_contents", 3), ("UINT32", "uint_contents", 3),
        ("UINT64", "uint64_contents", 3), ("FP32", "fp32_contents", 3.0), ("FP64", "fp64_contents", 3.0),
    ):  # fmt: skip
        one = infer_request([ROW])
        tensor = one.inputs[3]
        tensor.datatype = datatype
        tensor.ClearField("contents")
        getattr(tensor.contents, field).append(value)
        found = both.inference("ModelInfer", one)
        assert list(found.outputs[0].contents.fp32_contents) == pytest.approx(expected[:2], abs=1e-6), datatype


def change(edit: Callable[[Any], Any]) -> Any:
    request = infer_request([ROW, {**ROW, "age": 130.0}])
    edit(request)
    return request


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "a value off the schema": (lambda _: None, "row 2, column age: 130.0 is outside 0 to 120"),
    "no inputs": (lambda r: r.ClearField("inputs"), "inputs is empty"),
    "an unknown column": (lambda r: r.inputs.add(name="x", datatype="BOOL", shape=[2]), "input x: its contents hold 0"),
    "a column twice": (lambda r: r.inputs.append(r.inputs[0]), "input name: given twice"),
    "an unknown datatype": (lambda r: setattr(r.inputs[0], "datatype", "TEXT"), "input name: the datatype"),
    "contents of another type": (lambda r: setattr(r.inputs[0], "datatype", "BOOL"), "are in bool_contents, not in"),
    "half floats in contents": (lambda r: setattr(r.inputs[0], "datatype", "FP16"), "FP16 has no contents"),
    "a shape of three axes": (lambda r: r.inputs[0].shape.append(1), "the shape is neither"),
    "a negative shape": (lambda r: r.inputs[0].shape.__setitem__(0, -2), "the shape is neither"),
    "text that is not UTF-8": (
        lambda r: r.inputs[0].contents.bytes_contents.__setitem__(0, b"\xff"), "a string is not UTF-8",
    ),
    "raw and contents": (lambda r: r.raw_input_contents.extend([b""] * 5), "contents and raw_input_contents are both"),
    "too few raw": (lambda r: r.raw_input_contents.append(b""), "holds 1 tensors, there are 5 inputs"),
    "an unknown parameter": (
        lambda r: r.inputs[0].parameters.get_or_create("odd"), "input name: the parameter odd is not supported",
    ),
    "an unknown output": (lambda r: r.outputs.add(name="odd"), "an output has no known name"),
}  # fmt: skip


@pytest.mark.parametrize(("edit", "sentence"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_is_named(both: Both, edit: Callable[[Any], Any], sentence: str) -> None:
    code, details = refused(lambda: both.inference("ModelInfer", change(edit)))
    assert code == StatusCode.INVALID_ARGUMENT
    assert sentence in details


def test_a_model_that_is_not_there_is_not_found(both: Both) -> None:
    for edit in ({"model_name": "other"}, {"model_version": "9"}):
        request = infer_request([ROW])
        for name, value in edit.items():
            setattr(request, name, value)
        code, details = refused(lambda request=request: both.inference("ModelInfer", request))
        assert (code, "there is tiny, version 3" in details) == (StatusCode.NOT_FOUND, True)
    other = message("inference.ModelReadyRequest")(name="other")
    assert refused(lambda: both.inference("ModelReady", other))[0] == StatusCode.NOT_FOUND
    assert both.inference("ServerMetadata", b"").name == "lifeboat"


def numbers(data: dict[str, Any], kind: str) -> list[Any]:
    found: list[Any] = data["tensor"]["values"] if kind == "tensor" else data["ndarray"]
    return found


@pytest.mark.parametrize("service", [SELDON, MODEL])
@pytest.mark.parametrize("form", ["ndarray", "tensor", "jsonData"])
def test_seldons_message_is_answered_as_over_http(both: Both, service: str, form: str) -> None:
    forms = {
        "ndarray": ndarray(ROW_VALUES, [None, *ROW_VALUES[1:]]),
        # Of texts it can hold none, and this model needs one: refused, as over HTTP.
        "tensor": {"data": {"names": ["age", "class"], "tensor": {"shape": [1, 2], "values": [22.5, 3]}}},
        "jsonData": {"jsonData": [ROW, {**ROW, "age": None}]},
    }
    document = {**forms[form], "meta": {"puid": "mine", "tags": {"team": "blue", "model_version": "99"}}}
    request = ParseDict(document, message("seldon.protos.SeldonMessage")())
    over_http = call(both.running.url + "/predict", document).json
    if "status" in over_http:
        said = refused(lambda: Stub(both.channel, service)("Predict", request))
        assert said == (StatusCode.INVALID_ARGUMENT, over_http["status"]["info"])
        return
    answer, trailing = Stub(both.channel, service).ask("Predict", request)
    found = MessageToDict(answer)
    kind = "tensor" if "tensor" in over_http["data"] else "ndarray"
    assert np.ravel(numbers(found["data"], kind)) == pytest.approx(np.ravel(numbers(over_http["data"], kind)), abs=1e-6)
    assert found["data"]["names"] == over_http["data"]["names"]
    assert found["meta"] == over_http["meta"]
    assert trailing["seldon-puid"] != "mine", "the header is ours, as over HTTP"


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"binData": "AAAA"}, "binData has no meaning for rows of named columns"),
        ({"strData": "x"}, "strData has no meaning for rows of named columns"),
        ({}, "neither data (ndarray or tensor) nor jsonData"),
        # DefaultData's field 4, which only TensorFlow's definitions could read.
        (bytes([0x1A, 0x04, 0x22, 0x02, 0x08, 0x01]), "data.tftensor has no meaning"),
        (b"\xff\xff\xff", "the message is no seldon.protos.SeldonMessage"),
        (ndarray(["Ann", "C", 130, 3, True]), "row 1, column age: 130.0 is outside 0 to 120"),
        ({"jsonData": 3}, "jsonData is not a list of rows"),
    ],
)
def test_what_is_wrong_with_seldons_message_is_named(both: Both, asked: Any, sentence: str) -> None:
    request = asked if isinstance(asked, bytes) else seldon_message(asked)
    code, details = refused(lambda: both.seldon("Predict", request))
    assert (code, sentence in details) == (StatusCode.INVALID_ARGUMENT, True), details


def test_what_the_model_is_and_whether_it_is_well(both: Both) -> None:
    described = MessageToDict(both.seldon("ModelMetadata", b""))
    assert described == MessageToDict(Stub(both.channel, MODEL)("Metadata", b""))
    over_http = call(both.running.url + "/metadata").json
    assert described["name"] == over_http["name"] == "tiny"
    assert described["custom"] == over_http["custom"]
    assert described["inputs"] == over_http["inputs"]
    health = health_pb2_grpc.HealthStub(both.channel)
    for service in ("", INFERENCE, SELDON, MODEL):
        found = health.Check(health_pb2.HealthCheckRequest(service=service), timeout=10)
        assert found.status == health_pb2.HealthCheckResponse.SERVING
    asked = reflection_pb2.ServerReflectionRequest(list_services="")
    [listed] = reflection_pb2_grpc.ServerReflectionStub(both.channel).ServerReflectionInfo(iter([asked]), timeout=10)
    names = {one.name for one in listed.list_services_response.service}
    assert {INFERENCE, SELDON, MODEL, "grpc.health.v1.Health"} <= names
    asked = reflection_pb2.ServerReflectionRequest(file_containing_symbol=SELDON)
    [described_file] = reflection_pb2_grpc.ServerReflectionStub(both.channel).ServerReflectionInfo(iter([asked]))
    assert described_file.file_descriptor_response.file_descriptor_proto


def test_calls_are_named_and_told_to_the_detector_as_requests_of_http_are(bundle: Path, receiver: Receiver) -> None:
    for both in _both(bundle, "--events-url", receiver.url, "--subject-header", "X-Subject"):
        _, trailing = both.inference.ask("ModelInfer", infer_request([ROW], id="order 12"), seldon_puid="p1")
        assert trailing["seldon-puid"] == "p1"
        both.inference("ModelInfer", infer_request([ROW]), seldon_puid="p2", seldon_skip_logging="true")
        answer = both.seldon("Predict", seldon_message(ndarray(ROW_VALUES)))
        feedback = {"response": {"meta": {"puid": answer.meta.puid}}, "truth": ndarray([1]), "reward": 0.5}
        said = both.seldon(
            "SendFeedback", ParseDict(feedback, message("seldon.protos.Feedback")()), x_subject="bank.example"
        )
        assert said.meta.puid == answer.meta.puid
        first, second = wait_for_predictions(receiver, 2)
        assert (first["id"], first["client_id"], second["id"]) == ("p1", "order 12", answer.meta.puid)
        assert first["inputs"] == second["inputs"] == {name: [value] for name, value in ROW.items()}
        [event] = wait_for(receiver, 1)
        assert (event["authid"], event["data"]["truth"]) == ("bank.example", ndarray([1.0]))
        metrics = call(both.running.url + "/metrics").body.decode()
        assert 'lifeboat_request_seconds_count{protocol="grpc-v2",status="200"} 2' in metrics
        assert 'lifeboat_request_seconds_count{protocol="grpc-seldon",status="200"} 2' in metrics
        assert 'lifeboat_feedback_total{truth="survived"} 1' in metrics
        assert "lifeboat_in_flight 1\n" in metrics, "that is the request for the metrics"


def test_too_large_too_many_rows_and_too_much_are_refused_with_a_time_to_come_back(bundle: Path) -> None:
    for both in _both(bundle, "--max-body", "200000", "--max-rows", "2000", "--max-pending", "1"):
        stub = both.inference
        code, details = refused(lambda stub=stub: stub("ModelInfer", infer_request([ROW] * 2001)))
        assert (code, "2001 rows, allowed are 1 to 2000" in details) == (StatusCode.INVALID_ARGUMENT, True)
        code, _ = refused(lambda stub=stub: stub("ModelInfer", bytes(300_000)))
        assert code == StatusCode.RESOURCE_EXHAUSTED
        large = infer_request([ROW] * 2000)
        # Each a connection of its own, by an option that tells it from the others.
        channels = [grpc.insecure_channel(f"127.0.0.1:{both.port}", [("own", number)]) for number in range(16)]

        def ask(channel: grpc.Channel, request: Any = large) -> grpc.RpcError | None:
            try:
                for _ in range(5):
                    Stub(channel, INFERENCE)("ModelInfer", request)
            except grpc.RpcError as refusal:
                return refusal
            return None

        with ThreadPoolExecutor(16) as pool:
            errors = [error for error in pool.map(ask, channels) if error is not None]
        for channel in channels:
            channel.close()
        assert errors, "nothing was too much"
        for error in errors:
            assert error.code() == StatusCode.RESOURCE_EXHAUSTED, error.details()
            assert dict(error.trailing_metadata())["grpc-retry-pushback-ms"] == "1000"
        assert "lifeboat_in_flight 1\n" in call(both.running.url + "/metrics").body.decode()
        stub("ModelInfer", infer_request([ROW]))


def test_on_sigterm_no_call_fails_and_connections_end_as_they_reach_their_age(bundle: Path) -> None:
    for both in _both(bundle, "--grpc-connection-seconds", "0.5", "--model-version", "3"):
        with RpcLoad(both.port) as load:
            time.sleep(1)
            load.expect_end()
            assert both.running.stop() == 0
        assert load.failures == []
        assert load.answered["3"] > 50


def test_a_client_that_stays_is_not_waited_for_longer_than_a_connection_lives(bundle: Path) -> None:
    for both in _both(bundle, "--grpc-connection-seconds", "0.3"):
        both.inference("ServerLive", b"")
        begun = time.monotonic()
        assert both.running.stop() == 0
        assert time.monotonic() - begun < 5


def test_a_port_that_is_taken_is_said_and_nothing_serves(bundle: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        flags = ["--bundle", str(bundle), "--host", "127.0.0.1", "--port", "0", "--metrics-port", "0"]
        done = subprocess.run(
            [sys.executable, "-m", "lifeboat.server", *flags, "--grpc-port", str(port)],
            cwd=ROOT, capture_output=True, text=True, timeout=30, check=False,
        )  # fmt: skip
    assert done.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}: it is in use" in done.stderr


def test_garbage_is_the_clients_fault_whatever_it_is(both: Both) -> None:
    """Bytes changed in messages that are right, and bytes of no message at all."""
    chance = random.Random(5)  # noqa: S311  # the same ones again
    feedback = ParseDict({"truth": ndarray([1])}, message("seldon.protos.Feedback")())
    right = [
        (both.inference, "ModelInfer", infer_request([ROW]).SerializeToString()),
        (both.seldon, "Predict", seldon_message(ndarray(ROW_VALUES)).SerializeToString()),
        (both.seldon, "SendFeedback", feedback.SerializeToString()),
    ]
    codes = set()
    for _ in range(GARBAGE):
        stub, method, body = chance.choice(right)
        changed = bytearray(body)
        for _ in range(chance.randint(1, 4)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        if chance.random() < 0.2:
            changed = bytearray(chance.randbytes(chance.randint(0, 200)))
        try:
            stub(method, bytes(changed))
        except grpc.RpcError as error:
            codes.add(error.code())
    assert codes == {StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND}
