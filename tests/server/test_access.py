"""Who may ask: every role at every door, by HTTP and by gRPC, over real sockets; and all that a token can be."""

from __future__ import annotations

import asyncio
import base64
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf.json_format import ParseDict

from lifeboat.config.tokens import EVENTS, FEEDBACK, PREDICT, READ, RIGHTS, Limits, Token, change_tokens, make_token
from lifeboat.server.metrics import ServerMetrics
from lifeboat.server.model.onnx_model import load_model
from lifeboat.server.rpc.messages import INFERENCE, MODEL, SELDON, message
from lifeboat.server.rpc.server import RIGHTS as RIGHTS_OF_METHODS
from lifeboat.server.service import Service
from lifeboat.server.settings import ServerSettings
from tests.detector.world import BATCH, add_bundle, detector, prediction
from tests.explainer.world import RunningExplainer, explainer
from tests.ports import free_port, others_address
from tests.server.receiver import Receiver, wait_for
from tests.server.rpc.stub import Stub, infer_request, seldon_message
from tests.server.world import ROOT, ROW, ROW_VALUES, Answer, Running, call, make_bundle, ndarray, server

NOBODY, UNKNOWN, ENDED = "nobody", "unknown", "ended"
ROLES = (*RIGHTS, NOBODY, UNKNOWN, ENDED)
FEEDBACK_BODY = {"truth": {"data": {"ndarray": [1]}}}
KINDS = {"name": "BYTES", "port": "BYTES", "age": "FP32", "class": "INT64", "alone": "BOOL"}
INFER_BODY = {
    "inputs": [{"name": name, "shape": [1], "datatype": kind, "data": [ROW[name]]} for name, kind in KINDS.items()]
}
EVERYBODY, SOMEBODY = frozenset(ROLES), frozenset(RIGHTS)
# Path, body, and which roles may; a GET where there is no body.
DOORS: list[tuple[str, Any, frozenset[str]]] = [
    ("/predict", ndarray(ROW_VALUES), frozenset({PREDICT})),
    ("/api/v1.0/predictions", ndarray(ROW_VALUES), frozenset({PREDICT})),
    ("/api/v0.1/predictions", ndarray(ROW_VALUES), frozenset({PREDICT})),
    ("/explain", ndarray(ROW_VALUES), frozenset({PREDICT})),
    ("/api/v1.0/explain", ndarray(ROW_VALUES), frozenset({PREDICT})),
    ("/v2/models/tiny/versions/1/infer", INFER_BODY, frozenset({PREDICT})),
    ("/v2/models/tiny/infer", INFER_BODY, frozenset({PREDICT})),
    ("/v1/models/tiny:predict", {"instances": [ROW]}, frozenset({PREDICT})),
    ("/invocations", {"dataframe_records": [ROW]}, frozenset({PREDICT})),
    ("/send-feedback", FEEDBACK_BODY, frozenset({FEEDBACK})),
    ("/api/v1.0/feedback", FEEDBACK_BODY, frozenset({FEEDBACK})),
    ("/api/v0.1/feedback", FEEDBACK_BODY, frozenset({FEEDBACK})),
    ("/metrics", None, frozenset({READ})),
    ("/prometheus", None, frozenset({READ})),
    ("/", None, frozenset({READ, PREDICT})),
    ("/docs", None, frozenset({READ, PREDICT})),
    ("/openapi.json", None, frozenset({READ, PREDICT})),
    ("/seldon.json", None, frozenset({READ, PREDICT})),
    ("/api/v1.0/doc", None, frozenset({READ, PREDICT})),
    ("/api/v1.0/doc/", None, frozenset({READ, PREDICT})),
    ("/metadata", None, SOMEBODY),
    ("/api/v1.0/metadata", None, SOMEBODY),
    ("/v2", None, SOMEBODY),
    ("/v2/", None, SOMEBODY),
    ("/v2/models/tiny/versions/1", None, SOMEBODY),
    ("/v2/models/tiny", None, SOMEBODY),
    ("/v1/models", None, SOMEBODY),
    ("/version", None, SOMEBODY),
    ("/live", None, EVERYBODY),
    ("/livez", None, EVERYBODY),
    ("/readyz", None, EVERYBODY),
    ("/v2/models/tiny/versions/1/ready", None, EVERYBODY),
    ("/api/v1.0/health/status", None, EVERYBODY),
    ("/ready", None, EVERYBODY),
    ("/v2/health/live", None, EVERYBODY),
    ("/v2/health/ready", None, EVERYBODY),
    ("/v2/models/tiny/ready", None, EVERYBODY),
    ("/v1/models/tiny", None, EVERYBODY),
    ("/health/ping", None, EVERYBODY),
    ("/health/status", None, EVERYBODY),
    ("/ping", None, EVERYBODY),
]  # fmt: skip
# Service, method, and which roles may.
METHODS = [
    (SELDON, "Predict", frozenset({PREDICT})),
    (MODEL, "Predict", frozenset({PREDICT})),
    (INFERENCE, "ModelInfer", frozenset({PREDICT})),
    (SELDON, "SendFeedback", frozenset({FEEDBACK})),
    (SELDON, "ModelMetadata", SOMEBODY),
    (MODEL, "Metadata", SOMEBODY),
    (INFERENCE, "ModelMetadata", SOMEBODY),
    (INFERENCE, "ServerMetadata", SOMEBODY),
    (INFERENCE, "ServerLive", EVERYBODY),
    (INFERENCE, "ServerReady", EVERYBODY),
    (INFERENCE, "ModelReady", EVERYBODY),
]


