"""A real executor over gRPC, between a client, a model server and a detector. TEST_SELDON_EXECUTOR names its binary."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from lifeboat.server.rpc.messages import INFERENCE, message
from tests.detector.world import people
from tests.server.executor.rpc import CALLS, Call, between, record, recorded
from tests.server.executor.scenes import Part
from tests.server.executor.world import BINARY
from tests.server.rpc.stub import Stub, seldon_message
from tests.server.world import ROW

pytestmark = pytest.mark.skipif(not BINARY, reason="TEST_SELDON_EXECUTOR names no executor of Seldon's")
# Another one each time.
OWN = ("Ce-Id", "Ce-Requestid", "Ce-Time", "Ce-Source", "Host")


def test_what_is_recorded_is_what_it_does(tmp_path: Path) -> None:
    done = record(tmp_path)
    assert [_without_ids(one) for one in done] == [_without_ids(one) for one in recorded()]
    assert len(done) == len(CALLS)


def test_predictions_through_it_are_counted_once_and_truth_becomes_rows(tmp_path: Path) -> None:
    """The executor logs no feedback over gRPC: the server tells it."""
    with between(tmp_path, "seldon", "--export-seconds", "0.2", "--join-seconds", "2") as world:
        stub = Stub(world.channel, "seldon.protos.Seldon")
        rows = [{"jsonData": [{**row, "id": number}]} for number, row in enumerate(people(60), start=1)]
        answers = [stub("Predict", seldon_message(row)) for row in rows]
        for answer in answers[:10]:
            truth = {"response": {"meta": {"puid": answer.meta.puid}}, "truth": {"data": {"ndarray": [1]}}}
            stub("SendFeedback", ParseDict(truth, message("seldon.protos.Feedback")()))
        found = world.drift.until(lambda report: report["feedback"]["exported"] == 10)
    assert [(one["model"], one["rows"]) for one in found["models"]] == [("tiny", 60)]
    assert found["events"]["accepted"] == 2 * 60 + 10
    assert (found["events"]["duplicates"], found["events"]["refused"]) == (0, {})


def test_an_error_passes_through_with_its_code_and_words(tmp_path: Path) -> None:
    with between(tmp_path, "seldon") as world:
        stub = Stub(world.channel, "seldon.protos.Seldon")
        row = {"data": {"names": list(ROW), "ndarray": [[*list(ROW.values())[:-1], "perhaps"]]}}
        with pytest.raises(grpc.RpcError) as caught:
            stub("Predict", seldon_message(row))
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "alone" in caught.value.details()


def test_the_inference_protocol_asks_a_model_and_not_the_server(tmp_path: Path) -> None:
    """ServerReady, ServerLive and ServerMetadata panic in the executor and end it: `serving/HTTP.md` says so."""
    with between(tmp_path, "v2") as world:
        stub = Stub(world.channel, INFERENCE)
        assert stub("ModelReady", message("inference.ModelReadyRequest")(name="tiny")).ready
        with pytest.raises(grpc.RpcError):
            stub("ServerReady", message("inference.ServerReadyRequest")())
        assert world.running.process.wait(10) != 0


def _without_ids(one: Call) -> Call:
    """A call as any other run of it has it."""
    puid = one.events[0].headers["Ce-Requestid"] if one.events else ""

    def clean(part: Part) -> Part:
        headers = {name: value for name, value in part.headers.items() if name not in OWN}
        # Go writes the entries of a map in any order.
        return replace(part, headers=headers, body="".join(sorted(part.body.replace(puid, ""))))

    return replace(one, events=tuple(clean(part) for part in one.events))
