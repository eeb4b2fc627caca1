"""A prediction followed through model server, explainer and detector, by the spans that each of them sends."""

from __future__ import annotations

import json
import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from lifeboat.config.observed import ObservedSettings
from lifeboat.server.rpc.messages import INFERENCE
from lifeboat.system.tracing import open_tracer
from tests.detector.world import Detector, add_bundle, detector, people, prediction, request_of
from tests.explainer.world import RunningExplainer, explainer
from tests.ports import free_port
from tests.server.rpc.stub import Stub, infer_request
from tests.server.world import Running, call, server
from tests.tracing.collector import Collector, Seen, collecting

CALLER = "00f067aa0ba902b7"
ROW = {**people(1)[0], "name": "Nobody Else"}


World = tuple[Running, RunningExplainer, Detector, int]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def digest(store: Path) -> str:
    return add_bundle(store)


@pytest.fixture(scope="module")
def world(collector: Collector, store: Path, digest: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Model server, explainer and detector that trace all that no caller decides about."""
    traced, rpc = ("--traces", collector.url), free_port()
    with (
        explainer(store, *traced) as reasons,
        detector(store, tmp_path_factory.mktemp("detector") / "drift.db", *traced) as watching,
        server(
            store / "bundles" / "tiny" / digest, *traced, "--events-url", watching.url, "--explainer-url", reasons.url,
            "--grpc-port", str(rpc), "--model-version", "7",
        ) as serving,
    ):  # fmt: skip
        yield serving, reasons, watching, rpc


def new_trace() -> str:
    return secrets.token_hex(16)


def parent(trace: str, sampled: bool = True) -> str:
    """The header of a caller."""
    return f"00-{trace}-{CALLER}-{int(sampled):02x}"


def explained(row: dict[str, Any]) -> dict[str, Any]:
    return {**request_of([row]), "meta": {"tags": {"explain": True}}}


def edges(spans: list[Seen]) -> set[tuple[str, str, str, str]]:
    """Each span by service and name, with the name of its parent and its kind."""
    named = {span.id: span.name for span in spans}
    return {(span.service, span.name, span.kind, named.get(span.parent, span.parent)) for span in spans}


def tree(path: str) -> set[tuple[str, str, str, str]]:
    """The spans of a prediction with its reasons."""
    return {
        ("model-server", path, "server", CALLER),
        ("model-server", "ask for reasons", "client", path),
        ("explainer", "POST /explain", "server", "ask for reasons"),
        ("explainer", "explain", "internal", "POST /explain"),
        ("model-server", "run the model", "internal", path),
        ("model-server", "send the event", "producer", path),
        ("drift-detector", "take the event", "consumer", "send the event"),
    }


def test_a_prediction_with_reasons_is_one_trace_through_three_processes(
    world: World, collector: Collector, digest: str
) -> None:
    serving, trace = world[0], new_trace()
    sent = {"traceparent": parent(trace), "seldon_puid": "order-12"}
    answer = call(serving.url + "/api/v1.0/predictions", explained(ROW), **sent)
    assert answer.status == 200, answer.body
    spans = collector.until(7, trace)
    assert edges(spans) == tree("POST /api/v1.0/predictions")
    by_name = {span.name: span for span in spans}
    request, event = by_name["POST /api/v1.0/predictions"], by_name["take the event"]
    assert answer.headers["traceresponse"] == f"00-{trace}-{request.id}-01"
    model = {"lifeboat.model.name": "tiny", "lifeboat.model.version": "7", "lifeboat.bundle.digest": digest}
    assert request.attributes == {
        "http.request.method": "POST", "http.route": "/api/v1.0/predictions", "lifeboat.status": 200,
        "lifeboat.protocol": "explain", "lifeboat.puid": "order-12", "lifeboat.rows": 1, **model,
    }  # fmt: skip
    assert event.attributes == {"lifeboat.puid": "order-12", "lifeboat.rows": 1, **model}
    assert by_name["POST /explain"].attributes["lifeboat.bundle.digest"] == digest
    # What stands for the bundle, of which the run says that it made it.
    assert request.links == [(digest[:32], digest[32:48])]
    assert by_name["run the model"].attributes == {"lifeboat.run.requests": 1, "lifeboat.run.rows": 1}
    assert all(span.started <= span.ended and not span.error for span in spans)
    assert request.started <= by_name["ask for reasons"].started <= by_name["POST /explain"].started
    assert not any(b"Nobody Else" in body for body in collector.bodies), "a value of a row is in a span"


def test_the_run_that_made_a_bundle_is_found_from_its_digest(collector: Collector, digest: str) -> None:
    tracer = open_tracer("pipeline", ObservedSettings(traces=collector.url, trace_share=1.0))
    assert tracer is not None
    run = tracer.begin("", "lifeboat run", "internal")
    assert run is not None
    tracer.made_by(digest, run)
    run.end()
    tracer.close(5.0)
    [bundle] = collector.until(1, digest[:32])
    assert (bundle.id, bundle.parent, bundle.name) == (digest[32:48], "", "bundle")
    assert bundle.attributes == {"lifeboat.bundle.digest": digest}
    [(trace, span)] = bundle.links
    assert [(one.name, one.id) for one in collector.until(1, trace)] == [("lifeboat run", span)]


def test_so_it_is_over_grpc(world: World, collector: Collector) -> None:
    request = infer_request([ROW])
    request.parameters["explain"].bool_param = True
    trace = new_trace()
    with grpc.insecure_channel(f"127.0.0.1:{world[3]}") as channel:
        _, trailing = Stub(channel, INFERENCE).ask("ModelInfer", request, traceparent=parent(trace))
    spans = collector.until(7, trace)
    assert edges(spans) == tree("inference.GRPCInferenceService/ModelInfer")
    first = next(span for span in spans if span.kind == "server" and span.service == "model-server")
    assert trailing["traceresponse"] == f"00-{trace}-{first.id}-01"
    assert first.attributes["lifeboat.puid"] == trailing["seldon-puid"]
    assert (first.attributes["lifeboat.status"], first.attributes["lifeboat.rows"]) == (200, 1)


def test_a_feedback_is_followed_as_well(world: World, collector: Collector) -> None:
    serving, _, watching, _ = world
    trace, told = new_trace(), watching.report()["feedback"]
    puid = call(serving.url + "/predict", request_of([ROW]), traceparent=parent(new_trace(), sampled=False)).json[
        "meta"
    ]["puid"]
    truth = {"response": {"meta": {"puid": puid}}, "truth": {"data": {"ndarray": [1]}}}
    assert call(serving.url + "/api/v1.0/feedback", truth, traceparent=parent(trace)).status == 200
    spans = collector.until(3, trace)
    assert edges(spans) == {
        ("model-server", "POST /api/v1.0/feedback", "server", CALLER),
        ("model-server", "send the event", "producer", "POST /api/v1.0/feedback"),
        ("drift-detector", "take the event", "consumer", "send the event"),
    }
    assert {span.attributes.get("lifeboat.puid") for span in spans} == {puid, None}
    assert watching.report()["feedback"] != told


def test_without_a_callers_word_chance_decides(store: Path, digest: str) -> None:
    bundle = store / "bundles" / "tiny" / digest
    with collecting() as collector, server(bundle, "--traces", collector.url, "--trace-share", "0.25") as serving:
        answers = [call(serving.url + "/predict", request_of([ROW])) for _ in range(400)]
        named = {answer.headers["traceresponse"][3:35] for answer in answers if "traceresponse" in answer.headers}
        assert serving.stop() == 0
    assert {span.trace for span in collector.spans if span.name == "POST /predict"} == named
    assert 50 <= len(named) <= 150  # 100 expected, with a standard deviation of 9
    assert len({span.id for span in collector.spans}) == 2 * len(named)


def test_requests_of_one_run_have_each_a_span_of_it(world: World, collector: Collector) -> None:
    """Asked while the process stands still, they are read in one pass of its loop."""
    serving, body = world[0], json.dumps(request_of([ROW])).encode()
    traces, waiting = [new_trace() for _ in range(8)], []
    connections = [serving.connect() for _ in traces]
    for connection in connections:  # accepted
        connection.request("GET", "/live")
        assert connection.getresponse().read() == b"pong"
    os.kill(serving.process.pid, signal.SIGSTOP)
    for trace, connection in zip(traces, connections, strict=True):
        connection.request("POST", "/predict", body, {"traceparent": parent(trace)})
    os.kill(serving.process.pid, signal.SIGCONT)
    for connection in connections:
        waiting.append(connection.getresponse().status)
        connection.close()
    assert waiting == [200] * len(traces)
    spans = collector.until(4 * len(traces), *traces)
    runs = [span for span in spans if span.name == "run the model"]
    assert {span.trace for span in runs} == set(traces)
    together = [span.attributes["lifeboat.run.requests"] for span in runs]
    assert max(together) > 1
    assert sum(1 / number for number in together) == pytest.approx(len({span.started for span in runs}))


def test_an_event_of_another_sender_is_followed_by_its_attribute_or_its_header(
    world: World, collector: Collector, digest: str
) -> None:
    """Seldon's executor tells of a prediction by two events, and traces by OpenTracing: whichever says it is read."""
    watching, traces = world[2], [new_trace() for _ in range(3)]
    pairs = [prediction(digest, [ROW], f"p{number}") for number in range(3)]
    pairs[0][0]["traceparent"] = parent(traces[0])
    pairs[1][1]["traceparent"] = parent(traces[1], sampled=False)
    for pair in pairs[:2]:
        watching.post(pair)
    for one, header in zip(pairs[2], ("", parent(traces[2])), strict=True):
        data = json.dumps(one.pop("data")).encode()
        head = {f"ce_{name}": str(value) for name, value in one.items() if value and name != "datacontenttype"}
        assert call(watching.url, data, **head, **({"traceparent": header} if header else {})).status == 200
    spans = collector.until(2, *traces)
    assert {(span.trace, span.parent, span.attributes["lifeboat.puid"]) for span in spans} == {
        (traces[0], CALLER, "p0"),
        (traces[2], CALLER, "p2"),
    }


def test_what_its_caller_does_not_trace_is_traced_nowhere(world: World, collector: Collector) -> None:
    """Though each process would trace all of it by itself; the last test, for it ends them."""
    serving, reasons, watching, _ = world
    known, before = {span.trace for span in collector.spans}, watching.report()["events"]["accepted"]
    for path in ("/api/v1.0/predictions", "/predict"):
        answer = call(serving.url + path, explained(ROW), traceparent=parent(new_trace(), sampled=False))
        assert (answer.status, "traceresponse" in answer.headers) == (200, False)
    for path in ("/metrics", "/ready", "/v2", "/openapi.json"):
        assert call(serving.url + path).status == 200
    watching.until(lambda report: report["events"]["accepted"] == before + 2)
    assert [one.stop() for one in (serving, reasons, watching)] == [0, 0, 0]
    assert {span.trace for span in collector.spans} == known