@dataclass
class Tokens:
    """A file of tokens, one for each role, and the tokens themselves."""

    file: Path
    texts: dict[str, str]

    @classmethod
    def of(cls, file: Path, **limits: Limits) -> Tokens:
        made = {right: make_token(f"who may {right}", [right], "", limits.get(right)) for right in RIGHTS}
        made[ENDED] = make_token("who might", RIGHTS, "2026-01-31T00:00:00+00:00")
        change_tokens(file, lambda _: [token for _, token in made.values()])
        texts = {role: text for role, (text, _) in made.items()}
        return cls(file, texts | {UNKNOWN: make_token("stranger", [PREDICT])[0]})

    def add(self, name: str, *rights: str, limits: Limits | None = None) -> str:
        text, token = make_token(name, rights, "", limits)
        change_tokens(self.file, lambda known: (*known, token))
        return text

    def header(self, role: str) -> dict[str, str]:
        return {} if role == NOBODY else {"authorization": f"Bearer {self.texts[role]}"}


@pytest.fixture(scope="module")
def tokens(tmp_path_factory: pytest.TempPathFactory) -> Tokens:
    return Tokens.of(tmp_path_factory.mktemp("access") / "tokens.json")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


@pytest.fixture(scope="module")
def reasons(store: Path, tokens: Tokens) -> Iterator[RunningExplainer]:
    add_bundle(store)
    with explainer(store, "--tokens", str(tokens.file)) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(store: Path, tokens: Tokens, reasons: RunningExplainer) -> Iterator[Running]:
    """A server with tokens, whose explainer takes its own."""
    own = store / "token"
    own.write_text(tokens.texts[PREDICT])
    bundle = store / "bundles" / "tiny" / add_bundle(store)
    flags = ("--tokens", str(tokens.file), "--token-file", str(own), "--explainer-url", reasons.url)
    with server(bundle, *flags, "--model-version", "1") as running:
        yield running


@pytest.fixture(scope="module")
def guarded_rpc(store: Path, tokens: Tokens) -> Iterator[grpc.Channel]:
    bundle, port = store / "bundles" / "tiny" / add_bundle(store), free_port()
    with (
        server(bundle, "--tokens", str(tokens.file), "--grpc-port", str(port)),
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        yield channel


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("path", "body", "allowed"), DOORS, ids=[door[0] for door in DOORS])
def test_each_role_at_each_path(
    guarded: Running, tokens: Tokens, role: str, path: str, body: Any, allowed: frozenset[str]
) -> None:
    # Failures are counted by address: each path is asked from one of its own.
    source = f"127.0.1.{DOORS.index((path, body, allowed)) + 1}"
    answer = _call_from(source, guarded, path, body, tokens.header(role))
    _check(answer, role, allowed)
    if answer.status == 401:
        assert answer.headers["www-authenticate"].startswith("Bearer")
    if answer.status != 200 and path.startswith("/v2"):
        assert set(answer.json) == {"error"}
    if answer.status != 200 and path == "/predict":
        assert answer.json["status"]["status"] == 1


