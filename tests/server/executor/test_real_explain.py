"""The reasons of an answer through a real executor, by the paths it knows. TEST_SELDON_EXECUTOR names its binary."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import MessageToDict

from lifeboat.server.rpc.messages import INFERENCE, SELDON, message
from tests.detector.world import Detector, add_bundle, detector
from tests.explainer.world import explainer
from tests.ports import free_port
from tests.server.executor.world import BINARY, VERSION, Executor, executor
from tests.server.rpc.stub import Stub, add_input, seldon_message
from tests.server.world import ROW, call, server

pytestmark = pytest.mark.skipif(not BINARY, reason="TEST_SELDON_EXECUTOR names no executor of Seldon's")
KINDS = {"name": "BYTES", "port": "BYTES", "age": "FP32", "class": "INT64", "alone": "BOOL"}
SELDON_REQUEST = {"meta": {"tags": {"explain": True}}, "jsonData": ROW}


@contextmanager
def behind(folder: Path, protocol: str) -> Iterator[tuple[Executor, str, Detector]]:
    """An executor before a model server with an explainer and a detector; gives the server's own URL as well."""
    store, port = folder / "store", free_port()
    digest = add_bundle(store)
    with explainer(store) as reasons, detector(store, folder / "drift.db", "--join-seconds", "2") as drift:
        bundle = store / "bundles" / "tiny" / digest
        flags = ("--model-version", VERSION, "--grpc-port", str(port), "--explainer-url", reasons.url)
        with server(bundle, *flags) as serving, executor(serving.port, drift.url, protocol, grpc_port=port) as running:
            yield running, serving.url, drift


def test_a_tag_of_seldons_protocol_brings_them_and_the_prediction_is_counted(tmp_path: Path) -> None:
    with behind(tmp_path, "seldon") as (running, direct, drift):
        expected = call(direct + "/explain", SELDON_REQUEST).json["meta"]["tags"]["explanation"]
        answer = call(running.url + "/api/v1.0/predictions", SELDON_REQUEST)
        assert answer.json["meta"]["tags"]["explanation"] == expected
        with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
            said = Stub(channel, SELDON)("Predict", seldon_message(SELDON_REQUEST))
        assert MessageToDict(said.meta)["tags"]["explanation"]["contributions"] == expected["contributions"]
        found = drift.until(lambda report: report["events"]["accepted"] == 4)
    assert [(one["model"], one["rows"]) for one in found["models"]] == [("tiny", 2)]
    assert found["events"]["refused"] == {}


def test_a_parameter_of_the_inference_protocol_brings_them_and_the_prediction_is_counted(tmp_path: Path) -> None:
    inputs = [{"name": name, "datatype": kind, "shape": [1], "data": [ROW[name]]} for name, kind in KINDS.items()]
    asked = {"inputs": inputs, "parameters": {"explain": True}}
    with behind(tmp_path, "v2") as (running, direct, drift):
        path = "/v2/models/tiny/infer"
        expected, answer = (call(url + path, asked).json["outputs"] for url in (direct, running.url))
        assert answer == expected
        assert [one["name"] for one in answer][-1] == "explanation_contributions"
        request = message("inference.ModelInferRequest")(model_name="tiny")
        request.parameters["explain"].bool_param = True
        for name, kind in KINDS.items():
            add_input(request, name, kind, [1], [ROW[name]])
        with grpc.insecure_channel(f"127.0.0.1:{running.grpc_port}") as channel:
            said = Stub(channel, INFERENCE)("ModelInfer", request)
        [found] = [one for one in said.outputs if one.name == "explanation_contributions"]
        assert list(found.contents.fp64_contents) == pytest.approx(answer[-1]["data"], abs=1e-12)
        counted = drift.until(lambda report: report["events"]["accepted"] == 4)
    assert [(one["model"], one["rows"]) for one in counted["models"]] == [("tiny", 2)]
    assert counted["events"]["refused"] == {}
