"""Twenty thousand requests that nobody expects, and that the oracles would see what is wrong."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.http.framing import Answer
from tests.server.world import ROOT

from . import run as running_module
from .case import DETECTOR, KINDS, MODEL, TRIGGER, Case, Facts, Part
from .figures import Figures
from .grammar import Grammar
from .oracles import Oracles
from .processes import Held, read_errors
from .run import Run
from .wire import Talk, Wire, connect
from .world import World, running

REQUESTS = 20_000
TAGS = {"model_name": "tiny", "model_version": "3", "bundle_digest": "d" * 64}
FACTS = Facts("d" * 64, "t" * 32)
OWN = "0123456789abcdef0123456789abcdef"
ROWS = [{"name": "Ann", "port": "C", "age": 22.5, "class": 3, "alone": True}, {"name": "Bo", "class": 1}]
PAIRS = [[0.765, 0.235], [0.5, 0.5]]
# What has to come in twenty thousand; a grammar that no longer makes it would find nothing.
LEAST_OF_KIND = {"seldon": 6_000, "v2": 4_500, "feedback": 2_000, "events": 2_000, "framing": 1_500}
LEAST_OF_STATUS = {
    100: 50, 200: 15_000, 400: 5_000, 404: 150, 405: 50, 413: 3, 415: 150, 417: 2, 421: 2, 431: 1, 501: 10, 505: 10,
}  # fmt: skip


@pytest.fixture(scope="module")
def figures(tmp_path_factory: pytest.TempPathFactory) -> Figures:
    """Of a run against the real servers."""
    with running(tmp_path_factory.mktemp("fuzz")) as world:
        made = Run(world, "20", range(REQUESTS), REQUESTS // 2)
        made.run()
        made.check()
    return made.figures


def test_twenty_thousand_requests_find_nothing(figures: Figures) -> None:
    assert not figures.findings, "".join(finding.describe("20") for finding in figures.findings)
    assert figures.requests == REQUESTS
    assert set(figures.warm) == set(figures.after) == {MODEL, DETECTOR, TRIGGER}


def test_what_is_sent_is_of_every_kind_and_brings_every_status(figures: Figures) -> None:
    assert {kind: figures.cases[kind] for kind in KINDS if figures.cases[kind] < LEAST_OF_KIND[kind]} == {}
    rare = {status: figures.statuses[status] for status in LEAST_OF_STATUS}
    assert {status: number for status, number in rare.items() if number < LEAST_OF_STATUS[status]} == {}
    assert figures.predicted > 1 / 3
    assert figures.accepted > 8_000
    assert figures.rows > 3_000
    assert min(figures.forms.values()) > 10, figures.forms
    for form in ("table", "pipeline", "broken pipeline", "foreign"):
        assert all(figures.forms[f"framing: {form} {server}"] > 30 for server in (MODEL, DETECTOR, TRIGGER))


def test_a_case_is_made_of_the_seed_and_its_index_alone() -> None:
    whole = Grammar("7", FACTS)
    cases = [whole.case(index) for index in range(1500)]
    for index in range(1499, 0, -7):
        assert Grammar("7", FACTS).case(index) == cases[index]
    assert Grammar("8", FACTS).case(0) != cases[0]


# The oracles: each is shown an answer that is right, and then what is wrong with it in one way.


def answer(status: int, document: Any, **headers: str) -> Answer:
    body = document if isinstance(document, bytes) else json.dumps(document).encode()
    usual = {"date": "x", "content-type": "application/json", "content-length": str(len(body))}
    return Answer(status, {**usual, **{name.replace("_", "-"): value for name, value in headers.items()}}, body)


def alone(body: bytes) -> tuple[float, float] | int:
    row = json.loads(body)["data"]["ndarray"][0]
    pair = PAIRS[row[0] != "Ann"]
    return pair[0], pair[1]


def judge(case: Case, *answers: Answer) -> str | None:
    return Oracles(TAGS, alone).judge(case, answers)


def one(part: Part, server: str = MODEL) -> Case:
    return Case(part.kind, "x", server, b"", [part])


def seldon_part(**changes: Any) -> Part:
    part = Part("seldon", 200, json.dumps({"jsonData": ROWS, "meta": {"tags": {"a": 1}}}).encode())
    return replace(part, **changes)


def seldon_answer(change: Callable[[dict[str, Any]], Any] = lambda _: None, **headers: str) -> Answer:
    document = {
        "data": {"names": ["died", "survived"], "ndarray": [list(pair) for pair in PAIRS]},
        "meta": {"puid": OWN, "tags": {"a": 1, **TAGS}},
    }
    change(document)
    return answer(200, document, **{"seldon_puid": OWN, **headers})


def test_an_answer_that_is_right_is_no_finding() -> None:
    assert judge(one(seldon_part()), seldon_answer()) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda document: document["data"]["ndarray"].reverse(), "row 1 is answered"),
        (lambda document: document["data"]["ndarray"].pop(), "1 rows are answered, 2"),
        (
            lambda document: document["data"]["ndarray"][1].reverse() or document["data"]["ndarray"][0].reverse(),
            "row 1",
        ),
        (lambda document: document["data"]["ndarray"][0].__setitem__(1, 0.23500001), "row 1 is answered"),
        (lambda document: document["data"]["names"].reverse(), "the classes"),
        (lambda document: document["meta"].update(puid="other"), "the answer is called"),
        (lambda document: document["meta"]["tags"].pop("a"), "the tags"),
        (lambda document: document["meta"]["tags"].update(model_version="4"), "the tags"),
        (lambda document: document.pop("meta"), "cannot be read"),
    ],
)
def test_a_prediction_that_is_wrong_is_found(change: Callable[[dict[str, Any]], Any], words: str) -> None:
    assert words in str(judge(one(seldon_part()), seldon_answer(change)))


def test_the_model_is_known_so_that_a_row_and_the_same_alone_cannot_be_wrong_alike() -> None:
    wrong = seldon_answer(lambda document: document["data"].update(ndarray=[[0.7, 0.3]] * 2))
    found = Oracles(TAGS, lambda _: (0.7, 0.3)).judge(one(seldon_part()), [wrong])
    assert "due is 0.235" in str(found)


def test_names_of_a_request_that_are_wrong_are_found() -> None:
    assert "the server's own puid" in str(judge(one(seldon_part()), seldon_answer(seldon_puid="short")))
    assert "sent was 'p-1'" in str(judge(one(seldon_part(puid=b"p-1")), seldon_answer()))
    oracles = Oracles(TAGS, alone)
    assert oracles.judge(one(seldon_part()), [seldon_answer()]) is None
    assert "given twice" in str(oracles.judge(one(seldon_part()), [seldon_answer()]))


def test_a_prediction_for_what_is_none_is_found() -> None:
    for text in (b"{}", b"[", b'{"jsonData": [1]}', b'{"jsonData": {"name": "Ann", "name": "Bo"}}'):
        assert judge(one(seldon_part(want=None, text=text)), seldon_answer()) is not None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda document: document["outputs"][1]["data"].reverse(), "the labels"),
        (lambda document: document["outputs"].pop(), "the outputs"),
        (lambda document: document.update(id="other"), "the answer is called"),
        (lambda document: document.update(model_version="4"), "the answer's model"),
        (lambda document: document["outputs"][0]["data"].reverse(), "row 1"),
        (lambda document: document["outputs"][0].update(shape=[1, 2]), "the shape"),
    ],
)
def test_an_inference_that_is_wrong_is_found(change: Callable[[dict[str, Any]], Any], words: str) -> None:
    inputs = [
        {"name": "name", "datatype": "BYTES", "shape": [2], "data": ["Ann", "Bo"]},
        {"name": "age", "datatype": "FP64", "shape": [2], "data": [22.5, 70]},
        {"name": "port", "datatype": "BYTES", "shape": [2], "data": ["C", None]},
    ]
    pairs = {"Ann": (0.765, 0.235), "Bo": (0.3, 0.7)}
    outputs = [
        {"name": "probabilities", "datatype": "FP32", "shape": [2, 2], "data": [0.765, 0.235, 0.3, 0.7]},
        {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["died", "survived"]},
    ]
    document = {**TAGS, "parameters": {"bundle_digest": "d" * 64}, "id": "i", "outputs": outputs}
    part = Part("v2", 200, json.dumps({"id": "i", "inputs": inputs}).encode())
    oracles = Oracles(TAGS, lambda body: pairs[json.loads(body)["data"]["ndarray"][0][0]])
    assert oracles.judge(one(part), [answer(200, document, seldon_puid=OWN)]) is None
    change(document)
    assert words in str(oracles.judge(one(part), [answer(200, document, seldon_puid=OWN[::-1])]))


ERROR = {"status": {"status": 1, "info": "x", "code": -1, "reason": "MICROSERVICE_BAD_DATA"}}


@pytest.mark.parametrize(
    ("part", "wrong", "words"),
    [
        (Part("seldon"), answer(500, ERROR), "answered 500"),
        (Part("seldon"), answer(503, ERROR), "answered 503"),
        (Part("seldon"), answer(302, ERROR), "answered 302"),
        (Part("seldon"), answer(400, {"error": "x"}), "has not the form"),
        (Part("v2"), answer(400, ERROR), "has not the form"),
        (Part("seldon"), answer(400, b"oops"), "has not the form"),
        (Part("seldon"), answer(400, {"status": {**ERROR["status"], "info": ""}}), "has not the form"),
        (Part("seldon"), answer(400, {**ERROR, "at": "Traceback (most"}), "traceback"),
        (Part("seldon", 200), answer(400, ERROR), "due is 200"),
        (Part("seldon", 415), answer(400, ERROR), "due is 415"),
        (Part("refusal", 405), answer(405, ERROR), "allows"),
        (Part("feedback", text=b"{}"), answer(200, {"data": {"ndarray": []}, "meta": {"tags": {}}}), "a feedback"),
        (Part("feedback", text=b"{}"), answer(200, {"data": {"ndarray": []}, "meta": {"tags": TAGS}}), "own puid"),
    ],
)
def test_an_error_that_is_wrong_is_found(part: Part, wrong: Answer, words: str) -> None:
    assert words in str(judge(one(part), wrong))
    assert judge(one(Part("seldon")), answer(400, ERROR)) is None


def test_answers_to_events_that_are_wrong_are_found() -> None:
    part = Part("events", None, b"[1, 2]", label="batch")
    assert judge(one(part, DETECTOR), answer(200, {"accepted": 1, "refused": 1})) is None
    assert "of 2 events" in str(judge(one(part, DETECTOR), answer(200, {"accepted": 1})))
    intact = replace(part, want=200)
    assert "are refused" in str(judge(one(intact, DETECTOR), answer(200, {"accepted": 1, "refused": 1})))


def test_answers_that_are_too_few_too_many_or_differ_are_found() -> None:
    case = Case("framing", "x", MODEL, b"", [Part("plain", 200, same=1), Part("plain", 200, same=1)])
    good = answer(200, {"a": 1})
    assert judge(case, good, good) is None
    assert "1 answers to 2" in str(judge(case, good))
    assert "3 answers to 2" in str(judge(case, good, good, good))
    assert "the same request" in str(judge(case, good, answer(200, {"a": 2})))
    table = Case("framing", "x", MODEL, b"", statuses=(200, 400))
    assert "due is (200, 400)" in str(judge(table, good, good))
    assert "no header date" in str(judge(Case("framing", "x", MODEL, b""), replace(good, headers={})))


# The wire: a server that lies.


@contextmanager
def liar(reply: bytes, close: bool) -> Iterator[int]:
    """Answers whatever comes with the same bytes, and then closes or says no more."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            try:
                client, _ = listening.accept()
            except OSError:
                return
            with client:
                client.settimeout(5)
                client.recv(1 << 16)
                client.sendall(reply)
                if not close:
                    client.recv(1 << 16)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listening.getsockname()[1]
        thread.join(10)


GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.mark.parametrize(
    ("reply", "close", "wanted", "words"),
    [
        (GOOD, False, 1, ""),
        (GOOD * 2, False, 1, "2 answers to 1"),
        (GOOD, False, 2, "no answer within"),
        (b"", False, 1, "no answer within"),
        (GOOD[:-1], True, 1, "closed within an answer"),
        (b"HTTP/1.0 200 OK\r\n\r\n", True, 1, "is no answer"),
        (b"<html>\r\n\r\n", True, 1, "is no answer"),
        (b"HTTP/1.1 200 OK\r\n\r\n", True, 1, "has no length"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\ncontent-length: 0\r\n\r\n", True, 1, "a field twice"),
    ],
)
def test_what_is_wrong_on_a_connection_is_found(
    monkeypatch: pytest.MonkeyPatch, reply: bytes, close: bool, wanted: int, words: str
) -> None:
    monkeypatch.setattr("tests.fuzz.wire.SECONDS", 0.5)
    with liar(reply, close) as port:
        wire, done = Wire(), list[Talk]()
        link = connect(port)
        wire.begin(Talk(link, [b"x"], wanted, lambda _: False, False, done.append))
        while not done:
            wire.turn(0.1)
        link.close()
        wire.close()
    assert not done[0].slow
    assert words in done[0].problem
    assert bool(done[0].problem) == bool(words)


# The end of a run: servers that have grown, died, lost something or complained.


class StandIn(World):
    """Servers whose every word is given."""

    def __init__(self, folder: Path) -> None:
        log = folder / "log"
        log.write_text("")
        super().__init__(Facts("d" * 64, "t"), TAGS, self, {}, dict.fromkeys((MODEL, DETECTOR, TRIGGER), log))  # type: ignore[arg-type]
        self.__dict__["now"] = dict.fromkeys((MODEL, DETECTOR, TRIGGER), Held((1, 2), 1 << 26, 1 << 26, 9))
        self.__dict__["statuses"] = dict.fromkeys((MODEL, DETECTOR, TRIGGER), 200)
        self.__dict__["counted"] = {
            'lifeboat_drift_events_total{type="request"}': 7.0, "lifeboat_drift_duplicates_total": 3.0,
        }  # fmt: skip

    def held(self) -> dict[str, Held]:
        return dict(self.now)

    def ready(self) -> dict[str, int]:
        return dict(self.statuses)

    def report(self) -> dict[str, Any]:
        return {"models": [{"version": "sound", "rows": 5}, {"version": "1", "rows": 9}]}

    def metrics(self) -> dict[str, float]:
        return dict(self.counted)


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run after its last request."""
    monkeypatch.setattr(running_module, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(running_module, "Lane", lambda *_: None)
    world = StandIn(tmp_path)
    world.facts.ports.update(dict.fromkeys((MODEL, DETECTOR, TRIGGER), 1))
    made = Run(world, "1", range(0), 0)
    made.figures.before = made.figures.warm = world.held()
    made.figures.accepted, made.figures.rows = 10, 5
    return made


def test_servers_as_they_were_are_no_finding(ended: Run) -> None:
    ended.check()
    assert ended.figures.findings == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda world: world.now.update(model=Held((1, 2), 0, 1 << 28, 9)), "model has grown by 192.0 MB"),
        (lambda world: world.now.update(detector=Held((1, 2), 0, 1 << 28, 9)), "detector has grown"),
        (lambda world: world.now.update(trigger=Held((1, 2), 0, 1 << 28, 9)), "trigger has grown"),
        (lambda world: world.now.update(model=Held((1, 2), 0, 0, 99)), "model had 9 descriptors, it has 99"),
        (lambda world: world.now.update(model=Held((1, 3), 0, 0, 9)), "the processes were (1, 2)"),
        (lambda world: world.now.update(detector=Held((3, 2), 0, 0, 9)), "the processes were (1, 2)"),
        (lambda world: world.statuses.update(model=503), "model is not ready: 503"),
        (lambda world: world.counted.update(lifeboat_drift_duplicates_total=2.0), "10 events were acknowledged"),
        (
            lambda world: world.counted.update({'lifeboat_drift_refused_total{reason="internal error"}': 1.0}),
            "lost by an error",
        ),
        (lambda world: world.logs[MODEL].write_text('{"level": "error", "message": "x"}\n'), "has logged"),
        (lambda world: world.logs[MODEL].write_text("Traceback (most recent call last):\n"), "has logged"),
    ],
)
def test_servers_that_are_not_as_they_were_are_found(ended: Run, change: Callable[[StandIn], Any], words: str) -> None:
    change(ended._world)  # type: ignore[arg-type]
    ended.check()
    assert words in str([finding.problem for finding in ended.figures.findings])


def test_rows_that_are_lost_are_found(ended: Run) -> None:
    ended.figures.rows, ended.figures.refused = 6, 1
    ended.check()
    words = [finding.problem for finding in ended.figures.findings]
    assert any("6 rows of intact predictions were sent, the windows hold 5" in problem for problem in words)
    assert any("1 events were refused, 0 are counted" in problem for problem in words)


def test_what_processes_hold_is_read() -> None:
    child = [
        sys.executable,
        "-c",
        "import sys; held = [open('/dev/null') for _ in range(20)]; print(1, flush=True); input()",
    ]
    with subprocess.Popen(child, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        held = Held.of(process.pid)
        process.communicate(b"\n")
    assert held.pids == (process.pid,)
    assert held.descriptors >= 23
    assert held.rss >= held.pss > 1 << 20


def test_a_line_that_is_a_senders_doing_is_no_finding(tmp_path: Path) -> None:
    log = tmp_path / "log"
    waits = {"level": "error", "message": "14 events wait for 5 bundles that are not here"}
    lines = [json.dumps({"level": "info", "message": "ready"}), json.dumps(waits)]
    log.write_text("\n".join(lines))
    assert read_errors(log) == []
    log.write_text("\n".join([*lines, "a line that is no JSON"]))
    assert read_errors(log) == ["a line that is no JSON"]


def test_the_command_repeats_one_request_and_says_how_it_ended() -> None:
    command = [sys.executable, "-m", "tests.fuzz", "--seed=20", "--only=3"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("seed 20, requests 3 to 3\n")
    assert "1 requests in " in done.stdout
    assert ", seed 20, 0 findings" in done.stdout