def test_the_list_of_paths_is_whole(store: Path) -> None:
    async def paths() -> set[str]:
        model = load_model(str(store / "bundles" / "tiny" / add_bundle(store)))
        settings = ServerSettings(bundle="x", host="127.0.0.1", model_version="1")
        service = Service(model, settings, ServerMetrics({}, model.bundle.task), asyncio.get_running_loop())
        return {path.decode() for path in service.app._routes}

    assert asyncio.run(paths()) - {"*"} == {path for path, _, _ in DOORS}
    assert set(RIGHTS_OF_METHODS) == {method for _, method, _ in METHODS}


def _call_from(source: str, running: Running, path: str, body: Any, headers: dict[str, str]) -> Answer:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=10, source_address=(source, 0))
    sent = {"content-type": "application/json", **headers}
    connection.request("GET" if body is None else "POST", path, None if body is None else json.dumps(body), sent)
    with connection.getresponse() as reply:
        return Answer(
            reply.status,
            {name.lower(): ", ".join(reply.headers.get_all(name, [])) for name in reply.headers},
            reply.read(),
        )


def _check(answer: Answer, role: str, allowed: frozenset[str]) -> None:
    if role in allowed:
        assert answer.status == 200, answer.body
    elif role in RIGHTS:
        assert answer.status == 403
        assert f"who may {role} may {role}; this takes the right to" in answer.body.decode()
    else:
        assert answer.status == 401
        words = {NOBODY: "this takes a token", UNKNOWN: "is not known here", ENDED: "of who might ended at 2026-01-31"}
        assert words[role] in answer.body.decode()


def test_a_path_that_is_not_there_is_no_way_around(guarded: Running) -> None:
    assert call(guarded.url + "/nothing").status == 404
    assert call(guarded.url + "/predict/", ndarray(ROW_VALUES)).status == 404
    assert call(guarded.url + "//predict", ndarray(ROW_VALUES)).status == 404


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize(("service", "method", "allowed"), METHODS, ids=[f"{one[0]}.{one[1]}" for one in METHODS])
def test_each_role_at_each_method(
    guarded_rpc: grpc.Channel, tokens: Tokens, role: str, service: str, method: str, allowed: frozenset[str]
) -> None:
    request = _request(method, service)
    try:
        Stub(guarded_rpc, service)(method, request, **tokens.header(role))
        code = grpc.StatusCode.OK
    except grpc.RpcError as error:
        code = error.code()
    refused = grpc.StatusCode.PERMISSION_DENIED if role in RIGHTS else grpc.StatusCode.UNAUTHENTICATED
    assert code == (grpc.StatusCode.OK if role in allowed else refused)


def _request(method: str, service: str) -> Any:
    if method == "Predict":
        return seldon_message(ndarray(ROW_VALUES))
    if method == "ModelInfer":
        return infer_request([ROW])
    if method == "SendFeedback":
        return ParseDict(FEEDBACK_BODY, message("seldon.protos.Feedback")())
    if service == INFERENCE and method in ("ModelReady", "ModelMetadata"):
        return message(f"inference.{method}Request")(name="tiny")
    return b""


def test_what_is_no_message_is_refused_after_its_sender(guarded_rpc: grpc.Channel, tokens: Tokens) -> None:
    with pytest.raises(grpc.RpcError) as refusal:
        Stub(guarded_rpc, INFERENCE)("ModelInfer", b"\xff\xff")
    assert refusal.value.code() == grpc.StatusCode.UNAUTHENTICATED
    with pytest.raises(grpc.RpcError) as refusal:
        Stub(guarded_rpc, INFERENCE)("ModelInfer", b"\xff\xff", **tokens.header(PREDICT))
    assert refusal.value.code() == grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("role", ROLES)
def test_each_role_at_the_explainer(reasons: RunningExplainer, store: Path, tokens: Tokens, role: str) -> None:
    url = reasons.url.removesuffix("/explain")
    inputs = [{"name": name, "data": [value]} for name, value in ROW.items()]
    question = {"usecase": "tiny", "digest": add_bundle(store), "rows": 1, "inputs": inputs}
    _check(call(reasons.url, question, **tokens.header(role)), role, frozenset({PREDICT}))
    _check(call(url + "/metrics", **tokens.header(role)), role, frozenset({READ}))
    _check(call(url + "/ready", **tokens.header(role)), role, EVERYBODY)


@pytest.mark.parametrize("role", ROLES)
def test_each_role_at_the_drift_detector(watched: Watched, tokens: Tokens, role: str) -> None:
    header = tokens.header(role)
    batch = {"content_type": BATCH, **header}
    _check(call(f"{watched.url}/events", prediction(watched.digest, [ROW]), **batch), role, frozenset({EVENTS}))
    for path in ("/", "/drift", "/metrics"):
        _check(call(watched.url + path, **header), role, frozenset({READ}))
    for path in ("/live", "/ready"):
        _check(call(watched.url + path, **header), role, EVERYBODY)


@dataclass
class Watched:
    """A detector's address and the bundle it knows."""

    url: str
    digest: str


@pytest.fixture(scope="module")
def watched(store: Path, tokens: Tokens, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    digest = add_bundle(store)
    database = tmp_path_factory.mktemp("drift") / "drift.db"
    with detector(store, database, "--tokens", str(tokens.file)) as running:
        yield Watched(f"http://127.0.0.1:{running.port}", digest)


def test_a_browser_opens_a_page_by_a_password(guarded: Running, tokens: Tokens) -> None:
    asked = call(guarded.url + "/")
    assert asked.status == 401
    assert "Basic realm=" in json.dumps(asked.headers)
    word = base64.b64encode(f"anybody:{tokens.texts[READ]}".encode()).decode()
    assert call(guarded.url + "/", authorization=f"Basic {word}").status == 200
    assert call(guarded.url + "/metrics", authorization=f"basic {word}").status == 200
    # A page of elsewhere may lead to a page, but not have it asked.
    other = tokens.add("reader", READ, PREDICT)
    word = base64.b64encode(f":{other}".encode()).decode()
    wait_for_token(guarded, other)
    for site, status in (("cross-site", 401), ("same-site", 401), ("same-origin", 200)):
        basic = {"authorization": f"Basic {word}", "sec_fetch_site": site}
        assert call(guarded.url + "/docs", **basic).status == 200
        assert call(guarded.url + "/predict", ndarray(ROW_VALUES), **basic).status == status
        bearer = {"authorization": f"Bearer {other}", "sec_fetch_site": site}
        assert call(guarded.url + "/predict", ndarray(ROW_VALUES), **bearer).status == 200
    for said in (
        "Basic",
        "Basic ?",
        f"Basic {base64.b64encode(b'no colon').decode()}",
        f"Digest {tokens.texts[READ]}",
        "",
    ):
        assert call(guarded.url + "/", authorization=said).status == 401, said


def wait_for_token(running: Running, token: str) -> None:
    end = time.monotonic() + 10
    while call(running.url + "/metadata", authorization=f"Bearer {token}").status != 200:
        assert time.monotonic() < end
        time.sleep(0.1)


def test_tokens_of_one_name_with_other_limits_do_not_renew_each_other(tmp_path: Path) -> None:
    tokens, bundle = Tokens.of(tmp_path / "tokens.json"), make_bundle(tmp_path / "bundle")
    each = [tokens.add("desk", PREDICT, limits=Limits(requests=number)) for number in (3, 4)]
    with server(bundle, "--tokens", str(tokens.file)) as running:
        asked = [
            call(running.url + "/predict", ndarray(ROW_VALUES), authorization=f"Bearer {token}").status
            for token in each * 10
        ]
    assert asked.count(200) == 7


def test_tokens_change_without_a_restart(tmp_path: Path) -> None:
    tokens, bundle = Tokens.of(tmp_path / "tokens.json"), make_bundle(tmp_path / "bundle")
    with server(bundle, "--tokens", str(tokens.file)) as running:

        def until(status: int, token: str) -> None:
            end = time.monotonic() + 10
            while call(running.url + "/predict", ndarray(ROW_VALUES), authorization=f"Bearer {token}").status != status:
                assert time.monotonic() < end
                time.sleep(0.1)

        new = tokens.add("desk", PREDICT)
        until(200, new)
        tokens.file.write_text("{")
        time.sleep(1.5)
        until(200, new)
        assert "the tokens are those of before" in running.log.read_text()
        tokens.file.unlink()
        time.sleep(1.5)
        until(200, new)
        tokens.file.write_text('{"tokens": []}')
        until(401, new)


def test_a_name_has_its_limits_over_all_its_tokens(tmp_path: Path) -> None:
    limits = Limits(requests=5, rows=40, truths=3)
    tokens, bundle = Tokens.of(tmp_path / "tokens.json"), make_bundle(tmp_path / "bundle")
    first, second = (tokens.add("desk", PREDICT, FEEDBACK, limits=limits) for _ in range(2))
    port = free_port()
    with server(bundle, "--tokens", str(tokens.file), "--rows-per-minute", "10", "--grpc-port", str(port)) as running:

        def ask(token: str, rows: int = 1) -> Answer:
            return call(running.url + "/predict", ndarray(*[ROW_VALUES] * rows), authorization=f"Bearer {token}")

        assert [ask(first).status, ask(second).status, ask(first, 38).status] == [200, 200, 200]
        refused = ask(second)
        assert (refused.status, refused.info) == (429, "desk has asked for the 40 rows that it may a minute")
        assert 1 <= int(refused.headers["retry-after"]) <= 2
        truths = {"truth": {"data": {"ndarray": [1, 1, 0]}}}
        sent = call(running.url + "/send-feedback", truths, authorization=f"Bearer {first}")
        assert sent.status == 200
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel, pytest.raises(grpc.RpcError) as refusal:
            Stub(channel, SELDON)("Predict", seldon_message(ndarray(ROW_VALUES)), authorization=f"Bearer {second}")
        assert refusal.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "5 requests that it may a minute" in refusal.value.details()
        assert dict(refusal.value.trailing_metadata())["retry-after"]
        header = tokens.header(PREDICT)
        assert call(running.url + "/predict", ndarray(*[ROW_VALUES] * 30), **header).status == 200
        said = call(running.url + "/predict", ndarray(ROW_VALUES), **header)
        assert (said.status, "the 10 rows" in said.info) == (429, True), "that of the server, for who has none"
        metrics = call(running.url + "/metrics", **tokens.header(READ)).body.decode()
    assert 'lifeboat_callers_total{caller="desk",result="limited"} 2' in metrics
    assert 'lifeboat_callers_total{caller="who may predict",result="taken"} 2' in metrics
    assert 'lifeboat_rejected_total{reason="limited"} 3' in metrics


def test_truths_of_a_name_are_limited_by_the_hour(tmp_path: Path) -> None:
    tokens, bundle = Tokens.of(tmp_path / "tokens.json", feedback=Limits(truths=3)), make_bundle(tmp_path / "bundle")
    with server(bundle, "--tokens", str(tokens.file)) as running:
        header = tokens.header(FEEDBACK)
        truths = {"truth": {"data": {"ndarray": [1, 1, 0]}}}
        assert call(running.url + "/send-feedback", truths, **header).status == 200
        refused = call(running.url + "/send-feedback", FEEDBACK_BODY, **header)
        metrics = call(running.url + "/metrics", **tokens.header(READ)).body.decode()
    assert (refused.status, refused.info) == (429, "who may feedback has asked for the 3 truths that it may an hour")
    assert 1000 < int(refused.headers["retry-after"]) <= 1200
    assert 'lifeboat_feedback_total{truth="survived"} 2' in metrics, "none of those that were refused"


def test_failures_of_an_address_are_limited_and_keep_nobody_else_out(tmp_path: Path) -> None:
    tokens, bundle = Tokens.of(tmp_path / "tokens.json"), make_bundle(tmp_path / "bundle")
    with server(bundle, "--tokens", str(tokens.file)) as running:
        statuses = [call(running.url + "/predict", ndarray(ROW_VALUES)).status for _ in range(40)]
        assert statuses[:30] == [401] * 30
        assert statuses[35:] == [429] * 5
        assert int(call(running.url + "/metrics").headers["retry-after"]) >= 1
        assert call(running.url + "/predict", ndarray(ROW_VALUES), **tokens.header(PREDICT)).status == 200
        metrics = call(running.url + "/metrics", **tokens.header(READ)).body.decode()
    assert 'lifeboat_callers_total{caller="",result="unauthorized"} 41' in metrics


def test_the_name_of_a_token_is_the_source_of_its_truths(tmp_path: Path, receiver: Receiver) -> None:
    tokens, bundle = Tokens.of(tmp_path / "tokens.json"), make_bundle(tmp_path / "bundle")
    own = tmp_path / "own"
    own.write_text(tokens.texts[EVENTS])
    flags = ("--tokens", str(tokens.file), "--events-url", receiver.url, "--token-file", str(own))
    with server(bundle, *flags) as running:
        call(running.url + "/send-feedback", FEEDBACK_BODY, **tokens.header(FEEDBACK))
        [event] = wait_for(receiver, 1)
    assert event["authid"] == "who may feedback"
    assert receiver.authorizations[-1] == f"Bearer {tokens.texts[EVENTS]}"


def test_a_server_that_others_reach_does_not_start_unguarded(tmp_path: Path) -> None:
    bundle = make_bundle(tmp_path / "bundle")
    programs = {
        "server": ("--bundle", str(bundle), "--metrics-port", "0"),
        "explainer": ("--store", str(tmp_path)),
    }
    for name, flags in programs.items():
        command = [sys.executable, "-m", f"lifeboat.{name}", "--host", "0.0.0.0", "--port", "0", *flags]  # noqa: S104
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, env=os.environ, timeout=60, check=False)
        assert ended.returncode == 1, name
        assert b"host is 0.0.0.0, which others reach: say who may ask by tokens" in ended.stderr
    with server(bundle, "--host", "0.0.0.0", "--open", "true") as running:  # noqa: S104
        assert call(running.url + "/predict", ndarray(ROW_VALUES)).status == 200


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no file of tokens"),
        ('{"tokens": [""]}', "is no file of tokens"),
        ('{"tokens": [{"name": "a"}]}', "is no file of tokens"),
        (
            '{"tokens": [{"name": "a", "rights": ["fly"], "sha256": "", "created": ""}]}',
            "a may fly, but rights are predict",
        ),
        ('{"tokens": [{"name": "a", "rights": ["read"], "sha256": "xyz", "created": ""}]}', "has no SHA-256"),
        ('{"tokens": [{"name": "a", "token": "secret"}]}', "'token', which is none of its members"),
    ],
)
def test_a_file_that_holds_no_tokens_is_said_at_the_start(tmp_path: Path, content: str, words: str) -> None:
    file = tmp_path / "tokens.json"
    file.write_text(content)
    bundle = make_bundle(tmp_path / "bundle")
    command = [sys.executable, "-m", "lifeboat.server", "--bundle", str(bundle), "--tokens", str(file), "--port", "0"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, env=os.environ, timeout=60, check=False)
    assert (ended.returncode, words in ended.stderr.decode()) == (1, True), ended.stderr


def test_the_mesh_is_believed_of_this_machine_alone(tmp_path: Path, receiver: Receiver) -> None:
    """A sidecar's connection comes from the pod itself; who comes from elsewhere may write any header."""
    address = others_address()
    bundle, port = make_bundle(tmp_path / "bundle"), free_port()
    flags = ("--host", "0.0.0.0", "--subject-header", "X-Subject", "--events-url", receiver.url)  # noqa: S104
    with server(bundle, *flags, "--grpc-port", str(port)) as running:
        for host in ("127.0.0.1", address):
            call(f"http://{host}:{running.port}/send-feedback", FEEDBACK_BODY, x_subject="bank")
            with grpc.insecure_channel(f"{host}:{port}") as channel:
                feedback = ParseDict(FEEDBACK_BODY, message("seldon.protos.Feedback")())
                Stub(channel, SELDON)("SendFeedback", feedback, x_subject="bank")
        found = [event["authid"] for event in wait_for(receiver, 4)]
    believed = 4 if address == "127.0.0.1" else 2  # of a machine without a network all comes from itself
    assert sorted(found) == ["anonymous"] * (4 - believed) + ["bank"] * believed


def test_a_token_of_the_file_is_its_hash_alone(tmp_path: Path) -> None:
    text, token = make_token("desk", [READ, PREDICT])
    change_tokens(tmp_path / "tokens.json", lambda _: [token])
    assert text not in (tmp_path / "tokens.json").read_text()
    assert (tmp_path / "tokens.json").stat().st_mode & 0o777 == 0o600
    assert isinstance(token, Token)
    assert token.rights == (PREDICT, READ)
    assert len(text) > 43
